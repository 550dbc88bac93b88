"""`mailbot check`: looks at everything that a deployment needs and says what to do about what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from mailbot import oauth
from mailbot.app import classifier_for, load_templates, open_store, template_problems
from mailbot.campaign import load_campaign
from mailbot.config import Account, Config, load_config
from mailbot.errors import ConfigError, MailbotError, TransientError
from mailbot.intake import ImapSession
from mailbot.model import Campaign
from mailbot.replying.smtp import SmtpSession


class Light(StrEnum):
    """How it stands."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    light: Light
    what: str
    #: what was seen, and what to do when it is not green
    words: str
    #: red, and waiting may mend it
    may_pass: bool = False


def examine(path: Path, watch: Callable[[str, float], None] | None = None) -> Iterator[Finding]:
    """Checks one after the other; goes on after a red one as far as it makes sense.

    Args:
        path: config.toml.
        watch: told of the classifier's training, at the first start.
    """
    try:
        config = load_config(path)
    except ConfigError as problem:
        yield from _red("configuration", problem)
        return
    yield _green("configuration", f"{path} is in order, {len(config.account)} account(s)")
    yield from _files(config, watch)
    for account in config.account:
        yield from _imap(account)
        yield from _try(f"SMTP of {account.name}", lambda account=account: _smtp(account))  # type: ignore[misc]
    if config.digest_to.lower() in config.own_addresses:
        words = f"{config.digest_to} is itself polled; the digests that arrive there are recognised and left alone"
        yield Finding(light=Light.AMBER, what="digest", words=words)


def _files(config: Config, watch: Callable[[str, float], None] | None) -> Iterator[Finding]:
    try:
        campaign = load_campaign(config.rules_folders)
    except ConfigError as problem:
        yield from _red("campaign", problem)
        return
    yield _green("campaign", f"{campaign.name}, {len(campaign.aims)} aims, from {config.rules_folders[0]}")
    problems = template_problems(campaign, load_templates(config))
    yield from (Finding(light=Light.RED, what="templates", words=problem) for problem in problems)
    if not problems:
        yield _green("templates", f"all can be filled, from {config.template_folders[0]}")
    try:
        classifier = classifier_for(config, campaign, watch)
    except MailbotError as problem:
        yield from _red("classifier", problem)
    else:
        yield from (Finding(light=Light.AMBER, what="rules", words=problem) for problem in classifier.problems)
        yield _green("classifier", f"model {classifier.version}")
    yield from _try("store", lambda: _store(config, campaign))


def _store(config: Config, campaign: Campaign) -> str:
    store = open_store(config, campaign)
    try:
        with store.read() as tx:
            return f"{store.where}, {tx.records.count()} mails filed, {len(tx.mails.parked())} parked"
    finally:
        store.close()


def _imap(account: Account) -> Iterator[Finding]:
    what = f"IMAP of {account.name}"
    try:
        with ImapSession.open(account) as session:
            yield _green(what, f"signed in to {account.imap.host} as {account.imap.username}")
            if account.oauth is not None and (words := oauth.warning(account, now=datetime.now(UTC))):
                yield Finding(light=Light.AMBER, what=what, words=words)
            for mailbox in account.mailboxes:
                yield from _try(what, lambda mailbox=mailbox: _mailbox(session, mailbox))  # type: ignore[misc]
    except MailbotError as problem:
        yield from _red(what, problem)


def _mailbox(session: ImapSession, mailbox: str) -> str:
    status = session.examine(mailbox)
    return f"mailbox {mailbox} can be read, next UID {status.uid_next}"


def _smtp(account: Account) -> str:
    with SmtpSession.open(account):
        return f"{account.smtp.host} is ready to send as {account.address}"


def _try(what: str, look: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield _green(what, look())
    except MailbotError as problem:
        yield from _red(what, problem)


def _green(what: str, words: str) -> Finding:
    return Finding(light=Light.GREEN, what=what, words=words)


def _red(what: str, problem: MailbotError) -> Iterator[Finding]:
    sentences = problem.problems if isinstance(problem, ConfigError) else (str(problem),)
    may_pass = isinstance(problem, TransientError)
    yield from (Finding(light=Light.RED, what=what, words=words, may_pass=may_pass) for words in sentences)
