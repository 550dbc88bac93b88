"""Digests that were made, and notices of what cannot be done at present."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from mailbot.filing.schema import campaign_state, digest, notice


class Journal:
    """Rows of `digest` and `notice` in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def digest_start(self) -> datetime:
        """Where the next digest begins: the end of the last one, or the store's own beginning."""
        last: datetime | None = self._connection.scalar(select(digest.c.end).order_by(digest.c.end.desc()).limit(1))
        return last or self.created_at()

    def created_at(self) -> datetime:
        """When the store was made."""
        made: datetime = self._connection.scalars(select(campaign_state.c.created_at)).one()
        return made

    def digest_made(self, start: datetime, end: datetime, outgoing_id: int | None) -> None:
        """Remembers the period; `outgoing_id` is None when there was nothing to send."""
        self._connection.execute(insert(digest).values(start=start, end=end, outgoing_id=outgoing_id))

    def note(self, key: str, text: str, *, now: datetime) -> None:
        """Something cannot be done at present; the first time of it is kept."""
        since = self._connection.scalar(select(notice.c.since).filter_by(key=key))
        self.clear(key)
        self._connection.execute(insert(notice).values(key=key, text=text, since=since or now))

    def clear(self, key: str) -> None:
        """It works again."""
        self._connection.execute(delete(notice).filter_by(key=key))

    def keep_notices(self, keys: Collection[str]) -> None:
        """Forgets every notice but those of `keys`."""
        self._connection.execute(delete(notice).where(notice.c.key.not_in(keys)))

    def notices(self) -> tuple[tuple[str, datetime], ...]:
        """What cannot be done at present, and since when."""
        rows = self._connection.execute(select(notice.c.text, notice.c.since).order_by(notice.c.since))
        return tuple((row.text, row.since) for row in rows)
