"""Seconds from a mail's arrival in Dovecot until its answer is accepted by SMTP, with a mail a second.

    python -m benchmarks.latency [--mails 60]

The worker is a process of its own, as in real use, with IDLE and the poll an hour away. The floor is the same way
without mailbot: a client in IDLE that hands a mail of the same size to the same server as soon as it hears of one.
"""

from __future__ import annotations

import argparse
import smtplib
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mailbot.demo.servers import SmtpSink
from tests.acceptance.deployment import Deployment, wrote
from tests.servers import Dovecot, DovecotAccount, dovecot

console = Console()
_PATIENCE_S = 120.0


def post(account: DovecotAccount, sink: SmtpSink, mails: int, already: int) -> list[float]:
    """Puts a mail a second into the mailbox; how long each took to be answered."""
    taken = []
    for number in range(1, mails + 1):
        begun = time.monotonic()
        account.append("INBOX", wrote(number=already + number, sender=f"amina@haven{already + number}.example"))
        arrived = time.monotonic()
        sink.wait_for(already + number, _PATIENCE_S)
        taken.append(time.monotonic() - arrived)
        time.sleep(max(begun + 1 - time.monotonic(), 0))
    return taken


def floor(server: Dovecot, mails: int) -> list[float]:
    """IDLE, then SMTP, and nothing between."""
    account, over = server.fresh_account(), threading.Event()
    with SmtpSink() as sink:

        def answer() -> None:
            with account.connect() as client, smtplib.SMTP(sink.host, sink.port, local_hostname="x.example") as smtp:
                client.select_folder("INBOX", readonly=True)
                ready.set()
                seen = 0
                while not over.is_set():
                    client.idle()
                    heard = client.idle_check(timeout=1)
                    heard += client.idle_done()[1]
                    for _ in range(max((each[0] for each in heard if each[1] == b"EXISTS"), default=seen) - seen):
                        seen += 1
                        smtp.sendmail("a@b.example", [f"amina@haven{seen}.example"], wrote(number=seen))

        ready = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        ready.wait()
        taken = post(account, sink, mails, 0)
        over.set()
        thread.join()
    return taken


def through_mailbot(server: Dovecot, folder: Path, mails: int) -> list[float]:
    """The whole way."""
    account = server.fresh_account()
    with SmtpSink() as sink:
        deployment = Deployment.on(account, sink, folder)
        text = deployment.config.read_text("utf-8")
        deployment.config.write_text(text.replace("poll_interval_s = 0.2", "poll_interval_s = 3600"), "utf-8")
        running = deployment.start("run")
        try:
            # The first one waits for the classifier to be loaded, and is not counted.
            post(account, sink, 1, 0)
            return post(account, sink, mails, 1)
        finally:
            running.terminate()
            running.wait(_PATIENCE_S)


def row(table: Table, name: str, taken: list[float]) -> None:
    ordered = sorted(taken)
    at: Callable[[float], float] = lambda share: ordered[min(int(share * len(ordered)), len(ordered) - 1)]  # noqa: E731
    table.add_row(name, f"{at(0.5):.3f}", f"{at(0.95):.3f}", f"{ordered[-1]:.3f}")


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mails", type=int, default=60)
    mails = arguments.parse_args().mails
    table = Table(
        "way", "median", "95th percentile", "longest", title=f"Seconds to an answer, {mails} mails, one a second"
    )
    with dovecot() as server, tempfile.TemporaryDirectory() as folder:
        row(table, "floor: IDLE and SMTP alone", floor(server, mails))
        row(table, "mailbot", through_mailbot(server, Path(folder), mails))
    console.print(table)


if __name__ == "__main__":
    main()
