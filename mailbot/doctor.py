"""`mailbot check`: looks at everything that a deployment needs and says what to do about what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from mailbot import oauth, probing
from mailbot.app import classifier_for, load_templates, open_store, template_problems
from mailbot.campaign import load_campaign
from mailbot.config import Account, Config, load_config
from mailbot.errors import ConfigError, MailbotError, TransientError
from mailbot.intake import ImapSession
from mailbot.model import Campaign
from mailbot.replying.smtp import SmtpSession

#: free octets below which the disk is amber, and red
_ENOUGH_OCTETS, _LITTLE_OCTETS = 1_000_000_000, 100_000_000
#: how far the clock may be behind what was filed, and away from the mail server's in seconds
_CLOCK_BEHIND, _CLOCK_S = timedelta(minutes=5), 120.0


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
        yield _sender(account)
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
    yield from _store(config, campaign)


def _store(config: Config, campaign: Campaign) -> Iterator[Finding]:
    try:
        store = open_store(config, campaign)
        try:
            with store.read() as tx:
                filed, parked, last = tx.records.count(), len(tx.mails.parked()), tx.records.last_filed_at()
        finally:
            store.close()
    except MailbotError as problem:
        yield from _red("store", problem)
        return
    yield _green("store", f"{store.where}, {filed} mails filed, {parked} parked")
    if last is not None and last > datetime.now(UTC) + _CLOCK_BEHIND:
        words = f"the last mail was filed on {last:%d %B %Y, %H:%M} UTC, which is to come; put the clock right"
        yield Finding(light=Light.RED, what="clock", words=words)
    if config.store_url.startswith("sqlite:///"):
        free = shutil.disk_usage(Path(config.store_url.removeprefix("sqlite:///")).parent).free
        light = Light.GREEN if free > _ENOUGH_OCTETS else Light.AMBER if free > _LITTLE_OCTETS else Light.RED
        yield Finding(light=light, what="disk", words=f"{free / 1e9:,.1f} GB are free for the store")


def probe(path: Path) -> Iterator[tuple[Finding, Account, str]]:
    """Sends each account a mail of its own; a finding, and an authserv-id to write into config.toml or "".

    Args:
        path: config.toml.

    Raises:
        ConfigError: it cannot be used.
    """
    config = load_config(path)
    store = open_store(config, load_campaign(config.rules_folders))
    try:
        for account in config.account:
            what = f"probe of {account.name}"
            try:
                found = probing.probe(account, store)
            except MailbotError as problem:
                for finding in _red(what, problem):
                    yield finding, account, ""
                continue
            for finding, authserv_id in _probed(what, account, found):
                yield finding, account, authserv_id
    finally:
        store.close()


def _probed(what: str, account: Account, found: probing.Probe) -> Iterator[tuple[Finding, str]]:
    if found.took_s is None:
        words = "the probe was sent and did not arrive; look at the mailbox, and at what the SMTP server does with it"
        yield Finding(light=Light.RED, what=what, words=words, may_pass=True), ""
        return
    yield _green(what, f"arrived in {found.mailbox} after {found.took_s:.0f} s"), ""
    if abs(found.ahead_s) > _CLOCK_S:
        words = f"the server's clock and this one are {abs(found.ahead_s):.0f} s apart; put this one right"
        yield Finding(light=Light.AMBER, what=what, words=words), ""
    if found.authserv_id and found.authserv_id.casefold() == account.authserv_id.casefold():
        yield _green(what, f"its server writes its results as {found.authserv_id}, as configured"), ""
    elif found.authserv_id:
        words = f"its server writes its results as {found.authserv_id} ({found.because})"
        yield Finding(light=Light.AMBER, what=what, words=words), found.authserv_id
    elif not account.authserv_id:
        words = (
            "its server writes no Authentication-Results on the probe, and the last mails do not agree on one; look at "
            "the source of a mail from outside: the first word behind it is what account.authserv_id wants"
        )
        yield Finding(light=Light.AMBER, what=what, words=words), ""


def _imap(account: Account) -> Iterator[Finding]:
    what = f"IMAP of {account.name}"
    try:
        with ImapSession.open(account) as session:
            yield _green(what, f"signed in to {account.imap.host} as {account.imap.username}")
            if account.oauth is not None and (words := oauth.warning(account, now=datetime.now(UTC))):
                yield Finding(light=Light.AMBER, what=what, words=words)
            junk = session.junk()
            yield _green(what, f"{_news(account, session)}; spam lies in {junk}" if junk else _news(account, session))
            for mailbox in account.mailboxes:
                yield from _try(what, lambda mailbox=mailbox: _mailbox(session, mailbox))  # type: ignore[misc]
    except MailbotError as problem:
        yield from _red(what, problem)


def _news(account: Account, session: ImapSession) -> str:
    looks = f"looks every {account.poll_interval_s:g} s"
    return f"hears of new mail at once (IDLE), and {looks}" if account.idle and session.can_idle else looks


def _sender(account: Account) -> Finding:
    what = f"senders to {account.name}"
    if account.authserv_id:
        return Finding(light=Light.GREEN, what=what, words=f"the results of {account.authserv_id} are believed")
    words = (
        "nobody's Authentication-Results are believed, so a forged sender is not held; `mailbot check --probe` finds "
        "out what to set as account.authserv_id"
    )
    return Finding(light=Light.AMBER, what=what, words=words)


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
