"""Mailbox in, acknowledgement and digest out: 200 mixed mails over real IMAP and SMTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from mailbot.campaign import load_campaign
from mailbot.classifying.examples import mail_octets
from mailbot.config import SHIPPED
from mailbot.demo.samples import expected_mails
from mailbot.demo.servers import EmbeddedImap, SmtpSink
from mailbot.filing import Store
from mailbot.model import Decision, MessageClass, OutgoingState
from tests.acceptance.deployment import ADDRESS, COORDINATOR, Deployment, acknowledgements, header, parsed, wrote
from tests.servers import DovecotAccount

ROOT = Path(__file__).parents[2]


def mixed_mails() -> list[tuple[bytes, MessageClass]]:
    """200 mails, no two alike: the demo's, the development corpus, and labelled examples."""
    found = [(mail.octets, mail.message_class) for mail in expected_mails(datetime.now(UTC))]
    rows = [json.loads(line) for line in (ROOT / "tests/corpus/dev.jsonl").read_text("utf-8").splitlines()]
    for examples in ("mails_2.jsonl", "train_1.jsonl"):
        lines = (ROOT / "rules/examples" / examples).read_text("utf-8").splitlines()
        rows += [json.loads(line) for line in islice(lines, 40)]
    found += [(_to_us(mail_octets(row)), MessageClass(row["gold"]["class"])) for row in rows]
    assert len(found) == 200
    return found


def _to_us(octets: bytes) -> bytes:
    return f"Delivered-To: {ADDRESS}\r\n".encode() + octets


@pytest.fixture(params=["dovecot", "pymap"])
def deployed(
    request: pytest.FixtureRequest, tmp_path: Path, smtp_sink: SmtpSink
) -> tuple[Deployment, Callable[[list[bytes]], None]]:
    if request.param == "dovecot":
        account: DovecotAccount = request.getfixturevalue("dovecot_account")
        made = Deployment.on(account, smtp_sink, tmp_path)
        return made, account.deliver_many
    imap: EmbeddedImap = request.getfixturevalue("embedded_imap")
    made = Deployment.write(
        tmp_path, imap_port=imap.port, user=imap.user, password=imap.password, smtp_port=smtp_sink.port
    )

    def deliver(mails: list[bytes]) -> None:
        for octets in mails:
            imap.append("INBOX", octets)

    return made, deliver


def test_two_hundred_mixed_mails(
    deployed: tuple[Deployment, Callable[[list[bytes]], None]], smtp_sink: SmtpSink
) -> None:
    deployment, deliver = deployed
    mails = mixed_mails()
    deliver([octets for octets, _ in mails])
    deployment.once()

    records = deployment.records()
    assert len(records) == len(mails)
    assert len({record.reference for record in records}) == len(mails)
    sent = acknowledgements(smtp_sink)
    to_send = [record for record in records if record.acknowledgement.decision is Decision.SEND]
    assert all(record.reply_state is OutgoingState.SENT for record in to_send)
    assert Counter(header(mail, "In-Reply-To") for mail in sent) == Counter(r.message_id for r in to_send)
    by_thread = {header(mail, "In-Reply-To"): mail for mail in sent}
    for record in to_send:
        mail = by_thread[record.message_id]
        assert mail.recipients == (record.acknowledgement.to,)
        assert header(mail, "Auto-Submitted") == "auto-replied"
        assert record.reference in header(mail, "Subject")

    # Filed in the order of delivery, so that each record meets its label.
    gold = [label for _, label in mails]
    answered = {record.message_id for record in to_send}
    machines = [record for record, label in zip(records, gold, strict=True) if label is MessageClass.AUTOMATIC]
    people = [record for record, label in zip(records, gold, strict=True) if label in _ANSWERED]
    assert len(machines) >= 20
    assert [record.subject for record in machines if record.message_id in answered] == []
    silent = [record for record in people if record.acknowledgement.decision is Decision.NEVER]
    assert len(silent) <= 0.1 * len(people), [record.subject for record in silent]

    before = len(smtp_sink.messages)
    deployment.once()
    assert deployment.records() == records
    assert len(smtp_sink.messages) == before


_ANSWERED = (MessageClass.CONTRIBUTION, MessageClass.ENQUIRY)


def test_the_same_way_on_postgresql(dovecot_account: DovecotAccount, postgresql_url: str, tmp_path: Path) -> None:
    mails = mixed_mails()[:40]
    with SmtpSink() as sink:
        deployment = Deployment.on(dovecot_account, sink, tmp_path, store=postgresql_url)
        dovecot_account.deliver_many([octets for octets, _ in mails])
        deployment.once()
        store = Store(postgresql_url, load_campaign([SHIPPED / "rules"]))
        with store.read() as tx:
            records = tx.records.latest(1000)
        store.close()
        assert len(records) == len(mails)
        to_send = {record.message_id for record in records if record.acknowledgement.decision is Decision.SEND}
        assert len(to_send) > 20
        assert Counter(header(mail, "In-Reply-To") for mail in acknowledgements(sink)) == Counter(to_send)
        deployment.once()
        assert len(acknowledgements(sink)) == len(to_send)


def test_the_digest_goes_out_once_for_each_period(dovecot_account: DovecotAccount, tmp_path: Path) -> None:
    with SmtpSink() as sink:
        deployment = Deployment.on(dovecot_account, sink, tmp_path, cron="* * * * *")
        store = deployment.store()
        with store.write() as tx:  # the store begins yesterday, so that a digest is due
            start = datetime.now(UTC) - timedelta(days=1)
            tx.journal.digest_made(start - timedelta(days=1), start, None)
        store.close()
        dovecot_account.deliver_many([wrote()])
        deployment.once()
        deployment.once()  # the mail is filed in this period at the earliest, and shown once
        deployment.once()
        digests = [mail for mail in sink.messages if parsed(mail)["X-Mailbot-Digest"]]
        assert all(mail.recipients == (COORDINATOR,) for mail in digests)
        assert len({header(mail, "Message-ID") for mail in digests}) == len(digests)
        store = deployment.store()
        with store.write() as tx:
            covered = tx.journal.digest_start()
        store.close()
        assert covered > start
        shown = [mail for mail in digests if "BSEC-0001" in parsed(mail).get_body(("plain",)).get_content()]  # type: ignore[union-attr]
        assert len(shown) <= 1


def test_copies_of_one_mail_are_one_record(dovecot_account: DovecotAccount, tmp_path: Path) -> None:
    """To and Cc: the same mail twice in one mailbox, with other trace headers, and once more in Junk."""
    with SmtpSink() as sink:
        deployment = Deployment.on(
            dovecot_account,
            sink,
            tmp_path,
            mailboxes=("INBOX", "Junk"),
        )
        dovecot_account.deliver_many([wrote(), b"Received: by another server\r\n" + wrote()])
        dovecot_account.append("Junk", wrote())
        deployment.once()
        assert len(deployment.records()) == 1
        assert len(acknowledgements(sink)) == 1
        dovecot_account.change_uid_validity()
        deployment.once()
        assert len(deployment.records()) == 1
        assert len(acknowledgements(sink)) == 1


def test_the_mailbox_stays_the_coordinators(dovecot_account: DovecotAccount, tmp_path: Path) -> None:
    with SmtpSink() as sink:
        deployment = Deployment.on(dovecot_account, sink, tmp_path)
        uid = dovecot_account.append("INBOX", wrote())
        deployment.once()
        assert len(deployment.records()) == 1
        with dovecot_account.connect() as client:
            client.select_folder("INBOX", readonly=True)
            assert client.search("ALL") == [uid]
            assert set(client.get_flags([uid])[uid]) <= {b"\\Recent"}


def test_a_digest_in_a_polled_mailbox_is_not_filed(dovecot_account: DovecotAccount, tmp_path: Path) -> None:
    with SmtpSink() as sink:
        deployment = Deployment.on(dovecot_account, sink, tmp_path, cron="* * * * *", send_when_empty=True)
        store = deployment.store()
        with store.write() as tx:
            start = datetime.now(UTC) - timedelta(days=1)
            tx.journal.digest_made(start - timedelta(days=1), start, None)
        store.close()
        deployment.once()
        digest = sink.messages[0]
        dovecot_account.append("INBOX", digest.octets)
        deployment.once()
        assert deployment.records() == ()
