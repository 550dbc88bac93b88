"""Sign-in by OAuth: the grants against a server like the providers', the tokens against Dovecot and SMTP."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from mailbot import oauth
from mailbot.config import Account, Imap, OAuth, Smtp
from mailbot.errors import ConfigError, DeliveryDeferred, MailboxUnavailable, SignInRefused, SignInUnavailable
from mailbot.intake import ImapSession
from mailbot.replying.smtp import SmtpSession
from tests.conftest import running
from tests.integration.test_smtp import outgoing
from tests.oauth_server import OAuthServer, OAuthSink
from tests.servers import Dovecot, dovecot

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running_server:
        yield running_server


@pytest.fixture
def make(tmp_path: Path, server: OAuthServer) -> Callable[..., Account]:
    """Makes an account that signs in at the server; `changes` are keys of its section oauth."""

    def account(*, imap_port: int = 1, smtp_port: int = 1, name: str = "pledges", **changes: Any) -> Account:
        values: dict[str, Any] = {
            "provider": "other",
            "client_id": server.client_id,
            "scopes": ("mail", "offline_access"),
            "token_url": server.url("token"),
            "device_url": server.url("device"),
            "authorize_url": server.url("authorize"),
            "token_file": str(tmp_path / "token.json"),
        }
        return Account(
            name=name,
            address="sarah@bsec.example",
            imap=Imap(host="127.0.0.1", port=imap_port, security="none", username="sarah", timeout_s=10),
            smtp=Smtp(host="127.0.0.1", port=smtp_port, security="none", username="sarah", timeout_s=10),
            oauth=OAuth(**(values | changes)),
        )

    return account


class Patience:
    """Counts the seconds that are waited, in place of waiting them."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.waits))


def sign_in(account: Account) -> Patience:
    """The device flow, to its end."""
    patience = Patience()
    before, oauth.wait = oauth.wait, patience.wait
    try:
        return _sign_in(account, patience)
    finally:
        oauth.wait = before


def _sign_in(account: Account, patience: Patience) -> Patience:
    code = oauth.begin_device_flow(account, now=NOW)
    assert code.user_code == "ABCD-EFGH"
    oauth.finish_device_flow(account, code, clock=patience.clock)
    return patience


# --- the device flow ---


def test_device_flow_waits_as_it_is_told(make: Callable[..., Account], server: OAuthServer) -> None:
    server.device_answers = ["authorization_pending", "slow_down", "authorization_pending"]
    account = make()
    patience = sign_in(account)
    # RFC 8628 section 3.5: five seconds more after slow_down, for good.
    assert patience.waits == [5, 5, 10, 10]
    assert oauth.access_token(account, now=NOW) == "at-1"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("access_denied", "the sign-in was refused"),
        ("authorization_declined", "the sign-in was refused"),
        ("expired_token", "mailbot login pledges"),
        ("invalid_client", "account.oauth.client_id"),
        ("something_new", "correct account.oauth"),
    ],
)
def test_device_flow_that_is_refused(
    make: Callable[..., Account], server: OAuthServer, answer: str, words: str
) -> None:
    server.device_answers = ["authorization_pending", answer]
    with pytest.raises(SignInRefused, match=words):
        sign_in(make())
    assert oauth.load(make()) is None


def test_device_flow_that_nobody_answers(make: Callable[..., Account], server: OAuthServer) -> None:
    server.device_answers = ["authorization_pending"] * 1000
    with pytest.raises(SignInRefused, match="nobody agreed in time"):
        sign_in(make())


def test_device_flow_survives_an_outage(make: Callable[..., Account], server: OAuthServer) -> None:
    server.trouble = [(503, "<html>come back</html>"), (200, "no JSON at all")]
    assert sign_in(make()).waits == [5, 10, 20]


def test_device_flow_of_an_unknown_client(make: Callable[..., Account]) -> None:
    with pytest.raises(SignInRefused, match=r"account\.oauth\.client_id"):
        oauth.begin_device_flow(make(client_id="somebody-else"))


# --- the browser flow ---


def test_browser_flow(make: Callable[..., Account], server: OAuthServer) -> None:
    account = make(flow="browser")
    with oauth.browser_flow(account) as flow:
        visit = threading.Thread(target=requests.get, args=(flow.url,), kwargs={"timeout": 10})
        visit.start()
        token = flow.wait(timeout_s=20)
        visit.join()
    assert token.refresh_token == "rt-2"
    (asked,) = server.asked
    assert asked["grant_type"] == "authorization_code"
    assert oauth.access_token(account) == token.access_token


def test_browser_flow_with_a_pasted_address(make: Callable[..., Account]) -> None:
    with oauth.browser_flow(make(flow="browser")) as flow:
        answer = requests.get(flow.url, allow_redirects=False, timeout=10)
        assert flow.finish(f"  {answer.headers['Location']}\n").access_token


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:1/?code=stolen&state=other", "not where the provider led to"),
        ("http://127.0.0.1:1/?error=access_denied&error_description=No+thanks", "the provider said no .No thanks."),
        ("hello", "not where the provider led to"),
    ],
)
def test_browser_flow_believes_no_other_address(make: Callable[..., Account], address: str, words: str) -> None:
    with oauth.browser_flow(make(flow="browser")) as flow, pytest.raises(SignInRefused, match=words):
        flow.finish(address)


# --- tokens ---


def test_a_token_is_kept_for_its_owner_only(make: Callable[..., Account], tmp_path: Path) -> None:
    sign_in(make())
    path = tmp_path / "token.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text("utf-8"))["refresh_token"] == "rt-1"


@pytest.mark.parametrize("rotates", [True, False])
def test_a_token_is_renewed_before_it_ends_and_a_rotated_one_is_kept(
    make: Callable[..., Account], server: OAuthServer, rotates: bool
) -> None:
    server.rotates = rotates
    account = make()
    sign_in(account)
    assert oauth.access_token(account, now=NOW + timedelta(minutes=54)) == "at-1"
    first = oauth.access_token(account, now=NOW + timedelta(minutes=56))
    assert first == "at-2"
    # The next renewal needs the refresh token that came with this one.
    assert oauth.access_token(account, now=NOW + timedelta(hours=3)) == "at-3"
    kept = oauth.load(account)
    assert kept is not None and kept.refresh_token == ("rt-3" if rotates else "rt-1")


def test_two_at_once_renew_once(make: Callable[..., Account], server: OAuthServer) -> None:
    account = make()
    sign_in(account)
    later, found = NOW + timedelta(hours=2), []
    threads = [threading.Thread(target=lambda: found.append(oauth.access_token(account, now=later))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["at-2"] * 8
    assert len([each for each in server.asked if each["grant_type"] == "refresh_token"]) == 1


def test_a_revoked_sign_in_says_what_to_do(make: Callable[..., Account], server: OAuthServer) -> None:
    account = make()
    with pytest.raises(SignInRefused, match=r"nobody has signed in yet; run `mailbot login pledges`"):
        oauth.access_token(account)
    sign_in(account)
    server.revoke()
    with pytest.raises(SignInRefused, match=r"the sign-in has ended .*AADSTS70000: revoked.*mailbot login pledges"):
        oauth.access_token(account, now=NOW + timedelta(hours=2))


@pytest.mark.parametrize(
    "trouble",
    [(503, "<html>"), (429, "slow down"), (200, "[]"), (400, '{"error": "temporarily_unavailable"}')],
)
def test_an_outage_loses_no_token(make: Callable[..., Account], server: OAuthServer, trouble: tuple[int, str]) -> None:
    account = make()
    sign_in(account)
    server.trouble = [trouble]
    with pytest.raises(SignInUnavailable, match=r"127\.0\.0\.1"):
        oauth.access_token(account, now=NOW + timedelta(hours=2))
    assert oauth.access_token(account, now=NOW + timedelta(hours=2)) == "at-2"


def test_client_credentials(make: Callable[..., Account], server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "hush")
    server.secret = "hush"
    account = make(flow="client_credentials", client_secret_env="CLIENT_SECRET")
    assert oauth.access_token(account, now=NOW) == "at-1"
    assert oauth.access_token(account, now=NOW) == "at-1"
    assert oauth.access_token(account, now=NOW + timedelta(hours=2)) == "at-2"
    monkeypatch.setenv("CLIENT_SECRET", "wrong")
    with pytest.raises(SignInRefused, match="client_id or its secret"):
        oauth.access_token(account, now=NOW + timedelta(hours=5))


def test_the_end_of_a_sign_in_is_told_in_time(make: Callable[..., Account], server: OAuthServer) -> None:
    account = make()
    assert oauth.warning(account, now=NOW) is None
    server.refresh_life_s = 10 * 86_400.0
    sign_in(account)
    assert oauth.warning(account, now=NOW) is None
    told = oauth.warning(account, now=NOW + timedelta(days=4))
    assert told == "account pledges: the sign-in ends in 6 days; run `mailbot login pledges` before"


def test_a_place_that_cannot_be_written(make: Callable[..., Account], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    account = make(token_file=str(tmp_path / "file" / "token.json"))
    with pytest.raises(ConfigError, match=r"account\.oauth\.token_file"):
        sign_in(account)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_token": 3}'])
def test_a_broken_token_file_is_as_good_as_none(make: Callable[..., Account], tmp_path: Path, text: str) -> None:
    (tmp_path / "token.json").write_text(text, "utf-8")
    assert oauth.load(make()) is None


# --- the servers ---


@pytest.fixture(params=["xoauth2", "oauthbearer"])
def imap_server(request: pytest.FixtureRequest, server: OAuthServer) -> Iterator[Dovecot]:
    with running(dovecot(tokeninfo_url=server.tokeninfo_url, mechanisms=request.param)) as imap:
        yield imap


def test_imap_takes_the_token(imap_server: Dovecot, make: Callable[..., Account], server: OAuthServer) -> None:
    account = make(imap_port=imap_server.port)
    sign_in(account)
    with ImapSession.open(account) as session:
        assert "INBOX" in session.mailboxes()
    # A token that is refused before its time is renewed at once.
    server.revoke_access()
    with ImapSession.open(account) as session:
        assert session.examine("INBOX").uid_next == 1
    server.revoke()
    with pytest.raises(SignInRefused, match="mailbot login pledges"), ImapSession.open(account):
        pass


def test_smtp_takes_the_token(make: Callable[..., Account], server: OAuthServer) -> None:
    with OAuthSink(server) as sink:
        account = make(smtp_port=sink.port)
        sign_in(account)
        with SmtpSession.open(account) as session:
            session.send(outgoing())
        assert [mail.username for mail in sink.messages] == ["sarah"]
        server.revoke_access()
        with SmtpSession.open(account) as session:
            session.send(outgoing(2))
        assert len(sink.messages) == 2
        server.trouble = [(503, "")]
        server.revoke_access()
        with pytest.raises(DeliveryDeferred, match="cannot be asked for a token"), SmtpSession.open(account):
            pass


def test_a_server_without_oauth_says_so(dovecot_server: Dovecot, make: Callable[..., Account], smtp_sink: Any) -> None:
    account = make(imap_port=dovecot_server.port, smtp_port=smtp_sink.port)
    sign_in(account)
    with pytest.raises(SignInRefused, match=r"offers no sign-in by OAuth.*account\.imap\.host"):
        ImapSession.open(account).__enter__()
    with pytest.raises(SignInRefused, match=r"offers no sign-in by OAuth.*account\.smtp\.host"):
        SmtpSession.open(account).__enter__()


def test_an_outage_of_the_oauth_server_is_one_of_the_mailbox(make: Callable[..., Account], server: OAuthServer) -> None:
    with running(dovecot(tokeninfo_url=server.tokeninfo_url)) as imap:
        account = make(imap_port=imap.port)
        sign_in(account)
        server.revoke_access()
        server.trouble = [(503, "")]
        with pytest.raises(MailboxUnavailable, match="cannot be asked for a token"), ImapSession.open(account):
            pass
