"""The only importer of mail-parser: octets in, a tree of parts out.

Owns which parser reads a mail: mail-parser first, the standard library's email package where it fails
or is known to lose things (letters of unlabelled 8-bit headers, unknown charsets, which part a text
came from). Must not know what the mail says.
"""

from __future__ import annotations

import email
import email.utils
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message as Part

from mailparser import MailParser
from mailparser.dates import parse_mail_date
from mailparser.utils import get_addresses

from mailbot.errors import UnreadableMail
from mailbot.reading import charset
from mailbot.reading.bounds import Limits, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A mail as a tree of MIME parts."""

    root: Part
    #: what the bounds and the parsers complained about, each once
    defects: tuple[str, ...]


# mail-parser logs pieces of the mails it reads; the project's logs carry no contents.
logging.getLogger("mailparser").setLevel(logging.CRITICAL + 1)

_ADDR_SPEC = re.compile(r"[^\s<>()\[\]\",;:@\\]{1,64}@[^\s<>()\[\]\",;:@\\]{1,255}")
#: a parser's words that say nothing about how the mail was read
_HARMLESS = ("DateHeaderDefect", "ReceivedHeaderDefect")


def parse(octets: bytes, limits: Limits) -> Parsed:
    """Parse a raw mail into its parts.

    Args:
        octets: any bytes.
        limits: how much of them is read.

    Returns:
        The tree of parts, with the parsers' complaints.

    Raises:
        UnreadableMail: there is nothing but white space, or no parser takes the octets.
    """
    if not octets.strip(b"\x00\t\n\v\f\r "):
        raise UnreadableMail("the mail is empty")
    within, cuts = bounded(octets, limits)
    defects = list(cuts)
    try:
        parsed = MailParser.from_bytes(within)
        root: Part = parsed.message
        # Its types vary with the mail: a header-less one has '' where lists are expected.
        defects.extend(_complaints(parsed.defects))
    except Exception as problem:
        # mail-parser names no base for what escapes it on hostile mail: whatever it is, the second reader tries.
        defects.append(f"mail-parser failed ({type(problem).__name__}); read by the standard library")
        root = _second_reader(within)
    return Parsed(root=root, defects=tuple(dict.fromkeys(defects)))


def addresses(value: str) -> Iterator[tuple[str, str]]:
    """The (display name, addr-spec) pairs of an address header.

    Args:
        value: the header's value, 8-bit letters decoded, encoded words not.

    Source:
        RFC 5322 section 3.4; where the header breaks it, everything that looks like an addr-spec.
    """
    try:
        found = [(str(name), str(spec)) for name, spec in get_addresses(value) if spec]
    except Exception:
        # The same as in parse(): no header may stop the mail.
        found = []
    usable = [(name, spec) for name, spec in found if _ADDR_SPEC.fullmatch(spec)]
    if usable:
        yield from usable
        return
    for match in _ADDR_SPEC.finditer(value):
        name = value[: match.start()].strip(" \t<\"'") if match.start() < 200 else ""
        yield ("" if any(sign in name for sign in "@,;<") else name), match.group()


def date(value: str) -> datetime | None:
    """The moment that a Date header names, in UTC; None when it names none.

    Args:
        value: the header's value, unfolded.

    Source:
        RFC 5322 section 3.3, with the obsolete forms of section 4.3.
    """
    try:
        strict: datetime | None = parse_mail_date(value).value
        if strict is not None:
            return strict.astimezone(UTC)
        loose = email.utils.parsedate_to_datetime(value)
        return (loose if loose.tzinfo else loose.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError, AttributeError):
        return None


def reparse(payload: str, boundary: str) -> Part | None:
    """Parse the payload of a multipart whose boundary was missing or wrong, with the one that was found."""
    head = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n'
    try:
        part = email.message_from_string(head + payload)
    except Exception:
        # A guess that fails leaves the payload to be read as text.
        return None
    return part if part.is_multipart() else None


def _second_reader(octets: bytes) -> Part:
    try:
        return email.message_from_bytes(octets)
    except Exception as problem:
        # The standard library raises what it likes on hostile mail.
        raise UnreadableMail(f"no parser takes the mail ({type(problem).__name__})") from problem


def _complaints(defects: object) -> Iterator[str]:
    if not isinstance(defects, list):
        return
    for defect in defects:
        if not isinstance(defect, dict):
            continue
        for place, complaints in defect.items():
            for complaint in complaints:
                if not str(complaint).startswith(_HARMLESS):
                    yield charset.clean(f"{place}: {complaint}")[:300]
