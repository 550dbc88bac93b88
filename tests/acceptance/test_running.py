"""A worker that runs: it hears of mail at once, one account holds up no other, and it stops when told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailbot.app import load_shown, make_policy, open_store
from mailbot.config import load_config
from mailbot.demo.servers import SmtpSink
from mailbot.pipeline import Classifies, Parts
from mailbot.worker import Worker
from tests.acceptance.deployment import Deployment, wrote
from tests.servers import DovecotAccount

#: far above what it takes, also on a busy machine; the poll interval of these tests is an hour
_PATIENCE_S = 60.0


@contextmanager
def at_work(deployment: Deployment, classifier: Classifies) -> Iterator[Worker]:
    """A worker that runs in a thread, and has stopped at the end."""
    shown = load_shown(load_config(deployment.config))
    store = open_store(shown.config, shown.campaign)
    parts = Parts(shown=shown, policy=make_policy(shown.config), classifier=classifier)
    worker = Worker(shown, store, lambda: parts)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(_PATIENCE_S)
        store.close()
        assert not thread.is_alive()


def poll_hourly(deployment: Deployment) -> None:
    text = deployment.config.read_text("utf-8")
    assert "poll_interval_s = 0.2" in text
    deployment.config.write_text(text.replace("poll_interval_s = 0.2", "poll_interval_s = 3600"), "utf-8")


def test_mail_is_answered_as_it_comes(
    dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path, classifier: Classifies
) -> None:
    deployment = Deployment.on(dovecot_account, smtp_sink, tmp_path)
    poll_hourly(deployment)
    with at_work(deployment, classifier):
        for number in range(1, 4):
            dovecot_account.append("INBOX", wrote(number=number, sender=f"amina@haven{number}.example"))
            sent = smtp_sink.wait_for(number, _PATIENCE_S)
            assert sent[-1].recipients == (f"amina@haven{number}.example",)


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def test_an_account_that_hangs_holds_up_no_other(
    dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path, classifier: Classifies
) -> None:
    deployment = Deployment.on(dovecot_account, smtp_sink, tmp_path)
    poll_hourly(deployment)
    text = deployment.config.read_text("utf-8")
    head, _, account = text.partition("[[account]]")
    with silent_server() as silent:
        hanging = account.replace('name = "pledges"', 'name = "hanging"').replace(
            "address = ", 'address = "x@y.example"#'
        )
        hanging = hanging.replace("timeout_s = 20", "timeout_s = 3")
        for port in (dovecot_account.server.port, smtp_sink.port):
            hanging = hanging.replace(f"port = {port}", f"port = {silent}")
        deployment.config.write_text(f"{head}[[account]]{hanging}\n[[account]]{account}", "utf-8")
        with at_work(deployment, classifier):
            for number in range(1, 3):
                dovecot_account.append("INBOX", wrote(number=number, sender=f"amina@haven{number}.example"))
                smtp_sink.wait_for(number, 15.0)
