"""What a coordinator may edit: which file wins, and every broken line named."""

from __future__ import annotations

import json
from pathlib import Path

from mailbot.classifying.examples import LabelledMail, LabelledSentence, fingerprint, mail_octets, parse_example
from mailbot.classifying.rules import find_files, load_examples, load_patterns
from mailbot.model import Aim, Campaign, ContributionType, MessageClass
from mailbot.reading import read

CAMPAIGN = Campaign(
    name="Canal Clean-up",
    reference_prefix="CAN",
    website="",
    aims=(Aim(number=1, key="boats", title="Boats", text="boats for the clean-up", colour="#112233"),),
)
SENTENCE = {"id": "s1", "text": "You could have our barge.", "type": "offer", "aims": ["boats"]}
MAIL: dict[str, object] = {
    "id": "m1",
    "from_name": "Ann",
    "from_email": "ann@lock.example",
    "subject": "Barge",
    "headers": {"Return-Path": "<>", "Content-Type": 'multipart/report; report-type="delivery-status"'},
    "body": "You could have our barge.\n\n> We need a barge.",
    "gold": {
        "class": "contribution",
        "contributions": [{"type": "offer", "aims": ["boats"], "quote": "You could have our barge."}],
    },
}


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_first_folder_wins_file_by_file(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    write(own / "examples" / "a.jsonl", SENTENCE)
    write(shipped / "examples" / "a.jsonl", SENTENCE, SENTENCE)
    write(shipped / "examples" / "b.jsonl", SENTENCE)
    write(shipped / "patterns.jsonl", "")
    files = find_files([own, tmp_path / "missing", shipped])
    assert files.examples == (own / "examples" / "a.jsonl", shipped / "examples" / "b.jsonl")
    assert files.patterns == shipped / "patterns.jsonl"


def test_both_formats_are_read() -> None:
    mail, sentence = parse_example(MAIL, read), parse_example(SENTENCE, read)
    assert isinstance(mail, LabelledMail)
    assert mail.message_class is MessageClass.CONTRIBUTION
    assert mail.contributions[0].quote == "You could have our barge."
    assert isinstance(sentence, LabelledSentence)
    assert (sentence.type, sentence.aim_keys) == (ContributionType.OFFER, ("boats",))


def test_a_row_becomes_a_message() -> None:
    message = read(mail_octets(MAIL))
    assert message.from_address is not None
    assert message.from_address.addr_spec == "ann@lock.example"
    assert message.return_path == ""
    assert message.report_type == "delivery-status"
    assert message.body.own_text == "You could have our barge."
    assert message.body.quoted_text == "> We need a barge."


def test_broken_examples_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl",
        SENTENCE,
        "{not json",
        "[1]",
        {**SENTENCE, "type": "gift"},
        {**SENTENCE, "type": "none"},
        {**MAIL, "body": "nothing of the sort"},
        {**MAIL, "gold": {"class": "enquiry", "contributions": []}},
        {"id": "m2", "body": "no gold"},
        {**MAIL, "gold": {"class": "unrelated", "contributions": [{"type": "offer", "aims": [], "quote": "You"}]}},
        "[" * 100_000,
        '{"text": "half \\ud800", "type": "offer", "aims": []}',
        {**MAIL, "headers": {"X Bad": "value"}},
        {key: value for key, value in MAIL.items() if key != "id"},
    )
    examples = load_examples([path], CAMPAIGN, read)
    assert (len(examples.sentences), len(examples.mails)) == (1, 3)
    assert [problem.split(":")[0] for problem in examples.problems] == [
        f"{path}, line {number}" for number in (2, 3, 4, 5, 6, 8, 9, 10, 11)
    ]


def test_a_folder_that_is_named_like_a_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "examples" / "old.jsonl").mkdir(parents=True)
    assert find_files([tmp_path]).examples == ()


def test_examples_of_another_campaign_are_said_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", *[{**SENTENCE, "aims": ["bicycles"]}] * 7)
    examples = load_examples([path], CAMPAIGN, read)
    assert len(examples.sentences) == 7
    assert len(examples.problems) == 1
    assert "lines 1, 2, 3, 4, 5, ..." in examples.problems[0]


def test_examples_that_are_known_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", SENTENCE, MAIL)
    reordered = dict(reversed(SENTENCE.items()))
    examples = load_examples([path], CAMPAIGN, read, known={fingerprint(reordered)})
    assert (len(examples.sentences), len(examples.mails), examples.known) == (0, 1, 1)


def test_an_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff\xfe\xfa")
    assert str(path) in load_examples([path], CAMPAIGN, read).problems[0]


def test_patterns_are_read_and_broken_ones_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "patterns.jsonl",
        {"label": "type:offer", "pattern": "could have", "id": "could have"},
        {"label": "aim:boats", "pattern": [{"LOWER": {"IN": ["barge", "boat"]}}], "id": "boat"},
        {"label": "none", "pattern": "for sale"},
        {"label": "type:gift", "pattern": "x", "id": "x"},
        {"label": "aim:bicycles", "pattern": "bike", "id": "bike"},
        {"label": "type:idea", "pattern": [{"LOVER": "x"}], "id": "typo"},
        {"label": "type:idea", "pattern": [{"LOWER": {"REGEX": "("}}], "id": "regex"},
        {"label": "type:idea", "pattern": [], "id": "empty"},
        {"label": "type:idea", "pattern": [{"LOWER": "x"}]},
        {"label": 3, "pattern": "x"},
        {"pattern": "x"},
        {"label": "none", "pattern": " "},
        *({"label": "none", "pattern": [{name: "x"}], "id": name} for name in ("LEMMA", "POS", "TAG", "DEP", "MORPH")),
    )
    patterns, problems = load_patterns(path, CAMPAIGN)
    assert [(pattern.label, pattern.id) for pattern in patterns] == [
        ("type:offer", "could have"),
        ("aim:boats", "boat"),
        ("none", "for sale"),
    ]
    assert [problem.split(":")[0] for problem in problems] == [
        *(f"{path}, line {number}" for number in (4, *range(6, 18))),
        f"{path}, line 5",
    ]


def test_no_patterns_at_all_is_no_problem() -> None:
    assert load_patterns(None, CAMPAIGN) == ((), ())
