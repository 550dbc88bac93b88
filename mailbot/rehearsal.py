"""Every mail of ours, made once from an example, so that a template's mistake shows before anybody is written to.

Owns the example. Must not know how templates are found, nor what is done about a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from mailbot.errors import TemplateProblem
from mailbot.model import (
    Acknowledgement,
    Address,
    Campaign,
    Classification,
    Contribution,
    ContributionType,
    Decision,
    Digest,
    FailedReply,
    Message,
    MessageClass,
    Outgoing,
    OutgoingState,
    ParkedMail,
    Record,
    Template,
)
from mailbot.reading import read
from mailbot.rendering import Templates
from mailbot.replying.compose import compose
from mailbot.reviewing.alert import render_alert
from mailbot.reviewing.digest import render_digest

#: what `mailbot preview` answers
_EXAMPLE = b"""From: A Person <person@example.org>
Message-ID: <example@example.org>
Subject: An example
Content-Type: text/plain; charset=utf-8

Hello,

You could use our room on Friday evenings.
We will print your first hundred leaflets for nothing.

A Person
"""
_PERSON = Address(display_name="A Person", addr_spec="person@example.org")
_MAIL = b"From: A Person <person@example.org>\r\nSubject: An example\r\n\r\nYou could use our room.\r\n"
#: what has become of the answer, for each decision
_STATES = {Decision.SEND: OutgoingState.FAILED, Decision.HOLD: OutgoingState.HELD, Decision.NEVER: None}
_NOW = datetime(2026, 1, 5, 7, tzinfo=UTC)


def rehearse(campaign: Campaign, templates: Templates) -> tuple[str, ...]:
    """Makes each kind of acknowledgement, long and short, digests from full to empty, and an alert.

    Returns:
        One sentence for each template that cannot be filled, with file and line; empty when all is well.
    """
    problems: dict[str, None] = {}
    campaign = replace(campaign, website=campaign.website or "https://example.org/")
    contributions = tuple(_contributions(campaign))
    makers = [
        partial(_acknowledgement, kind, found, campaign, templates)
        for kind in Template
        for found in (contributions, contributions[:1])
    ]
    full = tuple(_records(contributions, campaign))
    enquiries = tuple(each for each in full if each.message_class is MessageClass.ENQUIRY)
    makers += [partial(_digest, records, campaign, templates) for records in (full, enquiries, ())]
    makers.append(partial(_alert, campaign, templates))
    for make in makers:
        try:
            make()
        except TemplateProblem as problem:
            problems[str(problem)] = None
    return tuple(problems)


def example(campaign: Campaign) -> tuple[Message, Classification]:
    """A mail with a contribution for each of the campaign's first two aims, and what is understood of it."""
    message = read(_EXAMPLE)
    quotes = message.body.own_text.split("\n\n")[1].splitlines()
    found = tuple(
        Contribution(type=kind, aims=(aim.key,), quote=quote, confidence=1.0)
        for aim, kind, quote in zip(
            campaign.aims[:2], (ContributionType.OFFER, ContributionType.PLEDGE), quotes, strict=False
        )
    )
    return message, _classification(found)


def _classification(found: tuple[Contribution, ...]) -> Classification:
    return Classification(
        message_class=MessageClass.CONTRIBUTION,
        confidence=1.0,
        contributions=found,
        review_reasons=(),
        model_version="",
    )


def _contributions(campaign: Campaign) -> Iterator[Contribution]:
    """Every type and every degree of confidence for every aim and for none: more than one mail lists."""
    for aims in ((), *((aim.key,) for aim in campaign.aims)):
        for kind, confidence in zip(ContributionType, (0.5, 0.8, 1.0), strict=True):
            yield Contribution(type=kind, aims=aims, quote="You could use our room.", confidence=confidence)


def _acknowledgement(
    kind: Template, found: tuple[Contribution, ...], campaign: Campaign, templates: Templates
) -> Outgoing:
    return compose(
        read(_MAIL),
        _classification(found),
        _decision(Decision.SEND, kind),
        campaign=campaign,
        reference=campaign.reference(42),
        sender=_PERSON,
        coordinator=_PERSON,
        account="",
        envelope_from="",
        message_id="<rehearsal@example.org>",
        now=_NOW,
        templates=templates,
    )


def _digest(records: tuple[Record, ...], campaign: Campaign, templates: Templates) -> Outgoing:
    parked = ParkedMail(mail_id=1, subject="An example", sender="", received_at=_NOW, stage="reading", error="an error")
    digest = Digest(
        start=_NOW - timedelta(days=1),
        end=_NOW,
        period=_NOW.date(),
        records=records,
        archived=len(records),
        parked=(parked,) if records else (),
        failed_replies=(FailedReply(to=_PERSON.addr_spec, reference="", error="an error"),) if records else (),
        totals=tuple((aim.key, len(records)) for aim in campaign.aims),
        notices=("A notice.",) if records else (),
    )
    return render_digest(
        digest,
        campaign=campaign,
        coordinator=_PERSON,
        sender=_PERSON,
        account="",
        message_id="<rehearsal@example.org>",
        time_zone=UTC,
        templates=templates,
    )


def _alert(campaign: Campaign, templates: Templates) -> Outgoing:
    return render_alert(
        "3 answers came back within the hour",
        3,
        campaign=campaign,
        coordinator=_PERSON,
        sender=_PERSON,
        account="",
        message_id="<rehearsal@example.org>",
        now=_NOW,
        time_zone=UTC,
        templates=templates,
    )


def _records(found: tuple[Contribution, ...], campaign: Campaign) -> Iterator[Record]:
    """A mail of each class, answered in each way."""
    message = read(_MAIL)
    for number, (message_class, decision) in enumerate(
        ((each, decision) for each in MessageClass for decision in Decision), start=1
    ):
        yield Record(
            record_id=number,
            reference=campaign.reference(number),
            message_id=message.message_id if number % 2 else "",
            subject=message.subject,
            from_name=_PERSON.display_name,
            from_addr_spec=_PERSON.addr_spec,
            received_at=_NOW,
            filed_at=_NOW,
            message_class=message_class,
            confidence=0.5,
            review_reasons=("a reason",) if number % 2 else (),
            contributions=found if message_class is MessageClass.CONTRIBUTION else (),
            details=message.details,
            acknowledgement=_decision(decision, Template.CONTRIBUTION),
            reply_state=_STATES[decision],
            reply_error="an error" if decision is Decision.SEND else "",
            model_version="",
        )


def _decision(decision: Decision, kind: Template) -> Acknowledgement:
    return Acknowledgement(decision=decision, guard=None, reason="a reason", to=_PERSON.addr_spec, template=kind)
