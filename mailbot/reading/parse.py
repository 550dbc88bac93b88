"""The only importer of mail-parser: octets in, a tree of parts, addresses and moments out.

Owns which parser reads what: mail-parser the addresses and dates, the standard library's email package the
tree. (mail-parser's own tree is that very one; what it makes of it besides costs as much again and loses
letters of unlabelled 8-bit headers, unknown charsets, and which part a text came from.) Must not know what
the mail says.
"""

from __future__ import annotations

import email
import email.utils
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message as Part

from mailparser.dates import parse_mail_date
from mailparser.utils import get_addresses

from mailbot.errors import UnreadableMail
from mailbot.reading import runs
from mailbot.reading.bounds import Limits, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A mail as a tree of MIME parts."""

    root: Part
    #: what was left out, in words
    defects: tuple[str, ...]


# mail-parser logs pieces of the mails it reads; the project's logs carry no contents.
logging.getLogger("mailparser").setLevel(logging.CRITICAL + 1)

_ADDR_SPEC = re.compile(r"[^\s<>()\[\]\",;:@\\]{1,64}@[^\s<>()\[\]\",;:@\\]{1,255}")
#: one address as most headers have it, which can be read in one way only
_PLAIN_ADDRESS = re.compile(
    r"(?:(?P<name>[A-Za-z]+(?: [A-Za-z]+)*) )?(?P<angle><)?"
    r"(?P<spec>[A-Za-z0-9_+-]{1,40}(?:\.[A-Za-z0-9_+-]{1,40}){0,3}@[A-Za-z0-9-]{1,60}(?:\.[A-Za-z0-9-]{1,60}){1,5})"
    r"(?(angle)>)"
)


def parse(octets: bytes, limits: Limits) -> Parsed:
    """Parse a raw mail into its parts.

    Args:
        octets: any bytes.
        limits: how much of them is read.

    Returns:
        The tree of parts, and what of the mail was left out.

    Raises:
        UnreadableMail: there is nothing but white space, or no parser takes the octets.
    """
    if not octets.strip(b"\x00\t\n\v\f\r "):
        raise UnreadableMail("the mail is empty")
    within, long_runs = runs.set_aside(octets)
    within, cuts = bounded(within, limits)
    try:
        root = email.message_from_bytes(within)
        runs.put_back(root, long_runs)
    except Exception as problem:
        # The standard library raises what it likes on hostile mail.
        raise UnreadableMail(f"no parser takes the mail ({type(problem).__name__})") from problem
    return Parsed(root=root, defects=cuts)


def addresses(value: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The (display name, addr-spec) pairs of an address header, and what was wrong with them.

    Args:
        value: the header's value, 8-bit letters decoded, encoded words not.

    Source:
        RFC 5322 section 3.4; where the header breaks it, everything that looks like an addr-spec.
    """
    plain = _PLAIN_ADDRESS.fullmatch(value)
    if plain and (plain["angle"] or not plain["name"]):
        return [(plain["name"] or "", plain["spec"])], []
    defects: list[dict[str, object]] = []
    try:
        found = [(str(name), str(spec)) for name, spec in get_addresses(value, defects=defects) if spec]
    except Exception:
        # mail-parser names no base for what escapes it on hostile mail: no header may stop the mail.
        found = []
    complaints = [str(defect["reason"]) for defect in defects]
    usable = [(name, spec) for name, spec in found if _ADDR_SPEC.fullmatch(spec)]
    if usable:
        return usable, complaints
    for match in _ADDR_SPEC.finditer(value):
        name = value[: match.start()].strip(" \t<\"'") if match.start() < 200 else ""
        usable.append(("" if any(sign in name for sign in "@,;<") else name, match.group()))
    return usable, complaints


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
