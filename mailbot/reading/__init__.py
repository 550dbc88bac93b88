"""Reading: raw octets in, a Message out. Everything that a mail says, nothing that it means.

Owns MIME, charsets, the sender's own words and the details in them. Must not know aims, contributions,
replies or the store. The way of one mail::

    runs, bounds -> parse -> headers, parts (charset, flowed, html) -> body (quotes, signature) -> details, bounces
"""

from __future__ import annotations

from mailbot.errors import UnreadableMail
from mailbot.model import Message
from mailbot.reading import body, bounces, details, headers, parse, parts
from mailbot.reading.bounds import Limits

__all__ = ["Limits", "read"]

_DEFAULT_LIMITS = Limits()


def read(octets: bytes, *, region: str = "GB", limits: Limits = _DEFAULT_LIMITS) -> Message:
    """Read a mail, however broken it is.

    Args:
        octets: RFC 5322 octets, or anything else.
        region: ISO 3166 country whose telephone numbers and order of day and month are assumed.
        limits: how much of the mail is read.

    Returns:
        The mail, with every string free of NUL and lone surrogates, so that any store takes it.

    Raises:
        UnreadableMail: the octets hold nothing, or no parser takes them.
    """
    try:
        return _read(octets, region, limits)
    except UnreadableMail:
        raise
    except Exception as problem:
        # The stage's promise: a mail is read or parked, and never stops the next one.
        raise UnreadableMail(f"reading failed ({type(problem).__name__}: {problem})"[:300]) from problem


def _read(octets: bytes, region: str, limits: Limits) -> Message:
    parsed = parse.parse(octets, limits)
    root = parsed.root
    fields = headers.fields(root)
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    content_hash = headers.content_hash(octets, root)
    content = parts.content_of(root, text_characters=limits.text_characters)
    addressed, complaints = headers.addresses(root)
    sender = next((address for header, address in addressed if header == "from"), None)
    subject = next(iter(values.get("subject", [])), "")
    taken_apart = body.take_apart(
        "\n\n".join(text.strip("\n") for text in content.texts if text.strip()),
        subject=subject,
        sender=sender,
        forwarded=content.forwarded,
        quoted=content.returned,
    )
    date = next(iter(values.get("date", [])), None)
    moment = parse.date(date) if date else None
    defects = list(dict.fromkeys((*parsed.defects, *complaints, *content.defects)))
    if date and moment is None:
        defects.append("the Date header names no moment")
    return Message(
        message_id=headers.message_id(values.get("message-id", []), content_hash),
        content_hash=content_hash,
        subject=subject,
        from_address=sender,
        reply_to=tuple(address for header, address in addressed if header == "reply-to"),
        recipients=headers.recipients(addressed),
        return_path=headers.return_path(root),
        date=moment,
        in_reply_to=next(iter(headers.references(values.get("in-reply-to", []))), None),
        references=headers.references(values.get("references", [])),
        headers=fields,
        body=taken_apart,
        content_types=tuple(content.content_types),
        report_type=content.report_type,
        calendar_method=content.calendar_method,
        attachments=tuple(content.attachments),
        defects=tuple(defects),
        details=details.find(taken_apart, sender=sender, region=region, sent_on=moment.date() if moment else None),
        bounce=bounces.bounce_of(
            octets,
            sender=sender.addr_spec if sender else "",
            subject=subject,
            return_path=headers.return_path(root),
            report_type=content.report_type,
        ),
    )
