"""The way of one mail, from stored octets to a filed record and a queued acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from mailbot import replies
from mailbot.config import Config
from mailbot.errors import MailbotError, TransientError
from mailbot.filing import Store, Transaction
from mailbot.model import (
    ARCHIVE,
    Acknowledgement,
    Classification,
    Decision,
    History,
    Message,
    Screening,
    StoredMail,
)
from mailbot.reading import read
from mailbot.screening import Policy, acknowledge, screen
from mailbot.shown import Shown


class Classifies(Protocol):
    """What the way needs of a classifier."""

    def classify(self, message: Message) -> Classification:
        """What the mail is and what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a mail meets on its way; wired in app.py."""

    shown: Shown
    policy: Policy
    classifier: Classifies
    #: file everything and send nothing: what would be sent is held
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A mail after the stages that need no store."""

    message: Message
    screening: Screening
    classification: Classification


class StageFailed(Exception):
    """A stage raised; `__cause__` is what it raised."""

    def __init__(self, stage: str, message: Message | None) -> None:
        super().__init__(stage)
        self.stage = stage
        self.message = message

    @property
    def words(self) -> str:
        """What the stage raised, for people."""
        problem = self.__cause__
        return str(problem) if isinstance(problem, MailbotError) else f"{type(problem).__name__}: {problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of one mail."""

    mail_id: int
    #: None when it was parked, and for a digest of our own that came back
    record_id: int | None
    #: why it was parked
    failed: StageFailed | None = None


def understand(
    octets: bytes, policy: Policy, classifier: Classifies, *, in_junk: bool = False, account: str = ""
) -> Understood:
    """Reads, screens and classifies one mail.

    Raises:
        StageFailed: with the stage that raised.
    """
    with _stage("reading"):
        message = read(octets)
    with _stage("screening", message):
        screening = screen(message, in_junk=in_junk, policy=policy, account=account)
    with _stage("classifying", message):
        classification = classifier.classify(message)
    return Understood(message=message, screening=screening, classification=classification)


def decide(understood: Understood, policy: Policy, history: History, *, now: datetime) -> Acknowledgement:
    """Whether, to whom and with what an understood mail is answered."""
    return acknowledge(understood.message, understood.screening, understood.classification, history, policy, now=now)


def handle(mails: Sequence[StoredMail], parts: Parts, store: Store, *, now: datetime) -> tuple[Handled, ...]:
    """Takes stored mails the whole way; their outcomes are committed together, at the end.

    A mail that breaks a stage is parked with its error; the others go on.

    Raises:
        TransientError: the store is not to be had at present; nothing was filed.
    """
    policy, classifier = parts.policy, parts.classifier
    found: list[Understood | StageFailed] = []
    for mail in mails:
        try:
            found.append(understand(mail.octets, policy, classifier, in_junk=mail.in_junk, account=mail.account))
        except StageFailed as failed:
            found.append(failed)
    with store.write() as tx:
        return tuple(_file_or_park(mail, each, parts, tx, now) for mail, each in zip(mails, found, strict=True))


def _file_or_park(
    mail: StoredMail, found: Understood | StageFailed, parts: Parts, tx: Transaction, now: datetime
) -> Handled:
    try:
        if isinstance(found, StageFailed):
            raise found
        return Handled(mail_id=mail.mail_id, record_id=file(mail, found, parts, tx, now=now))
    except StageFailed as failed:
        sender = failed.message.from_address if failed.message else None
        tx.mails.park(
            mail.mail_id,
            stage=failed.stage,
            error=failed.words,
            subject=failed.message.subject if failed.message else "",
            sender=sender.addr_spec if sender else "",
            now=now,
        )
        return Handled(mail_id=mail.mail_id, record_id=None, failed=failed)


def file(mail: StoredMail, found: Understood, parts: Parts, tx: Transaction, *, now: datetime) -> int | None:
    """Files an understood mail, and queues or holds its acknowledgement.

    Returns:
        The record's row number, also when the mail is another copy of one that is filed; None for a digest of
        our own that came back.

    Raises:
        StageFailed: with the stage that raised.
        TransientError: the store is not to be had at present.
    """
    message, classification = found.message, found.classification
    with _stage("filing", message), tx.savepoint():
        known = tx.records.find(message.message_id, message.content_hash)
        if known is not None or tx.outbox.is_ours(message.message_id):
            tx.mails.filed(mail.mail_id, known)
            return known
        history = tx.outbox.history(message, now=now, look_back=parts.policy.look_back)
        answer = _of_bounce(message, decide(found, parts.policy, history, now=now), tx, now)
        acknowledgement = _for_old(mail, message.date, answer, parts.shown.config, now)
        if parts.dry_run and acknowledgement.decision is Decision.SEND:
            acknowledgement = replace(acknowledgement, decision=Decision.HOLD, reason="dry run: nothing is sent")
        number = tx.records.next_number()
        reference = parts.shown.campaign.reference(number)
        record_id = tx.records.file(
            number,
            message,
            classification,
            acknowledgement,
            account=mail.account,
            received_at=mail.internal_date,
            partial=mail.partial,
            now=now,
        )
        if acknowledgement.decision is not Decision.NEVER:
            with _stage("replying", message):
                reply = replies.write_or_park(
                    message, classification, acknowledgement, reference, mail.account, parts.shown, now=now
                )
            tx.outbox.put(reply, record_id=record_id, now=now)
        tx.mails.filed(mail.mail_id, record_id)
        return record_id


def _of_bounce(message: Message, answer: Acknowledgement, tx: Transaction, now: datetime) -> Acknowledgement:
    """Links a bounce to what came back; the record then says so."""
    if message.bounce is None or answer.decision is not Decision.NEVER:
        return answer
    about = tx.outbox.bounced(message.bounce, message.recipients, now=now)
    return replace(answer, reason=f"{answer.reason}; it reports on {about}") if about else answer


@contextmanager
def _stage(name: str, message: Message | None = None) -> Iterator[None]:
    try:
        yield
    except (TransientError, StageFailed):
        raise
    except Exception as problem:
        raise StageFailed(name, message) from problem


def _for_old(
    mail: StoredMail, written_at: datetime | None, acknowledgement: Acknowledgement, config: Config, now: datetime
) -> Acknowledgement:
    """An answer that comes too late astonishes: it is held, and never given to mail from an archive."""
    if acknowledgement.decision is Decision.NEVER:
        return acknowledgement
    if mail.archive:
        return Acknowledgement(decision=Decision.NEVER, guard=None, reason=ARCHIVE, to=None, template=None)
    # A mailbox restored from a backup may give every mail the day of its return: its own Date then tells.
    age = now - min(mail.internal_date, written_at or mail.internal_date)
    if acknowledgement.decision is Decision.SEND and age > timedelta(days=config.acknowledge.max_age_days):
        reason = f"arrived {age.days} days ago, which is too late to answer unasked"
        return replace(acknowledgement, decision=Decision.HOLD, reason=reason)
    return acknowledgement
