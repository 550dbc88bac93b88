"""Fixtures that start real servers: once for a whole run, with a clean account or database for each test.

A server that is not installed skips the test with the install line as the reason; with
MAILBOT_REQUIRE_SERVERS=1 (continuous integration) it fails the test instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NoReturn, TypeVar

import pytest
from hypothesis import settings

from mailbot.demo.servers import EmbeddedImap, SmtpSink
from tests.servers import (
    Certificates,
    Dovecot,
    DovecotAccount,
    Postgresql,
    ServerMissing,
    dovecot,
    make_certificates,
    postgresql,
)

Server = TypeVar("Server")

# How long an example takes says more about the machine than about the code.
settings.register_profile("mailbot", deadline=None)
settings.load_profile("mailbot")


def without(missing: ServerMissing) -> NoReturn:
    """Skips the test, or fails it where servers are required."""
    if os.environ.get("MAILBOT_REQUIRE_SERVERS") == "1":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


@contextmanager
def running(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Runs `server` for the block, or ends the test when it is not installed."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(server)
        except ServerMissing as missing:
            without(missing)
        yield started


@pytest.fixture(scope="session")
def dovecot_server() -> Iterator[Dovecot]:
    """One Dovecot for the run, with TLS; do not stop it, make your own for that."""
    with running(dovecot(tls=True)) as server:
        yield server


@pytest.fixture
def dovecot_account(dovecot_server: Dovecot) -> DovecotAccount:
    """An account that nobody has used: INBOX, Junk and Sent, empty."""
    return dovecot_server.fresh_account()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """One PostgreSQL for the run."""
    with running(postgresql()) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: Postgresql) -> str:
    """The SQLAlchemy URL of an empty database."""
    return postgresql_server.fresh_database()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and a server certificate for localhost and 127.0.0.1."""
    try:
        return make_certificates(tmp_path_factory.mktemp("certificates"))
    except ServerMissing as missing:
        without(missing)


@pytest.fixture
def embedded_imap() -> Iterator[EmbeddedImap]:
    """A pymap with INBOX, Junk and Sent, empty."""
    with EmbeddedImap() as server:
        yield server


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A sink without TLS or sign-in that accepts everything."""
    with SmtpSink() as sink:
        yield sink
