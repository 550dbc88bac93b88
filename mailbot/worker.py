"""The scheduled jobs: receive, handle, send, digest. Owns the order of work in time and a graceful stop."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from threading import Event, Lock, Thread
from typing import Protocol

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from mailbot import digests, oauth, pipeline, replies
from mailbot.config import Account
from mailbot.errors import FetchRefused, MailbotError, MailboxMissing, SignInRefused
from mailbot.filing import Store
from mailbot.intake import ImapSession
from mailbot.model import Outgoing, OutgoingState, QueuedOutgoing
from mailbot.replying.outbox import AFTER_REFUSAL, deliver
from mailbot.schedule import cron_trigger, latest_fire
from mailbot.screening import Policy
from mailbot.shown import Shown

# A poll that takes longer than its interval is no news: the next one follows it at once.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
_log = structlog.get_logger(__name__)

#: waits after a mailbox could not be reached: doubled from the first to the longest, with jitter
_FIRST_WAIT_S = 5
_LONGEST_WAIT_S = 900
#: mail filed in one transaction, and its octets, which bound the memory in use
_HANDLE_COUNT = 25
_HANDLE_OCTETS = 8_000_000
#: refusals of one and the same mail after which the mailbox is read on without it
_REFUSALS = 3
#: mail sent over one connection
_SEND_COUNT = 100
_MINUTE = timedelta(minutes=1)
#: how often the outbox is looked into when nothing new was put there
_SEND_INTERVAL_S = 5
#: how often to see whether a digest is due that was not made at its time
_DIGEST_INTERVAL_S = 300


class Progress(Protocol):
    """Who is told of each step, for people who watch; called from the worker's threads."""

    def fetched(self, count: int) -> None:
        """So many new mails are stored."""

    def handled(self, record_id: int | None) -> None:
        """One mail is filed; None when it was parked or is a digest of our own."""

    def sent(self, mail: Outgoing) -> None:
        """One mail of ours was taken by the server."""


class Silent:
    """Nobody watches."""

    def fetched(self, count: int) -> None:
        """Told to nobody."""

    def handled(self, record_id: int | None) -> None:
        """Told to nobody."""

    def sent(self, mail: Outgoing) -> None:
        """Told to nobody."""


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Trouble:
    """Why an account is left alone, and until when."""

    problem: MailbotError
    failures: int
    until: datetime


@dataclass(frozen=True, slots=True)
class _Refused:
    """The first of the mails that a server did not give, and how often in a row."""

    uid: int
    times: int


class Worker:
    """Runs the jobs, once or until stopped. One worker for one store (`Store.exclusive`).

    Args:
        shown: what people see is made of.
        store: where everything is kept.
        parts: gives what a mail meets on its way, when it is loaded: the first mail waits for it, polling does not.
        progress: who is told of each step.
        now: the clock.
        dry_run: receive and file, but send nothing and make no digest; `parts` holds what would be sent.
    """

    def __init__(
        self,
        shown: Shown,
        store: Store,
        parts: Callable[[], pipeline.Parts],
        progress: Progress | None = None,
        now: Callable[[], datetime] = utc_now,
        *,
        dry_run: bool = False,
    ) -> None:
        self._dry_run = dry_run
        self._shown = shown
        self._parts = parts
        self._config = shown.config
        self._store = store
        self._progress = progress or Silent()
        self._now = now
        self._stopping = Event()
        self._handling = Lock()
        #: wakes the thread that handles, and for each account the one that sends
        self._came_in = Event()
        self._to_send = {account.name: Event() for account in self._config.account}
        self._trouble: dict[str, _Trouble] = {}
        self._refused: dict[tuple[str, str], _Refused] = {}
        self._fine: set[str] = set()
        #: what was last said about the end of an account's sign-in
        self._warned: dict[str, str | None] = {
            account.name: "" for account in self._config.account if account.oauth is not None
        }
        with store.write() as tx:
            self._since = self._start_of_work(tx.journal.created_at())
            # Whoever starts it again has often just mended what kept the mail back.
            tx.outbox.hurry(now())
            replies.write_parked(tx, shown, now=now())
            tx.outbox.take_up(now(), alone=True)
            # An account that is no longer configured has no trouble any more.
            tx.journal.keep_notices(
                {"store", "digest"}
                | {
                    f"{protocol}:{account.name}"
                    for account in self._config.account
                    for protocol in ("imap", "smtp", "oauth")
                }
            )

    # --- jobs ---

    def receive(self, account: Account) -> bool:
        """Stores what is new in an account's mailboxes; true when all of them could be read."""
        return self._guarded(f"imap:{account.name}", partial(self._receive, account))

    def handle_pending(self) -> None:
        """Takes every stored mail the whole way; what breaks a stage is parked."""
        parts = self._parts()
        while not self._stopping.is_set():
            with self._handling:
                with self._store.read() as tx:
                    mails = tx.mails.pending(_HANDLE_COUNT, _HANDLE_OCTETS)
                if not mails:
                    return
                outcomes = pipeline.handle(mails, parts, self._store, now=self._now())
                self._alert(parts.policy)
            self._ring_to_send()
            for handled in outcomes:
                self._tell(handled)

    def send(self) -> None:
        """Sends what is due, account by account; nothing in a dry run."""
        for account in self._config.account:
            self._send_for(account)

    def digest(self) -> bool:
        """Makes the digest of the last period that has ended, unless it was made; true when it was made now."""
        if self._dry_run:
            return False
        now = self._now()
        trigger = cron_trigger(self._config.digest.cron, self._config.time_zone)
        with self._store.read() as tx:
            start = tx.journal.digest_start()
        end = latest_fire(trigger, start, now)
        return end is not None and self.digest_until(end)

    def digest_until(self, end: datetime) -> bool:
        """Makes the digest from where the last one ended until `end`; true when there was something to send."""
        # No mail is half filed now, so that none filed before `end` appears after its digest was made.
        with self._handling, self._store.write() as tx:
            start = tx.journal.digest_start()
            if end <= start:
                return False
            digest = digests.gather(tx, start, end, self._shown)
            outgoing_id = None
            if self._config.digest.send_when_empty or digests.has_content(digest):
                outgoing_id = tx.outbox.put(digests.make(digest, self._shown), record_id=None, now=self._now())
            tx.journal.digest_made(start, end, outgoing_id)
            return outgoing_id is not None

    @property
    def problems(self) -> tuple[MailbotError, ...]:
        """What could not be done at the last try, one for each server that failed."""
        return tuple(trouble.problem for trouble in self._trouble.values())

    # --- ways of running ---

    def once(self) -> None:
        """One pass of every job; `problems` tells what could not be done."""
        for account in self._config.account:
            self.receive(account)
        self._guarded("store", self.handle_pending)
        self._guarded("digest", self.digest)
        self.send()

    def run(self) -> None:
        """Runs until `stop` is called; a mail that is being handled or sent is finished first.

        Each account is received and sent by threads of its own, so that one that hangs holds up no other; one thread
        handles what came in.
        """
        jobs = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler = BackgroundScheduler(timezone=UTC, job_defaults=jobs)
        scheduler.add_job(self._digest, cron_trigger(self._config.digest.cron, self._config.time_zone))
        # Made now: a digest that fell due while nothing ran; and soon: one that could not be made at its time.
        scheduler.add_job(self._digest, "interval", seconds=_DIGEST_INTERVAL_S, next_run_time=self._now())
        threads = [Thread(target=self._keep_handling, name="handle")]
        for account in self._config.account:
            threads.append(Thread(target=self._keep_receiving, args=(account,), name=f"imap:{account.name}"))
            threads.append(Thread(target=self._keep_sending, args=(account,), name=f"smtp:{account.name}"))
        scheduler.start()
        for thread in threads:
            thread.start()
        _log.info("at work", accounts=[account.name for account in self._config.account])
        try:
            self._stopping.wait()
        finally:
            self._ring()
            scheduler.shutdown(wait=True)
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Asks the worker to end; returns at once. Safe in a signal handler."""
        self._stopping.set()

    # --- threads ---

    def _keep_receiving(self, account: Account) -> None:
        key = f"imap:{account.name}"
        while not self._stopping.is_set():
            done = self._guarded(key, partial(self._receive_until_it_ends, account))
            # A mailbox that is missing is no reason to wait longer, nor to look oftener.
            wait_s = 0.0 if done else self._seconds_left_alone(key)
            self._stopping.wait(wait_s or account.poll_interval_s)

    def _receive_until_it_ends(self, account: Account) -> None:
        """Receives over one connection for as long as the server tells of new mail; once where it does not."""
        with ImapSession.open(account) as session:
            while not self._stopping.is_set():
                self._receive_all(session, account)
                self._worked(f"imap:{account.name}")
                if not (account.idle and session.can_idle):
                    return
                session.idle(account.mailboxes[0], account.poll_interval_s, self._stopping.is_set)

    def _keep_handling(self) -> None:
        while not self._stopping.is_set():
            self._came_in.clear()
            self._guarded("store", self.handle_pending)
            self._came_in.wait(_SEND_INTERVAL_S)

    def _keep_sending(self, account: Account) -> None:
        while not self._stopping.is_set():
            self._to_send[account.name].clear()
            self._send_for(account)
            self._to_send[account.name].wait(_SEND_INTERVAL_S)

    def _ring(self) -> None:
        """Wakes every thread."""
        for bell in (self._came_in, *self._to_send.values()):
            bell.set()

    def _ring_to_send(self) -> None:
        for bell in self._to_send.values():
            bell.set()

    # --- steps ---

    def _send_for(self, account: Account) -> None:
        key = f"smtp:{account.name}"
        if self._dry_run or self._seconds_left_alone(key):
            return
        # What is in `sending` beyond its lease was left there by an outcome that could not be written down. Its
        # Message-ID stays the same.
        if self._guarded("store", self._take_up):
            self._guarded(key, partial(self._send, account))

    def _take_up(self) -> None:
        with self._store.write() as tx:
            taken = tx.outbox.take_up(self._now())
        if taken:
            _log.info("taking up what was being sent", count=taken)

    def _seconds_left_alone(self, key: str) -> float:
        """How long a server that failed is left alone, from now."""
        trouble = self._trouble.get(key)
        return 0.0 if trouble is None else max((trouble.until - self._now()).total_seconds(), 0.0)

    def _digest(self) -> None:
        if self._guarded("digest", self.digest):
            self._ring_to_send()

    def _receive(self, account: Account) -> None:
        with ImapSession.open(account) as session:
            self._receive_all(session, account)

    def _receive_all(self, session: ImapSession, account: Account) -> None:
        missing: list[MailboxMissing] = []
        for mailbox in account.mailboxes:
            try:
                self._receive_mailbox(session, account, mailbox)
            except MailboxMissing as problem:
                missing.append(problem)  # the account's other mailboxes are read all the same
            except FetchRefused as problem:
                self._note_refusal(account, mailbox, problem)
                raise
        self._mind_the_sign_in(account)
        if missing:
            raise missing[0]

    def _mind_the_sign_in(self, account: Account) -> None:
        """Tells the coordinator in good time that somebody has to sign in again."""
        words = None if account.oauth is None else oauth.warning(account, now=self._now())
        if words == self._warned.get(account.name):
            return
        with self._store.write() as tx:
            if words is None:
                tx.journal.clear(f"oauth:{account.name}")
            else:
                tx.journal.note(f"oauth:{account.name}", words, now=self._now())
        self._warned[account.name] = words

    def _receive_mailbox(self, session: ImapSession, account: Account, mailbox: str) -> None:
        intake, place = self._config.intake, (account.name, mailbox)
        refused = self._refused.get(place)
        with self._store.read() as tx:
            cursor = tx.mails.cursor(account.name, mailbox)
        for batch in session.receive(
            mailbox,
            cursor,
            since=self._since,
            read_older=intake.older == "file",
            batch_octets=intake.batch_octets,
            max_size_octets=intake.max_size_octets,
            one_by_one=refused is not None,
            leave_out=refused.uid if refused is not None and refused.times >= _REFUSALS else None,
        ):
            # Mail and cursor in one transaction: a crash before it fetches again, a crash after it has both.
            with self._store.write() as tx:
                new = tx.mails.save(batch.mails, now=self._now(), archive_before=batch.cursor.since)
                tx.mails.move_cursor(batch.cursor)
            if new:
                _log.info("fetched", account=account.name, mailbox=mailbox, count=new)
                self._came_in.set()
                self._progress.fetched(new)
            if self._stopping.is_set():
                return
        self._refused.pop(place, None)

    def _note_refusal(self, account: Account, mailbox: str, problem: FetchRefused) -> None:
        """A mail that the server does not give is looked for one by one, and left out when it is found for good."""
        before, uid = self._refused.get((account.name, mailbox)), problem.uids[0]
        again = before is not None and before.uid == uid and len(problem.uids) == 1
        times = before.times + 1 if again and before is not None else 1
        self._refused[account.name, mailbox] = _Refused(uid=uid, times=times)

    def _alert(self, policy: Policy) -> None:
        """Tells the coordinator, once a day, that the circuit breaker holds every answer."""
        now = self._now()
        with self._store.read() as tx:
            broken = policy.breaker(tx.outbox.last_hour(now))
        if broken is None:
            return
        with self._store.write() as tx:
            held = tx.outbox.counts().get(OutgoingState.HELD, 0)
            tx.outbox.put(digests.make_alert(broken, held, now, self._shown), record_id=None, now=now)
        _log.warning("no more answers for now", reason=broken)

    def _tell(self, handled: pipeline.Handled) -> None:
        if handled.failed is None:
            _log.info("handled", mail_id=handled.mail_id, record_id=handled.record_id)
        else:
            # The kind of error only: its words may hold words of the mail.
            kind = type(handled.failed.__cause__).__name__
            _log.error("parked", mail_id=handled.mail_id, stage=handled.failed.stage, error=kind)
        self._progress.handled(handled.record_id)

    def _send(self, account: Account) -> None:
        while not self._stopping.is_set():
            with self._store.read() as tx:
                now, count = self._now(), _SEND_COUNT
                if per_minute := account.smtp.per_minute:
                    count = min(count, per_minute - tx.outbox.sent_since(now - _MINUTE, account=account.name))
                due = tx.outbox.due(now, count, account=account.name) if count > 0 else ()
            if not due:
                return
            deliver(
                due,
                account,
                _StoreReport(self),
                retry=timedelta(days=self._config.acknowledge.retry_days),
                now=self._now,
                stopping=self._stopping.is_set,
            )

    def _guarded(self, key: str, job: Callable[[], object]) -> bool:
        """Runs a job; what it cannot do becomes a notice that the coordinator sees, and a wait. True when done."""
        try:
            job()
        except Exception as caught:
            problem = caught if isinstance(caught, MailbotError) else _Unforeseen(key, caught)
            if problem is not caught:
                _log.exception("a bug: please report it", job=key)
            self._fine.discard(key)
            wait_s = self._wait_after(key, problem)
            _log.warning("cannot go on", job=key, problem=str(problem), wait_s=round(wait_s))
            with suppress(MailbotError), self._store.write() as tx:
                tx.journal.note(key, str(problem), now=self._now())
            return False
        self._worked(key)
        return True

    def _worked(self, key: str) -> None:
        self._trouble.pop(key, None)
        if key not in self._fine:
            # The notice may be an earlier worker's.
            with suppress(MailbotError):
                with self._store.write() as tx:
                    tx.journal.clear(key)
                self._fine.add(key)

    def _wait_after(self, key: str, problem: MailbotError) -> float:
        failures = self._trouble[key].failures + 1 if key in self._trouble else 1
        match problem:
            case SignInRefused():
                wait_s = AFTER_REFUSAL.total_seconds()
            case MailboxMissing():
                wait_s = 0.0  # the others are there, and to be polled as ever
            case _:
                wait_s = min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 20), _LONGEST_WAIT_S)
                wait_s *= random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        self._trouble[key] = _Trouble(problem=problem, failures=failures, until=self._now() + timedelta(seconds=wait_s))
        return wait_s

    def _start_of_work(self, created_at: datetime) -> datetime:
        """Midnight of the day from which mail is read, for a mailbox that was never read."""
        since = self._config.intake.since
        zone = self._config.time_zone
        day = created_at.astimezone(zone).date() if since == "today" else since
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


class _Unforeseen(MailbotError):
    """A bug showed itself; the job is tried again, and the others go on. Its words may hold words of a mail."""

    def __init__(self, job: str, problem: Exception) -> None:
        super().__init__(f"{job}: something unforeseen happened ({type(problem).__name__}); the log has more")


class _StoreReport:
    """Commits each outcome of sending at once."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._store = worker._store
        self._now = worker._now

    def sending(self, mail: QueuedOutgoing) -> bool:
        with self._store.write() as tx:
            return tx.outbox.sending(mail.outgoing_id, now=self._now())

    def sent(self, mail: QueuedOutgoing) -> None:
        with self._store.write() as tx:
            tx.outbox.sent(mail.outgoing_id, now=self._now())
        self._worker._progress.sent(mail.outgoing)

    def deferred(self, mail: QueuedOutgoing, *, reason: str, next_attempt_at: datetime) -> None:
        with self._store.write() as tx:
            tx.outbox.deferred(mail.outgoing_id, reason=reason, next_attempt_at=next_attempt_at)

    def failed(self, mail: QueuedOutgoing, *, reason: str) -> None:
        with self._store.write() as tx:
            tx.outbox.failed(mail.outgoing_id, reason=reason, now=self._now())
