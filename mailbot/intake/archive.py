"""Mail out of files: .eml, folders of them, mbox, Maildir, standard input. Knows no server and no store."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: what a Maildir is made of (https://cr.yp.to/proto/maildir.html)
_MAILDIR_PARTS = ("cur", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMail:
    """One mail in a file, or why it could not be had."""

    #: the file's path; with "#n" (from 1) behind it in an mbox
    path: str
    #: RFC 5322 octets; None when they could not be read
    octets: bytes | None
    #: one sentence; "" when they could be read
    error: str = ""


def mails_in(path: str, standard_input: BinaryIO) -> Iterator[FileMail]:
    """Every mail under `path`, in a fixed order.

    Args:
        path: a .eml file, an mbox, a Maildir, a folder with .eml files at any depth, or "-".
        standard_input: read when `path` is "-".

    Yields:
        The mails; what cannot be read comes with its error, and the rest goes on.
    """
    if path == "-":
        yield FileMail(path=path, octets=standard_input.read())
        return
    place = Path(path)
    try:
        if place.is_dir():
            yield from _in_folder(place)
        else:
            yield from _in_file(place)
    except OSError as problem:
        yield FileMail(path=path, octets=None, error=f"cannot be read: {problem.strerror or problem}")


def _in_folder(folder: Path) -> Iterator[FileMail]:
    maildir = all((folder / part).is_dir() for part in _MAILDIR_PARTS)
    found = (
        sorted(file for part in _MAILDIR_PARTS for file in (folder / part).iterdir() if file.is_file())
        if maildir
        else sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".eml" and file.is_file())
    )
    if not found and not maildir:
        yield FileMail(path=str(folder), octets=None, error="holds no .eml file and is no Maildir")
    for file in found:
        try:
            yield FileMail(path=str(file), octets=file.read_bytes())
        except OSError as problem:
            yield FileMail(path=str(file), octets=None, error=f"cannot be read: {problem.strerror or problem}")


def _in_file(file: Path) -> Iterator[FileMail]:
    with file.open("rb") as opened:
        is_mbox = opened.read(5) == b"From "
        if not is_mbox:
            opened.seek(0)
            yield FileMail(path=str(file), octets=opened.read())
            return
    box = mailbox.mbox(file, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), start=1):
            # The line "From " that an mbox puts before each mail is not part of it.
            yield FileMail(path=f"{file}#{number}", octets=box.get_bytes(key))
    finally:
        box.close()
