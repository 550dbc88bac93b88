"""Raw mail, where it was seen, and how far each mailbox was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, func, insert, select, update

from mailbot.filing.schema import inserted_id, mail, mailbox_cursor, record, sighting
from mailbot.model import Cursor, Location, ParkedMail, RawMail, StoredMail


class Mails:
    """Rows of `mail`, `sighting` and `mailbox_cursor` in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cursor(self, account: str, mailbox: str) -> Cursor | None:
        """How far the mailbox was read; None before the first time."""
        row = self._connection.execute(select(mailbox_cursor).filter_by(account=account, mailbox=mailbox)).first()
        if row is None:
            return None
        return Cursor(
            account=row.account,
            mailbox=row.mailbox,
            uid_validity=row.uid_validity,
            next_uid=row.next_uid,
            since=row.since,
        )

    def move_cursor(self, cursor: Cursor) -> None:
        """Remembers how far the mailbox was read; belongs in the transaction that saves the mail before it."""
        values = {"uid_validity": cursor.uid_validity, "next_uid": cursor.next_uid, "since": cursor.since}
        changed = self._connection.execute(
            update(mailbox_cursor).filter_by(account=cursor.account, mailbox=cursor.mailbox).values(values)
        )
        if not changed.rowcount:
            self._connection.execute(
                insert(mailbox_cursor).values(account=cursor.account, mailbox=cursor.mailbox, **values)
            )

    def save(self, arrived: Sequence[RawMail], *, now: datetime, archive_before: datetime | None = None) -> int:
        """Keeps raw mail; octets that are known already get only a further sighting.

        Args:
            arrived: as fetched.
            now: the time of fetching.
            archive_before: mail that the server received before this is filed but not answered.

        Returns:
            How many were new.
        """
        new = 0
        for raw in arrived:
            digest = sha256(raw.octets).hexdigest()
            mail_id = self._connection.scalar(select(mail.c.id).where(mail.c.sha256 == digest))
            if mail_id is None:
                mail_id = inserted_id(
                    self._connection,
                    insert(mail).values(
                        sha256=digest,
                        octets=raw.octets,
                        internal_date=raw.internal_date,
                        account=raw.location.account,
                        in_junk=raw.in_junk,
                        partial=raw.partial,
                        archive=archive_before is not None and raw.internal_date < archive_before,
                        fetched_at=now,
                        state="new",
                    ),
                )
                new += 1
            self._see(raw.location, mail_id)
        return new

    def _see(self, location: Location, mail_id: int) -> None:
        where = {
            "account": location.account,
            "mailbox": location.mailbox,
            "uid_validity": location.uid_validity,
            "uid": location.uid,
        }
        # A server restored from a backup gives a UID out twice: the place then holds the later mail.
        changed = self._connection.execute(update(sighting).filter_by(**where).values(mail_id=mail_id))
        if not changed.rowcount:
            self._connection.execute(insert(sighting).values(**where, mail_id=mail_id))

    def pending(self, limit: int) -> tuple[StoredMail, ...]:
        """Mail that waits to be handled, oldest first."""
        rows = self._connection.execute(
            select(
                mail.c.id,
                mail.c.octets,
                mail.c.internal_date,
                mail.c.in_junk,
                mail.c.partial,
                mail.c.account,
                mail.c.archive,
            )
            .where(mail.c.state == "new")
            .order_by(mail.c.id)
            .limit(limit)
        )
        return tuple(
            StoredMail(
                mail_id=row.id,
                octets=row.octets,
                internal_date=row.internal_date,
                in_junk=row.in_junk,
                partial=row.partial,
                account=row.account,
                archive=row.archive,
            )
            for row in rows
        )

    def pending_count(self) -> int:
        """How many mails wait to be handled."""
        return self._connection.scalar(select(func.count()).where(mail.c.state == "new")) or 0

    def filed(self, mail_id: int, record_id: int | None) -> None:
        """The mail was filed as `record_id`, or is another copy of it; None for a digest of our own."""
        self._connection.execute(
            update(mail)
            .where(mail.c.id == mail_id)
            .values(state="filed", record_id=record_id, stage=None, error=None, parked_at=None)
        )

    def park(self, mail_id: int, *, stage: str, error: str, subject: str, sender: str, now: datetime) -> None:
        """Sets a mail aside that broke `stage`; it is kept, shown, and can be run again."""
        self._connection.execute(
            update(mail)
            .where(mail.c.id == mail_id)
            .values(
                state="parked",
                stage=stage,
                error=error,
                parked_at=now,
                parked_subject=subject,
                parked_sender=sender,
            )
        )

    def unpark(self) -> int:
        """Lets every parked mail be handled again; returns how many."""
        return self._connection.execute(
            update(mail).where(mail.c.state == "parked").values(state="new", stage=None, error=None)
        ).rowcount

    def parked(self) -> tuple[ParkedMail, ...]:
        """Every mail that is set aside, oldest first."""
        rows = self._connection.execute(
            select(
                mail.c.id,
                mail.c.internal_date,
                mail.c.stage,
                mail.c.error,
                mail.c.parked_subject,
                mail.c.parked_sender,
                sighting.c.mailbox,
                sighting.c.uid,
            )
            .outerjoin(sighting, sighting.c.mail_id == mail.c.id)
            .where(mail.c.state == "parked")
            .order_by(mail.c.id)
        )
        found: dict[int, ParkedMail] = {}
        for row in rows:
            found.setdefault(
                row.id,
                ParkedMail(
                    mail_id=row.id,
                    subject=row.parked_subject,
                    sender=row.parked_sender,
                    received_at=row.internal_date,
                    where=f"{row.mailbox}, UID {row.uid}" if row.mailbox else "",
                    stage=row.stage,
                    error=row.error,
                ),
            )
        return tuple(found.values())

    def octets_of_record(self, record_id: int) -> bytes | None:
        """The raw mail behind a record; the first one that arrived."""
        return self._connection.scalar(
            select(mail.c.octets)
            .join(record, record.c.id == mail.c.record_id)
            .where(record.c.id == record_id)
            .order_by(mail.c.id)
            .limit(1)
        )
