"""`mailbot check --probe`: a mail of its own comes back, and tells whose results may be believed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from mailbot import probing
from mailbot.config import Account, load_config
from mailbot.demo.servers import SmtpSink
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import Deployment, wrote
from tests.servers import DovecotAccount

OURS = "mx.bsec.example"


def received(authserv_id: str | None, *, ahead_s: float = 0.0) -> bytes:
    """What a server writes above a mail that it takes."""
    when = format_datetime(datetime.fromtimestamp(datetime.now(UTC).timestamp() + ahead_s, UTC))
    trace = f"Received: from a.example by {OURS} with ESMTP; {when}\r\n".encode()
    results = b"" if authserv_id is None else f"Authentication-Results: {authserv_id}; dmarc=pass\r\n".encode()
    return results + trace


@contextmanager
def post_office(sink: SmtpSink, account: DovecotAccount, above: bytes, mailbox: str = "INBOX") -> Iterator[None]:
    """Delivers what comes to the sink into the mailbox, as the account's server would."""
    over = threading.Event()

    def deliver() -> None:
        done = 0
        while not over.wait(0.05):
            for mail in sink.messages[done:]:
                account.append(mailbox, above + mail.octets)
                done += 1

    thread = threading.Thread(target=deliver)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def deployment(dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path) -> Deployment:
    return Deployment.on(dovecot_account, smtp_sink, tmp_path)


def account_of(deployment: Deployment) -> Account:
    return load_config(deployment.config).account[0]


@pytest.fixture
def probe(
    deployment: Deployment, dovecot_account: DovecotAccount, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., probing.Probe]:
    monkeypatch.setattr(probing, "_LOOK_S", 0.05)

    def send(above: bytes, **options: str) -> probing.Probe:
        store = deployment.store()
        with post_office(smtp_sink, dovecot_account, above, **options):
            found = probing.probe(account_of(deployment), store)
        store.close()
        return found

    return send


def test_what_stands_on_the_probe_tells(probe: Callable[..., probing.Probe]) -> None:
    found = probe(received(OURS))
    assert found.took_s is not None and found.mailbox == "INBOX"
    assert (found.authserv_id, found.because) == (OURS, "it stands on the probe")
    assert abs(found.ahead_s) < 60


def test_it_is_found_among_the_spam_and_clocks_are_compared(probe: Callable[..., probing.Probe]) -> None:
    found = probe(received(OURS, ahead_s=3600), mailbox="Junk")
    assert found.mailbox == "Junk" and 3500 < found.ahead_s < 3700


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([OURS] * 6, OURS),
        # What senders forge, where the server writes none: they do not agree.
        (["a.example", "b.example", "c.example", "d.example", "e.example", "f.example"], ""),
        ([OURS] * 4 + ["a.example"] * 3, ""),
        ([], ""),
    ],
)
def test_else_the_last_mails_tell_when_they_agree(
    probe: Callable[..., probing.Probe], dovecot_account: DovecotAccount, others: list[str], told: str
) -> None:
    for number, authserv_id in enumerate(others):
        mail = wrote(number=number, sender=f"amina@haven{number}.example")
        dovecot_account.append("INBOX", received(authserv_id) + mail)
    assert probe(received(None)).authserv_id == told


def test_one_sender_alone_proves_nothing(probe: Callable[..., probing.Probe], dovecot_account: DovecotAccount) -> None:
    for number in range(8):
        dovecot_account.append("INBOX", received("forged.example") + wrote(number=number))
    assert probe(received(None)).authserv_id == ""


def test_a_probe_that_does_not_come(deployment: Deployment) -> None:
    store = deployment.store()
    found = probing.probe(account_of(deployment), store, patience_s=0)
    store.close()
    assert found.took_s is None


def test_check_writes_what_it_found_out_and_files_no_record_of_it(
    deployment: Deployment, dovecot_account: DovecotAccount, smtp_sink: SmtpSink
) -> None:
    plain = mailbot("check", "-c", deployment.config)
    assert plain.code == 0 and "a forged sender is not held" in plain.out
    with post_office(smtp_sink, dovecot_account, received(OURS)):
        done = mailbot("check", "--probe", "--yes", "-c", deployment.config)
    assert done.code == 0, done.err
    assert f"its server writes its results as {OURS} (it stands on the probe)" in done.out
    assert account_of(deployment).authserv_id == OURS
    assert f"the results of {OURS} are believed" in mailbot("check", "-c", deployment.config).out
    deployment.once()
    assert deployment.records() == ()
    assert len(smtp_sink.messages) == 1


_TWO = """# keep me
[[account]]
name = "one"   # first
address = "a@x.example"

[account.imap]
host = "x"

[[account]]
name = "two"
# authserv_id = ""   # of yours
[account.imap]
# authserv_id = "not this one"
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("one", 'name = "one"   # first\n', 'name = "one"   # first\nauthserv_id = "mx.x.example"\n'),
        ("two", '# authserv_id = ""   # of yours\n', 'authserv_id = "mx.x.example"\n'),
    ],
)
def test_only_the_line_that_is_meant_is_written(
    deployment: Deployment, tmp_path: Path, name: str, before: str, after: str
) -> None:
    path = tmp_path / "other.toml"
    path.write_text(_TWO, "utf-8")
    account = account_of(deployment).model_copy(update={"name": name})
    probing.write_authserv_id(path, account, "mx.x.example")
    assert path.read_text("utf-8") == _TWO.replace(before, after)
