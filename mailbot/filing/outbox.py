"""The outbox's rows: what of ours is to be sent, was sent, or waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, select, update

from mailbot.addresses import organisational_domain, plain_address
from mailbot.filing.schema import inserted_id, outgoing, record
from mailbot.model import (
    Bounce,
    Campaign,
    FailedReply,
    History,
    Message,
    Outgoing,
    OutgoingKind,
    OutgoingState,
    PastReply,
    QueuedOutgoing,
    Template,
)

#: states in which a mail of ours has left, or is about to
_ON_ITS_WAY = (
    OutgoingState.QUEUED,
    OutgoingState.SENDING,
    OutgoingState.SENT,
    OutgoingState.DEFERRED,
    OutgoingState.BOUNCED,
    OutgoingState.PARKED,
)
#: states in which the coordinator is told that a mail of ours did not arrive
_NOT_DELIVERED = (OutgoingState.FAILED, OutgoingState.BOUNCED, OutgoingState.PARKED)
#: a worker that has said nothing for so long is taken for dead, and what it was sending is sent by another
LEASE = timedelta(minutes=10)
#: how far back a bounce that names only the recipient may reach
_BOUNCES_WITHIN = timedelta(days=7)

# What every mail needs is built once: SQLAlchemy takes five times as long to build a statement as to run it.
_SINCE = (outgoing.c.state.in_(_ON_ITS_WAY), outgoing.c.created_at > bindparam("since"))
# Only acknowledgements have a record: asked for by their kind too, SQLite would look through all of the week's
# by the index for the caps instead of the few to these addresses.
_TO_ADDRESSES = (
    select(outgoing.c.created_at, outgoing.c.template, record.c.thread)
    .join(record, record.c.id == outgoing.c.record_id)
    .where(*_SINCE, outgoing.c.to_key.in_(bindparam("addresses", expanding=True)))
    .order_by(outgoing.c.id)
)
_COUNTS = select(
    func.count().filter(outgoing.c.to_domain.in_(bindparam("domains", expanding=True))).label("to_domain"),
    func.count().label("to_all"),
    func.count().filter(outgoing.c.state == OutgoingState.BOUNCED).label("bounced"),
).where(*_SINCE, outgoing.c.kind == OutgoingKind.ACKNOWLEDGEMENT)
_BOUNCED_AT = select(func.max(outgoing.c.bounced_at)).where(
    outgoing.c.to_key.in_(bindparam("addresses", expanding=True)), outgoing.c.bounced_at.is_not(None)
)
_ANSWERED = select(outgoing.c.to).where(
    outgoing.c.message_id.in_(bindparam("message_ids", expanding=True)),
    outgoing.c.kind == OutgoingKind.ACKNOWLEDGEMENT,
)
_FOR_PURPOSE = select(outgoing.c.id).where(outgoing.c.purpose == bindparam("purpose"))
_OURS = select(outgoing.c.id).where(
    outgoing.c.message_id == bindparam("message_id"), outgoing.c.kind != OutgoingKind.ACKNOWLEDGEMENT
)
#: how the Message-IDs of ours begin that are no acknowledgements
_OUR_IDS = ("<digest.", "<alert.", "<probe.")
_INSERT = insert(outgoing)
#: the last so many references are looked up: a thread of thousands is none of ours
_REFERRED = 50


#: id, to, state and kind of a mail of ours, and the number of its record
_Ours = Row[Any, Any, Any, Any, Any]


class OutboxRows:
    """Rows of `outgoing` in one transaction."""

    def __init__(self, connection: Connection, campaign: Campaign) -> None:
        self._connection = connection
        self._campaign = campaign

    def put(self, mail: Outgoing, *, record_id: int | None, now: datetime) -> int:
        """Puts a mail of ours in the outbox; returns its row number.

        A purpose is served once: a second mail for the same purpose is not taken, and the first one's
        number comes back.
        """
        existing: int | None = self._connection.scalar(_FOR_PURPOSE, {"purpose": mail.purpose})
        if existing is not None:
            return existing
        return inserted_id(
            self._connection,
            _INSERT,
            {
                "purpose": mail.purpose,
                "kind": mail.kind,
                "record_id": record_id,
                "state": mail.state,
                "message_id": mail.message_id,
                "account": mail.account,
                "envelope_from": mail.envelope_from,
                "to": mail.to,
                "to_key": plain_address(mail.to),
                "to_domain": organisational_domain(mail.to),
                "octets": mail.octets,
                "template": mail.template,
                "reason": mail.reason,
                "attempts": 0,
                "created_at": now,
                "next_attempt_at": now,
                "ended_at": now if mail.state in _NOT_DELIVERED else None,
                "bounced_at": None,
            },
        )

    def sent_since(self, moment: datetime, *, account: str) -> int:
        """How many mails the account's server took, or was offered, since then."""
        offered = (OutgoingState.SENDING, OutgoingState.SENT, OutgoingState.BOUNCED)
        return (
            self._connection.scalar(
                select(func.count()).where(
                    outgoing.c.account == account, outgoing.c.state.in_(offered), outgoing.c.ended_at > moment
                )
            )
            or 0
        )

    def due(self, now: datetime, limit: int, *, account: str) -> tuple[QueuedOutgoing, ...]:
        """What the account's server is to send now, oldest first."""
        rows = self._connection.execute(
            select(outgoing)
            .where(
                outgoing.c.state.in_((OutgoingState.QUEUED, OutgoingState.DEFERRED)),
                outgoing.c.next_attempt_at <= now,
                outgoing.c.account == account,
            )
            .order_by(outgoing.c.next_attempt_at, outgoing.c.id)
            .limit(limit)
        )
        return tuple(_queued(row) for row in rows)

    def take_up(self, now: datetime, *, alone: bool = False) -> int:
        """Queues again what a worker that died was sending; its Message-ID stays. Returns how many.

        Args:
            now: the time at which leases are compared.
            alone: no other worker can be at work: then no lease is waited for.
        """
        dead = update(outgoing).where(outgoing.c.state == OutgoingState.SENDING)
        if not alone:
            dead = dead.where(outgoing.c.next_attempt_at <= now)
        return self._connection.execute(dead.values(state=OutgoingState.QUEUED, next_attempt_at=now)).rowcount

    def hurry(self, now: datetime) -> None:
        """Lets what was put off be tried now."""
        self._connection.execute(
            update(outgoing).where(outgoing.c.state == OutgoingState.DEFERRED).values(next_attempt_at=now)
        )

    def sending(self, outgoing_id: int, *, now: datetime) -> bool:
        """Takes the lease on a mail that is handed to the server now; false when it is no longer waiting."""
        waiting = outgoing.c.state.in_((OutgoingState.QUEUED, OutgoingState.DEFERRED))
        taken = self._connection.execute(
            update(outgoing)
            .where(outgoing.c.id == outgoing_id, waiting)
            .values(state=OutgoingState.SENDING, attempts=outgoing.c.attempts + 1, next_attempt_at=now + LEASE)
        )
        return taken.rowcount == 1

    def sent(self, outgoing_id: int, *, now: datetime) -> None:
        """The server took it (250)."""
        self._set(outgoing_id, state=OutgoingState.SENT, ended_at=now, reason="")

    def deferred(self, outgoing_id: int, *, reason: str, next_attempt_at: datetime) -> None:
        """The server put us off; `reason` in its words."""
        self._set(outgoing_id, state=OutgoingState.DEFERRED, reason=reason, next_attempt_at=next_attempt_at)

    def failed(self, outgoing_id: int, *, reason: str, now: datetime) -> None:
        """The server refused it, or we gave up; `reason` in its words."""
        self._set(outgoing_id, state=OutgoingState.FAILED, reason=reason, ended_at=now)

    def _set(self, outgoing_id: int, **values: Any) -> None:
        self._connection.execute(update(outgoing).where(outgoing.c.id == outgoing_id).values(**values))

    def settle_held(self, record_id: int, state: OutgoingState, *, now: datetime) -> bool:
        """Lets a held acknowledgement go (QUEUED) or drops it (CANCELLED); false when none is held."""
        held = update(outgoing).where(outgoing.c.record_id == record_id, outgoing.c.state == OutgoingState.HELD)
        if state is OutgoingState.QUEUED:
            held = held.where(outgoing.c.to != "")
        # It counts from now: for the caps, and for how long it is tried.
        settled = held.values(state=state, reason="", created_at=now, next_attempt_at=now)
        return self._connection.execute(settled).rowcount == 1

    def write_again(self, record_id: int, mail: Outgoing, *, now: datetime) -> None:
        """Puts the text to an acknowledgement that was parked without one; it counts from now."""
        parked = update(outgoing).where(outgoing.c.record_id == record_id, outgoing.c.state == OutgoingState.PARKED)
        self._connection.execute(
            parked.values(
                state=mail.state,
                message_id=mail.message_id,
                account=mail.account,
                envelope_from=mail.envelope_from,
                octets=mail.octets,
                reason=mail.reason,
                created_at=now,
                next_attempt_at=now,
                ended_at=now if mail.state in _NOT_DELIVERED else None,
            )
        )

    def history(self, message: Message, *, now: datetime, look_back: timedelta) -> History:
        """What was answered before, as far as the caps ask.

        Args:
            message: the mail that may be answered.
            now: the time to look back from.
            look_back: how far the caps for one address reach.
        """
        addresses = [plain_address(address) for address in message.answerable]
        domains = [organisational_domain(address) for address in addresses]
        past = self._connection.execute(_TO_ADDRESSES, {"addresses": addresses, "since": now - look_back})
        counts = self._connection.execute(_COUNTS, {"domains": domains, "since": now - timedelta(hours=1)}).one()
        refers = [each for each in (message.in_reply_to, *message.references[-_REFERRED:]) if each]
        answered = self._connection.scalars(_ANSWERED, {"message_ids": refers}).all() if refers else ()
        return History(
            to_address=tuple(
                PastReply(at=row.created_at, template=Template(row.template), thread=frozenset(row.thread))
                for row in past
            ),
            to_domain_in_hour=counts.to_domain,
            to_all_in_hour=counts.to_all,
            bounced_in_hour=counts.bounced,
            bounced_at=self._connection.scalar(_BOUNCED_AT, {"addresses": addresses}),
            answers=tuple(dict.fromkeys(address.lower() for address in answered)),
        )

    def last_hour(self, now: datetime) -> History:
        """What went out and came back in the hour before `now`, to anybody."""
        counts = self._connection.execute(_COUNTS, {"domains": [], "since": now - timedelta(hours=1)}).one()
        return History(to_all_in_hour=counts.to_all, bounced_in_hour=counts.bounced)

    def bounced(self, bounce: Bounce, recipients: Sequence[str], *, now: datetime) -> str | None:
        """Notes that a mail of ours came back, or is late.

        Args:
            bounce: what the report says.
            recipients: whom the report was sent to; the tag in our envelope address names the mail.
            now: when it came.

        Returns:
            What the report was about, for people, or None when it is about no mail of ours. A mail is found by its
            tagged envelope address, else by its Message-ID, else as the last one to a recipient that the report names.
        """
        found = self._came_back(bounce, recipients, now)
        if found is None:
            return None
        about = self._campaign.reference(found.number) if found.number else found.kind
        named = {one.addr_spec: one for one in bounce.recipients}
        failed = named.get(found.to.lower()) or next(iter(bounce.recipients), None)
        words = (failed.words if failed else "") or "it came back without a reason"
        if failed is not None and failed.delayed:
            # Told and nothing else: the server tries on, and will say how that ended.
            self._set(found.id, reason=words)
        elif found.state not in (OutgoingState.HELD, OutgoingState.CANCELLED):
            for_good = {"bounced_at": now} if failed is None or failed.permanent else {}
            self._set(found.id, state=OutgoingState.BOUNCED, reason=words, ended_at=now, **for_good)
        return f"the answer to {about}" if found.number else f"the {about}"

    def _came_back(self, bounce: Bounce, recipients: Sequence[str], now: datetime) -> _Ours | None:
        ours = select(outgoing.c.id, outgoing.c.to, outgoing.c.state, outgoing.c.kind, record.c.number).outerjoin(
            record, record.c.id == outgoing.c.record_id
        )

        def latest(*conditions: ColumnElement[bool]) -> _Ours | None:
            return self._connection.execute(ours.where(*conditions).order_by(outgoing.c.id.desc()).limit(1)).first()

        tagged = [address for address in recipients if "+b." in address]
        if tagged and (found := latest(func.lower(outgoing.c.envelope_from).in_(tagged))):
            return found
        if bounce.message_id and (found := latest(outgoing.c.message_id == bounce.message_id)):
            return found
        keys = [plain_address(one.addr_spec) for one in bounce.recipients]
        return latest(outgoing.c.to_key.in_(keys), outgoing.c.created_at > now - _BOUNCES_WITHIN) if keys else None

    def failures(self, since: datetime, until: datetime) -> tuple[FailedReply, ...]:
        """What was refused or given up in the period, oldest first."""
        rows = self._connection.execute(
            select(outgoing.c.to, outgoing.c.reason, record.c.number)
            .outerjoin(record, record.c.id == outgoing.c.record_id)
            .where(
                outgoing.c.state.in_(_NOT_DELIVERED),
                outgoing.c.ended_at >= since,
                outgoing.c.ended_at < until,
            )
            .order_by(outgoing.c.ended_at)
        )
        return tuple(
            FailedReply(
                to=row.to,
                reference=self._campaign.reference(row.number) if row.number else "",
                error=row.reason,
            )
            for row in rows
        )

    def is_ours(self, message_id: str) -> bool:
        """Whether this is a digest or an alert of ours, come back into a mailbox that is polled."""
        # Nearly every mail is told by how its Message-ID begins; that alone anybody could forge.
        if not message_id.startswith(_OUR_IDS):
            return False
        return self._connection.scalar(_OURS, {"message_id": message_id}) is not None

    def latest_digest(self) -> Outgoing | None:
        """The last digest that was made."""
        row = self._connection.execute(
            select(outgoing).filter_by(kind=OutgoingKind.DIGEST).order_by(outgoing.c.id.desc()).limit(1)
        ).first()
        return None if row is None else _queued(row).outgoing

    def octets_for(self, record_id: int) -> bytes | None:
        """Our acknowledgement of a record, as sent or waiting."""
        return self._connection.scalar(select(outgoing.c.octets).where(outgoing.c.record_id == record_id))

    def counts(self) -> dict[OutgoingState, int]:
        """How many mails of ours are in each state."""
        rows = self._connection.execute(select(outgoing.c.state, func.count()).group_by(outgoing.c.state))
        return {OutgoingState(state): number for state, number in rows}


def _queued(row: Row[Any]) -> QueuedOutgoing:
    return QueuedOutgoing(
        outgoing_id=row.id,
        attempts=row.attempts,
        created_at=row.created_at,
        outgoing=Outgoing(
            kind=OutgoingKind(row.kind),
            purpose=row.purpose,
            state=OutgoingState(row.state),
            message_id=row.message_id,
            account=row.account,
            envelope_from=row.envelope_from,
            to=row.to,
            octets=row.octets,
            template=row.template,
            reason=row.reason,
        ),
    )
