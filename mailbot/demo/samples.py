"""The demo's sample mails, re-dated so that they came in during the last two days.

Owns mails/*.eml (raw RFC 5322, one each) and expected.toml (what each is, for tests). Every person, address and
telephone number in them is made up. Knows nothing of the stages.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from importlib.resources import files

from mailbot.model import Decision, MessageClass

_FOLDER = files("mailbot.demo")

#: a date-time of RFC 5322 section 3.3; the weekday may be missing
_DATE_TIME = re.compile(
    rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?\d{1,2} "
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)
_DATE_FIELD = re.compile(rb"^Date:[^\S\r\n]*([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
#: the header fields that hold a date-time of their own, with their folded lines
_DATED_FIELD = re.compile(rb"^(?:Date|Received):[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoMail:
    """One sample mail and what it should come to."""

    #: its file in mails/, without .eml
    name: str
    #: RFC 5322 octets, re-dated
    octets: bytes
    #: its Date, UTC; a good INTERNALDATE
    date: datetime
    message_class: MessageClass
    answer: Decision
    #: type and aim keys, such as "pledge employment", in the order of the text
    contributions: tuple[str, ...]


def demo_mails(now: datetime) -> list[bytes]:
    """The sample mails as they would lie in the mailbox at `now`, oldest first.

    Args:
        now: aware; the newest mail is at most a day older, the oldest at most two.

    Returns:
        RFC 5322 octets.
    """
    return [mail.octets for mail in expected_mails(now)]


def expected_mails(now: datetime) -> list[DemoMail]:
    """The sample mails with what each should come to, oldest first.

    Args:
        now: aware, as for `demo_mails`.
    """
    raw = {file.name: file.read_bytes() for file in (_FOLDER / "mails").iterdir() if file.name.endswith(".eml")}
    expected = tomllib.loads((_FOLDER / "expected.toml").read_text("utf-8"))
    dates = {name: _date(octets) for name, octets in raw.items()}
    # Whole days, so that the times of day stay those of people who bake, teach and keep pubs.
    shift = timedelta(days=(now - max(dates.values())) // timedelta(days=1))
    return [
        DemoMail(
            name=name.removesuffix(".eml"),
            octets=_redated(raw[name], shift),
            date=dates[name] + shift,
            message_class=MessageClass(entry["class"]),
            answer=Decision(entry["answer"]),
            contributions=tuple(entry.get("contributions", ())),
        )
        for name in sorted(raw, key=lambda name: (dates[name], name))
        for entry in (expected[name.removesuffix(".eml")],)
    ]


def _date(octets: bytes) -> datetime:
    found = _DATE_FIELD.search(octets)
    if found is None:
        raise ValueError("a sample mail needs a Date")
    date = parsedate_to_datetime(found[1].decode("ascii"))
    # The zone -0000 says "UTC, from somewhere" (RFC 5322 section 3.3), and comes out without one.
    return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)


def _redated(octets: bytes, shift: timedelta) -> bytes:
    """Moves the dates in the header; what is quoted or attached below keeps its own."""
    header, blank, body = octets.partition(b"\r\n\r\n")

    def moved(found: re.Match[bytes]) -> bytes:
        return format_datetime(parsedate_to_datetime(found[0].decode("ascii")) + shift).encode("ascii")

    return _DATED_FIELD.sub(lambda field: _DATE_TIME.sub(moved, field[0]), header) + blank + body
