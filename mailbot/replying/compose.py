"""What an acknowledgement says and how it is addressed: one mail in, one mail of ours out.

Owns the headers of an acknowledgement and the values that its templates see, all of them made safe
here. Must not decide whether a mail is answered (screening does) nor send anything (the outbox does).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from mailbot.model import (
    Acknowledgement,
    Address,
    Aim,
    Campaign,
    Classification,
    Contribution,
    Decision,
    Message,
    Outgoing,
    OutgoingKind,
    OutgoingState,
)
from mailbot.rendering import Templates, build_mail, one_line, short_sentence, without_links

#: templates that must be there for acknowledgements
TEMPLATES = tuple(f"{kind}.{suffix}" for kind in ("contribution", "enquiry", "receipt") for suffix in ("txt", "html"))

#: msg-ids in References at most; the first one and the last ones are kept
MAX_REFERENCES = 12
#: contributions listed at most: an acknowledgement is no way to have a long text sent to somebody
MAX_CONTRIBUTIONS = 10
#: characters of the sender's subject at most
MAX_SUBJECT = 120

_MSG_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,300}>")
_REPLY_PREFIX = re.compile(r"\A(?:(?:re|aw|antw|sv|vs|odp)\s*(?:[\[(]\d{1,3}[\])])?\s*:\s*)+", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """One contribution as the sender is told about it."""

    #: value of model.ContributionType; the templates have the everyday word for it
    type: str
    #: one short sentence, safe to show
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Contributions that serve the same aims."""

    #: in the campaign's order; empty when they name none
    aims: tuple[Aim, ...]
    #: what happens with contributions under these aims, a paragraph each, said once in a mail
    notes: tuple[str, ...]
    contributions: tuple[Understood, ...]


def compose(
    message: Message,
    classification: Classification,
    acknowledgement: Acknowledgement,
    *,
    campaign: Campaign,
    reference: str,
    sender: Address,
    coordinator: Address,
    account: str,
    envelope_from: str,
    message_id: str,
    now: datetime,
    templates: Templates,
    claim_from: float = 0.0,
    time_zone: tzinfo = UTC,
    language: str = "en-GB",
) -> Outgoing:
    """The acknowledgement of one mail, queued, or held where `acknowledgement` says so.

    Args:
        message, classification: the mail that is answered and what was understood of it.
        acknowledgement: to whom and with which template; its decision is not NEVER.
        reference: such as BSEC-0042.
        sender: for From; answers come back to it.
        coordinator: the person named as the one who reads.
        account: whose SMTP server sends it.
        envelope_from: addr-spec for MAIL FROM, "" for the null path.
        message_id: our own, with angle brackets, the same on every retry.
        now: aware, for Date.
        claim_from: confidence, 0 to 1, from which a contribution is told to its sender as understood: it is better to
            say nothing of one than to thank for what nobody offered.
        time_zone: the campaign's, for Date.
        language: BCP 47, for the HTML part.

    Raises:
        TemplateProblem: a template is missing or broken.
        PermanentError: the address to answer to cannot be written to.
        ValueError: there is nobody or nothing to answer with.

    Source: RFC 3834 section 3, RFC 5322 section 3.6.4.
    """
    if acknowledgement.to is None or acknowledgement.template is None:
        raise ValueError("this mail is not to be answered")
    kind = acknowledgement.template.value
    values = _values(message, classification, campaign, templates, claim_from) | {
        "coordinator": coordinator.display_name or coordinator.addr_spec,
        "language": language,
        "reference": reference,
        "sender": sender.addr_spec,
    }
    mail = build_mail(
        sender=sender,
        to=acknowledgement.to,
        subject=answer_subject(message.subject, reference, campaign),
        message_id=message_id,
        date=now.astimezone(time_zone),
        headers=_headers(message, reference),
        text=templates.render(f"{kind}.txt", **values),
        html=templates.render(f"{kind}.html", **values),
    )
    held = acknowledgement.decision is Decision.HOLD
    return Outgoing(
        kind=OutgoingKind.ACKNOWLEDGEMENT,
        purpose=f"acknowledgement:{reference}",
        state=OutgoingState.HELD if held else OutgoingState.QUEUED,
        message_id=message_id,
        account=account,
        envelope_from=envelope_from,
        to=acknowledgement.to,
        octets=mail.as_bytes(),
        template=kind,
        reason=acknowledgement.reason if held else "",
    )


def _values(
    message: Message, classification: Classification, campaign: Campaign, templates: Templates, claim_from: float
) -> dict[str, object]:
    """What the templates say of the mail and of what was understood, safe to show."""
    sure = [each for each in classification.contributions if each.confidence >= claim_from][:MAX_CONTRIBUTIONS]
    return {
        "campaign": campaign,
        "groups": _groups(sure, campaign, templates),
        "left_out": len(classification.contributions) - len(sure),
        "name": greeting_name(message.details.person),
        "subject": _echo(message.subject, campaign),
    }


def greeting_name(person: str | None) -> str:
    """`person` when it looks like a person's name and is safe to greet with; otherwise "".

    Args:
        person: as reading found it in the mail or its From header.
    """
    name = unicodedata.normalize("NFC", person or "")
    return name if 2 <= len(name) <= 60 and all(_is_name(word) for word in name.split(" ")) else ""


def _is_name(word: str) -> bool:
    """Letters of any script, with a hyphen or an apostrophe, or an initial or a title with its full stop."""
    letters = word[:-1] if word.endswith(".") and len(word) <= 4 else word
    kinds = [unicodedata.category(letter)[0] for letter in letters]
    return kinds[:1] == ["L"] and all(
        kind in "LM" or letter in "'\u2019-" for kind, letter in zip(kinds, letters, strict=True)
    )


def answer_subject(subject: str, reference: str, campaign: Campaign) -> str:
    """The subject of our answer, such as "Re: Desks at Loomworks [BSEC-0042]".

    Args:
        subject: of the mail that is answered, decoded.
        reference: put behind; an older reference of this campaign gives way to it.
    """
    return f"Re: {_echo(subject, campaign) or campaign.name} [{reference}]"


def _echo(subject: str, campaign: Campaign) -> str:
    """The sender's own subject, safe to show, without prefixes and references that answers put there."""
    older = re.compile(rf"\s*\[{re.escape(campaign.reference_prefix)}-\d+\]", re.I)
    plain = without_links(older.sub("", one_line(subject)))
    return one_line(_REPLY_PREFIX.sub("", plain), MAX_SUBJECT)


def _headers(message: Message, reference: str) -> list[tuple[str, str]]:
    """The headers that say what this mail is and which mail it answers."""
    headers = [
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Mailbot-Reference", reference),
    ]
    if _MSG_ID.fullmatch(message.message_id):
        headers.append(("In-Reply-To", message.message_id))
    references = _references(message)
    if references:
        headers.append(("References", " ".join(references)))
    return headers


def _references(message: Message) -> list[str]:
    """The thread so far and the mail itself, capped; only what is a msg-id passes."""
    before = message.references or ((message.in_reply_to,) if message.in_reply_to else ())
    thread = [each for each in dict.fromkeys(before) if _MSG_ID.fullmatch(each) and each != message.message_id]
    if _MSG_ID.fullmatch(message.message_id):
        thread.append(message.message_id)
    return thread if len(thread) <= MAX_REFERENCES else [thread[0], *thread[1 - MAX_REFERENCES :]]


def _groups(listed: Sequence[Contribution], campaign: Campaign, templates: Templates) -> tuple[Group, ...]:
    """What was understood, by aims in the campaign's order."""
    by_aims: dict[tuple[Aim, ...], list[Contribution]] = {}
    for contribution in listed:
        aims = tuple(aim for aim in campaign.aims if aim.key in contribution.aims)
        by_aims.setdefault(aims, []).append(contribution)
    groups = []
    explained: set[Aim] = set()
    # Those without an aim come last.
    for aims, found in sorted(by_aims.items(), key=lambda item: [aim.number for aim in item[0]] or [1000]):
        notes = [_note(aim, campaign, templates) for aim in aims if aim not in explained]
        explained.update(aims)
        understood = [Understood(type=each.type.value, quote=short_sentence(each.quote)) for each in found]
        groups.append(Group(aims=aims, notes=tuple(filter(None, notes)), contributions=tuple(understood)))
    return tuple(groups)


def _note(aim: Aim, campaign: Campaign, templates: Templates) -> str:
    """The paragraph of templates/aims/ for this aim; "" when there is none."""
    name = f"aims/{aim.key}.txt"
    return one_line(templates.render(name, campaign=campaign, aim=aim)) if templates.has(name) else ""
