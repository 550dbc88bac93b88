"""The servers themselves: what tests, benchmarks and the demo rely on."""

from __future__ import annotations

import shutil
import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from mailbot.demo.servers import EmbeddedImap, SmtpSink
from tests.servers import Certificates, Dovecot, DovecotAccount, Postgresql, ServerMissing, dovecot

MAIL = b"From: asha@loomworks.example\r\nSubject: a hall\r\n\r\n.one dot\r\ncaf\xe9\r\n"
ARRIVED = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)


@contextmanager
def signed_in(server: EmbeddedImap) -> Iterator[IMAPClient]:
    with IMAPClient(server.host, server.port, ssl=False, timeout=10) as client:
        client.normalise_times = False
        client.login(server.user, server.password)
        yield client


def give_up(client: IMAPClient) -> None:
    """Lets go of a connection that the server broke off: a logout would only fail."""
    client._imap.shutdown()


# ------------------------------------------------------------------------------------------------- Dovecot


def test_dovecot_keeps_octets_and_internal_date(dovecot_account: DovecotAccount) -> None:
    dovecot_account.deliver_many([MAIL, MAIL + b"second\r\n"], internal_date=ARRIVED)
    assert dovecot_account.append("INBOX", MAIL + b"third\r\n", ARRIVED) == 3
    with dovecot_account.connect() as client:
        client.select_folder("INBOX", readonly=True)
        found = client.fetch([1, 2, 3], ["BODY.PEEK[]", "INTERNALDATE"])
    assert [found[uid][b"BODY[]"] for uid in (1, 2, 3)] == [MAIL, MAIL + b"second\r\n", MAIL + b"third\r\n"]
    assert {found[uid][b"INTERNALDATE"] for uid in found} == {ARRIVED}


def test_dovecot_gives_every_test_its_own_folders(dovecot_server: Dovecot) -> None:
    used, unused = dovecot_server.fresh_account(), dovecot_server.fresh_account()
    used.append("Junk", MAIL)
    with unused.connect() as client:
        flags = {name: special for special, _, name in client.list_folders()}
        assert client.folder_status("Junk", "MESSAGES")[b"MESSAGES"] == 0
    assert set(flags) == {"INBOX", "Junk", "Sent"}
    assert b"\\Junk" in flags["Junk"]


def test_dovecot_changes_uid_validity(dovecot_account: DovecotAccount) -> None:
    dovecot_account.deliver_many([MAIL])
    seen = []
    for _ in range(2):
        with dovecot_account.connect() as client:
            status = client.select_folder("INBOX", readonly=True)
        seen.append((status[b"UIDVALIDITY"], status[b"EXISTS"]))
        dovecot_account.change_uid_validity()
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] == seen[1][1] == 1


def test_dovecot_speaks_tls_that_verifies(dovecot_server: Dovecot) -> None:
    assert dovecot_server.certificates is not None
    trusting = dovecot_server.certificates.client_context()
    with IMAPClient("localhost", dovecot_server.tls_port, ssl_context=trusting, timeout=10) as client:
        client.login("anybody", dovecot_server.password)
    with IMAPClient(dovecot_server.host, dovecot_server.port, ssl=False, timeout=10) as client:
        client.starttls(trusting)
        with pytest.raises(LoginError):
            client.login("anybody", "a wrong password")


def test_dovecot_comes_back_after_an_outage(dovecot_server: Dovecot) -> None:
    del dovecot_server  # asked for, so that a machine without Dovecot skips or fails in one place
    with dovecot() as server:
        account = server.fresh_account()
        account.append("INBOX", MAIL)
        server.stop()
        with pytest.raises(ConnectionRefusedError), account.connect():
            pass
        server.start()
        with account.connect() as client:
            assert client.select_folder("INBOX", readonly=True)[b"EXISTS"] == 1
    assert not server.folder.exists()


def test_a_missing_server_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(ServerMissing, match="apt-get install dovecot-imapd"), dovecot():
        pass


# ---------------------------------------------------------------------------------------------- PostgreSQL


def test_postgresql_gives_empty_databases(postgresql_server: Postgresql) -> None:
    first, second = postgresql_server.fresh_database(), postgresql_server.fresh_database()
    for url in (first, second):
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE filed (id integer)"))
            assert connection.scalar(sa.text("SELECT count(*) FROM filed")) == 0
        engine.dispose()


# -------------------------------------------------------------------------------------------- EmbeddedImap


def test_embedded_imap_keeps_octets_and_tells_idling_clients(embedded_imap: EmbeddedImap) -> None:
    with signed_in(embedded_imap) as client:
        client.select_folder("INBOX", readonly=True)
        client.idle()
        uid = embedded_imap.append("INBOX", MAIL, ARRIVED)
        assert any(kind == b"EXISTS" for _, kind, *_ in client.idle_check(timeout=10))
        client.idle_done()
        found = client.fetch([uid], ["BODY.PEEK[]", "INTERNALDATE"])[uid]
    assert (found[b"BODY[]"], found[b"INTERNALDATE"]) == (MAIL, ARRIVED)


def test_embedded_imap_refuses_what_it_should(embedded_imap: EmbeddedImap) -> None:
    with pytest.raises(KeyError):
        embedded_imap.append("No such folder", MAIL)
    with pytest.raises(RuntimeError, match="runs already"):
        embedded_imap.start()
    client = IMAPClient(embedded_imap.host, embedded_imap.port, ssl=False, timeout=10)
    with pytest.raises(LoginError):
        client.login(embedded_imap.user, "a wrong password")
    client.logout()


def test_embedded_imap_stops_under_idling_clients_and_starts_again_empty() -> None:
    before = threading.active_count()
    server = EmbeddedImap()
    server.start()
    port = server.port
    server.append("INBOX", MAIL)
    client = IMAPClient(server.host, port, ssl=False, timeout=10)
    client.login(server.user, server.password)
    client.select_folder("INBOX")
    client.idle()
    server.stop()
    give_up(client)
    assert threading.active_count() == before
    with server, signed_in(server) as client:
        assert server.port == port
        assert client.select_folder("INBOX")[b"EXISTS"] == 0


# ------------------------------------------------------------------------------------------------ SmtpSink


@contextmanager
def sending(sink: SmtpSink) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(sink.host, sink.port, timeout=10) as client:
        yield client


def test_sink_keeps_mail_with_its_envelope(smtp_sink: SmtpSink) -> None:
    with sending(smtp_sink) as client:
        client.sendmail("", ["a@one.example", "b@two.example"], MAIL)
    (mail,) = smtp_sink.wait_for(1)
    assert (mail.envelope_from, mail.recipients) == ("", ("a@one.example", "b@two.example"))
    assert (mail.octets, mail.encrypted, mail.username) == (MAIL, False, "")


def test_sink_refuses_chosen_recipients(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer("gone@one.example", "550 5.1.1 no such user")
    smtp_sink.answer("full@one.example", "452 4.2.2 mailbox full")
    everybody = ["Gone@one.example", "full@one.example", "here@one.example"]
    with sending(smtp_sink) as client:
        refused = client.sendmail("us@bsec.example", everybody, MAIL)
        assert refused == {
            "Gone@one.example": (550, b"5.1.1 no such user"),
            "full@one.example": (452, b"4.2.2 mailbox full"),
        }
        smtp_sink.clear()
        assert client.sendmail("us@bsec.example", everybody, MAIL) == {}
    assert [mail.recipients for mail in smtp_sink.messages] == [tuple(everybody)]


def test_sink_refuses_after_data(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer_data("554 5.7.1 not wanted here")
    with sending(smtp_sink) as client, pytest.raises(smtplib.SMTPDataError, match="not wanted here"):
        client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    assert smtp_sink.messages == []


@pytest.mark.parametrize("keep", [True, False])
def test_sink_drops_the_connection_after_data(smtp_sink: SmtpSink, keep: bool) -> None:
    smtp_sink.drop_after_data(keep=keep)
    with sending(smtp_sink) as client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    assert len(smtp_sink.messages) == keep
    with sending(smtp_sink) as client:
        client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    assert len(smtp_sink.messages) == keep + 1


def test_sink_comes_back_on_its_port() -> None:
    sink = SmtpSink()
    ports: list[int] = []
    for _ in range(2):
        with sink, sending(sink) as client:
            ports.append(sink.port)
            client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    assert ports[0] == ports[1]
    assert len(sink.messages) == 2


def test_sink_gives_up_waiting(smtp_sink: SmtpSink) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        smtp_sink.wait_for(1, timeout_s=0.01)


def _starttls(sink: SmtpSink, certificates: Certificates) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", sink.port, timeout=10)
    with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
        client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    client.starttls(context=certificates.client_context())
    return client


def _implicit_tls(sink: SmtpSink, certificates: Certificates) -> smtplib.SMTP:
    return smtplib.SMTP_SSL("localhost", sink.port, timeout=10, context=certificates.client_context())


@pytest.mark.parametrize("connect", [_starttls, _implicit_tls])
def test_sink_asks_for_tls_and_sign_in(
    certificates: Certificates, connect: Callable[[SmtpSink, Certificates], smtplib.SMTP]
) -> None:
    sink = SmtpSink(tls=certificates.server_context(), implicit_tls=connect is _implicit_tls, sign_in=("us", "secret"))
    with sink, connect(sink, certificates) as client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("us", "wrong")
        client.login("us", "secret")
        client.sendmail("us@bsec.example", ["a@one.example"], MAIL)
    assert [(mail.encrypted, mail.username) for mail in sink.messages] == [(True, "us")]
