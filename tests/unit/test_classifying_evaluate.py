"""The measures, on answers whose score can be counted by hand."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mailbot.classifying.evaluate import Metrics, answer_all, load_corpus, match, measure, overlap, reliability
from mailbot.classifying.examples import Label, LabelledMail, fingerprint, mail_octets
from mailbot.model import Classification, Contribution, ContributionType, Message, MessageClass
from mailbot.reading import read

ROW = {
    "id": "m1",
    "from_name": 'Zoë "Zed" Öz',
    "from_email": "zoe@lock.example",
    "reply_to": "desk@lock.example",
    "subject": "Ein\nBoot",
    "headers": {"Auto-Submitted": "auto-replied", "Content-Type": "text/calendar; method=REPLY"},
    "body": "You could have our barge.\n",
    "gold": {"class": "enquiry", "contributions": []},
}


def found(quote: str, kind: str = "offer", aims: tuple[str, ...] = ("boats",)) -> Contribution:
    return Contribution(type=ContributionType(kind), aims=aims, quote=quote, confidence=0.9)


def label(quote: str, kind: str = "offer", aims: tuple[str, ...] = ("boats",)) -> Label:
    return Label(type=ContributionType(kind), aims=aims, quote=quote)


def labelled(key: str, message_class: str, *labels: Label) -> LabelledMail:
    row = {"id": key, "from_email": "ann@lock.example", "subject": key, "body": ""}
    message = read(mail_octets(row))
    return LabelledMail(
        id=key,
        fingerprint=fingerprint(row),
        message=message,
        message_class=MessageClass(message_class),
        contributions=labels,
    )


class Prepared:
    """Answers by subject, as laid down; no other classifier could be scored by hand."""

    def __init__(self, **answers: tuple[str, tuple[Contribution, ...], bool]) -> None:
        self.answers = answers

    def classify(self, message: Message) -> Classification:
        message_class, contributions, review = self.answers[message.subject]
        return Classification(
            message_class=MessageClass(message_class),
            confidence=0.9,
            contributions=contributions,
            review_reasons=("doubt",) if review else (),
            model_version="prepared",
        )


def _measured(classifier: Prepared, mails: list[LabelledMail]) -> Metrics:
    return measure(answer_all(classifier, mails))


def test_overlap_is_the_share_of_common_words() -> None:
    assert overlap("You could have our barge.", "you could have OUR barge") == 1
    assert overlap("a b c d", "a b e f") == pytest.approx(2 / 6)
    assert overlap("", "") == 0


def test_each_quote_is_matched_once_and_the_best_first() -> None:
    one, other = found("we lend a barge and a van"), found("we lend a barge")
    gold = label("we lend a barge")
    assert match([one, other], [gold]) == [(other, gold)]
    assert match([found("something else")], [gold]) == []


def test_measures_are_those_counted_by_hand() -> None:
    mails = [
        labelled("right", "contribution", label("we lend a barge")),
        labelled("typed", "contribution", label("we lend a barge", "pledge", ("boats", "birds"))),
        labelled("missed", "contribution", label("we lend a barge")),
        labelled("asked", "enquiry"),
    ]
    metrics = _measured(
        Prepared(
            right=("contribution", (found("we lend a barge"),), False),
            typed=("contribution", (found("we lend a barge"), found("kind regards to you")), True),
            missed=("enquiry", (), False),
            asked=("enquiry", (), False),
        ),
        mails,
    )
    assert metrics.mails == 4
    assert metrics.class_accuracy == 0.75
    assert dict(metrics.per_class)[MessageClass.CONTRIBUTION].recall == pytest.approx(2 / 3)
    assert dict(metrics.per_class)[MessageClass.ENQUIRY].precision == 0.5
    assert metrics.class_macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert (metrics.quotes.precision, metrics.quotes.recall) == pytest.approx((2 / 3, 2 / 3))
    assert (metrics.wholly_right.precision, metrics.wholly_right.recall) == pytest.approx((1 / 3, 1 / 3))
    # Types and aims are those of the mail as a whole.
    assert (metrics.types_micro.precision, metrics.types_micro.recall) == pytest.approx((1 / 2, 1 / 3))
    assert (metrics.aims_micro.precision, metrics.aims_micro.recall) == pytest.approx((1, 2 / 4))
    assert dict(metrics.per_aim)["birds"].recall == 0
    assert dict(metrics.confusion)[MessageClass.CONTRIBUTION, MessageClass.ENQUIRY] == 1
    assert metrics.review_share == 0.25
    assert metrics.wrong == 2
    assert metrics.wrong_in_review == 0.5


def test_reliability_sets_claims_beside_what_was_right() -> None:
    low, high = reliability([(0.15, False), (0.1, True), (1.0, True), (0.95, True), (0.9, False)])
    assert (low.claimed, low.right, low.count) == pytest.approx((0.125, 0.5, 2))
    assert (high.claimed, high.right, high.count) == pytest.approx((0.95, 2 / 3, 3))
    assert reliability([]) == ()


def test_nothing_to_measure_is_no_error() -> None:
    metrics = _measured(Prepared(), [])
    assert (metrics.mails, metrics.class_macro_f1, metrics.wrong_in_review) == (0, 0, 1)


def test_a_row_becomes_a_mail_that_can_be_read() -> None:
    plain = {**ROW, "headers": {"Auto-Submitted": "auto-replied"}}
    parsed = message_from_bytes(mail_octets(plain), policy=policy.default)
    assert parsed["From"].addresses[0].addr_spec == "zoe@lock.example"
    assert parsed["From"].addresses[0].display_name == 'Zoë "Zed" Öz'
    assert parsed["Subject"] == "Ein Boot"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content().rstrip() == "You could have our barge."


@pytest.mark.parametrize(
    ("content_type", "report", "method"),
    [
        ("text/calendar; method=REPLY", None, "REPLY"),
        ('multipart/report; report-type="delivery-status"', "delivery-status", None),
        ("text/html; charset=utf-8", None, None),
    ],
)
def test_reports_and_calendars_stay_what_they_are(content_type: str, report: str | None, method: str | None) -> None:
    message = read(mail_octets({**ROW, "headers": {"Content-Type": content_type}}))
    assert (message.report_type, message.calendar_method) == (report, method)
    assert message.body.own_text.strip() == "You could have our barge."


def test_a_corpus_is_read_by_the_reading_stage(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n", encoding="utf-8")
    (mail,) = load_corpus(path, read)
    assert mail.message.subject == "Ein Boot"
    path.write_text(json.dumps(ROW) + "\n{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"corpus.jsonl, line 2: 'gold' is missing"):
        load_corpus(path, read)
