"""What `mailbot import` does: mail from files or another mailbox is filed as an archive, and never answered.

A mail that is known already is recognised by its octets, so an import that was broken off is simply started again. Mail
is kept and handled a few at a time: memory stays flat, and a worker at work on the same store is not held up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from mailbot.config import Account
from mailbot.errors import StoreProblem
from mailbot.filing import Store
from mailbot.intake import ImapSession
from mailbot.intake.archive import mails_in
from mailbot.model import Location, RawMail

#: mails kept at a time, and their octets
_COUNT, _OCTETS = 25, 8_000_000
#: mails that may wait for another worker before more are kept, and seconds between two looks
_WAITING, _LOOK_S = 50, 0.5
#: octets of a mail that are searched for its date
_HEAD = 65_536
#: later than any mail: everything that is imported is an archive
_EVER = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)

Watch = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of an import."""

    #: mails that were looked at
    seen: int
    #: of these, the ones that were not known yet
    new: int
    #: files that could not be read, each with a sentence
    problems: tuple[str, ...]
    #: another mailbot is at work on the store: it files what was kept
    by_worker: bool


def from_files(
    paths: Sequence[str],
    stdin: BinaryIO,
    store: Store,
    handle: Callable[[], None],
    *,
    account: str,
    since: datetime | None,
    watch: Watch,
) -> Imported:
    """Files what is in mboxes, Maildirs, folders of .eml, .eml files or standard input.

    Args:
        paths: as for `mails_in`.
        stdin: read for "-".
        store: where it is kept.
        handle: files what is kept.
        account: name of the account that it is kept under.
        since: older mail is left out.
        watch: told how much is done.

    Raises:
        StoreUnavailable: what was kept by then stays kept.
    """
    total = sum(_size(Path(path)) for path in paths) or 1
    done, problems = 0, []

    def mails() -> Iterator[RawMail]:
        nonlocal done
        for path in paths:
            for number, found in enumerate(mails_in(path, stdin), start=1):
                if found.octets is None:
                    problems.append(f"{found.path}: {found.error}")
                    continue
                done += len(found.octets)
                watch(f"Importing {path}", min(done / total, 0.999))
                when = _date_of(found.octets) or datetime.now(UTC)
                if since is None or when >= since:
                    place = Location(account=account, mailbox=path, uid_validity=0, uid=number)
                    yield RawMail(location=place, octets=found.octets, internal_date=when)

    seen, new, by_worker = _keep(mails(), store, handle)
    watch("", 1.0)
    return Imported(seen=seen, new=new, problems=tuple(problems), by_worker=by_worker)


def from_mailbox(
    account: Account,
    mailbox: str,
    store: Store,
    handle: Callable[[], None],
    *,
    since: datetime | None,
    batch_octets: int,
    max_size_octets: int,
    watch: Watch,
) -> Imported:
    """Files what lies in a mailbox of an account, as `from_files`; how far it was read is not remembered.

    Raises:
        MailboxMissing, MailboxUnavailable, SignInRefused: as `ImapSession`.
    """
    with ImapSession.open(account) as session:
        total = session.examine(mailbox).uid_next

        def mails() -> Iterator[RawMail]:
            batches = session.receive(
                mailbox,
                None,
                since=since or datetime(1970, 1, 2, tzinfo=UTC),
                read_older=since is None,
                batch_octets=batch_octets,
                max_size_octets=max_size_octets,
            )
            for batch in batches:
                watch(f"Importing {mailbox}", min(batch.cursor.next_uid / total, 0.999))
                yield from batch.mails

        seen, new, by_worker = _keep(mails(), store, handle)
    watch("", 1.0)
    return Imported(seen=seen, new=new, problems=(), by_worker=by_worker)


def _keep(mails: Iterable[RawMail], store: Store, handle: Callable[[], None]) -> tuple[int, int, bool]:
    """Keeps mail, and files it or lets the worker that is at work do so; how many were seen, how many were new."""
    seen = new = 0
    with ExitStack() as stack:
        try:
            stack.enter_context(store.exclusive())
            by_worker = False
        except StoreProblem:
            by_worker = True
        for batch in _batches(mails):
            with store.write() as tx:
                new += tx.mails.save(batch, now=datetime.now(UTC), archive_before=_EVER)
            seen += len(batch)
            if by_worker:
                _wait_for_worker(store)
            else:
                handle()
    return seen, new, by_worker


def _wait_for_worker(store: Store) -> None:
    """Lets the worker keep up, so that new mail need not wait behind a whole archive."""
    while True:
        with store.read() as tx:
            if tx.mails.pending_count() < _WAITING:
                return
        time.sleep(_LOOK_S)


def _batches(mails: Iterable[RawMail]) -> Iterator[list[RawMail]]:
    batch: list[RawMail] = []
    for mail in mails:
        batch.append(mail)
        if len(batch) >= _COUNT or sum(len(each.octets) for each in batch) >= _OCTETS:
            yield batch
            batch = []
    if batch:
        yield batch


def _date_of(octets: bytes) -> datetime | None:
    """When a mail was written, by its Date; None when it says nothing that can be."""
    head = octets[:_HEAD].split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0]
    try:
        when = parsedate_to_datetime(str(BytesHeaderParser().parsebytes(head)["Date"]))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _size(path: Path) -> int:
    """Octets under a path, for the bar."""
    try:
        if path.is_dir():
            return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        return path.stat().st_size
    except OSError:
        return 0
