"""Raw mail, where it was seen, and how far each mailbox was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from mailbot.filing.schema import mail, mail_octets, mailbox_cursor, record, sighting
from mailbot.model import Cursor, Landmark, Location, ParkedMail, RawMail, StoredMail

#: the columns that say where a mail was seen
_PLACE = tuple(field.name for field in fields(Location))
# What every mail needs is built once: SQLAlchemy takes five times as long to build a statement as to run it.
_FILED = (
    update(mail)
    .where(mail.c.id == bindparam("mail_id"))
    .values(state="filed", record_id=bindparam("filed_as"), stage=None, error=None, parked_at=None)
)


def _digest(raw: RawMail) -> str:
    # What the server did not give is told apart by its place.
    return sha256(repr(raw.location).encode() if raw.refused else raw.octets).hexdigest()


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
            landmark=None
            if row.landmark_uid is None
            else Landmark(
                uid=row.landmark_uid,
                size_octets=row.landmark_size_octets,
                internal_date=row.landmark_internal_date,
            ),
        )

    def move_cursor(self, cursor: Cursor) -> None:
        """Remembers how far the mailbox was read; belongs in the transaction that saves the mail before it."""
        landmark = cursor.landmark
        values = {
            "uid_validity": cursor.uid_validity,
            "next_uid": cursor.next_uid,
            "since": cursor.since,
            "landmark_uid": landmark and landmark.uid,
            "landmark_size_octets": landmark and landmark.size_octets,
            "landmark_internal_date": landmark and landmark.internal_date,
        }
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
        digests = [_digest(raw) for raw in arrived]
        by_digest = dict(zip(reversed(digests), reversed(arrived), strict=True))
        known = set(self._connection.scalars(select(mail.c.sha256).where(mail.c.sha256.in_(by_digest))))
        new: list[dict[str, Any]] = [
            {
                "sha256": digest,
                "size_octets": len(raw.octets),
                "internal_date": raw.internal_date,
                "account": raw.location.account,
                "in_junk": raw.in_junk,
                "partial": raw.partial,
                "archive": archive_before is not None and raw.internal_date < archive_before,
                "fetched_at": now,
                "state": "parked" if raw.refused else "new",
                "stage": "intake" if raw.refused else None,
                "error": raw.refused or None,
                "parked_at": now if raw.refused else None,
                "parked_subject": "" if raw.refused else None,
                "parked_sender": "" if raw.refused else None,
            }
            for digest, raw in reversed(by_digest.items())
            if digest not in known
        ]
        if new:
            self._connection.execute(insert(mail), new)
        rows = self._connection.execute(select(mail.c.sha256, mail.c.id).where(mail.c.sha256.in_(by_digest)))
        ids: dict[str, int] = dict(rows.all())
        if new:
            kept = [{"mail_id": ids[row["sha256"]], "octets": by_digest[row["sha256"]].octets} for row in new]
            self._connection.execute(insert(mail_octets), kept)
        self._see({raw.location: ids[digest] for raw, digest in zip(arrived, digests, strict=True)})
        return len(new)

    def _see(self, places: dict[Location, int]) -> None:
        # A server restored from a backup gives a UID out twice: the place then holds the later mail.
        columns = [asdict(location) | {"mail_id": mail_id} for location, mail_id in places.items()]
        where = [sighting.c[name] == bindparam(f"at_{name}") for name in _PLACE]
        if columns:
            self._connection.execute(
                delete(sighting).where(*where), [{f"at_{name}": row[name] for name in _PLACE} for row in columns]
            )
            self._connection.execute(insert(sighting), columns)

    def pending(self, limit: int, octets: int) -> tuple[StoredMail, ...]:
        """Mail that waits to be handled, oldest first.

        Args:
            limit: how many at most.
            octets: how much at most, all together; one mail comes however large it is.
        """
        waiting = self._connection.execute(
            select(mail.c.id, mail.c.size_octets).where(mail.c.state == "new").order_by(mail.c.id).limit(limit)
        )
        chosen: list[int] = []
        for mail_id, size in waiting.all():
            octets -= size
            if chosen and octets < 0:
                break
            chosen.append(mail_id)
        rows = self._connection.execute(
            select(mail, mail_octets.c.octets)
            .join(mail_octets, mail_octets.c.mail_id == mail.c.id)
            .where(mail.c.id.in_(chosen))
            .order_by(mail.c.id)
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
        self._connection.execute(_FILED, {"mail_id": mail_id, "filed_as": record_id})

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
        """Lets every parked mail be handled again; returns how many.

        What a server did not give is asked for again: its row goes, and the cursor goes back to it.
        """
        refused = self._connection.execute(
            select(mail.c.id, sighting.c.account, sighting.c.mailbox, sighting.c.uid_validity, sighting.c.uid)
            .join(sighting, sighting.c.mail_id == mail.c.id)
            .where(mail.c.state == "parked", mail.c.stage == "intake")
        ).all()
        for row in refused:
            at = (mailbox_cursor.c.account == row.account, mailbox_cursor.c.mailbox == row.mailbox)
            back = update(mailbox_cursor).where(
                *at, mailbox_cursor.c.uid_validity == row.uid_validity, mailbox_cursor.c.next_uid > row.uid
            )
            self._connection.execute(back.values(next_uid=row.uid))
            for column in (sighting.c.mail_id, mail_octets.c.mail_id, mail.c.id):
                self._connection.execute(delete(column.table).where(column == row.id))
        again = update(mail).where(mail.c.state == "parked").values(state="new", stage=None, error=None)
        return self._connection.execute(again).rowcount + len(refused)

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
            select(mail_octets.c.octets)
            .join(mail, mail.c.id == mail_octets.c.mail_id)
            .join(record, record.c.id == mail.c.record_id)
            .where(record.c.id == record_id)
            .order_by(mail.c.id)
            .limit(1)
        )
