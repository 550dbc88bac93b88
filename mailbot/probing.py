"""What `mailbot check --probe` does: sends the account a mail of its own, and looks at what its server wrote on it.

Owns how the authserv-id of an account's server is found. The probe is noted in the outbox, so that the worker knows it
for our own and files no record of it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

from mailbot.config import Account
from mailbot.errors import ConfigError
from mailbot.filing import Store
from mailbot.intake import ImapSession
from mailbot.model import Address, Outgoing, OutgoingKind, OutgoingState
from mailbot.rendering import build_mail
from mailbot.replying.smtp import SmtpSession
from mailbot.screening.authentication import authserv_id_of

#: seconds to wait for the probe, and between two looks
_PATIENCE_S, _LOOK_S = 120.0, 2.0
#: mails in the mailbox that are looked at when the probe itself has no results; of those with results so many must
#: agree, and they must come from so many domains
_RECENT, _AGREE, _DOMAINS = 50, 0.8, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What became of a probe."""

    #: until it lay in a mailbox, seconds; None when it did not come in time
    took_s: float | None
    #: the mailbox that it came to; "" when it did not come
    mailbox: str = ""
    #: of the account's own server, as far as it can be told; "" when it cannot
    authserv_id: str = ""
    #: how it was told, for people
    because: str = ""
    #: the server's clock less ours, seconds
    ahead_s: float = 0.0


def probe(
    account: Account, store: Store, *, patience_s: float = _PATIENCE_S, wait: Callable[[float], None] = time.sleep
) -> Probe:
    """Sends the probe and waits for it.

    Args:
        account: sends to itself.
        store: notes the probe as our own.
        patience_s: how long to wait.
        wait: waits so many seconds.

    Raises:
        MailboxUnavailable, DeliveryDeferred, DeliveryRejected, SignInRefused: a server does not do its part.
    """
    mail = _mail(account)
    with store.write() as tx:
        tx.outbox.put(mail, record_id=None, now=datetime.now(UTC))
    begun = time.monotonic()
    with SmtpSession.open(account) as smtp:
        smtp.send(mail)
    sent_at = datetime.now(UTC)
    while True:
        with ImapSession.open(account) as session:
            junk = session.junk()
            for mailbox in dict.fromkeys([*account.mailboxes, *([junk] if junk else [])]):
                head = session.head_of(mailbox, mail.message_id)
                if head is not None:
                    return _found(head, mailbox, session, time.monotonic() - begun, sent_at)
        if time.monotonic() - begun > patience_s:
            return Probe(took_s=None)
        wait(_LOOK_S)


def _mail(account: Account) -> Outgoing:
    token = secrets.token_hex(16)
    message_id = f"<probe.{token}@{account.address.rpartition('@')[2]}>"
    words = "mailbot sent this mail to itself, to see how its server marks what arrives. You can delete it."
    mail = build_mail(
        sender=Address(display_name="mailbot", addr_spec=account.address),
        to=account.address,
        subject="mailbot looks at its own mailbox",
        message_id=message_id,
        date=datetime.now(UTC),
        headers=[("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"), ("X-Mailbot-Probe", token)],
        text=words,
        html=f'<!DOCTYPE html><html lang="en"><title>mailbot</title><body><p>{words}</p></body></html>',
    )
    return Outgoing(
        kind=OutgoingKind.PROBE,
        purpose=f"probe:{token}",
        state=OutgoingState.SENT,
        message_id=message_id,
        account=account.name,
        envelope_from=account.address,
        to=account.address,
        octets=mail.as_bytes(),
        template="",
    )


def _found(head: bytes, mailbox: str, session: ImapSession, took_s: float, sent_at: datetime) -> Probe:
    ahead_s = _ahead(head, sent_at)
    own = _topmost(head)
    if own:
        return Probe(took_s=took_s, mailbox=mailbox, authserv_id=own, because="it stands on the probe", ahead_s=ahead_s)
    # Many servers write no results on mail from their own users: mail from outside tells.
    authserv_id = agreed(session.recent_heads(mailbox, _RECENT))
    because = f"it stands on the last mails in {mailbox}" if authserv_id else ""
    return Probe(took_s=took_s, mailbox=mailbox, authserv_id=authserv_id, because=because, ahead_s=ahead_s)


def agreed(heads: Sequence[bytes]) -> str:
    """The authserv-id at the top of nearly all of these mails; "" when they do not agree.

    A server that writes none leaves what senders forge: these do not agree.
    """
    found = [(_topmost(head), _domain(head)) for head in heads]
    counts = Counter(authserv_id for authserv_id, _ in found if authserv_id)
    if not counts:
        return ""
    best, times = counts.most_common(1)[0]
    domains = {domain for authserv_id, domain in found if authserv_id == best}
    return best if times >= _AGREE * sum(counts.values()) and len(domains) >= _DOMAINS else ""


def _topmost(head: bytes) -> str:
    values = BytesHeaderParser().parsebytes(head).get_all("Authentication-Results") or []
    return authserv_id_of(str(values[0])) if values else ""


def _domain(head: bytes) -> str:
    return str(BytesHeaderParser().parsebytes(head)["From"] or "").rpartition("@")[2].strip("> ").lower()


def _ahead(head: bytes, sent_at: datetime) -> float:
    """How far the receiving server's clock is ahead of ours, by its topmost Received."""
    received = BytesHeaderParser().parsebytes(head).get_all("Received") or []
    if not received:
        return 0.0
    try:
        when = parsedate_to_datetime(str(received[0]).rpartition(";")[2].strip())
        return (when - sent_at).total_seconds() if when.tzinfo else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0


def write_authserv_id(path: Path, account: Account, authserv_id: str) -> None:
    """Writes the authserv-id into an account's block of config.toml; comments and all else stay as they are.

    Raises:
        ConfigError: the file cannot be written, or the block is not found in it.
    """
    lines = path.read_text("utf-8").splitlines(keepends=True)
    blocks = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[account\]\]", line)] + [len(lines)]
    name = re.compile(rf"\s*name\s*=\s*[\"']{re.escape(account.name)}[\"']")
    for start, end in pairwise(blocks):
        # The account's own keys end where its first section begins.
        stop = next((n for n in range(start + 1, end) if re.match(r"\s*\[", lines[n])), end)
        named = next((n for n in range(start, stop) if name.match(lines[n])), None)
        if named is None:
            continue
        old = next((n for n in range(start, stop) if re.match(r"\s*(#\s*)?authserv_id\s*=", lines[n])), None)
        written = f'authserv_id = "{authserv_id}"\n'
        if old is None:
            lines.insert(named + 1, written)
        else:
            lines[old] = written
        try:
            path.write_text("".join(lines), "utf-8")
        except OSError as problem:
            raise ConfigError([f"{path}: cannot be written ({problem.strerror})"]) from None
        return
    raise ConfigError([f'{path}: write authserv_id = "{authserv_id}" into the block of the account {account.name}'])
