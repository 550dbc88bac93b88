"""`mailbot import`: archives of every shape are filed once, nobody is answered, and new mail need not wait for them."""

from __future__ import annotations

import mailbox as mailboxes
import subprocess
import sys
from pathlib import Path

import pytest

from mailbot.demo.servers import SmtpSink
from mailbot.model import ARCHIVE, Decision
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import PATIENCE_S, Deployment, acknowledgements, wrote
from tests.servers import DovecotAccount

COUNT = 12


def old_mails() -> list[bytes]:
    return [wrote(number=number, sender=f"amina@haven{number}.example") for number in range(1, COUNT + 1)]


def as_mbox(folder: Path) -> Path:
    box = mailboxes.mbox(folder / "old.mbox")
    for octets in old_mails():
        box.add(octets)
    box.close()
    return folder / "old.mbox"


def as_maildir(folder: Path) -> Path:
    box = mailboxes.Maildir(folder / "old", create=True)
    for octets in old_mails():
        box.add(octets)
    return folder / "old"


def as_folder(folder: Path) -> Path:
    (folder / "old" / "deeper").mkdir(parents=True)
    for number, octets in enumerate(old_mails()):
        (folder / "old" / ("deeper" if number % 2 else "") / f"{number}.eml").write_bytes(octets)
    return folder / "old"


@pytest.fixture
def deployment(dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path) -> Deployment:
    folder = tmp_path / "deployment"
    folder.mkdir()
    return Deployment.on(dovecot_account, smtp_sink, folder)


@pytest.mark.parametrize("make", [as_mbox, as_maildir, as_folder])
def test_an_archive_is_filed_once_and_nobody_is_answered(
    deployment: Deployment, smtp_sink: SmtpSink, tmp_path: Path, make: object
) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    first = mailbot("import", path, "-c", deployment.config)
    assert (first.code, first.out) == (0, f"{COUNT} mails looked at, {COUNT} of them new.\n"), first.err
    records = deployment.records()
    assert len(records) == COUNT
    assert {(each.acknowledgement.decision, each.acknowledgement.reason) for each in records} == {
        (Decision.NEVER, ARCHIVE)
    }
    assert all(record.contributions for record in records)
    # The day on which it was written, not that of the import.
    assert {f"{record.received_at:%Y-%m-%d}" for record in records} == {"2026-03-02"}
    again = mailbot("import", path, "--json", "-c", deployment.config)
    assert again.lines == [{"seen": COUNT, "new": 0, "unreadable": 0}]
    deployment.once()
    assert smtp_sink.messages == [] and len(deployment.records()) == COUNT
    preview = " ".join(mailbot("digest", "--preview", "-c", deployment.config).out.split())
    assert f"From an archive {COUNT} mails were filed, too." in preview and "haven3" not in preview


def test_an_import_that_is_killed_goes_on_where_it_was(deployment: Deployment, tmp_path: Path) -> None:
    path = as_mbox(tmp_path)
    command = [sys.executable, "-m", "mailbot", "import", str(path), "-c", str(deployment.config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    # As soon as the store is there, somewhere in the middle of its work.
    while not (deployment.folder / "mailbot.db").exists():
        assert process.poll() is None
    process.kill()
    process.wait(PATIENCE_S)
    assert mailbot("import", path, "-c", deployment.config).code == 0
    assert len(deployment.records()) == COUNT


def test_a_mailbox_is_imported_since_a_day(deployment: Deployment, dovecot_account: DovecotAccount) -> None:
    with dovecot_account.connect() as client:
        client.create_folder("Archive")
    for octets in old_mails()[:3]:
        dovecot_account.append("Archive", octets)
    done = mailbot("import", "--mailbox", "Archive", "-c", deployment.config)
    assert done.out == "3 mails looked at, 3 of them new.\n", done.err
    assert len(deployment.records()) == 3
    assert mailbot("import", "--mailbox", "Archive", "--since", "2999-01-01", "-c", deployment.config).out.startswith(
        "0"
    )
    missing = mailbot("import", "--mailbox", "Nowhere", "-c", deployment.config)
    assert missing.code == 2 and "no mailbox 'Nowhere'" in missing.err


def test_beside_a_worker_the_worker_files(
    deployment: Deployment, smtp_sink: SmtpSink, dovecot_account: DovecotAccount, tmp_path: Path
) -> None:
    running = deployment.start("run")
    try:
        dovecot_account.append("INBOX", wrote(number=100, sender="ben@haven100.example"))
        smtp_sink.wait_for(1, PATIENCE_S)
        done = mailbot("import", as_mbox(tmp_path), "-c", deployment.config)
        assert "the mailbot that is at work files them" in done.out
        # It is at work all the while.
        dovecot_account.append("INBOX", wrote(number=101, sender="ben@haven101.example"))
        smtp_sink.wait_for(2, PATIENCE_S)
    finally:
        running.terminate()
        running.wait(PATIENCE_S)
    deployment.once()
    assert len(deployment.records()) == COUNT + 2 and len(acknowledgements(smtp_sink)) == 2


def test_what_cannot_be_imported_says_so(deployment: Deployment, tmp_path: Path) -> None:
    absent = mailbot("import", tmp_path / "absent.mbox", "-c", deployment.config)
    assert absent.code == 1 and "No such file" in absent.err
    assert mailbot("import", "-c", deployment.config).code == 2
    both = mailbot("import", tmp_path, "--mailbox", "INBOX", "-c", deployment.config)
    assert both.code == 2 and "either files" in both.err
    nobody = mailbot("import", tmp_path, "--account", "nobody", "-c", deployment.config)
    assert nobody.code == 2 and "there are pledges" in nobody.err
