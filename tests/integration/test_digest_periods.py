"""The digest of each period is made exactly once, whatever stops and starts in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailbot.app import load_shown
from mailbot.config import load_config
from mailbot.filing import Store
from mailbot.model import Acknowledgement, Decision, Outgoing
from mailbot.pipeline import Parts
from mailbot.worker import Worker
from tests.acceptance.deployment import Deployment
from tests.unit.factories import make_classification, make_message

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def no_parts() -> Parts:
    raise AssertionError("a digest needs no classifier")


class Desk:
    """A store that lives on while workers come and go."""

    def __init__(self, folder: Path) -> None:
        made = Deployment.write(folder, imap_port=1, user="u", password="p", smtp_port=1, cron="0 7 * * *")
        self.shown = load_shown(load_config(made.config))
        self.url = self.shown.config.store_url
        Store(self.url, self.shown.campaign, now=START).close()

    def file(self, number: int, at: datetime) -> None:
        never = Acknowledgement(decision=Decision.NEVER, guard=12, reason="x", to=None, template=None)
        message = make_message(message_id=f"<m{number}@x.example>")
        store = Store(self.url, self.shown.campaign)
        with store.write() as tx:
            taken = tx.records.next_number()
            tx.records.file(
                taken, message, make_classification(), never, account="a", received_at=at, partial=False, now=at
            )
        store.close()

    def restarted_at(self, now: datetime) -> bool:
        """A worker that starts, looks whether a digest is due, and is gone."""
        store = Store(self.url, self.shown.campaign)
        made = Worker(self.shown, store, no_parts, now=lambda: now).digest()
        store.close()
        return made

    def last(self) -> Outgoing:
        store = Store(self.url, self.shown.campaign)
        with store.read() as tx:
            found = tx.outbox.latest_digest()
        store.close()
        assert found is not None
        return found


def test_once_for_each_period_across_restarts(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file(1, START + timedelta(hours=1))
    assert not desk.restarted_at(START + timedelta(hours=18, minutes=59))
    seven = datetime(2026, 3, 3, 7, tzinfo=UTC)
    desk.file(2, seven)
    made = [desk.restarted_at(seven + timedelta(minutes=minutes)) for minutes in range(0, 60, 10)]
    assert made == [True, False, False, False, False, False]
    first = desk.last()
    assert b"BSEC-0001" in first.octets
    assert b"BSEC-0002" not in first.octets
    # Nothing ran for three days: one digest covers them all.
    made = [desk.restarted_at(seven + timedelta(days=3, minutes=minutes)) for minutes in (5, 6)]
    assert made == [True, False]
    second = desk.last()
    assert b"BSEC-0002" in second.octets
    assert b"BSEC-0001" not in second.octets
    assert first.message_id != second.message_id
    # Nothing came in since: the period passes without a mail.
    assert not desk.restarted_at(seven + timedelta(days=4, minutes=5))
