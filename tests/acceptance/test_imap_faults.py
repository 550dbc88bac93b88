"""What can happen between us and a mailbox: afterwards every mail is filed once and acknowledged once.

Dovecot stands behind a proxy that breaks, stalls and garbles the connection. The worker is the real one; its passes are
made by hand.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from mailbot.app import load_shown, make_policy, open_store
from mailbot.config import load_config
from mailbot.demo.servers import SmtpSink
from mailbot.errors import MailboxUnavailable, StoreUnavailable
from mailbot.filing import Store
from mailbot.model import OutgoingState
from mailbot.pipeline import Classifies, Parts
from mailbot.worker import Worker
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import Deployment, acknowledgements, header, wrote
from tests.conftest import running
from tests.servers import Dovecot, DovecotAccount, dovecot
from tests.tcp_proxy import Cut, Insert, Plan, Stall, TcpProxy

#: mails whose attachments make the first session longer than 64 KB
_MAILS, _OCTETS = 4, 20_000
_FIRST = 64 * 1024


@dataclass
class Intake:
    """A worker that reads an account through a proxy, and what came of it."""

    account: DovecotAccount
    proxy: TcpProxy
    sink: SmtpSink
    store: Store
    worker: Worker
    deployment: Deployment
    clock: list[datetime] = field(default_factory=lambda: [datetime.now(UTC)])

    def once(self) -> None:
        # Past every back-off, so that the next pass is made at once.
        self.clock[0] += timedelta(hours=2)
        self.worker.once()

    def heal(self) -> None:
        """The network is well again."""
        self.proxy.plan(lambda _: None)
        self.once()
        assert self.worker.problems == ()

    def assert_each_once(self, mails: int) -> None:
        """Each of the mails is filed once and acknowledged once."""
        with self.store.read() as tx:
            records = tx.records.latest(10_000)
            assert tx.mails.parked() == ()
        assert len(records) == len({record.message_id for record in records}) == mails
        assert {record.reply_state for record in records} == {OutgoingState.SENT}
        answered = Counter(header(mail, "In-Reply-To") for mail in acknowledgements(self.sink))
        assert answered == Counter(record.message_id for record in records)


_numbers = count(1)


def some_mail(number: int) -> bytes:
    """A person's mail with an attachment."""
    text = wrote(number=number, sender=f"amina@haven{number}.example")
    head, _, body = text.partition(b"\r\n\r\n")
    head = head.replace(b"Content-Type: text/plain; charset=utf-8", b'Content-Type: multipart/mixed; boundary="b"')
    lines = b"\r\n".join([b"QUJD" * 19] * (_OCTETS // 78))
    return (
        head
        + b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + body
        + b"\r\n--b\r\nContent-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n"
        + b"Content-Disposition: attachment; filename=plan.pdf\r\n\r\n"
        + lines
        + b"\r\n--b--\r\n"
    )


@pytest.fixture
def begin(smtp_sink: SmtpSink, tmp_path: Path, classifier: Classifies) -> Iterator[Callable[..., Intake]]:
    """Makes an intake on a fresh account of a Dovecot."""
    with ExitStack() as stack:

        def start(server: Dovecot, *, timeout_s: float = 5.0, plan: Plan = lambda _: None, **options: str) -> Intake:
            account = server.fresh_account()
            proxy = stack.enter_context(TcpProxy(server.port, plan))
            folder = tmp_path / str(next(_numbers))
            folder.mkdir()
            deployment = Deployment.write(
                folder,
                imap_port=proxy.port,
                user=account.user,
                password=account.password,
                smtp_port=smtp_sink.port,
                **options,  # type: ignore[arg-type]
            )
            text = deployment.config.read_text("utf-8").replace("timeout_s = 20", f"timeout_s = {timeout_s}", 1)
            deployment.config.write_text(text, "utf-8")
            shown = load_shown(load_config(deployment.config))
            store = open_store(shown.config, shown.campaign)
            stack.callback(store.close)
            parts = Parts(shown=shown, policy=make_policy(shown.config), classifier=classifier)
            clock = [datetime.now(UTC)]
            worker = Worker(shown, store, lambda: parts, now=lambda: clock[0])
            smtp_sink.clear()
            return Intake(account, proxy, smtp_sink, store, worker, deployment, clock)

        yield start


def test_the_network_is_reset_anywhere_in_the_first_64_kb(
    begin: Callable[..., Intake], dovecot_server: Dovecot
) -> None:
    # Every octet of the greeting and the sign-in would say the same; the sample has all of their lines and the rest.
    dice = random.Random(64)  # noqa: S311 - the same on every run
    octets = sorted({*range(1, 1200, 61), *dice.sample(range(1200, _FIRST), 30)})
    intake = begin(dovecot_server)
    filed = 0
    for after in octets:
        intake.account.deliver_many([some_mail(filed + number) for number in range(1, _MAILS + 1)])
        filed += _MAILS
        # A fresh cursor's session and a later one are cut alike.
        intake.proxy.plan(lambda _, after=after: Cut(after))  # type: ignore[misc]
        intake.once()
        intake.heal()
        with intake.store.read() as tx:
            assert tx.records.count() == filed, after
    assert len(intake.proxy.passed) >= 2 * len(octets)
    intake.assert_each_once(filed)


@pytest.mark.parametrize("after", [1, 100, 900, 5_000, 30_000, 60_000])
def test_a_server_that_stalls_even_within_a_mail(
    begin: Callable[..., Intake], dovecot_server: Dovecot, after: int
) -> None:
    intake = begin(dovecot_server, timeout_s=0.5, plan=lambda _: Stall(after))
    intake.account.deliver_many([some_mail(number) for number in range(1, _MAILS + 1)])
    intake.once()
    assert [type(problem) for problem in intake.worker.problems] == [MailboxUnavailable]
    intake.proxy.drop_all()
    intake.heal()
    intake.assert_each_once(_MAILS)


_SAID = {
    "BYE": Insert(0, b"* BYE shutting down\r\n", close=True),
    "BYE and no more": Insert(0, b"* BYE shutting down\r\n"),
    "garbage": Insert(0, b"\x00\xff\xfe what is this? )(\r\n"),
    "an alert": Insert(0, b"* OK [ALERT] the disk is nearly full\r\n"),
    "a tag of nobody": Insert(0, b"A9999 OK never asked\r\n"),
    "an unasked FETCH": Insert(0, b"* 1 FETCH (FLAGS (\\Seen))\r\n"),
    "a huge literal": Insert(0, b"* 1 FETCH (BODY[] {999999999}\r\n"),
    "EXPUNGE": Insert(0, b"* 1 EXPUNGE\r\n"),
}


@pytest.mark.parametrize("said", _SAID)
@pytest.mark.parametrize("after", [1, 400, 1_500])
def test_lines_that_the_server_should_not_say(
    begin: Callable[..., Intake], dovecot_server: Dovecot, said: str, after: int
) -> None:
    fault = _SAID[said]
    plan = Insert(after, fault.octets, fault.close)
    intake = begin(dovecot_server, timeout_s=0.5, plan=lambda _: plan)
    intake.account.deliver_many([some_mail(number) for number in range(1, _MAILS + 1)])
    intake.once()
    intake.proxy.drop_all()
    intake.heal()
    intake.assert_each_once(_MAILS)


def test_a_server_that_is_restarted(begin: Callable[..., Intake]) -> None:
    with running(dovecot()) as server:
        intake = begin(server)
        intake.account.deliver_many([some_mail(1)])
        intake.once()
        server.stop()
        intake.once()
        assert [type(problem) for problem in intake.worker.problems] == [MailboxUnavailable]
        server.start()
        intake.account.deliver_many([some_mail(2)])
        intake.heal()
        intake.assert_each_once(2)


def test_uidvalidity_changes(begin: Callable[..., Intake], dovecot_server: Dovecot) -> None:
    intake = begin(dovecot_server)
    intake.account.deliver_many([some_mail(number) for number in range(1, 4)])
    intake.once()
    intake.account.change_uid_validity()
    intake.account.deliver_many([some_mail(4)])
    intake.heal()
    intake.assert_each_once(4)


def test_mails_vanish_between_search_and_fetch(begin: Callable[..., Intake], dovecot_server: Dovecot) -> None:
    intake = begin(dovecot_server)
    intake.account.deliver_many([some_mail(number) for number in range(1, 6)])
    from mailbot.intake.imap import ImapSession

    original = ImapSession._fetch
    gone: list[int] = []

    def fetch_late(self: ImapSession, sizes: dict[int, int], *rest: object) -> object:
        if not gone:
            gone.extend(sorted(sizes)[1:3])
            with intake.account.connect() as client:
                client.select_folder("INBOX")
                client.delete_messages(gone)
                client.expunge()
        return original(self, sizes, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImapSession, "_fetch", fetch_late)
        intake.once()
    assert gone and intake.worker.problems == ()
    intake.heal()
    intake.assert_each_once(3)


def test_a_mailbox_is_deleted_and_made_again(begin: Callable[..., Intake], dovecot_server: Dovecot) -> None:
    intake = begin(dovecot_server, mailboxes=("INBOX", "Pledges"))  # type: ignore[arg-type]
    with intake.account.connect() as client:
        client.create_folder("Pledges")
    intake.account.append("Pledges", some_mail(1))
    intake.account.append("INBOX", some_mail(2))
    intake.once()
    with intake.account.connect() as client:
        client.delete_folder("Pledges")
    intake.account.append("INBOX", some_mail(3))
    intake.once()
    # The other mailbox is read all the same, and the coordinator is told.
    (problem,) = intake.worker.problems
    assert "no mailbox 'Pledges'" in str(problem)
    intake.assert_each_once(3)
    with intake.account.connect() as client:
        client.create_folder("Pledges")
    # The first mail comes back to it, as a mail program would put it there, with a new one.
    intake.account.append("Pledges", some_mail(1))
    intake.account.append("Pledges", some_mail(4))
    intake.heal()
    intake.assert_each_once(4)


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_the_clock_jumps(begin: Callable[..., Intake], dovecot_server: Dovecot, jump: timedelta) -> None:
    intake = begin(dovecot_server)
    intake.account.deliver_many([some_mail(1)])
    intake.once()
    intake.clock[0] += jump
    intake.account.deliver_many([some_mail(2)])
    intake.once()
    intake.clock[0] -= jump
    intake.account.deliver_many([some_mail(3)])
    intake.heal()
    intake.assert_each_once(3)


def test_a_mail_that_the_server_does_not_give_holds_up_no_other(
    begin: Callable[..., Intake], dovecot_server: Dovecot
) -> None:
    intake = begin(dovecot_server)
    intake.account.deliver_many([some_mail(number) for number in range(1, 6)])
    with intake.account.connect() as client:
        client.select_folder("INBOX", readonly=True)
    # Dovecot breaks off as soon as somebody asks for the third one.
    third = sorted(path for part in ("new", "cur") for path in (intake.account._folder("INBOX") / part).iterdir())[2]
    mode = third.stat().st_mode
    third.chmod(0)
    for _ in range(6):
        intake.once()
    with intake.store.read() as tx:
        assert tx.records.count() == 4
        (parked,) = tx.mails.parked()
    assert (parked.stage, parked.where) == ("intake", "INBOX, UID 3")
    assert "does not give it" in parked.error
    assert intake.worker.problems == ()
    # It is mended, and asked for again.
    third.chmod(mode)
    done = mailbot("retry", "-c", intake.deployment.config)
    assert done.out.startswith("1 parked mail will be handled again")
    intake.heal()
    intake.assert_each_once(5)


def test_the_store_is_locked(
    begin: Callable[..., Intake], dovecot_server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailbot.filing.database._LOCK_WAIT_S", 0.2)
    intake = begin(dovecot_server)
    intake.account.deliver_many([some_mail(1)])
    with closing(sqlite3.connect(intake.deployment.folder / "mailbot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        intake.once()
        assert {type(problem) for problem in intake.worker.problems} == {StoreUnavailable}
        other.execute("ROLLBACK")
    intake.account.deliver_many([some_mail(2)])
    intake.heal()
    intake.assert_each_once(2)
