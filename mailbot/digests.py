"""The way of one digest, and of an alert, from the store to a mail for the outbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from babel import Locale
from babel.dates import format_datetime

from mailbot.filing import Transaction
from mailbot.model import Address, Digest, Outgoing
from mailbot.reviewing.alert import render_alert
from mailbot.reviewing.digest import render_digest
from mailbot.shown import Shown


def gather(tx: Transaction, start: datetime, end: datetime, shown: Shown) -> Digest:
    """What is laid before the coordinator for the mail filed from `start` until before `end`."""
    zone = shown.config.time_zone
    return Digest(
        start=start,
        end=end,
        period=end.astimezone(zone).date(),
        records=tx.records.between(start, end),
        held=tx.records.held_before(start),
        parked=tx.mails.parked(),
        failed_replies=tx.outbox.failures(start, end),
        totals=tx.records.totals(),
        archived=tx.records.archived_between(start, end),
        notices=tuple(f"Since {_moment(since, shown)}: {text}" for text, since in tx.journal.notices()),
    )


def _moment(when: datetime, shown: Shown) -> str:
    locale = Locale.parse(shown.config.campaign.language, sep="-")
    return format_datetime(when.astimezone(shown.config.time_zone), "d MMMM, HH:mm", locale=locale)


def has_content(digest: Digest) -> bool:
    """Whether there is anything to say."""
    return bool(digest.records or digest.archived or digest.parked or digest.failed_replies or digest.notices)


def make(digest: Digest, shown: Shown) -> Outgoing:
    """The digest as a mail; made again for the same period it has the same Message-ID."""
    config = shown.config
    account = config.account[0]
    token = sha256(f"{account.address}\n{digest.end.isoformat()}".encode()).hexdigest()[:32]
    mail = render_digest(
        digest,
        campaign=shown.campaign,
        coordinator=Address(display_name=config.coordinator.name, addr_spec=config.digest_to),
        sender=Address(display_name=f"{shown.campaign.name} pledges", addr_spec=account.address),
        account=account.name,
        message_id=f"<digest.{token}@{account.address.rpartition('@')[2]}>",
        time_zone=config.time_zone,
        templates=shown.templates,
        language=config.campaign.language,
    )
    # A schedule may have several periods a day: the moment names the period, not the day.
    return replace(mail, purpose=f"digest:{digest.end.isoformat()}")


def make_alert(reason: str, held: int, now: datetime, shown: Shown) -> Outgoing:
    """The alert of today as a mail; made again on the same day it has the same purpose and Message-ID."""
    config = shown.config
    account = config.account[0]
    day = now.astimezone(config.time_zone).date().isoformat()
    token = sha256(f"alert\n{account.address}\n{day}".encode()).hexdigest()[:32]
    return render_alert(
        reason,
        held,
        campaign=shown.campaign,
        coordinator=Address(display_name=config.coordinator.name, addr_spec=config.digest_to),
        sender=Address(display_name=f"{shown.campaign.name} pledges", addr_spec=account.address),
        account=account.name,
        message_id=f"<alert.{token}@{account.address.rpartition('@')[2]}>",
        now=now,
        time_zone=config.time_zone,
        templates=shown.templates,
        language=config.campaign.language,
    )
