"""What an acknowledgement says, to whom, and with which headers."""

from __future__ import annotations

import dataclasses
import email
import re
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.errors import TemplateProblem
from mailbot.model import Body, Contribution, ContributionType, Details, Outgoing, OutgoingState, Template
from mailbot.rendering import Templates
from mailbot.replying.compose import MAX_REFERENCES, answer_subject, compose, greeting_name
from tests.unit.factories import NOW, make_classification, make_contribution, make_message
from tests.unit.mail_factories import (
    CAMPAIGN,
    COORDINATOR,
    SENDER,
    SENT,
    SHIPPED_TEMPLATES,
    hold,
    never,
    shipped_templates,
)
from tests.unit.test_rendering import HOSTILE

TEMPLATES = shipped_templates()
KINDS = tuple(Template)
QUOTE = "You could use our hall on Friday evenings."


def acknowledged(*contributions: Contribution, kind: Template = Template.CONTRIBUTION, **changes: Any) -> Outgoing:
    """The acknowledgement of Amina Yusuf's mail; `changes` are fields of Message or arguments of compose."""
    ours = {
        name: changes.pop(name)
        for name in ("campaign", "templates", "acknowledgement", "claim_from")
        if name in changes
    }
    values: dict[str, Any] = {
        "campaign": CAMPAIGN,
        "reference": "BSEC-0042",
        "sender": SENDER,
        "coordinator": COORDINATOR,
        "account": "main",
        "envelope_from": "pledges+b.x@brumcity.example",
        "message_id": "<ack.1@brumcity.example>",
        "now": NOW,
        "templates": TEMPLATES,
    } | ours
    decision = values.pop("acknowledgement", dataclasses.replace(SENT, template=kind))
    found = make_classification(contributions=contributions or (make_contribution(quote=QUOTE),))
    message = make_message(**({"details": Details(person="Amina Yusuf")} | changes))
    return compose(message, found, decision, **values)


def read(outgoing: Outgoing) -> EmailMessage:
    return email.message_from_bytes(outgoing.octets, policy=policy.default)  # type: ignore[return-value]


def parts(outgoing: Outgoing) -> tuple[str, str]:
    mail = read(outgoing)
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text and page
    return text.get_content().replace("\r\n", "\n"), page.get_content()


class Page(HTMLParser):
    """What a page shows, and the skeleton that it is shown in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.skeleton: list[tuple[str, ...]] = []
        self._hidden = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skeleton.append((tag, *(name for name, _ in attrs)))
        self._hidden = self._hidden or tag == "head"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = self._hidden and tag != "head"

    def handle_comment(self, data: str) -> None:
        self.skeleton.append(("comment", data))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.shown.append(data)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_the_headers_say_what_it_is_and_what_it_answers() -> None:
    sent = acknowledged(subject="Desks at Loomworks", message_id="<m2@h.example>", references=("<m1@h.example>",))
    mail = read(sent)
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["X-Mailbot-Reference"] == "BSEC-0042"
    assert mail["Subject"] == "Re: Desks at Loomworks [BSEC-0042]"
    assert mail["In-Reply-To"] == "<m2@h.example>"
    assert mail["References"].split() == ["<m1@h.example>", "<m2@h.example>"]
    assert mail["Message-ID"] == sent.message_id == "<ack.1@brumcity.example>"
    assert [each.addr_spec for each in mail["To"].addresses] == [sent.to] == ["amina@haven.example"]
    assert mail["From"].addresses[0].addr_spec == SENDER.addr_spec
    assert mail["Date"].datetime == NOW
    assert mail["Cc"] is None and mail["Bcc"] is None
    assert sent.purpose == "acknowledgement:BSEC-0042"
    assert (sent.state, sent.reason) == (OutgoingState.QUEUED, "")


def test_doubt_holds_the_reply_and_keeps_the_reason() -> None:
    held = acknowledged(acknowledgement=hold("no address of ours among the recipients"))
    assert (held.state, held.reason) == (OutgoingState.HELD, "no address of ours among the recipients")
    assert b"no address of ours" not in held.octets


def test_nobody_to_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="not to be answered"):
        acknowledged(acknowledgement=never("Return-Path is <>"))


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), unique=True, max_size=60))
def test_references_keep_the_first_and_the_last_ones(numbers: list[int]) -> None:
    before = tuple(f"<m{number}@haven.example>" for number in numbers)
    after = read(acknowledged(message_id="<last@h.example>", references=before))["References"].split()
    whole = [*before, "<last@h.example>"]
    assert len(after) <= MAX_REFERENCES
    assert after[0] == whole[0] and after[1:] == whole[1:][-(MAX_REFERENCES - 1) :]


def test_what_is_no_message_id_is_not_passed_on() -> None:
    bad = (
        "<a b@c>",
        "no-brackets@x",
        "<a@b>\r\nBcc: <x@evil.example>",
        "<ü@x>",
        f"<{'a' * 400}@b>",
        "<good@h.example>",
    )
    mail = read(acknowledged(message_id="<>", references=bad))
    assert mail["References"] == "<good@h.example>"
    assert mail["In-Reply-To"] is None


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Desks", "Re: Desks [BSEC-0042]"),
        ("RE: Re[2]: AW: Desks", "Re: Desks [BSEC-0042]"),
        ("Re: Desks [BSEC-0007]", "Re: Desks [BSEC-0042]"),
        ("Retail: a thought", "Re: Retail: a thought [BSEC-0042]"),
        ("", "Re: Birmingham Social Enterprise City [BSEC-0042]"),
        ("Re:", "Re: Birmingham Social Enterprise City [BSEC-0042]"),
        ("Win at http://evil.example now", "Re: Win at [link] now [BSEC-0042]"),
    ],
)
def test_subjects_do_not_stack(subject: str, answer: str) -> None:
    assert answer_subject(subject, "BSEC-0042", CAMPAIGN) == answer


@given(HOSTILE)
def test_answering_an_answer_changes_nothing(subject: str) -> None:
    once = answer_subject(subject, "BSEC-0042", CAMPAIGN)
    assert answer_subject(once, "BSEC-0042", CAMPAIGN) == once
    assert len(once) < 160


@pytest.mark.parametrize(
    "name",
    [
        "Amina Yusuf",
        "Marguerite O'Shea",
        "J. K. Okoro",
        "Dr. Anne-Marie Ó Súilleabháin",
        "王伟",
        "प्रिया नायर",
        "Zoe\u0308",
    ],
)
def test_people_are_greeted_by_name(name: str) -> None:
    assert (
        words(greeting_name(name))
        and f"Hello {greeting_name(name)}," in parts(acknowledged(details=Details(person=name)))[0]
    )


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "X",
        "evil.example",
        "www.evil.example",
        "Win £500",
        "a@b.example",
        "Amina\nYusuf",
        "Amina  Yusuf",
        "<b>Amina</b>",
        "\u202eanimA",
        "A" * 61,
        "Click: here",
        "http://x",
        "Amina\0",
        "agent007",
        "J..",
        "- -",
    ],
)
def test_what_may_be_no_name_is_not_used(name: str | None) -> None:
    assert greeting_name(name) == ""
    assert parts(acknowledged(details=Details(person=name)))[0].startswith("Hello,\n")


@pytest.mark.parametrize("kind", KINDS)
def test_both_parts_say_the_same_and_what_people_need(kind: Template) -> None:
    text, page = parts(acknowledged(kind=kind))
    assert words(text) == words(" ".join(Page(page).shown))
    for needed in ("Hello Amina Yusuf,", CAMPAIGN.name, "BSEC-0042", "Sarah Crawley", "within two weeks", "forget me"):
        assert needed in " ".join(text.split()), needed
    assert CAMPAIGN.website in text
    assert '<html lang="en-GB">' in page
    assert "<img" not in page and "<script" not in page and "<svg" not in page
    assert re.findall(r'(?:href|src)="([^"]*)"', page) == [CAMPAIGN.website]


def test_contributions_are_listed_by_aim_with_quote_and_type() -> None:
    pledge = make_contribution(
        type=ContributionType.PLEDGE, aims=("employment", "awareness"), quote="We host a careers fair."
    )
    nowhere = make_contribution(type=ContributionType.IDEA, aims=(), quote="Count us in.")
    for part in parts(acknowledged(make_contribution(quote=QUOTE), nowhere, pledge)):
        shown = " ".join(" ".join(Page(part).shown).split())
        places = [
            shown.index(each)
            for each in (
                "Awareness and Employment and training",
                "Your pledge: “We host a careers fair.”",
                "into one plan",
                "at the start of their working life",
                "Support for start-ups",
                f"Your offer: “{QUOTE}”",
                "Your idea: “Count us in.”",
            )
        ]
        assert places == sorted(places)


def test_a_paragraph_about_an_aim_is_said_once_and_only_where_there_is_one(tmp_path: Path) -> None:
    both = make_contribution(aims=("support", "alliance"), quote="Ours for a year.")
    text = " ".join(parts(acknowledged(make_contribution(quote=QUOTE), both))[0].split())
    assert text.count("bring you together") == 1
    (tmp_path / "aims").mkdir()
    (tmp_path / "aims" / "support.txt").write_text("Under {{ aim.title }}\nwe do <this>.", "utf-8")
    own = Templates([tmp_path, SHIPPED_TEMPLATES])
    text, page = parts(acknowledged(make_contribution(quote=QUOTE), templates=own))
    assert "Under Support for start-ups we do <this>." in text and "we do &lt;this&gt;." in page
    other = dataclasses.replace(CAMPAIGN, aims=(dataclasses.replace(CAMPAIGN.aims[1], key="other"),))
    assert "bring you together" not in parts(acknowledged(make_contribution(aims=("other",)), campaign=other))[0]


def test_what_is_in_doubt_is_not_claimed() -> None:
    sure = make_contribution(quote=QUOTE, confidence=0.9)
    unsure = make_contribution(quote="You charge us ten pounds.", confidence=0.4)
    for part in parts(acknowledged(sure, unsure, claim_from=0.6)):
        assert QUOTE in part and "ten pounds" not in part and "There may be more" in part
    for part in parts(acknowledged(unsure, claim_from=0.6)):
        assert "ten pounds" not in part and "a person will read it" in " ".join(part.split())
        assert "There may be more" not in part


@pytest.mark.parametrize("kind", [Template.ENQUIRY, Template.RECEIPT])
def test_other_kinds_repeat_nothing_of_the_mail(kind: Template) -> None:
    for part in parts(acknowledged(kind=kind)):
        assert QUOTE not in part
        assert not any(aim.title in part for aim in CAMPAIGN.aims)


def test_a_long_mail_is_not_sent_back() -> None:
    many = [make_contribution(quote=f"Number {number}: {'very ' * 90}long.") for number in range(30)]
    text = parts(acknowledged(*many, body=Body(own_text="secret words " * 50)))[0]
    assert text.count("Your offer") == 10 and "There may be more in your message" in " ".join(text.split())
    assert "secret words" not in text and len(text) < 5000


@settings(max_examples=60, deadline=None)
@given(subject=HOSTILE, name=HOSTILE, quote=HOSTILE, message_id=HOSTILE)
def test_nothing_that_a_stranger_writes_adds_a_header_or_markup(
    subject: str, name: str, quote: str, message_id: str
) -> None:
    plain = acknowledged(details=Details())
    hostile = acknowledged(
        make_contribution(quote=quote), subject=subject, details=Details(person=name), message_id=f"<{message_id}>"
    )
    optional = {"In-Reply-To", "References"}
    assert set(read(hostile).keys()) | optional == set(read(plain).keys()) | optional
    assert len(read(hostile).keys()) == len(set(read(hostile).keys()))
    assert len(read(hostile)["To"].addresses) == 1
    text, page = parts(hostile)
    assert Page(page).skeleton == Page(parts(plain)[1]).skeleton
    assert words(text) == words(" ".join(Page(page).shown))


def test_a_broken_template_of_the_deployment_is_a_template_problem(tmp_path: Path) -> None:
    (tmp_path / "contribution.txt").write_text("Hello\n{{ nmae }}", "utf-8")
    with pytest.raises(TemplateProblem, match=r"contribution\.txt, line 2: 'nmae' is undefined"):
        acknowledged(templates=Templates([tmp_path, SHIPPED_TEMPLATES]))


def test_without_a_website_no_empty_line_about_it() -> None:
    text, page = parts(acknowledged(campaign=dataclasses.replace(CAMPAIGN, website="")))
    assert "More about us" not in text and "href" not in page


def test_the_envelope_is_the_one_that_bounces_are_known_by() -> None:
    sent = acknowledged()
    assert (sent.account, sent.envelope_from) == ("main", "pledges+b.x@brumcity.example")
    assert b"pledges+b.x" not in sent.octets
