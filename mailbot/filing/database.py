"""The connection to SQLite or PostgreSQL: opening, migrating, transactions, foreign errors into ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from mailbot.errors import ConfigError, StoreProblem, StoreUnavailable

#: how long a writer waits for another one
_LOCK_WAIT_S = 30
#: any number that no other program on the server uses: "mailbot" on a telephone's keys
_ADVISORY_LOCK = 6245268
#: classes of SQLSTATE that waiting may mend: connection, transaction rolled back, resources, state, intervention
_PASSING = ("08", "40", "53", "55", "57")


def alembic_config(connection: Connection | None = None) -> AlembicConfig:
    """Alembic's configuration, without a file; migrations run on `connection`."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def open_engine(url: str) -> Engine:
    """Opens the database at `url` and brings its schema up to date.

    Args:
        url: sqlite:///path or postgresql://…

    Raises:
        StoreUnavailable: it cannot be reached or is locked.
        StoreProblem: it cannot be written, is no database of ours, or is newer than this mailbot.
        ConfigError: PostgreSQL is asked for and its driver is not installed.
    """
    parsed = make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if not sqlite:
        parsed = parsed.set(drivername="postgresql+psycopg")
    with translated(url):
        try:
            engine = create_engine(
                parsed,
                **(
                    {"connect_args": {"timeout": _LOCK_WAIT_S, "check_same_thread": False}}
                    if sqlite
                    else {"connect_args": {"connect_timeout": 10}, "pool_pre_ping": True}
                ),
            )
        except ModuleNotFoundError:
            raise ConfigError(
                ["store.url: PostgreSQL needs its driver; install it with `pip install 'mailbot[postgresql]'`"]
            ) from None
        if sqlite:
            _make_private(Path(parsed.database or ""))
            _prepare_sqlite(engine)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _make_private(path: Path) -> None:
    """Makes a new database file for its owner alone: it will hold whole mails."""
    # Whatever is wrong with the place, SQLite says it better.
    with suppress(OSError):
        path.touch(mode=0o600, exist_ok=True)


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _: Any) -> None:
        # The driver's own BEGIN comes too late (at the first INSERT, after the first SELECT has taken a
        # snapshot that another writer may outdate): transactions are begun below instead.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        # In WAL mode a kill loses nothing with NORMAL; FULL keeps that promise through a power cut too,
        # so that no acknowledgement is forgotten after it was sent.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two processes that start together must not build the tables twice.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK + 1})
        config = alembic_config(connection)
        scripts = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        try:
            alembic.command.upgrade(config, "head")
        except CommandError as problem:
            raise StoreProblem(
                f"store: {engine.url.render_as_string()} was written by another version of mailbot ({problem}); "
                "install that version or a newer one"
            ) from None


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns the database's exceptions into StoreUnavailable or StoreProblem."""
    where = shown(url)
    try:
        yield
    except (OperationalError, InterfaceError) as problem:
        words = str(problem.orig).strip().replace("\n", " ")
        if any(sign in words for sign in ("readonly", "unable to open", "permission denied", "Permission denied")):
            raise StoreProblem(
                f"store: cannot write {where} ({words}); make its folder exist and writable, or change store.url"
            ) from problem
        if "no such table" in words or "does not exist" in words:
            raise StoreProblem(f"store: {where}: {words}; create the database or correct store.url") from problem
        if "password authentication failed" in words:
            raise StoreProblem(f"store: {where} refused the sign-in ({words}); set PGPASSWORD") from problem
        if _passes(problem):
            raise StoreUnavailable(f"store: {where} is not to be had at present ({words})") from problem
        raise StoreProblem(f"store: {where}: {words}") from problem
    except DatabaseError as problem:
        words = str(problem.orig).strip().replace("\n", " ")
        if "not a database" in words or "malformed" in words:
            raise StoreProblem(f"store: {where} is damaged or not a database ({words}); restore a backup") from problem
        raise StoreProblem(f"store: {where}: {words}") from problem
    except SQLAlchemyError as problem:
        raise StoreProblem(f"store: {where}: {problem}") from problem


def shown(url: str) -> str:
    """The URL without its password, for people."""
    return make_url(url).render_as_string()


def _passes(problem: DBAPIError) -> bool:
    """Whether waiting may help: the connection, the locks, the room; not what one statement asks for."""
    state = getattr(problem.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in _PASSING
    words = str(problem.orig)
    if isinstance(problem.orig, sqlite3.Error):
        return any(sign in words for sign in ("locked", "busy", "full", "disk I/O"))
    return True  # PostgreSQL's driver gives no SQLSTATE when there is no connection


@contextmanager
def exclusive(engine: Engine, url: str) -> Iterator[None]:
    """Holds the store for one worker: what a dead worker left in `sending` is ours to take up again.

    Raises:
        StoreProblem: another worker holds it.
    """
    taken = StoreProblem("store: another mailbot is at work on it; stop that one first")
    if engine.dialect.name == "sqlite":
        lock = FileLock(f"{engine.url.database}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise taken from None
        try:
            yield
        finally:
            lock.release()
        return
    with translated(url), engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
            raise taken
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
