"""A deployment of mailbot on real servers, run the way an operator runs it: as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED
from mailbot.demo.servers import SmtpSink, SunkMail
from mailbot.filing import Store
from mailbot.model import Record
from tests.servers import DovecotAccount

ADDRESS = "sarah.crawley@bsec.example"
COORDINATOR = "sarah.at.her.desk@bsec.example"
#: far above what one pass over some hundred mails needs, also on a busy machine
PATIENCE_S = 120.0

_CONFIG = """\
[coordinator]
name = "Sarah Crawley"
address = "{coordinator}"

[store]
url = "{store}"

[intake]
since = 2020-01-01

[acknowledge]
per_hour = 10000
per_domain_per_hour = 10000
max_age_days = 3000

[digest]
cron = "{cron}"
send_when_empty = {send_when_empty}

[[account]]
name = "pledges"
address = "{address}"
mailboxes = {mailboxes}
poll_interval_s = 0.2

[account.imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "{user}"
password_file = {password_file}
timeout_s = 20

[account.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
timeout_s = 20
"""


@dataclass(frozen=True)
class Deployment:
    """A folder with config.toml, and what came of it."""

    folder: Path

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        imap_port: int,
        user: str,
        password: str,
        smtp_port: int,
        mailboxes: Sequence[str] = ("INBOX",),
        cron: str = "0 7 1 1 *",
        send_when_empty: bool = False,
        store: str = "sqlite:///mailbot.db",
    ) -> Deployment:
        """Writes config.toml; the digest falls due on New Year's Day unless `cron` says otherwise."""
        secret = folder / "password.txt"
        secret.write_text(password, "utf-8")
        text = _CONFIG.format(
            coordinator=COORDINATOR,
            address=ADDRESS,
            imap_port=imap_port,
            user=user,
            password_file=json.dumps(str(secret)),
            smtp_port=smtp_port,
            mailboxes=json.dumps(list(mailboxes)),
            cron=cron,
            send_when_empty=json.dumps(send_when_empty),
            store=store,
        )
        (folder / "config.toml").write_text(text, "utf-8")
        return cls(folder)

    @classmethod
    def on(cls, account: DovecotAccount, sink: SmtpSink, folder: Path, **options: Any) -> Deployment:
        """One that reads a Dovecot's account and sends to the sink; `options` as for `write`."""
        return cls.write(
            folder,
            imap_port=account.server.port,
            user=account.user,
            password=account.password,
            smtp_port=sink.port,
            **options,
        )

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """`mailbot ARGUMENTS -c config.toml` in a process of its own, to its end."""
        command = [sys.executable, "-m", "mailbot", *arguments, "-c", str(self.config)]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE_S, env=_environment())

    def once(self) -> None:
        """One pass of every job, which must succeed."""
        done = self.run("once")
        assert done.returncode == 0, done.stderr.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, left running; its log goes to run.log (a pipe that nobody empties would stop it)."""
        command = [sys.executable, "-m", "mailbot", *arguments, "-c", str(self.config)]
        with (self.folder / "run.log").open("ab") as log:
            return subprocess.Popen(command, stderr=log, env=_environment())

    def store(self) -> Store:
        return Store(f"sqlite:///{self.folder / 'mailbot.db'}", load_campaign([SHIPPED / "rules"]))

    def records(self) -> tuple[Record, ...]:
        """Everything that is filed."""
        store = self.store()
        with store.read() as tx:
            found = tx.records.latest(100_000)
        store.close()
        return found


def _environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}


def parsed(mail: SunkMail) -> EmailMessage:
    """A mail from the sink, read with the standard library."""
    found = message_from_bytes(mail.octets, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def header(mail: SunkMail, name: str) -> str:
    """One header of a mail from the sink; "" when absent."""
    return str(parsed(mail)[name] or "")


def acknowledgements(sink: SmtpSink) -> list[SunkMail]:
    """What the sink got, without digests."""
    return [mail for mail in sink.messages if not parsed(mail)["X-Mailbot-Digest"]]


def wrote(**fields: Any) -> bytes:
    """A person's plain mail to the campaign; `fields` change its headers or `body`."""
    values = {
        "number": 1,
        "sender": "amina@haven.example",
        "name": "Amina Yusuf",
        "subject": "A room on Fridays",
        "body": "We can give you our hall on Friday evenings for meetings of new founders, free of charge.",
    } | fields
    return (
        (
            "Return-Path: <{sender}>\r\n"
            "From: {name} <{sender}>\r\n"
            "To: Sarah Crawley <" + ADDRESS + ">\r\n"
            "Subject: {subject} {number}\r\n"
            "Message-ID: <m{number}.{sender}>\r\n"
            "Date: Mon, 02 Mar 2026 09:30:00 +0000\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "\r\n"
            "Dear Sarah,\r\n\r\n{body} It is number {number}.\r\n\r\nBest wishes\r\n{name}\r\n"
        )
        .format(**values)
        .encode()
    )
