"""The digest: one period's records laid before the coordinator, what needs her eye first.

Owns what is shown, in which order, and how sure a confidence is in words. Must not choose the records
(filing does) nor understand corrections; the wording is in templates/digest.txt and digest.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby
from urllib.parse import quote

from babel import Locale
from babel.dates import format_datetime

from mailbot.model import (
    Address,
    Aim,
    Campaign,
    Contribution,
    Decision,
    Digest,
    MessageClass,
    Outgoing,
    OutgoingKind,
    OutgoingState,
    Record,
)
from mailbot.rendering import Templates, build_mail, one_line, short_sentence, without_links

#: templates that must be there for the digest
TEMPLATES = ("digest.txt", "digest.html", "digest_subject.txt")

#: calibrated probability from which a contribution is called sure, and fairly sure
SURE, FAIRLY_SURE = 0.9, 0.7
#: characters of a quote at most, and of any other line that came by mail
MAX_QUOTE, MAX_LINE = 400, 160
#: characters of an error or a server's words at most
MAX_ERROR = 400

_DAY = "EEEE d MMMM y"
_MOMENT = "EEE d MMM, HH:mm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One mail as the digest names it; every text is safe to show."""

    #: "" for a mail that has no record
    reference: str
    #: `mid:` URL of the mail (RFC 2392); "" when it has no Message-ID
    link: str
    who: str
    organisation: str
    subject: str
    received: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One contribution."""

    line: Line
    #: value of model.ContributionType; the templates have the everyday word for it
    type: str
    quote: str
    #: "sure", "fairly" or "check"; the templates have the words
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The contributions under one aim; `aim` is None for those that name none."""

    aim: Aim | None
    entries: tuple[Entry, ...]
    #: since the campaign began, this period included
    total: int
    #: length of the bar, 0 to 100, against the longest of this digest
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that a person should look at; "" and () where it does not apply."""

    line: Line
    reasons: tuple[str, ...] = ()
    #: why the reply waits for her word
    held: str = ""
    #: why our reply did not arrive, in the server's words
    failed: str = ""
    #: why the mail was set aside
    parked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Mails that were not answered for the same reason."""

    reason: str
    lines: tuple[Line, ...]


def render_digest(
    digest: Digest,
    *,
    campaign: Campaign,
    coordinator: Address,
    sender: Address,
    account: str,
    message_id: str,
    time_zone: tzinfo,
    templates: Templates,
    language: str = "en-GB",
) -> Outgoing:
    """The digest of one period as a mail to the coordinator, queued.

    Args:
        digest: what was filed in the period, and what went wrong.
        coordinator: who gets it.
        sender: for From and the envelope; answers come back to it.
        account: whose SMTP server sends it.
        message_id: our own, with angle brackets, the same on every retry.
        time_zone: the campaign's; every date is shown in it.
        language: BCP 47, for names of days and months and for the HTML part.

    Raises:
        TemplateProblem: a template is missing or broken.
        PermanentError: the coordinator's address cannot be written to.

    Source: RFC 3834 section 5 (auto-generated), RFC 2392 (mid URLs).
    """
    values = _values(digest, campaign, _Writer(time_zone, language))
    values |= {"sender": sender.addr_spec, "language": language}
    mail = build_mail(
        sender=sender,
        to=coordinator.addr_spec,
        subject=one_line(templates.render("digest_subject.txt", **values), 200),
        message_id=message_id,
        date=digest.end.astimezone(time_zone),
        headers=[
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("X-Mailbot-Digest", digest.period.isoformat()),
        ],
        text=templates.render("digest.txt", **values),
        html=templates.render("digest.html", **values),
    )
    return Outgoing(
        kind=OutgoingKind.DIGEST,
        purpose=f"digest:{digest.period.isoformat()}",
        state=OutgoingState.QUEUED,
        message_id=message_id,
        account=account,
        envelope_from=sender.addr_spec,
        to=coordinator.addr_spec,
        octets=mail.as_bytes(),
        template="digest",
    )


def confidence_in_words(confidence: float) -> str:
    """The key of the word that people read for a calibrated probability: "sure", "fairly" or "check"."""
    return "sure" if confidence >= SURE else "fairly" if confidence >= FAIRLY_SURE else "check"


class _Writer:
    """Writes mails and moments as people read them; what strangers wrote becomes safe here."""

    def __init__(self, time_zone: tzinfo, language: str) -> None:
        self._time_zone = time_zone
        self._locale = Locale.parse(language, sep="-")

    def date(self, moment: datetime, pattern: str = _MOMENT) -> str:
        return format_datetime(moment.astimezone(self._time_zone), pattern, locale=self._locale)

    def day(self, digest: Digest) -> str:
        noon = datetime(digest.period.year, digest.period.month, digest.period.day, 12, tzinfo=self._time_zone)
        return self.date(noon, _DAY)

    def line(self, record: Record) -> Line:
        return Line(
            reference=record.reference,
            link=mid_url(record.message_id),
            who=_plain(record.who),
            organisation=_plain(record.details.organisation or ""),
            subject=_plain(record.subject),
            received=self.date(record.received_at),
        )

    def entry(self, record: Record, contribution: Contribution) -> Entry:
        return Entry(
            line=self.line(record),
            type=contribution.type.value,
            quote=short_sentence(contribution.quote, MAX_QUOTE),
            confidence=confidence_in_words(contribution.confidence),
        )


def mid_url(message_id: str) -> str:
    """The URL that opens a mail by its Message-ID; "" when there is none.

    Source: RFC 2392 section 2: the msg-id without its angle brackets, percent-encoded.
    """
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return "mid:" + quote(bare, safe="@", errors="replace") if bare else ""


def _plain(text: str, limit: int = MAX_LINE) -> str:
    """Words from outside, safe to show; mail addresses stay, because she may need them."""
    return without_links(one_line(text, limit), keep_addresses=True)


def _values(digest: Digest, campaign: Campaign, writer: _Writer) -> dict[str, object]:
    """What the templates may use."""
    records = digest.records
    sections = _sections(digest, campaign, writer)
    enquiries = [each for each in records if each.message_class is MessageClass.ENQUIRY]
    others = [
        each
        for each in records
        if not each.contributions
        and each.message_class is not MessageClass.ENQUIRY
        and each.acknowledgement.decision is not Decision.NEVER
    ]
    contributors = {each.from_addr_spec or each.who for each in records if each.contributions}
    return {
        "archived": digest.archived,
        "campaign": campaign,
        "checks": _checks(digest, writer),
        "contribution_count": sum(len(each.contributions) for each in records),
        "contributor_count": len(contributors),
        "day": writer.day(digest),
        "end": writer.date(digest.end),
        "enquiries": tuple(writer.line(each) for each in enquiries),
        "mail_count": len(records) + len(digest.parked),
        "notices": tuple(one_line(each, MAX_ERROR) for each in digest.notices),
        "others": tuple(writer.line(each) for each in others),
        "sections": sections,
        "silences": _silences(records, writer),
        "start": writer.date(digest.start),
    }


def _sections(digest: Digest, campaign: Campaign, writer: _Writer) -> tuple[Section, ...]:
    """One section for each aim, in the campaign's order, then one for what names no aim of the campaign."""
    keys = {aim.key for aim in campaign.aims}
    found = [(record, each) for record in digest.records for each in record.contributions]
    aims: tuple[Aim | None, ...] = (*campaign.aims, None)
    entries = {
        aim: tuple(
            writer.entry(record, each)
            for record, each in found
            if (aim.key in each.aims if aim else keys.isdisjoint(each.aims))
        )
        for aim in aims
    }
    longest = max(len(each) for each in entries.values()) or 1
    totals = dict(digest.totals)
    return tuple(
        Section(
            aim=aim,
            entries=entries[aim],
            total=totals.get(aim.key, 0) if aim else 0,
            percent=round(100 * len(entries[aim]) / longest),
        )
        for aim in aims
    )


def _checks(digest: Digest, writer: _Writer) -> tuple[Check, ...]:
    """What needs her eye: doubtful records, held and failed replies, parked mails; a record is named once."""
    checks = [check for check in (_check(record, writer) for record in (*digest.held, *digest.records)) if check]
    shown = {check.line.reference for check in checks if check.failed}
    checks += [
        Check(
            line=Line(
                reference=each.reference,
                link="",
                who=_plain(each.to),
                organisation="",
                subject="",
                received="",
            ),
            failed=_plain(each.error, MAX_ERROR),
        )
        for each in digest.failed_replies
        if each.reference not in shown
    ]
    checks += [
        Check(
            line=Line(
                reference="",
                link="",
                who=_plain(each.sender),
                organisation="",
                subject=_plain(each.subject),
                received=writer.date(each.received_at),
            ),
            parked=_plain(f"{each.stage}: {each.error}", MAX_ERROR),
        )
        for each in digest.parked
    ]
    return tuple(checks)


def _check(record: Record, writer: _Writer) -> Check | None:
    """Why this record needs her eye; None when it does not."""
    held = failed = ""
    if record.reply_state is OutgoingState.HELD:
        held = record.reply_error or record.acknowledgement.reason
    elif record.reply_state in (OutgoingState.FAILED, OutgoingState.BOUNCED, OutgoingState.PARKED):
        failed = record.reply_error or record.acknowledgement.reason
    if not (record.needs_review or held or failed):
        return None
    return Check(
        line=writer.line(record),
        reasons=tuple(_plain(each, MAX_ERROR) for each in record.review_reasons),
        held=_plain(held, MAX_ERROR),
        failed=_plain(failed, MAX_ERROR),
    )


def _silences(records: Iterable[Record], writer: _Writer) -> tuple[Silence, ...]:
    """The mails that were not answered, by reason, the most frequent reason first."""
    silent = [each for each in records if each.acknowledgement.decision is Decision.NEVER]
    by_reason = groupby(sorted(silent, key=_reason), key=_reason)
    silences = [Silence(reason=reason, lines=tuple(map(writer.line, found))) for reason, found in by_reason]
    return tuple(sorted(silences, key=lambda each: -len(each.lines)))


def _reason(record: Record) -> str:
    return _plain(record.acknowledgement.reason)
