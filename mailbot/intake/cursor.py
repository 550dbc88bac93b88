"""Where to begin reading a mailbox: decided from numbers alone, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailbot.model import Cursor, Landmark


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxStatus:
    """What the server says of a mailbox when it is opened (RFC 3501 section 6.3.1)."""

    uid_validity: int
    #: the UID that the next mail will get
    uid_next: int


class Start(StrEnum):
    """Where reading begins."""

    #: nothing was read before: begin at intake.since
    FIRST = "first"
    #: go on at the cursor
    CURSOR = "cursor"
    #: the numbers mean other mail now: read again from intake.since; what is known is recognised by content
    RESCAN = "rescan"


def start_of(cursor: Cursor | None, status: MailboxStatus, seen: Landmark | None) -> Start:
    """Where to begin.

    Args:
        cursor: how far the mailbox was read; None before the first time.
        status: as the server reports it now.
        seen: the mail that lies under the landmark's UID now; None when none does.

    Returns:
        RESCAN when UIDVALIDITY changed, when UIDNEXT lies below the cursor, or when another mail lies under the
        last UID that was read: a server restored from a backup gives the same UIDs to other mail.

    Source:
        RFC 3501 section 2.3.1.1; RFC 4549 section 3.
    """
    if cursor is None:
        return Start.FIRST
    if cursor.uid_validity != status.uid_validity or status.uid_next < cursor.next_uid:
        return Start.RESCAN
    if seen is not None and seen != cursor.landmark:
        return Start.RESCAN
    return Start.CURSOR
