"""Empties the outbox: one connection for a batch, every outcome reported at once. Knows no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from mailbot.config import Account
from mailbot.errors import ConfigError, DeliveryDeferred, DeliveryRejected, SignInRefused
from mailbot.model import OutgoingKind, QueuedOutgoing
from mailbot.replying.smtp import SmtpSession

#: the first wait after a 4yz, doubled each time
_FIRST_WAIT = timedelta(minutes=1)
#: the longest wait between two attempts
_LONGEST_WAIT = timedelta(hours=4)
#: the wait after a refused sign-in: trying oftener could lock the account
AFTER_REFUSAL = timedelta(hours=1)


class Report(Protocol):
    """Who keeps the outcome; each call is committed before the next step."""

    def sending(self, mail: QueuedOutgoing) -> bool:
        """It is being handed to the server now; false when another worker has taken it, or it is no longer wanted."""

    def sent(self, mail: QueuedOutgoing) -> None:
        """The server took it."""

    def deferred(self, mail: QueuedOutgoing, *, reason: str, next_attempt_at: datetime) -> None:
        """To be tried again."""

    def failed(self, mail: QueuedOutgoing, *, reason: str) -> None:
        """Given up."""


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts (from 1): 1 min doubling to 4 h (RFC 5321 section 4.5.4.1)."""
    doubled: timedelta = _FIRST_WAIT * 2 ** min(attempts - 1, 20)
    return min(doubled, _LONGEST_WAIT)


def deliver(
    due: Sequence[QueuedOutgoing],
    account: Account,
    report: Report,
    *,
    retry: timedelta,
    now: Callable[[], datetime],
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Sends mail through an account's server, one after the other.

    Args:
        due: what is to be sent by this account.
        account: whose server sends it.
        report: who keeps each outcome.
        retry: how long after its creation a mail is still tried.
        now: the clock.
        stopping: true when the worker is to end; checked between two mails.

    Raises:
        DeliveryDeferred: the server cannot be used at present; what is left waits.
        SignInRefused, ConfigError: not before somebody corrects something; what is left waits an hour, so that
            a wrong password does not lock the account.
    """
    waiting = list(due)
    while waiting and not stopping():
        try:
            with SmtpSession.open(account) as session:
                while waiting and session.alive() and not stopping():
                    _send(waiting.pop(0), session, report, retry, now())
        except (DeliveryDeferred, SignInRefused, ConfigError) as problem:
            wait = wait_after(1) if isinstance(problem, DeliveryDeferred) else AFTER_REFUSAL
            for mail in waiting:
                _defer(mail, str(problem), report, retry, now(), wait)
            raise


def _send(mail: QueuedOutgoing, session: SmtpSession, report: Report, retry: timedelta, now: datetime) -> None:
    if not report.sending(mail):
        return
    try:
        session.send(mail.outgoing)
    except DeliveryRejected as problem:
        report.failed(mail, reason=str(problem))
    except DeliveryDeferred as problem:
        _defer(mail, str(problem), report, retry, now, wait_after(mail.attempts + 1))
    else:
        report.sent(mail)


def _defer(mail: QueuedOutgoing, reason: str, report: Report, retry: timedelta, now: datetime, wait: timedelta) -> None:
    next_attempt_at = now + wait
    # A digest is never given up: it would be the only word of what came in.
    if mail.outgoing.kind is not OutgoingKind.DIGEST and next_attempt_at > mail.created_at + retry:
        report.failed(mail, reason=f"given up after {retry.days} days: {reason}")
    else:
        report.deferred(mail, reason=reason, next_attempt_at=next_attempt_at)
