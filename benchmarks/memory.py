"""Memory of `mailbot run` over 5,000 mails, and its start: python -m benchmarks.memory [--mails 5000]"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.mails import mixed_mails
from mailbot.app import load_understanding
from mailbot.demo.servers import SmtpSink
from tests.acceptance.deployment import Deployment
from tests.servers import dovecot

console = Console()


def resident_mb(pid: int) -> float:
    """Resident memory now, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    raise ValueError("the process has ended")


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mails", type=int, default=5000)
    mails = arguments.parse_args().mails
    load_understanding(None)  # the start is measured with a trained cache
    table = Table("Mails filed", "Resident MB", title="mailbot run")
    sizes: dict[int, float] = {}
    with dovecot() as server, SmtpSink() as sink, tempfile.TemporaryDirectory() as folder:
        account = server.fresh_account()
        deployment = Deployment.write(
            Path(folder), imap_port=server.port, user=account.user, password=account.password, smtp_port=sink.port
        )
        deployment.store().close()
        start = time.perf_counter()
        process = deployment.start("run")
        store = deployment.store()
        while True:
            with store.read() as tx:
                if tx.mails.cursor("pledges", "INBOX") is not None:
                    break
            time.sleep(0.02)
        first_poll_s = time.perf_counter() - start
        made = mixed_mails(mails)
        for filed in range(1000, mails + 1, 1000):
            account.deliver_many([next(made) for _ in range(1000)])
            while True:
                with store.read() as tx:
                    if tx.records.count() >= filed:
                        break
                time.sleep(0.2)
            sizes[filed] = resident_mb(process.pid)
            table.add_row(str(filed), f"{sizes[filed]:.0f}")
        store.close()
        process.terminate()
        assert process.wait(60) == 0
    console.print(table)
    console.print(f"start to the end of the first poll: {first_poll_s:.1f} s (wanted: under 3 s)")
    if 5000 in sizes:
        growth = sizes[5000] - sizes[1000]
        console.print(
            f"after 5,000 mails: {sizes[5000]:.0f} MB (wanted: under 350); growth since 1,000: {growth:+.0f} MB"
        )


if __name__ == "__main__":
    main()
