"""What `mailbot preview` shows: an acknowledgement exactly as it is sent, and what becomes of it.

Owns where the mail to answer comes from: a filed mail, a file, or an example. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from mailbot import replies
from mailbot.app import Watch, classifier_for, find_record, load_shown, make_policy
from mailbot.config import Config
from mailbot.errors import UnreadableMail
from mailbot.intake.archive import first_mail
from mailbot.model import Acknowledgement, Decision, History, Template
from mailbot.pipeline import StageFailed, decide, understand
from mailbot.rehearsal import example
from mailbot.tables import reply_words

#: the words for what becomes of an acknowledgement
_BECOMES = {
    Decision.SEND: "this would be sent to {to}",
    Decision.HOLD: "this would wait for your word: {reason}",
    Decision.NEVER: "nobody would be answered: {reason}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An acknowledgement, and what becomes of it in words; `octets` are b"" when there is none."""

    octets: bytes
    words: str


def of_example(kind: Template, config: Config, *, now: datetime) -> Preview:
    """The acknowledgement of a made-up mail, with the deployment's own templates.

    Raises:
        ConfigError: the campaign or its templates cannot be used.
    """
    shown = load_shown(config)
    message, classification = example(shown.campaign)
    to = message.from_address.addr_spec if message.from_address else None
    wanted = Acknowledgement(decision=Decision.SEND, guard=None, reason="", to=to, template=kind)
    account = config.account[0].name
    mail = replies.write(message, classification, wanted, shown.campaign.reference(42), account, shown, now=now)
    return Preview(octets=mail.octets, words=f"an example of the {kind}")


def of_record(reference: str, config: Config) -> Preview:
    """The acknowledgement of a filed mail, as it lies in the outbox.

    Raises:
        ConfigError: nothing is filed under `reference`.
    """
    store, record = find_record(reference, config)
    with store.read() as tx:
        octets = tx.outbox.octets_for(record.record_id)
    why = record.reply_error or record.acknowledgement.reason
    return Preview(octets=octets or b"", words=f"{record.reference}: {reply_words(record)}{f': {why}' if why else ''}")


def of_file(path: str, stdin: BinaryIO, config: Config, watch: Watch, *, now: datetime) -> Preview:
    """What the first mail in a file would be answered, if it came now and its sender was never answered before.

    Args:
        path: a file or folder, or "-" for `stdin`.
        stdin: standard input.
        config: whose templates, rules and addresses count.
        watch: told of long work.
        now: aware, for Date.

    Raises:
        ConfigError: the campaign, its rules or its templates cannot be used.
        UnreadableMail: there is no mail in it, or none that can be read.
        PermanentError: the address to answer to cannot be written to.
    """
    place, mail = first_mail(path, stdin)
    shown, policy = load_shown(config), make_policy(config)
    try:
        found = understand(mail, policy, classifier_for(config, shown.campaign, watch))
    except StageFailed as problem:
        raise UnreadableMail(f"{place}: {problem.stage}: {problem.words}") from problem
    wanted = decide(found, policy, History(), now=now)
    words = f"{place}: {_BECOMES[wanted.decision].format(to=wanted.to, reason=wanted.reason)}"
    if wanted.to is None:
        return Preview(octets=b"", words=words)
    account, reference = config.account[0].name, shown.campaign.reference(42)
    outgoing = replies.write(found.message, found.classification, wanted, reference, account, shown, now=now)
    return Preview(octets=outgoing.octets, words=words)
