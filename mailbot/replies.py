"""The way of one acknowledgement, from a filed mail to the outbox; parked when its template is broken.

Owns who it is from, its Message-ID and its envelope. Must not decide whether a mail is answered (screening does),
nor what an acknowledgement says (replying.compose and templates/ do).
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from mailbot.config import Account, Config
from mailbot.errors import PermanentError, TemplateProblem
from mailbot.filing import Transaction
from mailbot.model import (
    Acknowledgement,
    Address,
    Classification,
    Message,
    Outgoing,
    OutgoingKind,
    OutgoingState,
    Record,
)
from mailbot.reading import read
from mailbot.replying.compose import compose
from mailbot.shown import Shown


def write(
    message: Message,
    classification: Classification,
    acknowledgement: Acknowledgement,
    reference: str,
    account: str,
    shown: Shown,
    *,
    now: datetime,
) -> Outgoing:
    """The acknowledgement of a mail, exactly as it would be sent.

    Args:
        message, classification: the mail that is answered and what was understood of it.
        acknowledgement: to whom and with which template; it has both.
        reference: such as BSEC-0042.
        account: name of the account that the mail arrived at; one that is no longer configured is the first.
        shown: what people see is made of.
        now: aware, for Date.

    Raises:
        TemplateProblem: a template is missing or broken.
        PermanentError: the address to answer to cannot be written to.
    """
    config, coordinator = shown.config, shown.config.coordinator
    ours = next((each for each in config.account if each.name == account), config.account[0])
    token = _token(message)
    return compose(
        message,
        classification,
        acknowledgement,
        campaign=shown.campaign,
        reference=reference,
        sender=Address(display_name=ours.display_name or coordinator.name, addr_spec=ours.address),
        coordinator=Address(display_name=coordinator.name, addr_spec=coordinator.address),
        account=ours.name,
        envelope_from=_envelope_from(ours, config, token),
        message_id=_message_id(ours, token),
        now=now,
        templates=shown.templates,
        claim_from=config.acknowledge.receipt_below,
        time_zone=config.time_zone,
        language=config.campaign.language,
    )


def write_or_park(
    message: Message,
    classification: Classification,
    acknowledgement: Acknowledgement,
    reference: str,
    account: str,
    shown: Shown,
    *,
    now: datetime,
) -> Outgoing:
    """As `write`; but what cannot be written becomes a row that shows why, and the mail is filed all the same.

    A broken template parks it (`write_parked` tries again), an address that cannot be written to fails it. An answer
    for which there is no safe address is held without a text: the coordinator writes herself, or drops it.
    """
    state, reason = OutgoingState.HELD, acknowledgement.reason
    if acknowledgement.to is not None:
        try:
            return write(message, classification, acknowledgement, reference, account, shown, now=now)
        except TemplateProblem as problem:
            state, reason = OutgoingState.PARKED, str(problem)
        except PermanentError as problem:
            state, reason = OutgoingState.FAILED, str(problem)
    return Outgoing(
        kind=OutgoingKind.ACKNOWLEDGEMENT,
        purpose=f"acknowledgement:{reference}",
        state=state,
        message_id=_message_id(shown.config.account[0], _token(message)),
        account=account,
        envelope_from="",
        to=acknowledgement.to or "",
        octets=b"",
        template=str(acknowledgement.template or ""),
        reason=reason,
    )


def write_parked(tx: Transaction, shown: Shown, *, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Writes what was parked because of a broken template; what still cannot be written stays parked.

    Returns:
        How many were written, and the problem of each that was not, each problem once.
    """
    written, problems = 0, dict[str, None]()
    for record, account in tx.records.with_parked_reply():
        octets = tx.mails.octets_of_record(record.record_id)
        if octets is None:
            problems[f"{record.reference}: the mail itself is not kept any more, so there is nothing to answer"] = None
            continue
        again = write_or_park(
            read(octets), _classification(record), record.acknowledgement, record.reference, account, shown, now=now
        )
        if again.state is OutgoingState.PARKED:
            problems[again.reason] = None
        else:
            tx.outbox.write_again(record.record_id, again, now=now)
            written += 1
    return written, tuple(problems)


def _classification(record: Record) -> Classification:
    """What was understood when the mail was filed: an answer tells of nothing else."""
    return Classification(
        message_class=record.message_class,
        confidence=record.confidence,
        contributions=record.contributions,
        review_reasons=record.review_reasons,
        model_version=record.model_version,
    )


def _token(message: Message) -> str:
    # From what was answered, not from chance: made again after a restored backup it is the same.
    return sha256(f"{message.message_id}\n{message.content_hash}".encode()).hexdigest()[:32]


def _message_id(account: Account, token: str) -> str:
    return f"<ack.{token}@{account.address.rpartition('@')[2]}>"


def _envelope_from(account: Account, config: Config, token: str) -> str:
    match config.acknowledge.envelope_from:
        case "null":
            return ""
        case "account":
            return account.address
        case _:
            local, _, domain = account.address.rpartition("@")
            return f"{local}+b.{token[:16]}@{domain}"
