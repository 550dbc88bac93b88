"""The demo's mails: complete, raw, re-dated, made up."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import parseaddr, parsedate_to_datetime
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.demo.samples import DemoMail, demo_mails, expected_mails
from mailbot.model import ContributionType, Decision, MessageClass

NOW = datetime(2027, 6, 30, 11, 15, tzinfo=UTC)
MACHINES = sorted((Path(__file__).parent.parent / "mails" / "machines").glob("*.eml"))
MAILS = expected_mails(NOW)
AIMS = {"awareness", "support", "alliance", "employment"}


def test_every_file_has_its_entry_and_every_entry_its_file() -> None:
    expected = tomllib.loads((files("mailbot.demo") / "expected.toml").read_text("utf-8"))
    assert {mail.name for mail in MAILS} == set(expected)
    assert Counter(mail.message_class for mail in MAILS) == {
        MessageClass.CONTRIBUTION: 22,
        MessageClass.ENQUIRY: 6,
        MessageClass.UNRELATED: 4,
        MessageClass.AUTOMATIC: 8,
    }


def test_the_contributions_are_of_every_type_and_aim() -> None:
    labels = [label.split() for mail in MAILS for label in mail.contributions]
    assert {kind for kind, *_ in labels} == set(ContributionType)
    assert {aim for _, *aims in labels for aim in aims} == AIMS
    for mail in MAILS:
        assert bool(mail.contributions) == (mail.message_class is MessageClass.CONTRIBUTION), mail.name


def test_only_contributions_and_enquiries_may_be_answered() -> None:
    answered = {MessageClass.CONTRIBUTION, MessageClass.ENQUIRY}
    assert all(mail.answer is Decision.NEVER for mail in MAILS if mail.message_class not in answered)
    assert Counter(mail.answer for mail in MAILS) == {Decision.SEND: 24, Decision.HOLD: 3, Decision.NEVER: 13}


@settings(max_examples=30)
@given(later_s=st.integers(-(10**8), 10**9))
def test_every_mail_came_in_during_the_last_two_days(later_s: int) -> None:
    now = NOW + timedelta(seconds=later_s)
    mails = expected_mails(now)
    dates = [date_of(message_from_bytes(mail.octets)["Date"]) for mail in mails]
    assert dates == sorted(dates)
    assert dates == [mail.date for mail in mails]
    assert now - timedelta(days=2) < dates[0] <= dates[-1] <= now
    assert demo_mails(now) == [mail.octets for mail in mails]


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.name)
def test_a_mail_is_raw_whole_and_dated_alike(mail: DemoMail) -> None:
    assert_raw(mail.octets)
    message = message_from_bytes(mail.octets, policy=policy.compat32)
    assert [part.defects for part in message.walk() if part.defects] == []
    assert message["From"] and message["Subject"] and message["Message-ID"]
    hops = [str(hop).rpartition(";")[2].partition("(")[0].strip() for hop in message.get_all("Received", [])]
    assert hops, "no Received"
    for hop in hops:
        assert timedelta(0) <= date_of(hop) - mail.date < timedelta(minutes=2), hop


def test_every_message_id_and_sender_is_its_own() -> None:
    messages = [message_from_bytes(mail.octets) for mail in MAILS]
    assert len({message["Message-ID"] for message in messages}) == len(MAILS)
    assert len({parseaddr(str(message["From"]))[1] for message in messages}) == len(MAILS)


@pytest.mark.parametrize("file", MACHINES, ids=lambda file: file.stem)
def test_a_machine_mail_is_raw(file: Path) -> None:
    assert_raw(file.read_bytes())


def date_of(value: str) -> datetime:
    date = parsedate_to_datetime(value)
    return date.replace(tzinfo=date.tzinfo or UTC)


def assert_raw(octets: bytes) -> None:
    """Lines end with CRLF and are short enough for SMTP; nobody who exists is named."""
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", octets) is None
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    header, _, _ = octets.partition(b"\r\n\r\n")
    for domain in re.findall(rb"@([\w-]+\.[\w.-]+)", header):
        assert domain.endswith(b".example"), domain
