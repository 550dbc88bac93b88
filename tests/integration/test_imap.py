"""The mailbox's contract, run on pymap and on Dovecot; what only Dovecot can do follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailbot.config import Account, Imap, Smtp
from mailbot.demo.servers import EmbeddedImap
from mailbot.errors import MailboxMissing, MailboxUnavailable, SignInRefused
from mailbot.intake import Batch, ImapSession
from mailbot.model import Cursor
from tests.servers import HOST, Dovecot, DovecotAccount, free_port

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Box:
    """A mailbox on a real server."""

    host: str
    port: int
    user: str
    append: Callable[..., int]


@pytest.fixture(params=["pymap", "dovecot"])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Box:
    if request.param == "pymap":
        server: EmbeddedImap = request.getfixturevalue("embedded_imap")
        monkeypatch.setenv("IMAP_SECRET", server.password)
        return Box(server.host, server.port, server.user, server.append)
    account: DovecotAccount = request.getfixturevalue("dovecot_account")
    monkeypatch.setenv("IMAP_SECRET", account.password)
    return Box(HOST, account.server.port, account.user, account.append)


def account_for(box: Box, **changes: Any) -> Account:
    server = {
        "host": box.host,
        "port": box.port,
        "security": "none",
        "username": box.user,
        "password_env": "IMAP_SECRET",
        "timeout_s": 5,
    }
    return Account(
        name="a", address="a@x.example", imap=Imap(**(server | changes)), smtp=Smtp(host="127.0.0.1", security="none")
    )


def receive(box: Box, cursor: Cursor | None, mailbox: str = "INBOX", **changes: Any) -> list[Batch]:
    options: dict[str, Any] = {"since": LONG_AGO, "batch_octets": 1_000_000, "max_size_octets": 100_000}
    with ImapSession.open(account_for(box)) as session:
        return list(session.receive(mailbox, cursor, **(options | changes)))


def mail(number: int, size: int = 0) -> bytes:
    return b"Subject: %d\r\nFrom: a@b.example\r\n\r\n%s\r\n" % (number, b"x" * size)


def octets_in(batches: list[Batch]) -> list[bytes]:
    return [raw.octets for batch in batches for raw in batch.mails]


def test_everything_once_in_order_and_untouched(box: Box) -> None:
    for number in range(5):
        box.append("INBOX", mail(number))
    first = receive(box, None)
    assert octets_in(first) == [mail(number) for number in range(5)]
    cursor = first[-1].cursor
    assert receive(box, cursor) == []
    box.append("INBOX", mail(9))
    assert octets_in(receive(box, cursor)) == [mail(9)]


def test_nothing_in_the_mailbox_changes(box: Box) -> None:
    from imapclient import IMAPClient

    box.append("INBOX", mail(1))
    receive(box, None)
    with IMAPClient(box.host, port=box.port, ssl=False, timeout=5) as client:
        import os

        client.login(box.user, os.environ["IMAP_SECRET"])
        client.select_folder("INBOX", readonly=True)
        assert [flags for flags in client.get_flags([1]).values() if b"\\Seen" in flags] == []


def test_batches_are_bounded_by_octets(box: Box) -> None:
    for number in range(6):
        box.append("INBOX", mail(number, 3000))
    batches = receive(box, None, batch_octets=7000)
    assert [len(batch.mails) for batch in batches] == [2, 2, 2]
    assert len(octets_in(receive(box, batches[1].cursor))) == 2


def test_of_a_large_mail_only_the_beginning_comes(box: Box) -> None:
    box.append("INBOX", mail(1, 5000))
    box.append("INBOX", mail(2))
    batches = receive(box, None, max_size_octets=1000)
    large, small = (raw for batch in batches for raw in batch.mails)
    assert (large.octets, large.partial) == (mail(1, 5000)[:1000], True)
    assert (small.octets, small.partial) == (mail(2), False)


def test_the_first_time_old_mail_is_left_alone(box: Box) -> None:
    now = datetime.now(UTC)
    box.append("INBOX", mail(1), now - timedelta(days=9))
    box.append("INBOX", mail(2), now)
    since = now - timedelta(days=3)
    batches = receive(box, None, since=since)
    assert octets_in(batches) == [mail(2)]
    assert octets_in(receive(box, None, since=since, read_older=True)) == [mail(1), mail(2)]
    assert receive(box, batches[-1].cursor) == []


def test_an_empty_mailbox_has_a_cursor_too(box: Box) -> None:
    (batch,) = receive(box, None)
    assert batch.mails == ()
    assert receive(box, batch.cursor) == []
    box.append("INBOX", mail(1))
    assert octets_in(receive(box, batch.cursor)) == [mail(1)]


def test_another_uidvalidity_reads_again(box: Box) -> None:
    box.append("INBOX", mail(1))
    cursor = receive(box, None)[-1].cursor
    other = Cursor(account="a", mailbox="INBOX", uid_validity=cursor.uid_validity + 1, next_uid=50, since=LONG_AGO)
    again = receive(box, other)
    assert octets_in(again) == [mail(1)]
    assert again[-1].cursor == cursor


def test_a_server_set_back_reads_again(box: Box) -> None:
    box.append("INBOX", mail(1))
    cursor = receive(box, None)[-1].cursor
    ahead = Cursor(
        account="a", mailbox="INBOX", uid_validity=cursor.uid_validity, next_uid=cursor.next_uid + 10, since=LONG_AGO
    )
    assert octets_in(receive(box, ahead)) == [mail(1)]


def test_another_mail_under_the_last_uid_reads_again(box: Box) -> None:
    """A restored server gave the last UID to other mail and went on beyond the cursor."""
    for number in range(3):
        box.append("INBOX", mail(number))
    cursor = receive(box, None)[-1].cursor
    assert cursor.landmark is not None
    box.append("INBOX", mail(3))
    assert octets_in(receive(box, cursor)) == [mail(3)]
    lied_to = replace(cursor, landmark=replace(cursor.landmark, size_octets=9999))
    assert octets_in(receive(box, lied_to)) == [mail(number) for number in range(4)]
    vanished = replace(cursor, landmark=replace(cursor.landmark, uid=77))
    assert octets_in(receive(box, vanished)) == [mail(3)]


def test_mail_in_junk_is_known_as_such(box: Box) -> None:
    box.append("Junk", mail(1))
    (batch,) = receive(box, None, "Junk")
    assert [raw.in_junk for raw in batch.mails] == [True]


def test_a_missing_mailbox_names_those_that_are_there(box: Box) -> None:
    with pytest.raises(MailboxMissing, match=r"no mailbox 'Pledges'.*INBOX"):
        receive(box, None, "Pledges")


def test_a_wrong_password_is_no_network_failure(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_SECRET", "wrong")
    with pytest.raises(SignInRefused, match=r"correct account\.imap\.username or the password"):
        receive(box, None)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_SECRET", "x")
    nowhere = account_for(Box("127.0.0.1", free_port(), "u", print))
    with pytest.raises(MailboxUnavailable, match=r"refused; check account\.imap\.host"), ImapSession.open(nowhere):
        pass


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_SECRET", "x")
    nowhere = account_for(Box("no-such-host.invalid", 993, "u", print), security="tls")
    with pytest.raises(MailboxUnavailable, match=r"correct account\.imap\.host"), ImapSession.open(nowhere):
        pass


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("IMAP_SECRET", "x")
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        account = account_for(Box("127.0.0.1", silent.getsockname()[1], "u", print), timeout_s=0.2)
        with pytest.raises(MailboxUnavailable, match=r"no answer within 0\.2 s"), ImapSession.open(account):
            pass


def test_a_server_that_breaks_off_during_sign_in_is_no_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    monkeypatch.setenv("IMAP_SECRET", "x")

    def greet_and_go(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
            connection.recv(100)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=greet_and_go, args=(listener,))
        thread.start()
        account = account_for(Box("127.0.0.1", listener.getsockname()[1], "u", print))
        with pytest.raises(MailboxUnavailable), ImapSession.open(account):
            pass
        thread.join()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls_with_a_trusted_authority(
    security: str, dovecot_server: Dovecot, dovecot_account: DovecotAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAP_SECRET", dovecot_account.password)
    port = dovecot_server.tls_port if security == "tls" else dovecot_server.port
    box = Box("localhost", port, dovecot_account.user, dovecot_account.append)
    account = account_for(box, security=security, ca_file=str(dovecot_server.ca_file))
    with ImapSession.open(account) as session:
        assert session.examine("INBOX").uid_next == 1
        assert session.junk() == "Junk"
        assert "INBOX" in session.mailboxes()
        assert "IMAP4REV1" in session.capabilities()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_an_unknown_authority_is_refused(
    security: str, dovecot_server: Dovecot, dovecot_account: DovecotAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAP_SECRET", dovecot_account.password)
    port = dovecot_server.tls_port if security == "tls" else dovecot_server.port
    account = account_for(Box("localhost", port, dovecot_account.user, print), security=security)
    refused = pytest.raises(MailboxUnavailable, match=r"certificate is refused.*account\.imap\.ca_file")
    with refused, ImapSession.open(account):
        pass


def test_a_changed_uidvalidity_on_dovecot(dovecot_account: DovecotAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_SECRET", dovecot_account.password)
    box = Box(HOST, dovecot_account.server.port, dovecot_account.user, dovecot_account.append)
    box.append("INBOX", mail(1))
    cursor = receive(box, None)[-1].cursor
    dovecot_account.change_uid_validity()
    again = receive(box, cursor)
    assert octets_in(again) == [mail(1)]
    assert again[-1].cursor.uid_validity != cursor.uid_validity


def test_ca_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_SECRET", "x")
    account = account_for(Box("localhost", 993, "u", print), security="tls", ca_file=str(tmp_path / "no.pem"))
    with pytest.raises(MailboxUnavailable, match=r"account\.imap\.ca_file"), ImapSession.open(account):
        pass


# --- waiting for news ---


def idle(session: ImapSession, seconds: float = 30.0, stopping: Callable[[], bool] = lambda: False) -> float:
    """Receives, then waits for news; how long that took, in seconds."""
    list(session.receive("INBOX", None, since=LONG_AGO, batch_octets=1_000_000, max_size_octets=100_000))
    start = time.monotonic()
    session.idle("INBOX", seconds, stopping)
    return time.monotonic() - start


def test_idle_ends_when_a_mail_comes(box: Box) -> None:
    with ImapSession.open(account_for(box)) as session:
        assert session.can_idle
        later = threading.Timer(0.3, box.append, ("INBOX", mail(1)))
        later.start()
        assert idle(session) < 20
        later.join()
        # The connection is as good as before.
        batches = list(session.receive("INBOX", None, since=LONG_AGO, batch_octets=10**6, max_size_octets=10**5))
        assert octets_in(batches) == [mail(1)]


def test_idle_does_not_begin_when_a_mail_has_come_meanwhile(box: Box) -> None:
    with ImapSession.open(account_for(box)) as session:
        list(session.receive("INBOX", None, since=LONG_AGO, batch_octets=10**6, max_size_octets=10**5))
        box.append("INBOX", mail(1))
        start = time.monotonic()
        session.idle("INBOX", 30, lambda: False)
        assert time.monotonic() - start < 10


def test_idle_ends_in_time_and_when_told(box: Box) -> None:
    with ImapSession.open(account_for(box)) as session:
        assert 0.2 < idle(session, 0.3) < 20
        assert idle(session, 60, lambda: True) < 20


def test_idle_on_a_server_that_goes_away() -> None:
    with EmbeddedImap() as server:
        box = Box(server.host, server.port, server.user, server.append)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IMAP_SECRET", server.password)
            with pytest.raises(MailboxUnavailable), ImapSession.open(account_for(box)) as session:
                later = threading.Timer(0.3, server.stop)
                later.start()
                idle(session)
        later.join()
