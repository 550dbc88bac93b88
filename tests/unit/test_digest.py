"""The digest: nothing is left out, both parts say the same, and what strangers wrote is harmless in it."""

from __future__ import annotations

import dataclasses
import email
import re
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.errors import TemplateProblem
from mailbot.model import (
    ContributionType,
    Details,
    Digest,
    FailedReply,
    MessageClass,
    Outgoing,
    OutgoingKind,
    OutgoingState,
    ParkedMail,
    Record,
)
from mailbot.rendering import Templates
from mailbot.reviewing.digest import confidence_in_words, mid_url, render_digest
from tests.unit.mail_factories import (
    CAMPAIGN,
    COORDINATOR,
    SENDER,
    SHIPPED_TEMPLATES,
    enquiry,
    hold,
    make_digest,
    make_record,
    never,
    offer,
    shipped_templates,
)
from tests.unit.test_compose import Page, parts, read, words
from tests.unit.test_rendering import HOSTILE

TEMPLATES = shipped_templates()
LONDON = ZoneInfo("Europe/London")


def laid_out(digest: Digest, templates: Templates = TEMPLATES) -> Outgoing:
    return render_digest(
        digest,
        campaign=CAMPAIGN,
        coordinator=COORDINATOR,
        sender=SENDER,
        account="main",
        message_id="<digest.1@brumcity.example>",
        time_zone=LONDON,
        templates=templates,
    )


def both(digest: Digest) -> tuple[str, str]:
    """What the text part and the HTML part show, on one line each."""
    text, page = parts(laid_out(digest))
    return " ".join(text.split()), " ".join(" ".join(Page(page).shown).split())


def section(text: str, title: str) -> str:
    """The part of a text digest under one heading."""
    found = re.search(rf"^{re.escape(title)}\n-+\n(.*?)(?=^[^\n]+\n-+\n|^-+\n|\Z)", text, re.M | re.S)
    assert found, title
    return " ".join(found[1].split())


def automatic(number: int, reason: str) -> Record:
    return make_record(
        number,
        message_class=MessageClass.AUTOMATIC,
        contributions=(),
        acknowledgement=never(reason),
        reply_state=None,
        details=Details(),
    )


PARKED = ParkedMail(
    mail_id=9,
    subject="Broken",
    sender="printer@office.example",
    received_at=datetime(2026, 3, 2, 15, tzinfo=UTC),
    stage="reading",
    error="no message can be made of it",
)


def test_the_headers_say_what_it_is() -> None:
    digest = laid_out(make_digest(make_record(1)))
    mail = read(digest)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Mailbot-Digest"] == "2026-03-03"
    assert mail["Message-ID"] == digest.message_id == "<digest.1@brumcity.example>"
    assert [each.addr_spec for each in mail["To"].addresses] == [digest.to] == [COORDINATOR.addr_spec]
    assert mail["Subject"] == "Birmingham Social Enterprise City: 1 contribution (Tuesday 3 March 2026)"
    assert digest.kind is OutgoingKind.DIGEST and digest.state is OutgoingState.QUEUED
    assert digest.purpose == "digest:2026-03-03"


def records() -> st.SearchStrategy[list[Record]]:
    """Any mix of what can be filed."""

    def one(number: int, kind: int, aims: list[str], confidence: float, doubtful: bool) -> Record:
        reasons = (f"reason {number}",) if doubtful else ()
        if kind == 0:
            return dataclasses.replace(automatic(number, f"cause {number % 3}"), review_reasons=reasons)
        if kind == 1:
            return enquiry(number, review_reasons=reasons)
        if kind == 2:
            return make_record(number, contributions=(), review_reasons=reasons)
        found = (offer(f"Quote number {number}.", *aims, confidence=confidence),)
        return make_record(number, contributions=found, review_reasons=reasons)

    return st.lists(
        st.tuples(
            st.integers(0, 4),
            st.lists(st.sampled_from([aim.key for aim in CAMPAIGN.aims] + ["an aim of old"]), max_size=3, unique=True),
            st.floats(0, 1),
            st.booleans(),
        ),
        max_size=12,
    ).map(lambda rows: [one(number, *row) for number, row in enumerate(rows, start=1)])


@settings(max_examples=60, deadline=None)
@given(records())
def test_everything_is_in_both_parts_and_both_say_the_same(found: list[Record]) -> None:
    text, page = parts(laid_out(make_digest(*found)))
    assert words(text) == words(" ".join(Page(page).shown))
    shown = " ".join(text.split())
    for record in found:
        assert record.reference in shown
        assert all(reason in section(text, "Please check") for reason in record.review_reasons)
        assert all(each.quote in shown for each in record.contributions)


def test_please_check_comes_first_and_names_every_cause() -> None:
    held = make_record(1, acknowledgement=hold("no address of ours"), reply_state=OutgoingState.HELD)
    failed = make_record(2, reply_state=OutgoingState.FAILED, reply_error="550 5.1.1 no such user")
    doubtful = make_record(3, review_reasons=("Not sure of the aim", "Two senders"))
    digest = make_digest(
        make_record(4),
        held,
        failed,
        doubtful,
        parked=(PARKED,),
        failed_replies=(
            FailedReply(to="x@gone.example", reference="BSEC-0002", error="550 5.1.1 no such user"),
            FailedReply(to="old@gone.example", reference="BSEC-0900", error="554 refused"),
        ),
        notices=("The mailbox could not be reached.",),
    )
    text, _ = parts(laid_out(digest))
    check = section(text, "Please check")
    for words_shown in (
        "The mailbox could not be reached.",
        "The reply waits for your word: no address of ours",
        "Our reply was not delivered: 550 5.1.1 no such user",
        "Not sure of the aim Two senders",
        "old@gone.example [BSEC-0900] Our reply was not delivered: 554 refused",
        "set aside: reading: no message can be made of it",
    ):
        assert words_shown in check
    assert check.count("550 5.1.1") == 1
    assert "BSEC-0004" not in check
    assert text.index("Please check") < text.index("Aims at a glance") < text.index("BSEC-0004")
    assert "goes out with “mailbot release BSEC-0001”" in both(digest)[0]
    assert "goes out" not in both(make_digest(doubtful))[0]
    assert "5 to check" in read(laid_out(digest))["Subject"]


def test_a_contribution_with_two_aims_shows_under_both_and_one_without_under_none() -> None:
    digest = make_digest(
        make_record(1, contributions=(offer("A careers fair in May.", "employment", "awareness"),)),
        make_record(2, contributions=(dataclasses.replace(offer("Count us in."), aims=()),)),
        make_record(3, contributions=(offer("An old aim.", "an aim of old"),)),
    )
    text, _ = parts(laid_out(digest))
    assert "A careers fair in May." in section(text, "Awareness")
    assert "A careers fair in May." in section(text, "Employment and training")
    assert "Count us in." in section(text, "No particular aim") and "An old aim." in section(text, "No particular aim")
    assert section(text, "Aims at a glance") == (
        "- Awareness: 1 new, 11 in all - Support for start-ups: 0 new, 27 in all "
        "- A wider alliance: 0 new, 6 in all - Employment and training: 1 new, 19 in all"
    )


@pytest.mark.parametrize(
    ("confidence", "key", "shown"),
    [(1.0, "sure", "sure"), (0.9, "sure", "sure"), (0.89, "fairly", "fairly sure"), (0.69, "check", "please check")],
)
def test_confidence_is_said_in_words(confidence: float, key: str, shown: str) -> None:
    assert confidence_in_words(confidence) == key
    for part in both(make_digest(make_record(1, contributions=(offer("Ours.", confidence=confidence),)))):
        assert re.search(rf"offer\s*· {shown} · Mon 2 Mar, 09:31", part)


def test_the_ordinary_facts_of_a_contribution() -> None:
    pledge = dataclasses.replace(offer("We give £500."), type=ContributionType.PLEDGE)
    july = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    record = make_record(7, contributions=(pledge,), received_at=july, message_id="<a%b+c/d@haven.example>")
    text, page = parts(laid_out(make_digest(record)))
    assert (
        "- Amina Yusuf, Haven Kitchen\n  “We give £500.”\n  pledge · sure · Wed 1 Jul, 23:30 · BSEC-0007: A room"
        in text
    )
    assert re.search(r'href="mid:a%25b%2Bc%2Fd@haven\.example"[^>]*>BSEC-0007</a>', page)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_a_mid_url_leads_back_to_its_message_id(bare: str) -> None:
    url = mid_url(f"<{bare}>")
    assert re.fullmatch(r"mid:[\w.~%@-]+", url, re.A)
    assert unquote(url.removeprefix("mid:")) == bare


def test_without_a_message_id_there_is_no_link() -> None:
    assert mid_url("") == mid_url("<>") == ""
    _, page = parts(laid_out(make_digest(make_record(1, message_id=""))))
    assert "href" not in page and "BSEC-0001" in page


def test_silence_is_grouped_by_reason_the_most_frequent_first() -> None:
    silent = [automatic(1, "Return-Path is <>"), automatic(2, "a list"), automatic(3, "a list")]
    text, _ = parts(laid_out(make_digest(*silent)))
    assert re.split(r"- \d \S ", section(text, "Not answered, and why"))[1:] == [
        "a list: Amina Yusuf [BSEC-0002], Amina Yusuf [BSEC-0003] ",
        "Return-Path is <>: Amina Yusuf [BSEC-0001]",
    ]
    assert "No new contributions, in 3 mails." in text


def test_bars_are_as_long_as_their_counts() -> None:
    digest = make_digest(
        *(make_record(number) for number in range(1, 5)), make_record(9, contributions=(offer("A.", "alliance"),))
    )
    _, page = parts(laid_out(digest))
    cells = [dict(re.findall(r'(\w+)="([^"]*)"', cell)) for cell in re.findall(r"<td[^>]*>&nbsp;", page)]
    assert [(cell["width"], cell.get("bgcolor", cell.get("class"))) for cell in cells] == [
        ("100%", "track"),
        ("100%", "#1f6f8b"),
        ("25%", "#6b4a9e"),
        ("75%", "track"),
        ("100%", "track"),
    ]


def test_the_page_is_made_for_mail_programs() -> None:
    _, page = parts(laid_out(make_digest(make_record(1), enquiry(2), parked=(PARKED,))))
    tables = re.findall(r"<table[^>]*>", page)
    assert tables and all('role="presentation"' in table for table in tables)
    assert '<html lang="en-GB">' in page and "<h1" in page and "<h2" in page
    assert not re.search(r"<(?:img|svg|script|link|iframe|form)|https?:|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page and 'style="' in page


def test_nothing_is_told_kindly_and_shortly() -> None:
    text, page = both(make_digest())
    assert "No new mail came in this time. Nothing waits for you here; enjoy the quiet." in text
    assert words(text) == words(page) and len(text) < 600
    assert "Please check" not in text and "Enquiries" not in text and "Not answered" not in text
    assert "nothing new" in read(laid_out(make_digest()))["Subject"]
    assert "enjoy the quiet" not in both(make_digest(notices=("The disk is full.",)))[0]


def test_sixty_records_stay_under_what_mail_programs_cut_off() -> None:
    many = [make_record(number, contributions=(offer("word " * 40 + "end."),)) for number in range(1, 61)]
    _, page = parts(laid_out(make_digest(*many)))
    assert len(page.encode()) < 102_000


@settings(max_examples=60, deadline=None)
@given(subject=HOSTILE, name=HOSTILE, quote=HOSTILE, message_id=HOSTILE, reason=HOSTILE)
def test_nothing_that_a_stranger_writes_adds_a_header_or_markup(
    subject: str, name: str, quote: str, message_id: str, reason: str
) -> None:
    def hostile(name: str, subject: str, quote: str, message_id: str, reason: str) -> Outgoing:
        record = make_record(
            1,
            subject=subject,
            from_name=name,
            details=Details(organisation=name),
            message_id=f"<x{message_id}>",
            contributions=(offer(quote),),
            review_reasons=(reason,),
            reply_state=OutgoingState.FAILED,
            reply_error=f"x{reason}",
        )
        silent = dataclasses.replace(automatic(2, f"x{reason}"), subject=subject, from_name=name)
        parked = dataclasses.replace(PARKED, subject=subject, sender=name, error=reason)
        failed = FailedReply(to=name, reference="BSEC-0900", error=f"x{reason}")
        return laid_out(make_digest(record, silent, parked=(parked,), failed_replies=(failed,), notices=(reason,)))

    plain, nasty = hostile("A", "b", "c", "d@e", "f"), hostile(name, subject, quote, message_id, reason)
    assert read(nasty).keys() == read(plain).keys()
    assert email.message_from_bytes(nasty.octets, policy=policy.default)["Subject"] == read(plain)["Subject"]
    text, page = parts(nasty)
    assert Page(page).skeleton == Page(parts(plain)[1]).skeleton
    assert words(text) == words(" ".join(Page(page).shown))
    assert set(re.findall(r'href="(\w+):', page)) == {"mid"}


def test_a_broken_template_names_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "digest.html").write_text("<p>\n\n{% for %}", "utf-8")
    with pytest.raises(TemplateProblem, match=re.escape(f"{tmp_path / 'digest.html'}, line 3: ")):
        laid_out(make_digest(), Templates([tmp_path, SHIPPED_TEMPLATES]))
