"""Sentences of mail: verbatim, and cut where a reader would cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.classifying.sentences import MAX_CHARACTERS, build_pipeline, spans_of, split

MAIL_TEXT = st.lists(
    st.sampled_from(
        [
            "We",
            "offer",
            "a room.",
            "Mr.",
            "e.g.",
            "£2.5m",
            "\n",
            "\n\n",
            "- ",
            "1. ",
            "> ",
            "yes?",
            "No!",
            "…",
            "  ",
            "café",
        ]
    )
).map(" ".join)


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We can lend a van. It seats nine.", ["We can lend a van.", "It seats nine."]),
        ("Ask Mr. Patel, e.g. on Monday.", ["Ask Mr. Patel, e.g. on Monday."]),
        ("We raised £2.5m at 9.30 a.m. on Friday.", ["We raised £2.5m at 9.30 a.m. on Friday."]),
        ("See www.a-b.example/x.html today. Then ring.", ["See www.a-b.example/x.html today.", "Then ring."]),
        ("It is for J. Smith and R. Jones.", ["It is for J. Smith and R. Jones."]),
        ("hiya. we could do teas. tell me when", ["hiya.", "we could do teas.", "tell me when"]),
        ('He said "Take it!" and left. We did.', ['He said "Take it!" and left.', "We did."]),
        (
            "Dear Sarah\nWe have a hall\nIt is free on Mondays",
            ["Dear Sarah", "We have a hall", "It is free on Mondays"],
        ),
        ("Three things:\n- a van\n* a hall\n1) money", ["Three things:", "a van", "a hall", "money"]),
        ("5.2 AGREED: to lend the hall.\n5.3 Noted.", ["AGREED: to lend the hall.", "Noted."]),
        ("Tables, chairs etc. for free. Yours, Ann", ["Tables, chairs etc. for free.", "Yours, Ann"]),
        ("", []),
        ("---\n\n* * *\n", []),
    ],
)
def test_cuts_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_hard_wrapped_paragraph_is_one_sentence_verbatim() -> None:
    text = (
        "We have a community hall in the middle of the estate which\n"
        "stands empty every Tuesday, and the campaign could have\n"
        "It for nothing if somebody locks up afterwards.\n\nAnn"
    )
    assert texts(text) == [text[: text.index("\n\n")], "Ann"]


def test_list_items_are_told_from_sentences() -> None:
    sentences = split("Hello.\n\nThis is what we would give:\n- a van\n- a driver\n\nBye now.")
    assert [(one.text, one.item) for one in sentences] == [
        ("Hello.", False),
        ("This is what we would give:", False),
        ("a van", True),
        ("a driver", True),
        ("Bye now.", False),
    ]


def test_a_wrapped_list_item_stays_whole() -> None:
    assert texts("- a van with a driver who\n  knows the city\n- money") == [
        "a van with a driver who\n  knows the city",
        "money",
    ]


def test_endless_texts_are_cut() -> None:
    assert split("word " * 40_000)[-1].end <= MAX_CHARACTERS


@pytest.mark.parametrize("piece", ["(", ".", "a.", "x. ", "- ", "a\n", "> ", "\u2019.", "1) "])
def test_endless_runs_lose_nothing(piece: str) -> None:
    # In time squared, as spaCy alone and careless expressions take it, these would last for minutes.
    doc = build_pipeline([])((piece * 60_000)[:MAX_CHARACTERS])
    assert "".join(token.text_with_ws for token in doc) == doc.text


@given(st.one_of(st.text(), MAIL_TEXT))
@settings(max_examples=150, deadline=None)
def test_sentences_are_verbatim_in_order_and_lose_no_letter(text: str) -> None:
    sentences = split(text)
    assert all(text[one.start : one.end] == one.text == one.text.strip() for one in sentences)
    assert all(first.end <= second.start for first, second in pairwise(sentences))
    between = [
        text[a:b] for a, b in zip([0, *(s.end for s in sentences)], [*(s.start for s in sentences), None], strict=True)
    ]
    # What falls between sentences is white space, punctuation and list markers ("1.", "a)", "iv.").
    assert all(sum(character.isalnum() for character in line) <= 6 for gap in between for line in gap.splitlines())


def test_spacy_sees_the_same_sentences() -> None:
    nlp = build_pipeline([{"label": "type:offer", "id": "lend", "pattern": "could lend"}])
    doc = nlp("Hello Ann.\n\nWe COULD lend a van!\n- a driver")
    assert [sentence.text.strip() for sentence in doc.sents] == ["Hello Ann.", "We COULD lend a van!\n-", "a driver"]
    assert [(span.text, span.label_, span.id_) for span in doc.spans["rules"]] == [("COULD lend", "type:offer", "lend")]
    assert [span.text for span in spans_of(doc, split(doc.text))] == ["Hello Ann.", "We COULD lend a van!", "a driver"]
