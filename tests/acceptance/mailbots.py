"""Mailbots inside this process, on servers of their own, for simulations of many rounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage

from mailbot.demo.servers import EmbeddedImap, SmtpSink, SunkMail
from mailbot.filing import Store
from mailbot.model import Record
from mailbot.worker import Worker
from tests.acceptance.deployment import ADDRESS, Deployment, parsed


@dataclass
class Mailbot:
    """One deployment, run inside this process, so that a simulation of many rounds stays quick."""

    address: str
    imap: EmbeddedImap
    sink: SmtpSink
    worker: Worker
    store: Store
    deployment: Deployment
    taken: int = 0

    def once(self) -> list[SunkMail]:
        """One pass; what was handed to SMTP in it."""
        self.worker.once()
        assert self.worker.problems == ()
        new = self.sink.messages[self.taken :]
        self.taken += len(new)
        return new

    def receive(self, octets: bytes) -> None:
        self.imap.append("INBOX", octets)

    @property
    def records(self) -> tuple[Record, ...]:
        with self.store.read() as tx:
            return tx.records.latest(10_000)

    @property
    def acknowledged(self) -> Counter[str]:
        """How many acknowledgements went to each address."""
        mails = [mail for mail in self.sink.messages if parsed(mail)["X-Mailbot-Reference"]]
        return Counter(recipient for mail in mails for recipient in mail.recipients)

    @property
    def alerts(self) -> int:
        return sum(1 for mail in self.sink.messages if parsed(mail)["X-Mailbot-Alert"])


def says(sender: str, subject: str, body: str, **headers: str) -> bytes:
    """A mail to us as octets, with the trace headers of a final delivery."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["Return-Path"] = f"<{headers.pop('Return_Path', sender)}>"
    mail["From"], mail["To"], mail["Subject"] = sender, headers.pop("To", ADDRESS), subject
    mail["Date"] = "Mon, 02 Mar 2026 09:30:00 +0000"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail.as_bytes()
