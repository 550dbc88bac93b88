"""The store: transactions, each with its rows. `with store.write() as tx` commits at the end or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from mailbot.filing import database
from mailbot.filing.journal import Journal
from mailbot.filing.mails import Mails
from mailbot.filing.outbox import OutboxRows
from mailbot.filing.records import Records
from mailbot.filing.schema import campaign_state
from mailbot.model import Campaign


class Transaction:
    """One transaction, as the rows it can read and write."""

    def __init__(self, connection: Connection, campaign: Campaign, url: str) -> None:
        self._connection = connection
        self._url = url
        #: raw mail, where it was seen, how far each mailbox was read
        self.mails = Mails(connection)
        #: filed mail with its contributions
        self.records = Records(connection, campaign)
        #: mail of ours
        self.outbox = OutboxRows(connection, campaign)
        #: digests and notices
        self.journal = Journal(connection)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that is undone alone when its block raises."""
        with database.translated(self._url), self._connection.begin_nested():
            yield


class Store:
    """One database, SQLite or PostgreSQL, its schema up to date.

    Args:
        url: sqlite:///path or postgresql://…
        campaign: whose references and aims the records use.
        now: the time at which a new store begins; now when not given.

    Raises:
        StoreUnavailable, StoreProblem, ConfigError: as `database.open_engine`.
    """

    def __init__(self, url: str, campaign: Campaign, *, now: datetime | None = None) -> None:
        self.url = url
        #: the URL without a password, for people
        self.where = database.shown(url)
        self._campaign = campaign
        self._engine = database.open_engine(url)
        with database.translated(url), self._engine.begin() as connection:
            if connection.execute(select(campaign_state.c.id)).first() is None:
                connection.execute(
                    insert(campaign_state).values(id=1, created_at=now or datetime.now(UTC), last_number=0)
                )

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction that sees and changes a consistent state; rolled back when the block raises."""
        with database.translated(self.url), self._engine.begin() as connection:
            yield Transaction(connection, self._campaign, self.url)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One transaction for looking only; holds up no writer."""
        with (
            database.translated(self.url),
            self._engine.connect().execution_options(reading=True) as connection,
            connection.begin() as transaction,
        ):
            yield Transaction(connection, self._campaign, self.url)
            transaction.rollback()

    def exclusive(self) -> AbstractContextManager[None]:
        """Holds the store for one worker.

        Raises:
            StoreProblem: another worker holds it.
        """
        return database.exclusive(self._engine, self.url)

    def close(self) -> None:
        """Gives every connection back."""
        self._engine.dispose()
