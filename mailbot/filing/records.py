"""Filed mail with its contributions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select, update

from mailbot.filing.schema import campaign_state, contribution, contribution_aim, inserted_id, outgoing, record
from mailbot.model import (
    ARCHIVE,
    Acknowledgement,
    Campaign,
    Classification,
    Contribution,
    ContributionType,
    Decision,
    Details,
    Evidence,
    Message,
    MessageClass,
    OutgoingKind,
    OutgoingState,
    Record,
    Template,
)

# What every mail needs is built once: SQLAlchemy takes five times as long to build a statement as to run it.
_FIND = select(record.c.id).where(
    record.c.message_id == bindparam("message_id"), record.c.content_hash == bindparam("content_hash")
)
_NEXT_NUMBER = (
    update(campaign_state).values(last_number=campaign_state.c.last_number + 1).returning(campaign_state.c.last_number)
)
_INSERT_RECORD = insert(record)
_INSERT_CONTRIBUTION = insert(contribution)
_INSERT_AIM = insert(contribution_aim)


class Records:
    """Rows of `record`, `contribution` and `contribution_aim` in one transaction."""

    def __init__(self, connection: Connection, campaign: Campaign) -> None:
        self._connection = connection
        self._campaign = campaign

    def find(self, message_id: str, content_hash: str) -> int | None:
        """The record that files this very mail already; None when there is none."""
        return self._connection.scalar(_FIND, {"message_id": message_id, "content_hash": content_hash})

    def next_number(self) -> int:
        """The next reference number; given back when the transaction is rolled back, so that none is missing."""
        return int(self._connection.execute(_NEXT_NUMBER).scalar_one())

    def file(
        self,
        number: int,
        message: Message,
        classification: Classification,
        acknowledgement: Acknowledgement,
        *,
        account: str,
        received_at: datetime,
        partial: bool,
        now: datetime,
    ) -> int:
        """Files one mail; returns the record's row number."""
        record_id = inserted_id(
            self._connection,
            _INSERT_RECORD,
            {
                "number": number,
                "account": account,
                "message_id": message.message_id,
                "content_hash": message.content_hash,
                "thread": list(thread(message)),
                "subject": message.subject,
                "from_name": message.from_address.display_name if message.from_address else "",
                "from_addr_spec": message.from_address.addr_spec if message.from_address else "",
                "received_at": received_at,
                "filed_at": now,
                "message_class": classification.message_class,
                "confidence": classification.confidence,
                "needs_review": classification.needs_review,
                "review_reasons": list(classification.review_reasons),
                "details": asdict(message.details),
                "attachments": [attachment.filename for attachment in message.attachments],
                "defects": [*message.defects, *([_PARTIAL] if partial else [])],
                "model_version": classification.model_version,
                "decision": acknowledgement.decision,
                "guard": acknowledgement.guard,
                "reason": acknowledgement.reason,
                "acknowledge_to": acknowledgement.to,
                "template": acknowledgement.template,
            },
        )
        for position, found in enumerate(classification.contributions, start=1):
            contribution_id = inserted_id(
                self._connection,
                _INSERT_CONTRIBUTION,
                {
                    "record_id": record_id,
                    "position": position,
                    "type": found.type,
                    "quote": found.quote,
                    "confidence": found.confidence,
                    "because": [asdict(evidence) for evidence in found.because],
                },
            )
            if found.aims:
                self._connection.execute(
                    _INSERT_AIM, [{"contribution_id": contribution_id, "aim": aim} for aim in found.aims]
                )
        return record_id

    def get(self, number: int) -> Record | None:
        """The record with this reference number."""
        return next(iter(self._load(_RECORDS.where(record.c.number == number))), None)

    def between(self, start: datetime, end: datetime) -> tuple[Record, ...]:
        """Records filed at `start` or later and before `end`, oldest first, without those from an archive."""
        return self._load(
            _RECORDS.where(record.c.filed_at >= start, record.c.filed_at < end, record.c.reason != ARCHIVE)
        )

    def archived_between(self, start: datetime, end: datetime) -> int:
        """How many mails from an archive were filed at `start` or later and before `end`."""
        archived = select(func.count()).select_from(record)
        return (
            self._connection.scalar(
                archived.where(record.c.filed_at >= start, record.c.filed_at < end, record.c.reason == ARCHIVE)
            )
            or 0
        )

    def held_before(self, moment: datetime) -> tuple[Record, ...]:
        """Records filed before `moment` whose acknowledgement still waits for the coordinator's word."""
        return self._load(_RECORDS.where(record.c.filed_at < moment, outgoing.c.state == OutgoingState.HELD))

    def with_parked_reply(self) -> tuple[tuple[Record, str], ...]:
        """Records whose acknowledgement could not be written, each with the name of its account, oldest first."""
        found = self._load(_RECORDS.where(outgoing.c.state == OutgoingState.PARKED))
        rows = self._connection.execute(
            select(record.c.id, record.c.account).where(record.c.id.in_([each.record_id for each in found]))
        )
        accounts: dict[int, str] = dict(rows.all())
        return tuple((each, accounts[each.record_id]) for each in found)

    def latest(
        self,
        limit: int,
        *,
        aim: str | None = None,
        message_class: MessageClass | None = None,
        review: bool = False,
    ) -> tuple[Record, ...]:
        """The last records, oldest first, of one aim or class when given, or only those to be checked."""
        wanted = select(record.c.id).order_by(record.c.number.desc()).limit(limit)
        if message_class is not None:
            wanted = wanted.where(record.c.message_class == message_class)
        if review:
            wanted = wanted.where(record.c.needs_review)
        if aim is not None:
            wanted = wanted.where(
                record.c.id.in_(
                    select(contribution.c.record_id)
                    .join(contribution_aim, contribution_aim.c.contribution_id == contribution.c.id)
                    .where(contribution_aim.c.aim == aim)
                )
            )
        return self._load(_RECORDS.where(record.c.id.in_(wanted)))

    def count(self) -> int:
        """How many mails are filed."""
        return self._connection.scalar(select(func.count()).select_from(record)) or 0

    def last_filed_at(self) -> datetime | None:
        """When the last mail was filed; None when none is."""
        last: datetime | None = self._connection.scalar(select(func.max(record.c.filed_at)))
        return last

    def totals(self) -> tuple[tuple[str, int], ...]:
        """Contributions for each aim since the campaign began, in the campaign's order."""
        rows = self._connection.execute(select(contribution_aim.c.aim, func.count()).group_by(contribution_aim.c.aim))
        counts: dict[str, int] = dict(rows.all())
        return tuple((aim.key, counts.get(aim.key, 0)) for aim in self._campaign.aims)

    def _load(self, query: Select[Any]) -> tuple[Record, ...]:
        rows = self._connection.execute(query.order_by(record.c.number)).all()
        found = self._contributions([row.id for row in rows])
        return tuple(self._record(row, found.get(row.id, ())) for row in rows)

    def _contributions(self, record_ids: Sequence[int]) -> dict[int, list[Contribution]]:
        order = [aim.key for aim in self._campaign.aims]
        found: dict[int, list[Contribution]] = {}
        for ids in _chunks(record_ids):
            aims: dict[int, list[str]] = {}
            for contribution_id, aim in self._connection.execute(
                select(contribution_aim.c.contribution_id, contribution_aim.c.aim)
                .join(contribution, contribution.c.id == contribution_aim.c.contribution_id)
                .where(contribution.c.record_id.in_(ids))
            ):
                aims.setdefault(contribution_id, []).append(aim)
            for row in self._connection.execute(
                select(contribution)
                .where(contribution.c.record_id.in_(ids))
                .order_by(contribution.c.record_id, contribution.c.position)
            ):
                keys = aims.get(row.id, [])
                found.setdefault(row.record_id, []).append(
                    Contribution(
                        type=ContributionType(row.type),
                        # an aim that the campaign has dropped is still shown, last
                        aims=tuple(sorted(keys, key=lambda key: order.index(key) if key in order else len(order))),
                        quote=row.quote,
                        confidence=row.confidence,
                        because=tuple(Evidence(**evidence) for evidence in row.because),
                    )
                )
        return found

    def _record(self, row: Row[Any], contributions: Iterable[Contribution]) -> Record:
        return Record(
            record_id=row.id,
            reference=self._campaign.reference(row.number),
            message_id=row.message_id,
            subject=row.subject,
            from_name=row.from_name,
            from_addr_spec=row.from_addr_spec,
            received_at=row.received_at,
            filed_at=row.filed_at,
            message_class=MessageClass(row.message_class),
            confidence=row.confidence,
            review_reasons=tuple(row.review_reasons),
            contributions=tuple(contributions),
            details=_details(row.details),
            acknowledgement=Acknowledgement(
                decision=Decision(row.decision),
                guard=row.guard,
                reason=row.reason,
                to=row.acknowledge_to,
                template=Template(row.template) if row.template else None,
            ),
            reply_state=OutgoingState(row.reply_state) if row.reply_state else None,
            reply_error=row.reply_error or "",
            model_version=row.model_version,
            attachments=tuple(row.attachments),
            defects=tuple(row.defects),
        )


#: noted with a mail of which only the beginning was fetched
_PARTIAL = "larger than intake.max_size_octets: only its beginning was read, the rest is in the mailbox"

_RECORDS = select(
    record,
    outgoing.c.state.label("reply_state"),
    outgoing.c.reason.label("reply_error"),
).outerjoin(outgoing, (outgoing.c.record_id == record.c.id) & (outgoing.c.kind == OutgoingKind.ACKNOWLEDGEMENT))


def _details(stored: dict[str, Any]) -> Details:
    return Details(**{**stored, "amounts": tuple(stored["amounts"]), "dates": tuple(stored["dates"])})


def thread(message: Message) -> tuple[str, ...]:
    """The message ids that tell which conversation a mail belongs to, its own first."""
    ids = (message.message_id, message.in_reply_to or "", *message.references)
    return tuple(dict.fromkeys(message_id for message_id in ids if message_id))


def _chunks(ids: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
