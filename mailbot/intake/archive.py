"""Mail out of files: .eml, folders of them, mbox, Maildir, standard input. Knows no server and no store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mailbot.errors import UnreadableMail

#: what a Maildir is made of (https://cr.yp.to/proto/maildir.html)
_MAILDIR_PARTS = ("cur", "new")
#: what stands between two mails of an mbox, as RFC 4155 and its variants write it; sentences begin with "From " too
_FROM_LINE = re.compile(rb"From \S.* [A-Z][a-z]{2},? [A-Z][a-z]{2} +\d{1,2} \d{1,2}:\d{2}")
#: a line of a mail that began with "From " before an mbox took it in (mboxrd and mboxo)
_ESCAPED = re.compile(rb">+From ")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMail:
    """One mail in a file, or why it could not be had."""

    #: the file's path, or "-"; with "#n" (from 1) behind it in an mbox
    path: str
    #: RFC 5322 octets; None when they could not be read
    octets: bytes | None
    #: one sentence; "" when they could be read
    error: str = ""


def mails_in(path: str, standard_input: BinaryIO) -> Iterator[FileMail]:
    """Every mail under `path`, in a fixed order.

    Args:
        path: a .eml file, an mbox, a Maildir, a folder with .eml files at any depth, or "-".
        standard_input: one mail or an mbox, read when `path` is "-".

    Yields:
        The mails; what cannot be read comes with its error, and the rest goes on.
    """
    place = Path(path)
    try:
        if path == "-":
            yield from _in_stream(path, standard_input)
        elif place.is_dir():
            yield from _in_folder(place)
        else:
            # Some programs put the line of an mbox before a single mail, too; reading knows it.
            yield from _in_file(place, one_mail=place.suffix.lower() == ".eml")
    except OSError as problem:
        yield _unreadable(path, problem)


def first_mail(path: str, standard_input: BinaryIO) -> tuple[str, bytes]:
    """The first mail under `path`, as `mails_in`: where it stands, and its octets.

    Raises:
        UnreadableMail: there is none, or it cannot be read.
    """
    mail = next(mails_in(path, standard_input), None)
    if mail is None or mail.octets is None:
        raise UnreadableMail(f"{mail.path}: {mail.error}" if mail else f"{path}: there is no mail in it")
    return mail.path, mail.octets


def _in_folder(folder: Path) -> Iterator[FileMail]:
    # A link that leads nowhere is no folder: reading it tells why.
    if all((folder / part).is_dir() for part in _MAILDIR_PARTS):
        inside = (file for part in _MAILDIR_PARTS for file in (folder / part).iterdir())
        found = sorted(file for file in inside if not file.name.startswith(".") and not file.is_dir())
    else:
        found = sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".eml" and not file.is_dir())
        if not found:
            yield FileMail(path=str(folder), octets=None, error="holds no .eml file and is no Maildir")
    for file in found:
        try:
            yield from _in_file(file, one_mail=True)
        except OSError as problem:
            yield _unreadable(str(file), problem)


def _in_file(file: Path, *, one_mail: bool) -> Iterator[FileMail]:
    with file.open("rb") as opened:
        if one_mail:
            yield FileMail(path=str(file), octets=opened.read())
        else:
            yield from _in_stream(str(file), opened)


def _in_stream(path: str, opened: BinaryIO) -> Iterator[FileMail]:
    first = opened.readline()
    if not first.startswith(b"From "):
        yield FileMail(path=path, octets=first + opened.read())
        return
    for number, octets in enumerate(_split(opened), start=1):
        yield FileMail(path=f"{path}#{number}", octets=octets)


def _split(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The mails of an mbox from behind its first line, one in memory at a time."""
    mail: list[bytes] = []
    for line in lines:
        if _FROM_LINE.match(line):
            yield _joined(mail)
            mail = []
        else:
            mail.append(line[1:] if _ESCAPED.match(line) else line)
    yield _joined(mail)


def _joined(lines: list[bytes]) -> bytes:
    # An mbox puts an empty line behind each mail; it is not part of it.
    return b"".join(lines[:-1] if lines and not lines[-1].strip(b"\r\n") else lines)


def _unreadable(path: str, problem: OSError) -> FileMail:
    return FileMail(path=path, octets=None, error=f"cannot be read: {problem.strerror or problem}")
