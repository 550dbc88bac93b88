"""OAuth 2 sign-in, shared by IMAP and SMTP: how a token is had, where it is kept, when it is renewed.

Owns the grants and the tokens. Must not know what is signed in to. The only importer of authlib.

A token is kept in a file that only its owner can read, or in the system keyring. A provider that gives a new refresh
token with every renewal (rotation) makes the old one worthless: the new one is kept before the access token is used.

Source:
    RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 8252 (native apps), RFC 8628 (device flow), RFC 7628 (SASL OAUTHBEARER)
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import filelock

from mailbot.config import Account, OAuth, secret_of
from mailbot.errors import ConfigError, SignInRefused, SignInUnavailable

#: the SASL mechanisms that carry a token, the standard's own first
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
#: an access token is renewed when it ends within this time: a session must not outlive it
_LEEWAY = timedelta(minutes=5)
#: what an access token lives without a word from the server (RFC 6749 section 5.1 only recommends `expires_in`)
_LIFE = timedelta(hours=1)
#: seconds to wait for an answer of the server
_TIMEOUT_S = 30.0
#: seconds between two questions whether the person has agreed, and added when the server says slow_down (RFC 8628)
_INTERVAL_S, _SLOWER_S = 5.0, 5.0
#: seconds that the browser has to come back
_BROWSER_S = 600.0
#: answers that say: ask again later (RFC 6749 section 4.1.2.1)
_LATER = {"temporarily_unavailable", "server_error", "slow_down"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a server gave for an account."""

    access_token: str
    #: when the access token ends, UTC
    expires_at: datetime
    #: "" with client credentials, which need none
    refresh_token: str
    #: when the whole sign-in ends, as far as the server says so, UTC
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a person is asked to type, and where (RFC 8628 section 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    #: with the code in it; "" when the server gives none
    verification_uri_complete: str
    expires_at: datetime
    interval_s: float


def access_token(account: Account, *, now: datetime | None = None, renew: bool = False) -> str:
    """An access token that is good for some minutes at least; renewed and kept where needed.

    Args:
        account: with `oauth`.
        now: the clock.
        renew: also when it has not ended: a server has just refused it.

    Raises:
        SignInRefused: nobody has signed in, or the sign-in has ended; says what to do.
        SignInUnavailable: the server cannot be asked at present.
        ConfigError: the client's secret or the place of the tokens cannot be used.
    """
    settings, now = _settings(account), now or datetime.now(UTC)
    with _locked(settings, account):
        token = load(account)
        if token is not None and not renew and token.expires_at - _LEEWAY > now:
            return token.access_token
        if settings.flow == "client_credentials":
            scope = {"scope": " ".join(settings.wanted_scopes)}
            answer = _ask(account, {"grant_type": "client_credentials", **scope})
        elif token is None:
            raise SignInRefused(f"account {account.name}: nobody has signed in yet; run `mailbot login {account.name}`")
        else:
            answer = _ask(account, {"grant_type": "refresh_token", "refresh_token": token.refresh_token})
        new = _token(answer, token, now)
        save(account, new)
        return new.access_token


def sasl(mechanism: str, username: str, token: str) -> Callable[[object], str]:
    """The client's side of a SASL exchange; call it with each challenge.

    Args:
        mechanism: XOAUTH2 or OAUTHBEARER.
        username: of the mailbox.
        token: an access token.

    Source:
        RFC 7628 sections 3.1 and 3.2.3; for XOAUTH2 the documents of Google and Microsoft
    """
    if mechanism == "XOAUTH2":
        first, dummy = f"user={username}\x01auth=Bearer {token}\x01\x01", ""
    else:
        name = username.replace("=", "=3D").replace(",", "=2C")
        first, dummy = f"n,a={name},\x01auth=Bearer {token}\x01\x01", "\x01"
    answers = iter([first])

    def respond(_challenge: object = None) -> str:
        # A second challenge is the server's error as JSON: it wants an empty word before it says no.
        return next(answers, dummy)

    return respond


def warning(account: Account, *, now: datetime) -> str | None:
    """What the coordinator should know before the sign-in ends; None when there is nothing to say."""
    settings = _settings(account)
    token = load(account)
    if token is None or token.ends_at is None or token.ends_at - timedelta(days=settings.warn_days) > now:
        return None
    days = max((token.ends_at - now).days, 0)
    when = "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"
    return f"account {account.name}: the sign-in ends {when}; run `mailbot login {account.name}` before"


# --- signing in ---


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def wait(seconds: float) -> None:
    """Lets time pass between two questions."""
    time.sleep(seconds)


def begin_device_flow(account: Account, *, now: datetime | None = None) -> DeviceCode:
    """Asks for a code that the person types on another device (RFC 8628 section 3.1).

    Raises:
        SignInRefused, SignInUnavailable, ConfigError: as `access_token`.
    """
    settings, now = _settings(account), now or datetime.now(UTC)
    fields = {"client_id": settings.client_id, "scope": " ".join(settings.wanted_scopes)}
    answer = _post(account, settings.endpoints.device, fields)
    try:
        return DeviceCode(
            device_code=str(answer["device_code"]),
            user_code=str(answer["user_code"]),
            # Some servers keep a name from a draft of the RFC.
            verification_uri=str(answer.get("verification_uri") or answer["verification_url"]),
            verification_uri_complete=str(answer.get("verification_uri_complete", "")),
            expires_at=now + timedelta(seconds=float(answer.get("expires_in", 900))),
            interval_s=float(answer.get("interval", _INTERVAL_S)),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise SignInUnavailable(f"account {account.name}: the OAuth server gave no code ({problem})") from problem


def finish_device_flow(
    account: Account,
    code: DeviceCode,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Token:
    """Waits until the person has agreed, and keeps the token.

    Args:
        account: with `oauth`.
        code: what `begin_device_flow` gave.
        clock: tells the time.

    Raises:
        SignInRefused: the person refused, or took too long.
        SignInUnavailable, ConfigError: as `access_token`.
    """
    interval_s = code.interval_s
    while clock() < code.expires_at:
        wait(interval_s)
        try:
            answer = _ask(
                account,
                {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code.device_code},
                pending=True,
            )
        except _Pending as pending:
            # Section 3.5: slow_down asks for five seconds more, from now on.
            interval_s += _SLOWER_S if pending.slower else 0
            continue
        except SignInUnavailable:
            # Section 3.5: on a timeout a client asks less often.
            interval_s *= 2
            continue
        return _keep(account, answer, clock())
    raise SignInRefused(f"account {account.name}: nobody agreed in time; run `mailbot login {account.name}` again")


@contextmanager
def browser_flow(account: Account) -> Iterator[BrowserFlow]:
    """The installed-app flow: the browser comes back to this machine (RFC 8252 section 7.3), with PKCE."""
    flow = BrowserFlow(account)
    try:
        yield flow
    finally:
        flow.close()


class BrowserFlow:
    """One run of the installed-app flow. Use `browser_flow`."""

    def __init__(self, account: Account) -> None:
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        self._account = account
        self._settings = _settings(account)
        self._verifier = secrets.token_urlsafe(48)
        self._state = secrets.token_urlsafe(24)
        self._server = HTTPServer(("127.0.0.1", 0), _Redirected)
        self._server.timeout = 1.0
        self._redirect_uri = f"http://127.0.0.1:{self._server.server_port}/"
        with _session(account) as session:
            self.url, _ = session.create_authorization_url(
                self._settings.endpoints.authorize,
                state=self._state,
                redirect_uri=self._redirect_uri,
                code_challenge=create_s256_code_challenge(self._verifier),
                code_challenge_method="S256",
                login_hint=account.imap.username,
                **dict(self._settings.endpoints.extra),
            )

    def close(self) -> None:
        """Stops listening."""
        self._server.server_close()

    def wait(self, *, timeout_s: float = _BROWSER_S) -> Token:
        """Waits until the browser comes back, and keeps the token.

        Raises:
            SignInRefused: the person refused, or took too long.
            SignInUnavailable, ConfigError: as `access_token`.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self._server.handle_request()
            if came := getattr(self._server, "came_back", None):
                return self.finish(came)
        name = self._account.name
        raise SignInRefused(f"account {name}: nobody agreed in time; run `mailbot login {name}` again")

    def finish(self, address: str) -> Token:
        """Keeps the token that is had for where the browser came back to.

        Args:
            address: the whole address, or its path with the query; a person may have pasted it.

        Raises:
            SignInRefused: it says no, or is none of this run.
            SignInUnavailable, ConfigError: as `access_token`.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(address.strip()).query).items()}
        name = self._account.name
        if error := query.get("error"):
            words = query.get("error_description") or error
            raise SignInRefused(f"account {name}: the provider said no ({_clean(words)})")
        if not secrets.compare_digest(query.get("state", "").encode(), self._state.encode()) or "code" not in query:
            raise SignInRefused(
                f"account {name}: this is not where the provider led to; run `mailbot login {name}` again"
            )
        answer = _ask(
            self._account,
            {
                "grant_type": "authorization_code",
                "code": query["code"],
                "redirect_uri": self._redirect_uri,
                "code_verifier": self._verifier,
            },
        )
        return _keep(self._account, answer, datetime.now(UTC))


class _Redirected(BaseHTTPRequestHandler):
    """Takes the browser's visit."""

    def do_GET(self) -> None:
        if "code=" not in self.path and "error=" not in self.path:
            # Browsers ask for icons, too.
            self.send_error(404)
            return
        self.server.came_back = self.path  # type: ignore[attr-defined]
        octets = b"<!DOCTYPE html><title>mailbot</title><p>mailbot has what it needs. You can close this page.</p>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the address holds the code."""


# --- keeping ---


def load(account: Account) -> Token | None:
    """The token that is kept for an account; None when nobody has signed in.

    Raises:
        ConfigError: the place cannot be read.
    """
    settings = _settings(account)
    if settings.token_keyring:
        import keyring
        from keyring.errors import KeyringError

        try:
            text = keyring.get_password(settings.token_keyring, account.name)
        except KeyringError as problem:
            raise ConfigError([f"account.oauth.token_keyring: the system keyring cannot be used ({problem})"]) from None
    else:
        try:
            text = Path(settings.token_file).read_text("utf-8")
        except FileNotFoundError:
            text = None
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError([f"account.oauth.token_file: cannot read {settings.token_file} ({problem})"]) from None
    if not text:
        return None
    try:
        kept = json.loads(text)
        return Token(
            access_token=kept["access_token"],
            expires_at=datetime.fromisoformat(kept["expires_at"]),
            refresh_token=kept["refresh_token"],
            ends_at=datetime.fromisoformat(kept["ends_at"]) if kept["ends_at"] else None,
        )
    except (ValueError, KeyError, TypeError):
        # Half written by something else: as good as none.
        return None


def save(account: Account, token: Token) -> None:
    """Keeps a token in place of the one before.

    Raises:
        ConfigError: the place cannot be written.
    """
    settings = _settings(account)
    text = json.dumps(asdict(token), default=lambda when: when.isoformat())
    if settings.token_keyring:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(settings.token_keyring, account.name, text)
        except KeyringError as problem:
            raise ConfigError([f"account.oauth.token_keyring: the system keyring cannot be used ({problem})"]) from None
        return
    path = Path(settings.token_file)
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Owner-only from the first octet, and whole or not at all.
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as problem:
        raise ConfigError([f"account.oauth.token_file: cannot write {path} ({problem.strerror})"]) from None


@contextmanager
def _locked(settings: OAuth, account: Account) -> Iterator[None]:
    """One renewal at a time: with rotation a second one at once would end the sign-in."""
    path = Path(settings.token_file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", timeout=2 * _TIMEOUT_S, mode=0o600):
            yield
    except filelock.Timeout:
        raise SignInUnavailable(f"account {account.name}: another mailbot is signing in") from None
    except OSError as problem:
        raise ConfigError([f"account.oauth.token_file: cannot write {path} ({problem.strerror})"]) from None


# --- asking the server ---


class _Pending(Exception):
    """The person has not decided yet."""

    def __init__(self, *, slower: bool) -> None:
        super().__init__()
        self.slower = slower


def _settings(account: Account) -> OAuth:
    if account.oauth is None:
        raise ValueError(f"account {account.name} does not sign in by OAuth")
    return account.oauth


def _session(account: Account) -> Any:
    from authlib.integrations.requests_client import OAuth2Session

    settings = _settings(account)
    secret = secret_of(settings)
    return OAuth2Session(
        client_id=settings.client_id,
        client_secret=secret or None,
        token_endpoint_auth_method="client_secret_post" if secret else "none",
        scope=" ".join(settings.wanted_scopes),
        default_timeout=_TIMEOUT_S,
    )


def _ask(account: Account, fields: dict[str, str], *, pending: bool = False) -> dict[str, Any]:
    """One question to the token endpoint.

    Args:
        account: with `oauth`.
        fields: `grant_type` and what belongs to it.
        pending: a person may still have to decide.

    Raises:
        _Pending: only with `pending`.
        SignInRefused, SignInUnavailable: as the server says.
    """
    from authlib.integrations.base_client import OAuthError
    from requests import RequestException

    settings = _settings(account)
    where = urlsplit(settings.endpoints.token).hostname
    try:
        with _session(account) as session:
            return dict(session.fetch_token(settings.endpoints.token, **fields))
    except OAuthError as problem:
        if pending and problem.error in ("authorization_pending", "slow_down"):
            raise _Pending(slower=problem.error == "slow_down") from None
        words = _clean(": ".join(filter(None, (problem.error, problem.description))))
        if problem.error in _LATER:
            raise SignInUnavailable(f"account {account.name}: {where} gives no token at present ({words})") from None
        raise _refused(account, str(problem.error), words) from None
    except (RequestException, ValueError) as problem:
        raise SignInUnavailable(
            f"account {account.name}: {where} cannot be asked for a token ({_clean(str(problem))})"
        ) from None


def _refused(account: Account, error: str, words: str) -> SignInRefused:
    name = account.name
    match error:
        case "invalid_grant" | "expired_token" | "interaction_required" | "consent_required":
            return SignInRefused(f"account {name}: the sign-in has ended ({words}); run `mailbot login {name}`")
        case "access_denied" | "authorization_declined":
            return SignInRefused(f"account {name}: the sign-in was refused ({words}); run `mailbot login {name}` again")
        case "invalid_client" | "unauthorized_client":
            return SignInRefused(
                f"account {name}: the provider does not know this program ({words}); "
                "correct account.oauth.client_id or its secret"
            )
        case _:
            return SignInRefused(f"account {name}: the provider gives no token ({words}); correct account.oauth")


def _post(account: Account, url: str, fields: dict[str, str]) -> dict[str, Any]:
    """A question to another endpoint than that for tokens."""
    import requests

    try:
        response = requests.post(url, data=fields, timeout=_TIMEOUT_S, headers={"Accept": "application/json"})
        answer = response.json()
    except (requests.RequestException, ValueError) as problem:
        raise SignInUnavailable(
            f"account {account.name}: {urlsplit(url).hostname} gives no code ({_clean(str(problem))})"
        ) from None
    if not isinstance(answer, dict):
        raise SignInUnavailable(f"account {account.name}: {urlsplit(url).hostname} gives no code")
    if error := answer.get("error"):
        raise _refused(account, str(error), _clean(f"{error}: {answer.get('error_description', '')}"))
    return answer


def _keep(account: Account, answer: dict[str, Any], now: datetime) -> Token:
    token = _token(answer, None, now)
    if not token.refresh_token:
        raise SignInRefused(
            f"account {account.name}: the provider gave no lasting sign-in (no refresh token); "
            "add offline_access or its like to account.oauth.scopes"
        )
    with _locked(_settings(account), account):
        save(account, token)
    return token


def _token(answer: dict[str, Any], before: Token | None, now: datetime) -> Token:
    """What is to be kept of an answer; what it leaves out stays as it was (RFC 6749 section 6)."""
    lives = _seconds(answer.get("expires_in"))
    # Google names the end of a refresh token so, others without "_token".
    ends = _seconds(answer.get("refresh_token_expires_in") or answer.get("refresh_expires_in"))
    return Token(
        access_token=str(answer["access_token"]),
        expires_at=now + (timedelta(seconds=lives) if lives else _LIFE),
        refresh_token=str(answer.get("refresh_token") or (before.refresh_token if before else "")),
        ends_at=now + timedelta(seconds=ends) if ends else before.ends_at if before else None,
    )


def _seconds(value: object) -> float:
    try:
        return max(float(value), 0.0)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def _clean(words: str) -> str:
    """A server's words on one short line, without the values of fields that may be secret."""
    return re.sub(r"(token|code|secret)=[^\s&]+", r"\1=…", " ".join(words.split()))[:300]
