"""What a delivery report says: which recipients our mail did not reach, why, and which mail of ours that was.

Owns the recognition of bounces, regular (RFC 3464) and irregular. Must not know what follows from one.

The standard library reads regular reports; flufl.bounce, which knows the wording of some forty servers and providers,
the others. Both see only mail that looks like a report from outside: a person who writes about a bounce stays a person.
"""

from __future__ import annotations

import email
import logging
import re
from collections.abc import Iterator
from email.message import Message as Part

from flufl.bounce import all_failures

from mailbot.model import Bounce, FailedRecipient
from mailbot.reading import charset
from mailbot.reading.headers import decode_words, unfold

# It logs what it finds in mails; the project's logs carry no contents.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

#: octets of a report that are looked at, and octets of each line: the report stands before the mail that it returns,
#: and some of the patterns for irregular reports take quadratic time on long lines
_READ = 100_000
_LINE = 500
#: recipients of one report at most; ours go to one each
_MOST = 20
_WORDS = 300
#: characters of an irregular report within which it says whom it is about
_TOLD = 1_500

_PROGRAMS = re.compile(r"(?i)\A(?:mailer-?daemon|postmaster|mail-?delivery|microsoftexchange[0-9a-f]*|bounces?)\b")
_SUBJECT = re.compile(
    r"(?i)undeliver|mailbox full|over quota|non-?deliver|delivery (?:status|failure|has failed|problem)|"
    r"delivery to .* failed|returned mail|mail delivery|mail (?:system )?error|failure notice|could not be delivered|"
    r"not delivered|message rejected|delayed mail|warning: could not send|unzustellbar|fehlgeschlagen|"
    r"nie(?:dostarcz| dostarcz| doręcz)|non remis|non distribu|[ée]chec de (?:la )?remise|no entregado|"
    r"no se pudo entregar|nelivra"
)
_ADDR_SPEC = re.compile(r"[^\s<>()\[\]\",;:@\\]{1,64}@[^\s<>()\[\]\",;:@\\]{1,255}")
_MESSAGE_ID = re.compile(r"(?im)^[>\s]{0,10}Message-ID:\s*(<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>)")
#: RFC 5322 section 3.6.4, as we write them; one with anything else is none of ours
_MSG_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
#: an SMTP reply (RFC 5321 section 4.2) with or without an enhanced status code (RFC 3463)
_REPLY = re.compile(
    r"(?<![\d.])[45]\d\d[ -]#?[45]\.\d{1,3}\.\d{1,3}\b.{3,}|(?m:(?:^[\s>*]*|: ?)[45]\d\d[ -][<A-Za-z].{3,})"
    r"|#?(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]).{3,}"
)
#: where the mail that came back begins in the text of a report
_RETURNED = re.compile(r"(?im)^[>\s]*(?:(?:Received|Return-Path|Message-ID|DKIM-Signature): )")
_STATUS = re.compile(r"(?<![\d.])([245])\.\d{1,3}\.\d{1,3}")
#: addresses that failed for now only (RFC 3463 section 3.3, "mailbox full") may still be written to later
_FULL = re.compile(r"(?i)\b(?:4|5)\.2\.2\b|over ?quota|mailbox (?:is )?full|quota exceeded")


def bounce_of(
    octets: bytes, *, sender: str, subject: str, return_path: str | None, report_type: str | None
) -> Bounce | None:
    """What a mail reports about mail of ours; None when it is no report of a delivery.

    Args:
        octets: the raw mail.
        sender: addr-spec of From; "" when there is none.
        subject: decoded.
        return_path: "" for the null path, None when unknown.
        report_type: of a multipart/report.

    Source:
        RFC 3464, RFC 6533 (internationalised), RFC 3461 section 6.3; for the others, custom.
    """
    local = sender.partition("@")[0]
    from_program = return_path == "" or _PROGRAMS.match(local) is not None
    if report_type != "delivery-status" and not (from_program and (report_type is None)):
        return None
    root = _parsed(octets)
    recipients = list(_reported(root))[:_MOST]
    if not recipients and (_SUBJECT.search(subject) or root.get("X-Failed-Recipients")):
        recipients = _irregular(root)[:_MOST]
    if not recipients and not (report_type or _SUBJECT.search(subject)):
        return None
    return Bounce(recipients=tuple(recipients), message_id=_returned_id(root))


def _parsed(octets: bytes) -> Part:
    lines = octets[:_READ].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return email.message_from_bytes(b"\n".join(line[:_LINE] for line in lines))


def _reported(root: Part) -> Iterator[FailedRecipient]:
    """The recipients of a regular report that were not, or not yet, reached."""
    for part in root.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            for block in _blocks(part):
                action = str(block.get("Action", "")).strip().lower()
                if action.startswith(("delivered", "relayed", "expanded")):
                    continue
                named = str(block.get("Original-Recipient") or block.get("Final-Recipient") or "")
                found = _ADDR_SPEC.search(named.rpartition(";")[2])
                if found is None:
                    continue
                status = str(block.get("Status", "")).strip()
                diagnostic = str(block.get("Diagnostic-Code") or "").partition(";")
                words = _one_line(f"{status} {diagnostic[2] or diagnostic[0]}")
                delayed = action.startswith("delayed") or (not action and status.startswith("4"))
                yield _failed(found.group(), words, delayed=delayed)


def _blocks(part: Part) -> Iterator[Part]:
    """The groups of fields in a delivery-status part; some servers encode the part, and then it is parsed again."""
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (block for block in payload if isinstance(block, Part))
        return
    decoded = part.get_payload(decode=True)
    text = decoded.decode("utf-8", "replace") if isinstance(decoded, bytes) else str(payload)
    for block in re.split(r"\n\s*\n", text):
        yield email.message_from_string(block.strip() + "\n\n")


def _irregular(root: Part) -> list[FailedRecipient]:
    """What flufl.bounce makes of a report, with the first line of it that reads like a server's answer."""
    try:
        passing, lasting = all_failures(root)
    except Exception:
        # It has hundreds of patterns and raises what it likes on hostile mail.
        return []
    text = _RETURNED.split(_text(root), maxsplit=1)[0]
    reply = _REPLY.search(text)
    words = _one_line(reply.group()) if reply else ""
    if not (passing or lasting):
        # The address that it is about stands before the server's answer; only mail that went to it will be found.
        lasting = frozenset(each.encode("ascii", "ignore") for each in _ADDR_SPEC.findall(text[:_TOLD])[:_MOST])
    found = {address.decode("ascii", "replace"): False for address in sorted(lasting)}
    found |= {address.decode("ascii", "replace"): True for address in sorted(passing)}
    return [
        _failed(address, words, delayed=delayed) for address, delayed in found.items() if _ADDR_SPEC.fullmatch(address)
    ]


def _failed(addr_spec: str, words: str, *, delayed: bool) -> FailedRecipient:
    status = _STATUS.search(words)
    for_now = words.startswith("4") or (status is not None and status.group(1) == "4") or _FULL.search(words)
    return FailedRecipient(
        addr_spec=addr_spec.strip(".").lower(), delayed=delayed, permanent=not (delayed or for_now), words=words
    )


def _returned_id(root: Part) -> str:
    """The Message-ID of the mail that came back; "" when it is not shown."""
    for part in root.walk():
        if part is not root and part.get("Message-ID") and part.get("From"):
            found = _MSG_ID.fullmatch(str(part["Message-ID"]).strip())
            return found[0] if found else ""
    for part in root.walk():
        if not part.is_multipart() and part.get_content_maintype() in ("text", "message"):
            found = _MESSAGE_ID.search(_decoded(part))
            if found:
                return found.group(1)
    return ""


def _text(root: Part) -> str:
    return "\n".join(_decoded(part) for part in root.walk() if part.get_content_type() in ("text/plain", "text/html"))


def _decoded(part: Part) -> str:
    octets = part.get_payload(decode=True)
    text, _ = charset.decode(octets if isinstance(octets, bytes) else b"", None)
    return text


def _one_line(words: str) -> str:
    return " ".join(decode_words(unfold(words)).split())[:_WORDS]
