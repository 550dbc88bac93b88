"""Mails a second from Dovecot on loopback through to filed and queued, by stage, beside the floor of the same run.

    python -m benchmarks.intake [--mails 5000]

The floor is what nobody can do without: imapclient's fetch and mail-parser, nothing kept. The ratio leaves
classification out of the sum, for that is what mailbot is for and the floor does none of it.
"""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mailparser
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.mails import mixed_mails
from mailbot import pipeline, replies
from mailbot.app import load_parts, load_shown, open_store
from mailbot.config import load_config
from mailbot.model import Classification, Message
from mailbot.pipeline import Parts
from mailbot.worker import Worker
from tests.acceptance.deployment import Deployment
from tests.servers import DovecotAccount, dovecot

console = Console()


class Clock:
    """Adds up the time spent in functions."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.spent[name] += time.perf_counter() - start

        return timed


def floor(account: DovecotAccount, mails: int) -> dict[str, float]:
    """Seconds for fetching alone, and for fetching and parsing, in batches of 100."""
    spent = {}
    for name, work in (("fetch", bytes), ("fetch and mail-parser", mailparser.parse_from_bytes)):
        with account.connect() as client:
            client.select_folder("INBOX", readonly=True)
            uids = client.search("ALL")
            assert len(uids) == mails
            start = time.perf_counter()
            for at in range(0, mails, 100):
                for items in client.fetch(uids[at : at + 100], ["BODY.PEEK[]", "INTERNALDATE"]).values():
                    work(items[b"BODY[]"])
            spent[name] = time.perf_counter() - start
    return spent


class Recalled:
    """Says of each mail again what a classifier said of it, at once."""

    def __init__(self, classifier: pipeline.Classifies) -> None:
        self._classifier = classifier
        self._said: dict[str, Classification] = {}

    def classify(self, message: Message) -> Classification:
        if message.content_hash not in self._said:
            self._said[message.content_hash] = self._classifier.classify(message)
        return self._said[message.content_hash]


def whole(deployment: Deployment, store: Path, parts: Parts, mails: int) -> tuple[float, Clock]:
    """Seconds from the first fetch until all is filed and queued, and where they went."""
    clock = Clock()
    read, screen, write = pipeline.read, pipeline.screen, replies.write_or_park
    pipeline.read = clock.around("reading", read)
    pipeline.screen = clock.around("screening", screen)
    replies.write_or_park = clock.around("replying", write)

    class Timed:
        classify = staticmethod(clock.around("classifying", parts.classifier.classify))

    text = deployment.config.read_text("utf-8")
    deployment.config.write_text(re.sub(r"(?m)^url = .*$", f'url = "sqlite:///{store}"', text), "utf-8")
    config = load_config(deployment.config)
    timed = Parts(shown=load_shown(config), policy=parts.policy, classifier=Timed())
    opened = open_store(config, parts.shown.campaign)
    worker = Worker(timed.shown, opened, lambda: timed)
    start = time.perf_counter()
    assert worker.receive(config.account[0]), worker.problems
    clock.spent["intake (fetch, commit)"] = time.perf_counter() - start
    worker.handle_pending()
    total = time.perf_counter() - start
    clock.spent["filing"] = total - sum(clock.spent.values())
    with opened.read() as tx:
        assert tx.records.count() == mails
        assert not tx.mails.parked()
    opened.close()
    pipeline.read, pipeline.screen, replies.write_or_park = read, screen, write
    return total, clock


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mails", type=int, default=5000)
    mails = arguments.parse_args().mails
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with dovecot() as server, tempfile.TemporaryDirectory() as name:
        folder, account = Path(name), server.fresh_account()
        made = list(mixed_mails(mails))
        account.deliver_many(made)
        megabytes = sum(map(len, made)) / 1e6
        made.clear()
        console.print(f"{mails} mails, {megabytes:.0f} MB, Dovecot on loopback")
        deployment = Deployment.write(
            folder, imap_port=server.port, user=account.user, password=account.password, smtp_port=1
        )
        parts = load_parts(load_shown(load_config(deployment.config)))
        parts = Parts(shown=parts.shown, policy=parts.policy, classifier=Recalled(parts.classifier))
        total, clock = whole(deployment, folder / "first.db", parts, mails)
        # Beside one another, and beside no classifier: it leaves nothing of the processor's caches to the others.
        lowest = floor(account, mails)
        without, alone = whole(deployment, folder / "second.db", parts, mails)
    table = Table("What", "Seconds", "Mails a second", title="From Dovecot to filed and queued")
    for what, seconds in lowest.items():
        table.add_row(f"floor: {what}", f"{seconds:.1f}", f"{mails / seconds:.0f}")
    order = ("intake (fetch, commit)", "reading", "screening", "replying", "filing")
    for what in order:
        table.add_row(what, f"{alone.spent[what]:.1f}", f"{mails / alone.spent[what]:.0f}")
    table.add_row("all but classifying", f"{without:.1f}", f"{mails / without:.0f}", style="bold")
    table.add_row("classifying", f"{clock.spent['classifying']:.1f}", f"{mails / clock.spent['classifying']:.0f}")
    table.add_row("all", f"{total:.1f}", f"{mails / total:.0f}", style="bold")
    console.print(table)
    ratio = lowest["fetch and mail-parser"] / without
    console.print(f"ratio to the floor, classification left out: {ratio:.2f} (wanted: at least 0.50)")


if __name__ == "__main__":
    main()
