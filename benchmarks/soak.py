"""A soak: mails come in for minutes while connections break, servers refuse and the worker is killed again and again.

    python -m benchmarks.soak [--mails 20000] [--minutes 10] [--seed 1]

Dovecot stands behind a proxy that resets, stalls and garbles connections; the SMTP server puts off, is silent and
breaks off; the worker, a process of its own, is killed every half minute or so and started again. At the end the faults
stop, and all is counted: each mail filed once, each answered under one Message-ID, nothing parked, memory flat.
Exit code 1 when anything is lost, or there twice.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.mails import mixed_mails
from benchmarks.memory import resident_mb
from mailbot.filing import Store
from mailbot.model import Decision, OutgoingState
from tests.acceptance.deployment import Deployment
from tests.faulty_smtp import Fault, FaultySmtp, Step
from tests.servers import DovecotAccount, dovecot
from tests.tcp_proxy import Cut, Insert, Stall, TcpProxy

console = Console()
#: of the steps of SMTP sessions, and of the IMAP connections, so many go wrong
_SMTP_SHARE, _IMAP_SHARE = 0.003, 0.8
#: mean seconds between two kills of the worker
_KILL_S = 30.0
#: seconds that the rest may take once the faults have stopped, beyond which it counts as lost
_PATIENCE_S = 900.0


@dataclass
class Faults:
    """What went wrong, by kind."""

    dice: random.Random
    on: bool = True
    happened: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        self.happened[kind] = self.happened.get(kind, 0) + 1

    def of_imap(self, _: int) -> Cut | Stall | Insert | None:
        if not self.on or self.dice.random() > _IMAP_SHARE:
            return None
        after = int(self.dice.paretovariate(0.6) * 400)
        kind = self.dice.choice(["reset", "reset", "stall", "BYE", "garbage"])
        self.count(f"IMAP {kind}")
        match kind:
            case "reset":
                return Cut(after)
            case "stall":
                return Stall(after)
            case "BYE":
                return Insert(after, b"* BYE see you\r\n", close=True)
            case _:
                return Insert(after, b")( \xff what?\r\n")

    def of_smtp(self, step: Step) -> Fault | None:
        if not self.on or step.command == "QUIT" or self.dice.random() > _SMTP_SHARE:
            return None
        kind = self.dice.choice(["421", "450", "drop", "drop after taking", "silence"])
        self.count(f"SMTP {kind}")
        match kind:
            case "421":
                return Fault(b"421 4.3.2 going down", drop=True)
            case "450":
                return Fault(b"450 4.2.0 later")
            case "drop":
                return Fault(drop=True)
            case "silence":
                return Fault(silent=True)
            case _:
                return Fault(drop=True, keep=step.command == ".")


def deliver(account: DovecotAccount, mails: int, minutes: float, dice: random.Random) -> None:
    """Puts mail into the mailbox in bursts, spread over the time."""
    made, start, done = mixed_mails(mails, large=False), time.monotonic(), 0
    while done < mails:
        burst = min(dice.randint(1, 2 * max(mails // int(minutes * 60), 1)), mails - done)
        account.deliver_many([next(made) for _ in range(burst)])
        done += burst
        time.sleep(max(start + done / mails * minutes * 60 - time.monotonic(), 0))


def soak(folder: Path, mails: int, minutes: float, seed: int) -> bool:
    """Runs it and prints the table; true when nothing is lost and nothing is there twice."""
    dice = random.Random(seed)
    faults = Faults(dice)
    with dovecot() as server, TcpProxy(server.port, faults.of_imap) as proxy, FaultySmtp(faults.of_smtp) as smtp:
        account = server.fresh_account()
        deployment = Deployment.write(
            folder, imap_port=proxy.port, user=account.user, password=account.password, smtp_port=smtp.port
        )
        text = deployment.config.read_text("utf-8").replace("= 10000\n", "= 1000000\n")
        text = text.replace("timeout_s = 20", "timeout_s = 2").replace("poll_interval_s = 0.2", "poll_interval_s = 5")
        deployment.config.write_text(
            text.replace("[acknowledge]\n", "[acknowledge]\nbounces_per_hour = 1000000\n"), "utf-8"
        )
        deployment.store().close()
        store = deployment.store()
        delivering = threading.Thread(target=deliver, args=(account, mails, minutes, random.Random(seed + 1)))
        delivering.start()
        sizes = watch(deployment, store, delivering, faults, mails, dice, proxy)
        passed = report(store, smtp, faults, sizes, mails)
        store.close()
    return passed


def watch(
    deployment: Deployment,
    store: Store,
    delivering: threading.Thread,
    faults: Faults,
    mails: int,
    dice: random.Random,
    proxy: TcpProxy,
) -> list[float]:
    """Runs the worker, kills it and starts it again until all is done; its memory over the time, in MB."""
    worker, sizes, end = deployment.start("run"), [], None
    next_kill = time.monotonic() + dice.expovariate(1 / _KILL_S)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Filed", total=mails)
        while True:
            time.sleep(1)
            filed, waiting = counts(store)
            bar.update(task, completed=filed)
            if worker.poll() is None:
                sizes.append(resident_mb(worker.pid))
            if faults.on and time.monotonic() > next_kill:
                worker.kill()
                worker.wait()
                faults.count("worker killed")
                worker = deployment.start("run")
                next_kill = time.monotonic() + dice.expovariate(1 / _KILL_S)
            if not delivering.is_alive() and faults.on:
                # Well again; a restart lets what was put off be tried now.
                faults.on, end = False, time.monotonic() + _PATIENCE_S
                proxy.drop_all()
                worker = again(worker, deployment)
            if not faults.on and filed >= mails and waiting:
                worker = again(worker, deployment) if not dice.randrange(20) else worker
            if end is not None and ((filed >= mails and not waiting) or time.monotonic() > end):
                break
    worker.terminate()
    worker.wait()
    return sizes


def again(worker: subprocess.Popen[bytes], deployment: Deployment) -> subprocess.Popen[bytes]:
    worker.terminate()
    worker.wait()
    return deployment.start("run")


def counts(store: Store) -> tuple[int, int]:
    """Mails that are filed, and answers that are on their way."""
    with store.read() as tx:
        states = tx.outbox.counts()
        on_its_way = (OutgoingState.QUEUED, OutgoingState.SENDING, OutgoingState.DEFERRED)
        return tx.records.count(), sum(states.get(state, 0) for state in on_its_way)


def report(store: Store, smtp: FaultySmtp, faults: Faults, sizes: list[float], mails: int) -> bool:
    """Counts everything."""
    with store.read() as tx:
        records = tx.records.latest(10 * mails)
        parked = len(tx.mails.parked())
        states = tx.outbox.counts()
    wanted = {record.record_id for record in records if record.acknowledgement.decision is Decision.SEND}
    sent = states.get(OutgoingState.SENT, 0)
    octets: dict[str, set[bytes]] = {}
    for message_id, mail in smtp.offered:
        octets.setdefault(message_id, set()).add(mail)
    changed = sum(len(each) > 1 for each in octets.values())
    kept_twice = sum(number > 1 for number in smtp.kept.values())
    half = len(sizes) // 2
    early, late = (max(part, default=0.0) for part in (sizes[: half or 1], sizes[half:]))
    table = Table("What", "Number", "Should be", title=f"Soak of {mails:,} mails")
    rows = [
        ("mails filed", len(records), mails),
        ("filed twice", len(records) - len({record.message_id for record in records}), 0),
        ("parked", parked, 0),
        ("answers sent, by our count", sent, len(wanted)),
        ("answers taken by the server, by Message-ID", len(smtp.kept), len(wanted)),
        ("answers that changed between two tries", changed, 0),
    ]
    for what, number, should in rows:
        table.add_row(what, f"{number:,}", f"{should:,}", style="" if number == should else "red")
    table.add_row("taken again, because the first answer was lost", f"{kept_twice:,}", "few")
    table.add_row("largest memory, first half and second half, MB", f"{early:.0f}, {late:.0f}", "the same")
    for kind, number in sorted(faults.happened.items()):
        table.add_row(kind, f"{number:,}", "", style="dim")
    console.print(table)
    return all(number == should for _, number, should in rows)


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mails", type=int, default=20_000)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(not soak(Path(folder), given.mails, given.minutes, given.seed))


if __name__ == "__main__":
    main()
