"""`mailbot demo`: the main job on made-up mail, over real IMAP and SMTP on loopback ports."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from imapclient import IMAPClient
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mailbot import tables
from mailbot.app import load_parts, load_shown, open_store
from mailbot.config import load_config
from mailbot.demo.samples import DemoMail, expected_mails
from mailbot.demo.servers import EmbeddedImap, SmtpSink
from mailbot.errors import ConfigError
from mailbot.filing import Store
from mailbot.model import Outgoing, OutgoingKind, Record
from mailbot.pipeline import Parts
from mailbot.rendering import parts_of
from mailbot.worker import Worker

_USER, _PASSWORD = "sarah", "demo"
#: nothing in the demo takes longer when all is well
_PATIENCE_S = 120.0
#: marks a folder as ours, so that only such a one is emptied
_MARK = ".mailbot-demo"

_CONFIG = """\
# Written by `mailbot demo`: the demo's own mailbox, store and settings.
[coordinator]
name = "Sarah Crawley"
address = "sarah.crawley@bsec.example"

[store]

[intake]
since = {since}

[acknowledge]
per_hour = 1000

[digest]
to = "sarah.at.her.desk@bsec.example"

[[account]]
name = "pledges"
address = "sarah.crawley@bsec.example"
poll_interval_s = 0.5

[account.imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "{user}"
password_file = {password_file}

[account.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
"""


class _Bars:
    """The demo's progress: how much came in, how much is filed, how much is answered."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars = bars
        self._lock = threading.Lock()
        self.delivered = bars.add_task("delivered by APPEND", total=total)
        self._fetched = bars.add_task("fetched and stored", total=total)
        self._filed = bars.add_task("filed", total=total)
        self._sent = bars.add_task("acknowledged", total=None)
        self.filed = threading.Semaphore(0)

    def advance(self, task: TaskID, by: int = 1) -> None:
        with self._lock:
            self._bars.advance(task, by)

    def fetched(self, count: int) -> None:
        """So many new mails are stored."""
        self.advance(self._fetched, count)

    def handled(self, record_id: int | None) -> None:  # noqa: ARG002
        """One mail is filed or parked."""
        self.advance(self._filed)
        self.filed.release()

    def done(self) -> None:
        """Nothing more is to be sent."""
        with self._lock:
            self._bars.update(self._sent, total=self._bars.tasks[self._sent].completed)

    def sent(self, mail: Outgoing) -> None:
        """One mail of ours was taken by the server."""
        if mail.kind is OutgoingKind.ACKNOWLEDGEMENT:
            self.advance(self._sent)


def run_demo(folder: Path, console: Console, watch: Callable[[str, float], None], *, keep: bool) -> None:
    """Runs the demo and shows what came of it.

    Args:
        folder: where the store, the acknowledgements and the digest go; an earlier demo's folder is emptied.
        console: where the tables go.
        watch: told of the first training.
        keep: wait for Ctrl-C at the end, the servers and the worker still running.

    Raises:
        ConfigError: `folder` holds something that is not an earlier demo's.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    _make_empty(folder)
    with ExitStack() as stack:
        imap = stack.enter_context(EmbeddedImap(user=_USER, password=_PASSWORD))
        sink = stack.enter_context(SmtpSink())
        config = load_config(_write_config(folder, imap, sink))
        parts = load_parts(load_shown(config), watch)
        store = open_store(config, parts.shown.campaign)
        stack.callback(store.close)
        stack.enter_context(store.exclusive())
        mails = expected_mails(datetime.now(UTC))
        columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            bars = _Bars(progress, len(mails))
            worker = Worker(parts.shown, store, lambda: parts, bars)
            running = threading.Thread(target=worker.run, name="worker")
            running.start()
            stack.callback(running.join)
            stack.callback(worker.stop)
            _deliver(mails, imap, lambda: bars.advance(bars.delivered))
            for _ in mails:
                if not bars.filed.acquire(timeout=_PATIENCE_S):
                    raise TimeoutError("the demo's mail is not filed; please report this")
            worker.send()
            bars.done()
        worker.digest_until(datetime.now(UTC))
        worker.send()
        _report(folder, console, store, parts, sink)
        if keep:
            _wait(console, imap, sink)


def _make_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise ConfigError([f"{folder} is not an earlier demo's folder; name another with --folder"])
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _write_config(folder: Path, imap: EmbeddedImap, sink: SmtpSink) -> Path:
    password = folder / "password.txt"
    password.touch(mode=0o600)
    password.write_text(imap.password, "utf-8")
    path = folder / "config.toml"
    text = _CONFIG.format(
        since=(datetime.now(UTC) - timedelta(days=3)).date(),
        imap_port=imap.port,
        user=imap.user,
        password_file=json.dumps(str(password.resolve())),
        smtp_port=sink.port,
    )
    path.write_text(text, "utf-8")
    return path


def _deliver(mails: list[DemoMail], imap: EmbeddedImap, delivered: Callable[[], None]) -> None:
    with IMAPClient(imap.host, port=imap.port, ssl=False, timeout=30) as client:
        client.login(imap.user, imap.password)
        for mail in mails:
            client.append("INBOX", mail.octets, msg_time=mail.date)
            delivered()


def _report(folder: Path, console: Console, store: Store, parts: Parts, sink: SmtpSink) -> None:
    with store.read() as tx:
        records = tx.records.latest(1000)
        parked = tx.mails.parked()
        digest = tx.outbox.latest_digest()
    replies = _write_replies(folder / "acknowledgements", records, store)
    console.print(tables.filed_by_aim(records, parts.shown.campaign))
    console.print(tables.answers(records))
    if parked:
        console.print(tables.parked(parked))
    console.print(f"{replies} acknowledgements: {folder / 'acknowledgements'}", highlight=False, soft_wrap=True)
    if digest is not None:
        (folder / "digest.eml").write_bytes(digest.octets)
        (folder / "digest.html").write_text(parts_of(digest.octets)[1], "utf-8")
        taken = any(mail.recipients == (digest.to,) for mail in sink.messages)
        console.print(
            f"The digest{'' if taken else ' (not taken by the server)'}: {folder / 'digest.eml'}, and to look at: "
            f"{(folder / 'digest.html').resolve()}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"More: `mailbot list -c {folder / 'config.toml'}`, `mailbot show 1 -c {folder / 'config.toml'}`",
        highlight=False,
        soft_wrap=True,
    )


def _write_replies(folder: Path, records: tuple[Record, ...], store: Store) -> int:
    folder.mkdir()
    count = 0
    for record in records:
        with store.read() as tx:
            octets = tx.outbox.octets_for(record.record_id)
        if octets:
            state = record.reply_state or ""
            (folder / f"{record.reference}-{state}.eml").write_bytes(octets)
            count += 1
    return count


def _wait(console: Console, imap: EmbeddedImap, sink: SmtpSink) -> None:
    console.print(
        f"\nStill running; Ctrl-C ends it.\n"
        f"  IMAP: 127.0.0.1 port {imap.port}, no encryption, user {imap.user}, password {imap.password}\n"
        f"  SMTP: 127.0.0.1 port {sink.port}, no encryption, no sign-in (mail to it is swallowed)\n"
        f"Put a mail of your own into INBOX (by copying one there) and it is filed within a second.",
        highlight=False,
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Ended.")
