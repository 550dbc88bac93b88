"""`mailbot evaluate` and `mailbot explain`: what they print, write and refuse; the classifier answers by heart."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from mailbot import tables
from mailbot.campaign import load_campaign
from mailbot.classifying.analysis import Alone, Analysis, Candidate
from mailbot.classifying.encoder import WIDTH, Encoded, Encoder, Tokens, Vectors
from mailbot.classifying.picture import MarkedText, marked_texts, page
from mailbot.classifying.sentences import CONTRIBUTIONS_KEY, build_pipeline, spans_of, split
from mailbot.config import SHIPPED
from mailbot.model import Body, Classification, Contribution, ContributionType, Evidence, Message, MessageClass
from mailbot.screening import Policy
from tests.acceptance.commands import mailbot
from tests.unit.factories import make_classification, make_message

CAMPAIGN = load_campaign([SHIPPED / "rules"])
HALL = "You could use our hall on Friday evenings."


class ByHeart:
    """Answers by subject; what it says can be counted by hand."""

    def __init__(self, answers: dict[str, Classification]) -> None:
        self.answers = answers

    def classify(self, message: Message) -> Classification:
        return self.answers[message.subject]

    def explain(self, message: Message) -> tuple[Classification, Analysis]:
        classification = self.classify(message)
        return classification, analysed(message, classification)


def analysed(message: Message, classification: Classification) -> Analysis:
    """A mail taken apart by spaCy, its quotes marked as the classifier leaves them."""
    candidates = []
    nothing = Tokens(vectors=np.zeros((0, WIDTH), np.float32), offsets=np.zeros((0, 2), np.int64))
    left = list(classification.contributions)
    for text in filter(None, (message.body.own_text, message.body.forwarded_text)):
        doc = build_pipeline([])(text)
        sentences = split(text)
        for sentence, span in zip(sentences, spans_of(doc, sentences), strict=True):
            candidates.append(Candidate(sentence=sentence, span=span, hits=(), place=(), tokens=nothing))
            if left and left[0].quote == sentence.text:
                group = list(doc.spans.get(CONTRIBUTIONS_KEY, ()))
                doc.spans[CONTRIBUTIONS_KEY] = [*group, span]
                left.pop(0)
    assert not left, "every quote stands in the text"
    vectors = np.zeros((len(candidates), WIDTH), np.float32)
    both = Vectors(own=vectors, surroundings=vectors)
    encoded = Encoded(sentences=both, mail=np.zeros(WIDTH, np.float32), tokens=())
    # Nobody asks for a second look here.
    alone = Alone(cast(Encoder, None), "", "", ())
    return Analysis(candidates=tuple(candidates), encoded=encoded, alone=alone, facts=(), words=0)


def offer(quote: str = HALL, *because: tuple[str, str], **overrides: Any) -> Contribution:
    evidence = tuple(Evidence(text=text, why=why) for text, why in because)
    values = {"type": ContributionType.OFFER, "aims": ("support",), "quote": quote, "confidence": 0.93} | overrides
    return Contribution(because=evidence, **values)


def contribution(*found: Contribution, confidence: float = 0.95, reasons: Sequence[str] = ()) -> Classification:
    return make_classification(contributions=found, confidence=confidence, review_reasons=tuple(reasons))


Knows = Callable[[dict[str, Classification]], None]


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Knows:
    """Puts a classifier that knows these answers in the place of the trained one; no configuration lies around."""
    monkeypatch.chdir(tmp_path)

    def put(answers: dict[str, Classification]) -> None:
        def load(_config: object, watch: Callable[[str, float], None]) -> tuple[Policy, ByHeart]:
            watch("Loading", 1.0)
            return Policy(), ByHeart(answers)

        monkeypatch.setattr("mailbot.app.load_understanding", load)

    return put


def row(key: str, message_class: str, *labels: tuple[str, str, str], body: str = HALL) -> str:
    found = [{"type": kind, "aims": [aim], "quote": quote} for kind, aim, quote in labels]
    gold = {"class": message_class, "contributions": found}
    mail = {"id": key, "from_name": "Amina", "from_email": "amina@haven.example", "subject": key, "body": body}
    return json.dumps({**mail, "gold": gold}) + "\n"


#: one right, one silently wrong in its aims, one silently wrong in its class, one wrong that asks for a look
LABELLED = (
    row("right", "contribution", ("offer", "support", HALL))
    + row("aimless", "contribution", ("offer", "employment", HALL))
    + row("missed", "contribution", ("pledge", "support", HALL))
    + row("asks", "enquiry", body="When is it?")
)
ANSWERS = {
    "right": contribution(offer()),
    "aimless": contribution(offer()),
    "missed": make_classification(MessageClass.ENQUIRY, confidence=0.55),
    "asks": make_classification(MessageClass.UNRELATED, confidence=0.45, review_reasons=("not sure what it is",)),
}


@pytest.fixture
def labelled(tmp_path: Path, knows: Knows) -> Path:
    knows(ANSWERS)
    path = tmp_path / "labelled.jsonl"
    path.write_text(LABELLED, "utf-8")
    return path


# --- evaluate ---


def test_evaluate_as_json_is_a_contract(labelled: Path) -> None:
    done = mailbot("evaluate", labelled, "--json")
    assert (done.code, done.err) == (0, "")
    (found,) = done.lines
    assert found == {
        "mails": 4,
        "model_version": "test-1",
        "class": {
            "accuracy": 0.5,
            "macro_f1": 0.2667,
            "each": {
                "contribution": {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "labelled": 3},
                "enquiry": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "labelled": 1},
                "unrelated": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "labelled": 0},
            },
            "confusion": {"contribution": {"contribution": 2, "enquiry": 1}, "enquiry": {"unrelated": 1}},
        },
        "aims": {
            "all": {"precision": 0.5, "recall": 0.3333, "f1": 0.4, "labelled": 3},
            "each": {
                "employment": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "labelled": 1},
                "support": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "labelled": 2},
            },
        },
        "types": {
            "all": {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "labelled": 3},
            "each": {
                "offer": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "labelled": 2},
                "pledge": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "labelled": 1},
            },
        },
        "quotes": {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "labelled": 3},
        "wholly_right": {"precision": 0.5, "recall": 0.3333, "f1": 0.4, "labelled": 3},
        "review": {"share": 0.25, "wrong": 3, "wrong_in_review": 0.3333, "silent": 2},
        "reliability": {
            "class": [
                {"claimed": 0.45, "right": 0.0, "count": 1},
                {"claimed": 0.55, "right": 0.0, "count": 1},
                {"claimed": 0.95, "right": 1.0, "count": 2},
            ],
            "contributions": [{"claimed": 0.93, "right": 0.5, "count": 2}],
        },
        "errors": [],
    }


def test_errors_come_silent_first_then_wrong_classes(labelled: Path) -> None:
    (found,) = mailbot("evaluate", labelled, "--json", "--errors", 2).lines
    assert [one["id"] for one in found["errors"]] == ["missed", "aimless"]
    (found,) = mailbot("evaluate", labelled, "--json", "--errors", 9).lines
    assert [(one["id"], one["silent"]) for one in found["errors"]] == [
        ("missed", True),
        ("aimless", True),
        ("asks", False),
    ]
    assert found["errors"][1] == {
        "id": "aimless",
        "subject": "aimless",
        "silent": True,
        "labelled": {
            "class": "contribution",
            "contributions": [{"type": "offer", "aims": ["employment"], "quote": HALL}],
        },
        "said": {
            "class": "contribution",
            "confidence": 0.95,
            "needs_review": False,
            "review_reasons": [],
            "contributions": [{"type": "offer", "aims": ["support"], "quote": HALL, "confidence": 0.93, "because": []}],
        },
    }


def test_evaluate_for_people(labelled: Path) -> None:
    done = mailbot("evaluate", labelled, "--errors", 3)
    assert (done.code, done.err) == (0, "")
    for words in ("4 mails, model test-1", "Precision", "wholly right", "macro", "rows were labelled"):
        assert words in done.out
    cells = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines() if "│" in line]
    assert ["", "contribution", "2", "1", "·", ""] in cells
    assert ["", "class or aims wrong", "3", ""] in cells
    assert ["", "… of them ask for a look", "1 (33%)", ""] in cells
    assert ["", "… of them silent", "2", ""] in cells
    assert ["", "contributions", "93%", "50%", "2", ""] in cells
    blocks = done.out[done.out.index("missed  missed  silent") :]
    assert f"offer for employment: “{HALL}”" in blocks
    assert f"offer for support (93%): “{HALL}”" in blocks
    assert blocks.index("asks  asks  asks for a look") > blocks.index("aimless  aimless  silent")
    assert "not sure what it is" in blocks


def test_several_files_count_as_one(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text("\n" + row("right", "contribution", ("offer", "support", HALL)), "utf-8")
    (found,) = mailbot("evaluate", labelled, tmp_path / "more.jsonl", "--json").lines
    assert found["mails"] == 5


def test_every_broken_file_is_named_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mailbot.app.load_understanding", lambda *_: pytest.fail("it was loaded"))
    (tmp_path / "broken.jsonl").write_text(row("good", "enquiry") + '{"id": "x", "body": "y"}\n', "utf-8")
    (tmp_path / "empty.jsonl").write_text("\n\n", "utf-8")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe")
    done = mailbot("evaluate", "broken.jsonl", "missing.jsonl", "empty.jsonl", "latin.jsonl", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "broken.jsonl, line 2: 'gold' is missing",
        "missing.jsonl: cannot be read: No such file or directory",
        "empty.jsonl: there is no labelled mail in it",
        "latin.jsonl: cannot be read: it is not UTF-8",
        f"{tmp_path}: cannot be read: Is a directory",
    ]


def test_aims_of_another_campaign_are_told(tmp_path: Path, knows: Knows) -> None:
    knows({"boat": contribution(offer())})
    (tmp_path / "boats.jsonl").write_text(row("boat", "contribution", ("offer", "boats", HALL)), "utf-8")
    done = mailbot("evaluate", "boats.jsonl", "--json")
    assert (done.code, len(done.lines)) == (0, 1)
    assert done.err == "labelled with aims that this campaign does not have: boats\n"


def test_plot_is_written_beside_the_figures(labelled: Path, tmp_path: Path) -> None:
    done = mailbot("evaluate", labelled, "--json", "--plot", tmp_path / "curve.svg")
    assert (done.code, len(done.lines)) == (0, 1)
    picture = (tmp_path / "curve.svg").read_text("utf-8")
    assert "class: claimed 45%, right 0%, of 1;" in picture
    assert "contributions: claimed 93%, right 50%, of 2." in picture
    nowhere = tmp_path / "nowhere" / "curve.svg"
    done = mailbot("evaluate", labelled, "--plot", nowhere)
    assert (done.code, done.err) == (2, f"--plot: {nowhere} cannot be written (No such file or directory)\n")
    assert "4 mails" in done.out


def test_words_in_labels_do_nothing_to_the_terminal(tmp_path: Path, knows: Knows) -> None:
    quote = "You could \x1b[31m use [red]our hall[/red]."
    knows({"x": make_classification(MessageClass.ENQUIRY)})
    line = row("x", "contribution", ("offer", "[bold]\x1b]0;owned", quote), body=quote)
    (tmp_path / "odd.jsonl").write_text(line, "utf-8")
    done = mailbot("evaluate", "odd.jsonl", "--errors", 1)
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert "[red]our hall[/red]" in done.out and "[bold]" in done.out


# --- explain ---


def mail(subject: str = "A room", body: str = f"Dear Sarah,\n\n{HALL}\n\nWhat is it?\n") -> bytes:
    head = (
        f"From: Amina <amina@haven.example>\r\nTo: a@b.example\r\nMessage-ID: <m@haven.example>\r\nSubject: {subject}"
    )
    return f"{head}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()


REASONS = (("hall", "offer: model"), ("evenings", "offer: model"), ("hall", "support: pattern workspace"))


def test_explain_shows_text_quotes_and_reasons(tmp_path: Path, knows: Knows) -> None:
    knows({"A room": contribution(offer(HALL, *REASONS), reasons=["not sure of the aims"])})
    (tmp_path / "hall.eml").write_bytes(mail())
    done = mailbot("explain", "hall.eml")
    assert (done.code, done.err) == (0, "")
    lines = [line.rstrip() for line in done.out.splitlines()]
    for line in (
        "Class         contribution, sure (95%)",
        "Please check  not sure of the aims",
        "Dear Sarah,",
        f"[1] {HALL}",
        "What is it?",
        "[1] offer for Support for start-ups and growth",
        "    sure (93%)",
        "    offer: model (“hall”, “evenings”)",
        "    support: pattern workspace (“hall”)",
    ):
        assert line in lines
    assert lines.index("Dear Sarah,") < lines.index(f"[1] {HALL}") < lines.index("What is it?")
    assert mailbot("explain", "-", stdin=mail()).out == done.out


def test_explain_takes_the_first_of_several(tmp_path: Path, knows: Knows) -> None:
    knows({"One": make_classification(MessageClass.ENQUIRY), "Two": make_classification()})
    (tmp_path / "1.eml").write_bytes(mail("One"))
    (tmp_path / "2.eml").write_bytes(mail("Two"))
    done = mailbot("explain", tmp_path)
    assert done.code == 0
    assert "One" in done.out and "Two" not in done.out


def test_explain_of_nothing_ends_with_1(tmp_path: Path, knows: Knows) -> None:
    knows({})
    (tmp_path / "empty.eml").write_bytes(b"")
    for part in ("cur", "new", "tmp"):
        (tmp_path / "box" / part).mkdir(parents=True)
    for name, words in (
        ("missing.eml", "missing.eml: cannot be read: No such file or directory"),
        ("empty.eml", "empty.eml: "),
        ("box", "box: there is no mail in it"),
    ):
        done = mailbot("explain", name)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(words) and done.err.count("\n") == 1


def test_explain_writes_a_page(tmp_path: Path, knows: Knows) -> None:
    knows({"A room": contribution(offer(HALL, *REASONS))})
    (tmp_path / "hall.eml").write_bytes(mail())
    done = mailbot("explain", "hall.eml", "--html", "hall.html")
    assert (done.code, done.out) == (0, "Written to hall.html\n")
    text = (tmp_path / "hall.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>") and "<title>A room</title>" in text
    done = mailbot("explain", "hall.eml", "--html", "nowhere/hall.html")
    assert (done.code, done.err) == (2, "--html: nowhere/hall.html cannot be written (No such file or directory)\n")


# --- what explain draws ---


def marked(message: Message, classification: Classification) -> tuple[MarkedText, ...]:
    return marked_texts(message, classification, analysed(message, classification))


def cut(text: MarkedText) -> tuple[list[str], list[str]]:
    """The quotes and the carrying words that the marks cut out."""
    quotes, words = ([text.text[one.start : one.end] for one in marks] for marks in (text.quotes, text.words))
    return quotes, words


def test_marks_cut_out_what_was_found() -> None:
    own, theirs = f"Look below. {HALL} The startled art.", "We've two of them. We lend a barge."
    message = make_message(body=Body(own_text=own, forwarded_text=theirs))
    classification = contribution(
        offer(HALL, ("our hall", "offer: model"), ("hall on", "support: model"), ("use", "offer: model")),
        offer("The startled art.", ("art", "offer: model")),
        offer("We've two of them.", ("'ve", "offer: model")),
    )
    first, second = marked(message, classification)
    assert cut(first) == ([HALL, "The startled art."], ["use", "our hall on", "art"])
    assert cut(second) == (["We've two of them."], ["'ve"])
    assert [one.contribution for one in first.quotes + second.quotes] == [0, 1, 2]
    assert (first.forwarded, second.forwarded) == (False, True)


def test_the_same_sentence_twice_is_marked_where_it_was_found() -> None:
    message = make_message(text=f"{HALL} Yes. {HALL}")
    (text,) = marked(message, contribution(offer(), offer()))
    assert [one.start for one in text.quotes] == [0, len(HALL) + 6]


def test_a_mail_without_sentences_is_shown_as_it_is() -> None:
    (text,) = marked(make_message(text="-- \n"), make_classification(MessageClass.UNRELATED))
    assert text == MarkedText(text="-- \n")


def test_the_terminal_gets_the_colours_of_aims_and_no_escapes_of_a_sender() -> None:
    message = make_message(text=f"[red]Hi\x1b[31m\u202e\n{HALL} Count me in.", subject="A\x1b[2J room")
    found = contribution(offer(HALL, ("hall", "offer: model")), offer("Count me in.", aims=(), confidence=0.4))
    drawn = Console(force_terminal=True, color_system="truecolor", width=100, file=io.StringIO())
    drawn.print(tables.explained(message, found, marked(message, found), CAMPAIGN))
    out = drawn.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]Hi" in out and "\u202e" not in out and "\x1b[31m" not in out and "\x1b[2J" not in out
    colour = CAMPAIGN.aim("support").colour
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    assert f"\x1b[1;4;38;2;255;255;255;48;2;{red};{green};{blue}mhall\x1b[0m" in out
    assert "\x1b[7mCount me in.\x1b[0m" in out
    assert "no particular aim" in out and "not sure (40%)" in out


def test_the_page_escapes_everything_and_loads_nothing() -> None:
    quote = "<script>alert('us')</script> & {bg} could use our hall."
    message = make_message(text=f"Hello </body>.\n{quote}", subject="<b>A room</b>")
    found = contribution(
        offer(quote, ("<script>alert('us')</script>", "offer: <i>model</i>")), reasons=["not sure of “<u>”"]
    )
    made = page(message, found, marked(message, found), CAMPAIGN)
    for tag in ("<script", "<b>A", "<i>", "<u>"):
        assert tag not in made
    assert made.count("</body>") == 1
    assert "<title>&lt;b&gt;A room&lt;/b&gt;</title>" in made
    assert "&lt;script&gt;alert('us')&lt;/script&gt;" in made and "{bg}" in made
    assert not any(word in made for word in ("http:", "https:", "src=", "url("))


def test_the_page_draws_each_quote_in_its_aim_and_lists_the_reasons() -> None:
    message = make_message(text=f"Dear Sarah,\n{HALL} Count me in.")
    found = contribution(offer(HALL, *REASONS), offer("Count me in.", aims=()), reasons=["not sure", "not English"])
    made = page(message, found, marked(message, found), CAMPAIGN)
    assert '<span class="label" style="border-color:' + CAMPAIGN.aim("support").colour in made
    assert ">1 offer: support</span>" in made and ">2 offer: no aim</span>" in made
    assert "<li>not sure</li><li>not English</li>" in made
    assert "<dt>offer: model</dt><dd>“hall”, “evenings”</dd>" in made
    assert "Support for start-ups and growth<br>93% sure" in made
    none = make_classification(MessageClass.ENQUIRY)
    assert "None was found." in page(message, none, marked(message, none), CAMPAIGN)
