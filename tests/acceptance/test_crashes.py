"""A worker that is killed at any step, and started again: one record, one acknowledgement by Message-ID."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mailbot.demo.servers import SmtpSink
from mailbot.model import OutgoingState
from tests.acceptance.crash_child import STEPS
from tests.acceptance.deployment import PATIENCE_S, Deployment, acknowledgements, header, wrote
from tests.servers import DovecotAccount

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("step", STEPS)
def test_killed(step: str, dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path) -> None:
    deployment = Deployment.on(dovecot_account, smtp_sink, tmp_path)
    mails = [wrote(number=number, sender=f"amina{number}@haven{number}.example") for number in range(3)]
    dovecot_account.deliver_many(mails)
    command = [sys.executable, "-m", "tests.acceptance.crash_child", step, str(deployment.config)]
    killed = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()

    deployment.once()
    records = deployment.records()
    assert len(records) == len({record.message_id for record in records}) == 3
    assert {record.reply_state for record in records} == {OutgoingState.SENT}
    by_mail = Counter(header(mail, "In-Reply-To") for mail in acknowledgements(smtp_sink))
    assert set(by_mail) == {record.message_id for record in records}
    message_ids = {header(mail, "Message-ID") for mail in acknowledgements(smtp_sink)}
    assert len(message_ids) == 3
    deployment.once()
    assert deployment.records() == records
    assert {header(mail, "Message-ID") for mail in acknowledgements(smtp_sink)} == message_ids
