"""`mailbot login` and what follows: real servers that take tokens, from the first code to an answered mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailbot.app import load_shown, make_policy, open_store
from mailbot.config import load_config
from mailbot.errors import SignInRefused
from mailbot.pipeline import Classifies, Parts
from mailbot.worker import Worker
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import Deployment, wrote
from tests.conftest import running
from tests.oauth_server import OAuthServer, OAuthSink
from tests.servers import DovecotAccount, dovecot

_SECTION = """
[account.oauth]
provider = "other"
client_id = "mailbot-test"
scopes = ["mail", "offline_access"]
token_url = "{token}"
device_url = "{device}"
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[tuple[Deployment, OAuthServer, OAuthSink, DovecotAccount]]:
    """A deployment without any password, and what it signs in to."""
    with (
        OAuthServer() as server,
        OAuthSink(server) as sink,
        running(dovecot(tokeninfo_url=server.tokeninfo_url)) as imap,
    ):
        account = imap.account(server.user)
        deployment = Deployment.on(account, sink, tmp_path)
        text = deployment.config.read_text("utf-8").replace("[account.smtp]\n", '[account.smtp]\nusername = "sarah"\n')
        lines = [line for line in text.splitlines() if not line.startswith("password_file")]
        section = _SECTION.format(token=server.url("token"), device=server.url("device"))
        deployment.config.write_text("\n".join(lines) + section, "utf-8")
        yield deployment, server, sink, account


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of a device flow, noted and not waited."""
    waits: list[float] = []
    monkeypatch.setattr("mailbot.oauth.wait", waits.append)
    return waits


def test_from_the_first_code_to_an_answered_mail(
    office: tuple[Deployment, OAuthServer, OAuthSink, DovecotAccount], quick: list[float], classifier: Classifies
) -> None:
    deployment, server, sink, account = office
    server.device_answers = ["authorization_pending", "authorization_pending"]
    server.refresh_life_s = 3 * 86_400.0
    before = mailbot("check", "-c", deployment.config)
    assert before.code == 2 and "run `mailbot login pledges`" in before.out

    done = mailbot("login", "-c", deployment.config)
    assert done.code == 0, done.err
    assert "ABCD-EFGH" in done.out and "mail can be read" in done.out and "mail can be sent" in done.out
    assert quick == [5, 5, 5]
    assert "the sign-in ends" in mailbot("check", "-c", deployment.config).out

    account.deliver_many([wrote()])
    shown = load_shown(load_config(deployment.config))
    store = open_store(shown.config, shown.campaign)
    parts = Parts(shown=shown, policy=make_policy(shown.config), classifier=classifier)
    worker = Worker(shown, store, lambda: parts)
    worker.once()
    assert worker.problems == ()
    assert [mail.recipients for mail in sink.messages] == [("amina@haven.example",)]
    # She is told in good time, and when it has ended.
    assert "the sign-in ends in 2 days" in mailbot("digest", "--preview", "-c", deployment.config).out
    server.revoke()
    worker.once()
    assert {type(problem) for problem in worker.problems} == {SignInRefused}
    preview = " ".join(mailbot("digest", "--preview", "-c", deployment.config).out.split())
    assert "run `mailbot login pledges`" in preview
    store.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nobody",), "no account of this name has a section oauth"), ((), "no account has a section oauth")],
)
def test_login_without_oauth_says_so(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    deployment = Deployment.write(tmp_path, imap_port=1, user="u", password="p", smtp_port=1)
    done = mailbot("login", *arguments, "-c", deployment.config)
    assert done.code == 2 and words in done.err
