"""The table decides in its order, the caps hold, and docs/acknowledging.md says the same."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.model import (
    Acknowledgement,
    Address,
    Body,
    Classification,
    Decision,
    Details,
    History,
    Message,
    MessageClass,
    PastReply,
    Screening,
    Template,
)
from mailbot.screening import GUARDS, Policy, acknowledge, screen
from mailbot.screening.guards import ArrivalGuard, DraftGuard
from tests.unit.factories import NOW, OUR_ADDRESS, make_address, make_classification, make_message

POLICY = Policy(own_addresses=frozenset({OUR_ADDRESS}), authserv_ids={"pledges": "mx.bsec.example"})
ENQUIRY = make_classification(MessageClass.ENQUIRY)
DOCS = Path(__file__).parents[2] / "docs" / "acknowledging.md"


def answered(
    message: Message | None = None,
    classification: Classification | None = None,
    history: History | None = None,
    policy: Policy = POLICY,
) -> Acknowledgement:
    message = message or make_message()
    return acknowledge(
        message,
        screen(message, in_junk=False, policy=policy, account="pledges"),
        classification or make_classification(),
        history or History(),
        policy,
        now=NOW,
    )


def past(days: float, template: Template = Template.CONTRIBUTION, thread: str = "<old@haven.example>") -> PastReply:
    return PastReply(at=NOW - timedelta(days=days), template=template, thread=frozenset({thread}))


# --- the table


def test_the_docs_table_is_the_table_in_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.*?) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(str(guard.number), guard.title, guard.result, guard.source) for guard in GUARDS]
    assert [int(row[0]) for row in rows] == list(range(1, 16))


def test_the_table_is_in_order_and_its_words_match_its_decisions() -> None:
    numbers = [guard.number for guard in GUARDS]
    assert numbers == sorted(set(numbers))
    # What the mail alone says comes before what needs the classification: screen() relies on it.
    kinds = [type(guard) for guard in GUARDS]
    assert kinds == sorted(kinds, key=[ArrivalGuard, DraftGuard].index)
    for guard in GUARDS:
        word = "the neutral receipt" if guard.decision is Decision.SEND else guard.decision.value
        assert guard.result.startswith(word)


# one mail for each guard that needs the mail alone: overrides that make it fire
FIRING: dict[int, dict[str, Any]] = {
    1: {"return_path": ""},
    2: {"header": ("Auto-Submitted", "auto-replied")},
    3: {"content_types": ("multipart/report",)},
    4: {"header": ("X-Mailbot-Kind", "digest")},
    5: {"from_address": make_address("no-reply@haven.example")},
    6: {"header": ("List-Id", "<x.example>")},
    7: {"header": ("Precedence", "bulk")},
    8: {"calendar_method": "REPLY"},
    9: {"header": ("X-Spam-Flag", "YES")},
    10: {"header": ("Authentication-Results", "mx.bsec.example; dmarc=fail header.from=haven.example")},
    11: {"recipients": ("else@x.example",)},
}


def firing(*numbers: int) -> Message:
    overrides: dict[str, Any] = {}
    headers = []
    for number in numbers:
        for key, value in FIRING[number].items():
            if key == "header":
                headers.append(value)
            else:
                overrides[key] = value
    return make_message(more_headers=tuple(headers), **overrides)


def test_every_guard_on_the_mail_has_its_example() -> None:
    assert set(FIRING) == {guard.number for guard in GUARDS if isinstance(guard, ArrivalGuard)}


@given(st.sets(st.sampled_from(sorted(FIRING))))
def test_the_order_of_the_table_decides(numbers: set[int]) -> None:
    result = screen(firing(*numbers), in_junk=False, policy=POLICY, account="pledges")
    assert result.guard == min(numbers, default=None)
    by_number = {guard.number: guard.decision for guard in GUARDS}
    assert result.decision is (by_number[min(numbers)] if numbers else Decision.SEND)


@pytest.mark.parametrize("number", sorted(set(FIRING) - {6, 7, 8, 10, 11}))
def test_never_means_never_whatever_it_holds(number: int) -> None:
    result = answered(firing(number))
    assert (result.decision, result.guard, result.to, result.template) == (Decision.NEVER, number, None, None)


@pytest.mark.parametrize("number", [7, 8])
def test_a_person_who_writes_like_a_machine_is_held(number: int) -> None:
    held = answered(firing(number))
    assert (held.decision, held.guard) == (Decision.HOLD, number)
    automatic = make_classification(MessageClass.AUTOMATIC)
    assert answered(firing(number), automatic).decision is Decision.NEVER
    unsure = make_classification(MessageClass.ENQUIRY, confidence=0.5)
    assert answered(firing(number), unsure).decision is Decision.NEVER
    assert answered(firing(8), ENQUIRY).decision is Decision.HOLD


# --- the final decision


def test_a_contribution_is_answered() -> None:
    result = answered()
    assert result == Acknowledgement(
        decision=Decision.SEND,
        guard=None,
        reason="answered to From, which Return-Path vouches for",
        to="amina@haven.example",
        template=Template.CONTRIBUTION,
    )


def test_an_enquiry_is_answered_as_one() -> None:
    assert answered(classification=ENQUIRY).template is Template.ENQUIRY


def test_a_list_mail_is_held_only_for_a_contribution() -> None:
    message = firing(6, 7)
    held = answered(message)
    assert (held.decision, held.guard, held.template) == (Decision.HOLD, 6, Template.CONTRIBUTION)
    assert held.reason == "List-Id: <x.example>; it holds a contribution all the same"
    assert answered(message, ENQUIRY).decision is Decision.NEVER


def test_mail_not_to_us_is_held_with_its_answer() -> None:
    result = answered(firing(11), ENQUIRY)
    assert (result.decision, result.guard, result.template) == (Decision.HOLD, 11, Template.ENQUIRY)
    assert result.to == "amina@haven.example"


@pytest.mark.parametrize("found", [MessageClass.UNRELATED, MessageClass.AUTOMATIC])
def test_a_class_that_is_not_answered(found: MessageClass) -> None:
    result = answered(classification=make_classification(found))
    assert (result.decision, result.guard, result.to) == (Decision.NEVER, 12, None)
    assert found.value in result.reason
    # In doubt a person might have written it.
    unsure = answered(classification=make_classification(found, confidence=0.2))
    assert (unsure.decision, unsure.guard) == (Decision.HOLD, 12)
    assert "only 20% sure" in unsure.reason


def test_a_class_that_is_answered_by_policy_claims_nothing() -> None:
    policy = Policy(own_addresses=frozenset({OUR_ADDRESS}), answered_classes=frozenset(MessageClass))
    result = answered(classification=make_classification(MessageClass.UNRELATED), policy=policy)
    assert (result.decision, result.guard, result.template) == (Decision.SEND, None, Template.RECEIPT)


@pytest.mark.parametrize(("confidence", "template"), [(0.59, Template.RECEIPT), (0.6, Template.CONTRIBUTION)])
def test_doubt_gets_the_receipt(confidence: float, template: Template) -> None:
    result = answered(classification=make_classification(confidence=confidence))
    assert (result.decision, result.template) == (Decision.SEND, template)
    assert result.guard == (15 if template is Template.RECEIPT else None)


def test_doubt_about_aims_alone_needs_no_receipt() -> None:
    result = answered(classification=make_classification(review_reasons=("the aim is unsure",)))
    assert result.template is Template.CONTRIBUTION


@pytest.mark.parametrize("more", [{"confidence": float("nan")}, {"contributions": ()}])
def test_nothing_is_claimed_that_cannot_be_shown(more: dict[str, Any]) -> None:
    result = answered(classification=make_classification(**more))
    assert (result.guard, result.template) == (15, Template.RECEIPT)


# --- caps


@pytest.mark.parametrize(
    ("replies", "classification", "held"),
    [
        ((past(0.5),), None, True),
        ((past(0.99),), None, True),
        ((past(1.0),), None, False),
        ((past(3.0, thread="<m1@haven.example>"),), None, True),
        ((past(3.0, thread="<first@haven.example>"),), None, True),
        ((past(7.0, thread="<m1@haven.example>"),), None, False),
        ((past(3.0), past(0.2)), None, True),
        ((past(3.0), past(5.0, Template.ENQUIRY, "<first@haven.example>")), None, True),
        ((past(3.0, Template.ENQUIRY),), ENQUIRY, True),
        ((past(6.99, Template.ENQUIRY),), ENQUIRY, True),
        ((past(7.0, Template.ENQUIRY),), ENQUIRY, False),
        ((past(0.1, Template.ENQUIRY),), None, False),
        ((past(2.0, Template.RECEIPT),), make_classification(confidence=0.3), True),
        ((past(-0.1),), None, True),
        ((), None, False),
    ],
)
def test_cap_per_address(replies: tuple[PastReply, ...], classification: Classification | None, held: bool) -> None:
    message = make_message(references=("<first@haven.example>",))
    result = answered(message, classification, History(to_address=replies))
    assert (result.decision, result.guard) == ((Decision.HOLD, 13) if held else (Decision.SEND, result.guard))
    assert result.to == "amina@haven.example"


def test_the_cap_says_when_the_last_answer_went() -> None:
    result = answered(history=History(to_address=(past(0.5),)))
    assert result.reason == "the contribution answer went to this address on 2026-03-01, inside the pause of 1 d"


@pytest.mark.parametrize(
    ("history", "held"),
    [
        (History(to_domain_in_hour=19, to_all_in_hour=99), False),
        (History(to_domain_in_hour=20), True),
        (History(to_all_in_hour=100), True),
        (History(bounced_in_hour=2), False),
        (History(bounced_in_hour=3), True),
    ],
)
def test_caps_per_hour(history: History, held: bool) -> None:
    result = answered(history=history)
    assert result.decision is (Decision.HOLD if held else Decision.SEND)
    assert ("within the hour" in result.reason) is held


# --- nobody to answer


def test_without_a_safe_address_it_is_held() -> None:
    result = answered(make_message(return_path="talk-bounces@y.example"))
    assert (result.decision, result.guard, result.to) == (Decision.HOLD, None, None)
    assert result.template is Template.CONTRIBUTION
    assert result.reason.startswith("nobody to answer: talk-bounces@y.example")


def test_a_doubt_without_a_safe_address_is_held_with_both_reasons() -> None:
    result = answered(make_message(return_path="talk-bounces@y.example"), make_classification(confidence=0.4))
    assert (result.decision, result.guard, result.to) == (Decision.HOLD, 15, None)
    assert "only 40% sure; nobody to answer" in result.reason


def test_authentication_reaches_the_choice_of_address() -> None:
    message = make_message(return_path="relay@y.example")
    assert answered(message).to == "relay@y.example"
    passed = ("Authentication-Results", "mx.bsec.example; dmarc=pass header.from=haven.example")
    proved = make_message(return_path="relay@y.example", more_headers=(passed,))
    assert answered(proved).to == "amina@haven.example"


def test_what_is_not_answered_in_any_case_waits_for_nobody() -> None:
    result = answered(firing(10), make_classification(MessageClass.UNRELATED))
    assert (result.decision, result.guard) == (Decision.NEVER, 12)
    assert "dmarc=fail" in result.reason


def test_an_address_that_bounced_is_left_alone_for_a_while() -> None:
    assert answered(history=History(bounced_at=NOW - timedelta(days=59))).guard == 14
    assert answered(history=History(bounced_at=NOW - timedelta(days=60))).decision is Decision.SEND


def test_an_answer_to_our_answer_from_elsewhere_is_held() -> None:
    assert answered(history=History(answers=("amina@haven.example",))).decision is Decision.SEND
    result = answered(history=History(answers=("other@x.example",)))
    assert (result.decision, result.guard) == (Decision.HOLD, 13)
    assert "other@x.example" in result.reason


# --- any message at all

TEXT = st.text(max_size=80)
NAMES = st.sampled_from(
    ["auto-submitted", "precedence", "list-id", "x-loop", "content-class", "feedback-id", "from", ""]
)
ADDRESSES = st.builds(Address, display_name=TEXT, addr_spec=TEXT)
MESSAGES = st.builds(
    Message,
    message_id=TEXT,
    content_hash=TEXT,
    subject=TEXT,
    from_address=st.none() | ADDRESSES | st.just(make_address()),
    reply_to=st.lists(ADDRESSES, max_size=2).map(tuple),
    recipients=st.lists(TEXT | st.just(OUR_ADDRESS), max_size=2).map(tuple),
    return_path=st.none() | TEXT | st.just("amina@haven.example"),
    date=st.none() | st.just(NOW),
    in_reply_to=st.none() | TEXT,
    references=st.lists(TEXT, max_size=2).map(tuple),
    headers=st.lists(st.tuples(NAMES | TEXT, TEXT), max_size=3).map(tuple),
    body=st.builds(Body, own_text=TEXT),
    content_types=st.lists(TEXT, max_size=2).map(tuple),
    report_type=st.none() | st.none() | TEXT,
    calendar_method=st.none() | st.none() | TEXT,
    attachments=st.just(()),
    defects=st.just(()),
    details=st.just(Details()),
)
CLASSES = st.sampled_from(list(MessageClass))


@given(message=MESSAGES, in_junk=st.booleans(), found=CLASSES, sure=st.floats(0, 1))
def test_any_message_gets_a_decision_with_a_clean_reason(
    message: Message, in_junk: bool, found: MessageClass, sure: float
) -> None:
    screening: Screening = screen(message, in_junk=in_junk, policy=POLICY)
    classification = make_classification(found, confidence=sure)
    result = acknowledge(message, screening, classification, History(), POLICY, now=NOW)
    for reason in (screening.reason, result.reason):
        assert reason
        assert reason.isprintable()
    if result.decision is Decision.NEVER:
        assert result.to is None
        assert result.template is None
        assert result.guard is not None
    else:
        assert result.template is not None
        assert result.to is not None or result.decision is Decision.HOLD
    if in_junk:
        assert result.decision is not Decision.SEND
