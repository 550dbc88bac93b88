"""The tables. The migrations in migrations/ build exactly this; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, UTC in the store, aware UTC out, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite keeps it without a zone."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: 64 bits everywhere; SQLite numbers rows by itself only in a column of type INTEGER
_Id = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _column(name: str, kind: Any, *rest: Any, nullable: bool = False) -> Column[Any]:
    return Column(name, kind, *rest, nullable=nullable)


#: one row: when the store was made, and the last reference number given out
campaign_state = Table(
    "campaign_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _column("created_at", UtcDateTime),
    _column("last_number", Integer),
)

#: how far each mailbox has been read
mailbox_cursor = Table(
    "mailbox_cursor",
    metadata,
    Column("account", String(100), primary_key=True),
    Column("mailbox", String(1000), primary_key=True),
    _column("uid_validity", BigInteger),
    _column("next_uid", BigInteger),
    _column("since", UtcDateTime),
    _column("landmark_uid", BigInteger, nullable=True),
    _column("landmark_size_octets", BigInteger, nullable=True),
    _column("landmark_internal_date", UtcDateTime, nullable=True),
)

#: every mail that was fetched, once, however often it was seen
mail = Table(
    "mail",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _column("sha256", String(64)),
    _column("size_octets", Integer),
    _column("internal_date", UtcDateTime),
    _column("account", String(100)),
    _column("in_junk", Boolean),
    _column("partial", Boolean),
    _column("archive", Boolean),
    _column("fetched_at", UtcDateTime),
    _column("state", String(10)),  # new, filed, parked
    _column("record_id", _Id, ForeignKey("record.id"), nullable=True),
    _column("stage", String(20), nullable=True),
    _column("error", Text, nullable=True),
    _column("parked_at", UtcDateTime, nullable=True),
    _column("parked_subject", Text, nullable=True),
    _column("parked_sender", Text, nullable=True),
    UniqueConstraint("sha256"),
    Index(None, "state", "id"),
)

#: the mails' octets, apart from `mail`, whose rows change: SQLite writes a changed row anew as a whole
mail_octets = Table(
    "mail_octets",
    metadata,
    Column("mail_id", _Id, ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    _column("octets", LargeBinary),
)

#: where a mail was seen; the same mail may lie in several places
sighting = Table(
    "sighting",
    metadata,
    Column("account", String(100), primary_key=True),
    Column("mailbox", String(1000), primary_key=True),
    Column("uid_validity", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    _column("mail_id", _Id, ForeignKey("mail.id")),
    Index(None, "mail_id"),
)

#: one mail as the coordinator sees it
record = Table(
    "record",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _column("number", Integer),
    _column("account", String(100)),
    _column("message_id", Text),
    _column("content_hash", String(64)),
    _column("thread", JSON),
    _column("subject", Text),
    _column("from_name", Text),
    _column("from_addr_spec", Text),
    _column("received_at", UtcDateTime),
    _column("filed_at", UtcDateTime),
    _column("message_class", String(20)),
    _column("confidence", Float),
    _column("needs_review", Boolean),
    _column("review_reasons", JSON),
    _column("details", JSON),
    _column("attachments", JSON),
    _column("defects", JSON),
    _column("model_version", String(100)),
    _column("decision", String(10)),
    _column("guard", Integer, nullable=True),
    _column("reason", Text),
    _column("acknowledge_to", Text, nullable=True),
    _column("template", String(20), nullable=True),
    UniqueConstraint("number"),
    UniqueConstraint("message_id", "content_hash"),
    Index(None, "filed_at"),
)

contribution = Table(
    "contribution",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _column("record_id", _Id, ForeignKey("record.id")),
    _column("position", Integer),
    _column("type", String(10)),
    _column("quote", Text),
    _column("confidence", Float),
    _column("because", JSON),
    UniqueConstraint("record_id", "position"),
)

contribution_aim = Table(
    "contribution_aim",
    metadata,
    Column("contribution_id", _Id, ForeignKey("contribution.id"), primary_key=True),
    Column("aim", String(40), primary_key=True),
    Index(None, "aim"),
)

#: the outbox: everything of ours that is to be sent, was sent, or waits
outgoing = Table(
    "outgoing",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _column("purpose", String(200)),
    _column("kind", String(20)),
    _column("record_id", _Id, ForeignKey("record.id"), nullable=True),
    _column("state", String(10)),
    _column("message_id", Text),
    _column("account", String(100)),
    _column("envelope_from", Text),
    # the envelope's recipient as it is, and what the caps compare: both in lower case
    _column("to", Text),
    _column("to_key", Text),
    _column("to_domain", Text),
    _column("octets", LargeBinary),
    _column("template", String(20)),
    _column("reason", Text),
    _column("attempts", Integer),
    _column("created_at", UtcDateTime),
    _column("next_attempt_at", UtcDateTime),
    _column("ended_at", UtcDateTime, nullable=True),
    # when it came back for good, so that the address is left alone for a while
    _column("bounced_at", UtcDateTime, nullable=True),
    UniqueConstraint("purpose"),
    Index(None, "state", "next_attempt_at"),
    Index(None, "to_key", "created_at"),
    # how a bounce finds what came back, and an answer what it answers
    Index(None, "envelope_from"),
    Index(None, "message_id"),
    # the caps are counted for every mail: the index holds all that counting needs
    Index("ix_outgoing_caps", "kind", "state", "created_at", "to_domain"),
    Index(None, "record_id"),
)

#: the digests that were made; each period ends where the next begins
digest = Table(
    "digest",
    metadata,
    Column("end", UtcDateTime, primary_key=True),
    _column("start", UtcDateTime),
    _column("outgoing_id", _Id, ForeignKey("outgoing.id"), nullable=True),
)

#: what the machinery cannot do at present, such as reach a mailbox
notice = Table(
    "notice",
    metadata,
    Column("key", String(200), primary_key=True),
    _column("text", Text),
    _column("since", UtcDateTime),
)


def inserted_id(connection: Connection, statement: Insert, values: dict[str, Any]) -> int:
    """Inserts one row and returns its number.

    Args:
        statement: without values, so that it is compiled once and not again for every row.
        values: by column.
    """
    key = connection.execute(statement, values).inserted_primary_key
    assert key is not None  # noqa: S101 - every table this is used on numbers its rows
    return int(key[0])
