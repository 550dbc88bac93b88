"""What an SMTP server can do to us: nothing is lost, nothing goes under another Message-ID, every state is right.

The worker sends what lies in a real outbox to a server that misbehaves; its clock is moved by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailbot.app import load_shown, open_store
from mailbot.config import load_config
from mailbot.demo.servers import SmtpSink
from mailbot.filing import Store
from mailbot.model import Outgoing, OutgoingKind, OutgoingState, Template
from mailbot.worker import Worker
from tests.acceptance.deployment import Deployment
from tests.faulty_smtp import Fault, FaultySmtp, Plan, Step

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
#: how long a server may be silent in these tests
_TIMEOUT_S = 0.25


@dataclass
class Office:
    """An outbox, the worker that empties it, and the clock on the wall."""

    store: Store
    worker: Worker
    port: int
    clock: list[datetime]
    ids: dict[str, bytes] = field(default_factory=dict)

    def put(self, count: int, *, padding: int = 0) -> None:
        """Puts so many answers into the outbox, each to somebody else."""
        with self.store.write() as tx:
            for number in range(1, count + 1):
                message_id = f"<ack.{number}@bsec.example>"
                octets = f"Message-ID: {message_id}\r\nSubject: hello\r\n\r\nNumber {number}\r\n".encode()
                octets += b"x" * 70 * (padding > 0) + b"\r\n" * (padding > 0)
                octets += (b"y" * 70 + b"\r\n") * (padding // 72)
                self.ids[message_id] = octets
                tx.outbox.put(outgoing(number, message_id, octets), record_id=None, now=START)

    def send(self, *, after: timedelta = timedelta()) -> None:
        self.clock[0] += after
        self.worker.send()

    @property
    def states(self) -> dict[OutgoingState, int]:
        with self.store.read() as tx:
            return tx.outbox.counts()

    def failures(self) -> tuple[str, ...]:
        with self.store.read() as tx:
            return tuple(each.error for each in tx.outbox.failures(START, self.clock[0] + timedelta(days=1)))


def outgoing(number: int, message_id: str, octets: bytes) -> Outgoing:
    return Outgoing(
        kind=OutgoingKind.ACKNOWLEDGEMENT,
        purpose=f"acknowledgement:{number}",
        state=OutgoingState.QUEUED,
        message_id=message_id,
        account="pledges",
        envelope_from=f"sarah.crawley+b.{number:016x}@bsec.example",
        to=f"amina{number}@haven{number}.example",
        octets=octets,
        template=Template.CONTRIBUTION,
    )


def open_office(folder: Path, port: int, **changes: str) -> Office:
    deployment = Deployment.write(folder, imap_port=1, user="u", password="p", smtp_port=port)
    text = deployment.config.read_text("utf-8")
    head, _, smtp = text.partition("[account.smtp]")
    for key, value in {"timeout_s": str(_TIMEOUT_S), **changes}.items():
        lines = [line for line in smtp.splitlines() if not line.startswith(f"{key} =")]
        smtp = "\n".join([*lines, f"{key} = {value}"])
    deployment.config.write_text(f"{head}[account.smtp]\n{smtp}\n", "utf-8")
    shown = load_shown(load_config(deployment.config))
    store = open_store(shown.config, shown.campaign)
    clock = [START]

    def parts() -> Any:
        raise AssertionError("nothing is understood here")

    return Office(store=store, worker=Worker(shown, store, parts, now=lambda: clock[0]), port=port, clock=clock)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., tuple[Office, FaultySmtp]]]:
    """Starts a server with its faults, and an office that sends through it."""
    opened: list[Any] = []

    def start(plan: Plan, **options: Any) -> tuple[Office, FaultySmtp]:
        server = FaultySmtp(plan, **options)
        server.__enter__()
        office = open_office(tmp_path, server.port)
        opened.extend([server, office.store])
        return office, server

    yield start
    for each in opened:
        each.close() if isinstance(each, Store) else each.__exit__()


def once(plan: Plan) -> Plan:
    """A plan of which only the first fault happens."""
    struck: list[Step] = []

    def at(step: Step) -> Fault | None:
        fault = None if struck else plan(step)
        if fault is not None:
            struck.append(step)
        return fault

    return at


def assert_each_went_out(office: Office, server: FaultySmtp, *, twice: int = 0) -> None:
    """All are sent; each was only ever offered as it was put; at most `twice` of them were kept twice."""
    assert office.states == {OutgoingState.SENT: len(office.ids)}
    assert set(server.kept) == set(office.ids)
    assert sum(server.kept.values()) <= len(office.ids) + twice
    assert all(office.ids[message_id] == octets for message_id, octets in server.offered)


def test_421_in_mid_session(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    gone = Fault(b"421 4.3.2 going down", drop=True)
    office, server = begin(once(lambda step: gone if (step.command, step.mail) == ("MAIL", 3) else None))
    office.put(6)
    office.send()
    # The one that it struck waits; the others went over a new connection at once.
    assert office.states == {OutgoingState.SENT: 5, OutgoingState.DEFERRED: 1}
    office.send(after=timedelta(minutes=1))
    assert_each_went_out(office, server)


@pytest.mark.parametrize("command", ["connect", "EHLO"])
def test_421_before_any_mail(begin: Callable[..., tuple[Office, FaultySmtp]], command: str) -> None:
    gone = Fault(b"421 4.3.2 too busy", drop=True)
    office, server = begin(once(lambda step: gone if step.command == command else None))
    office.put(3)
    office.send()
    assert office.states == {OutgoingState.DEFERRED: 3}
    assert [str(problem) for problem in office.worker.problems]
    office.send(after=timedelta(minutes=1))
    assert_each_went_out(office, server)
    assert office.worker.problems == ()


def test_450_greylisting(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    seen: set[str] = set()

    def greylist(step: Step) -> Fault | None:
        if step.command != "RCPT" or step.argument in seen:
            return None
        seen.add(step.argument)
        return Fault(b"450 4.2.0 greylisted, try again")

    office, server = begin(greylist)
    office.put(5)
    office.send()
    assert office.states == {OutgoingState.DEFERRED: 5}
    office.send(after=timedelta(seconds=59))
    assert office.states == {OutgoingState.DEFERRED: 5}
    office.send(after=timedelta(seconds=1))
    assert_each_went_out(office, server)


@pytest.mark.parametrize(
    ("command", "answer"),
    [("RCPT", b"550 5.1.1 no such user"), (".", b"552 5.2.2 mailbox full"), ("MAIL", b"552 5.3.4 too large")],
)
def test_a_refusal_is_final_and_shown_in_the_servers_words(
    begin: Callable[..., tuple[Office, FaultySmtp]], command: str, answer: bytes
) -> None:
    office, server = begin(lambda step: Fault(answer) if (step.command, step.mail) == (command, 2) else None)
    office.put(3)
    office.send()
    assert office.states == {OutgoingState.SENT: 2, OutgoingState.FAILED: 1}
    assert office.failures() == (answer.decode(),)
    office.send(after=timedelta(days=1))
    assert sum(server.kept.values()) == 2


def test_size_is_respected(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    office, server = begin(lambda _: None, extensions=("SIZE 1000",))
    office.put(1, padding=5000)
    office.send()
    assert office.states == {OutgoingState.FAILED: 1}
    (words,) = office.failures()
    assert "at most 1,000 octets" in words
    assert server.mail_from == []


def test_the_size_is_told(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    office, server = begin(lambda _: None)
    office.put(1)
    office.send()
    (octets,) = office.ids.values()
    assert f"SIZE={len(octets)}" in server.mail_from[0].upper()


@pytest.mark.parametrize("keep", [True, False])
def test_dropped_after_data_before_250(begin: Callable[..., tuple[Office, FaultySmtp]], keep: bool) -> None:
    drop = Fault(drop=True, keep=keep)
    office, server = begin(once(lambda step: drop if (step.command, step.mail) == (".", 2) else None))
    office.put(4)
    office.send()
    assert office.states == {OutgoingState.SENT: 3, OutgoingState.DEFERRED: 1}
    office.send(after=timedelta(minutes=1))
    assert_each_went_out(office, server, twice=int(keep))


@pytest.mark.parametrize("command", ["connect", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"])
def test_a_server_silent_for_ever(begin: Callable[..., tuple[Office, FaultySmtp]], command: str) -> None:
    silent = Fault(silent=True)
    office, server = begin(once(lambda step: silent if step.command == command else None))
    office.put(2)
    office.send()
    office.send(after=timedelta(minutes=1))
    assert_each_went_out(office, server)


@pytest.mark.parametrize("command", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_garbage_for_an_answer(begin: Callable[..., tuple[Office, FaultySmtp]], command: str) -> None:
    garbage = Fault(b"\x16\x03\x01 what?", drop=True)
    office, server = begin(once(lambda step: garbage if step.command == command else None))
    office.put(2)
    office.send()
    office.send(after=timedelta(minutes=1))
    assert_each_went_out(office, server)


REFUSED = Fault(b"454 4.7.0 TLS not available")
SILENT = Fault(b"220 2.0.0 go ahead", silent=True)


@pytest.mark.parametrize(
    ("security", "fault", "words"),
    [
        ("tls", None, "check account.smtp.port and account.smtp.security"),
        ("starttls", REFUSED, "is not ready: 454 4.7.0 TLS not available"),
        ("starttls", SILENT, "no answer within"),
        # It says that it is ready for TLS, and goes on in clear text.
        ("starttls", None, "check account.smtp.port and account.smtp.security"),
    ],
)
def test_tls_that_fails_sends_nothing_and_loses_nothing(
    tmp_path: Path, security: str, fault: Fault | None, words: str
) -> None:
    with FaultySmtp(lambda step: fault if step.command == "STARTTLS" else None, extensions=("STARTTLS",)) as server:
        office = open_office(tmp_path, server.port, security=f'"{security}"')
        office.put(2)
        office.send()
        assert office.states == {OutgoingState.DEFERRED: 2}
        assert server.mail_from == []
        (problem,) = office.worker.problems
        assert words in str(problem)
        office.store.close()


def test_a_mail_that_is_put_off_for_days_is_given_up_and_shown(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    office, server = begin(lambda step: Fault(b"450 4.2.0 later") if step.command == "RCPT" else None)
    office.put(1)
    waits = 0
    while office.states == {OutgoingState.QUEUED: 1} or OutgoingState.DEFERRED in office.states:
        office.send(after=timedelta(hours=1))
        waits += 1
        assert waits < 100
    assert office.failures() == ("given up after 3 days: 450 4.2.0 later",)
    assert not server.kept


def test_per_minute(tmp_path: Path) -> None:
    with SmtpSink() as sink:
        office = open_office(tmp_path, sink.port, per_minute="3", timeout_s="5")
        office.put(7)
        sent = []
        for _ in range(4):
            office.send()
            office.send(after=timedelta(seconds=30))
            sent.append(len(sink.messages))
            office.clock[0] += timedelta(seconds=31)
        assert sent == [3, 6, 7, 7]
        office.store.close()


#: the share of steps at which something goes wrong with ten thousand
_SHARE = 0.004


def test_ten_thousand_queued_over_a_server_of_many_faults(begin: Callable[..., tuple[Office, FaultySmtp]]) -> None:
    dice = random.Random(20260302)  # noqa: S311 - the same on every run
    faults = [
        Fault(b"421 4.3.2 going down", drop=True),
        Fault(b"450 4.2.0 greylisted"),
        Fault(b"451 4.3.0 try later"),
        Fault(drop=True),
        Fault(drop=True, keep=True),
    ]
    office, server = begin(lambda _: dice.choice(faults) if dice.random() < _SHARE else None)
    office.put(10_000)
    for _ in range(20):
        office.send(after=timedelta(minutes=10))
        if office.states == {OutgoingState.SENT: 10_000}:
            break
    kept_unanswered = sum(count - 1 for count in server.kept.values())
    assert_each_went_out(office, server, twice=kept_unanswered)
    # Only what was taken without an answer was taken twice.
    assert kept_unanswered < 10_000 * _SHARE
