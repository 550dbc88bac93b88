"""An OAuth 2 server on the loopback that behaves like the two big providers, and an SMTP sink that takes its tokens.

Import as ``from tests.oauth_server import OAuthServer, OAuthSink``. Like Microsoft's it has a device flow that is
pending, asks for patience, expires and is refused, and gives a new refresh token with every renewal; like Google's it
sends the browser back with a code (PKCE is checked) and tells when the sign-in ends. Tokens end, and can be revoked.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, LoginPassword

from mailbot.demo.servers import SmtpSink

_HOST = "127.0.0.1"


@dataclass
class OAuthServer:
    """Runs as a context manager; everything that it was told and gave can be looked at."""

    client_id: str = "mailbot-test"
    secret: str = ""
    #: who signs in
    user: str = "sarah"
    #: answers to the device flow, one for each question; then it agrees
    device_answers: list[str] = field(default_factory=list)
    #: a renewal gives a new refresh token and ends the old one
    rotates: bool = True
    life_s: float = 3600.0
    #: told as refresh_token_expires_in; 0: not told
    refresh_life_s: float = 0.0
    #: answered to the next question for a token: (HTTP status, body)
    trouble: list[tuple[int, str]] = field(default_factory=list)
    #: the fields of every question for a token
    asked: list[dict[str, str]] = field(default_factory=list)
    #: access tokens that are good, and until when
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"oauth": self})
        self._http = ThreadingHTTPServer((_HOST, 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        return f"http://{_HOST}:{self._http.server_port}/{path}"

    @property
    def tokeninfo_url(self) -> str:
        return self.url("tokeninfo?access_token=")

    def user_of(self, token: str) -> str | None:
        """Whose token it is; None when it is no good (any more)."""
        with self._lock:
            return self.user if self.access.get(token, 0.0) > time.time() else None

    def revoke_access(self) -> None:
        """Ends every access token, as a changed password does."""
        with self._lock:
            self.access.clear()

    def revoke(self) -> None:
        """Ends the sign-in."""
        with self._lock:
            self.access.clear()
            self.refresh.clear()

    # --- what is asked ---

    def device(self, fields: dict[str, str]) -> tuple[int, Any]:
        if fields.get("client_id") != self.client_id:
            return 400, {"error": "unauthorized_client", "error_description": "who are you?"}
        return 200, {
            "device_code": "device-1",
            "user_code": "ABCD-EFGH",
            "verification_uri": self.url("activate"),
            "expires_in": 900,
            "interval": 5,
        }

    def authorize(self, fields: dict[str, str]) -> str:
        """Where the browser is sent back to, once the person has agreed."""
        code = f"code-{next(self._numbers)}"
        self.codes[code] = fields
        return f"{fields['redirect_uri']}?{urlencode({'code': code, 'state': fields['state']})}"

    def token(self, fields: dict[str, str]) -> tuple[int, Any]:
        self.asked.append(fields)
        with self._lock:
            if self.trouble:
                status, body = self.trouble.pop(0)
                return status, body
            if fields.get("client_id") != self.client_id or fields.get("client_secret", "") != self.secret:
                return 401, {"error": "invalid_client"}
            match fields["grant_type"]:
                case "urn:ietf:params:oauth:grant-type:device_code":
                    if self.device_answers:
                        return 400, {"error": self.device_answers.pop(0)}
                case "refresh_token":
                    if fields["refresh_token"] not in self.refresh:
                        return 400, {"error": "invalid_grant", "error_description": "AADSTS70000: revoked"}
                    if self.rotates:
                        self.refresh.discard(fields["refresh_token"])
                case "authorization_code":
                    wanted = self.codes.pop(fields["code"], {}).get("code_challenge")
                    digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
                    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != wanted:
                        return 400, {"error": "invalid_grant", "error_description": "bad verifier"}
                case "client_credentials":
                    return 200, self._give(refresh=False)
            return 200, self._give(refresh=self.rotates or fields["grant_type"] != "refresh_token")

    def _give(self, *, refresh: bool) -> dict[str, Any]:
        number = next(self._numbers)
        answer: dict[str, Any] = {"token_type": "Bearer", "access_token": f"at-{number}", "expires_in": self.life_s}
        self.access[f"at-{number}"] = time.time() + self.life_s
        if refresh:
            answer["refresh_token"] = f"rt-{number}"
            self.refresh.add(f"rt-{number}")
        if self.refresh_life_s:
            answer["refresh_token_expires_in"] = self.refresh_life_s
        return answer


class _Handler(BaseHTTPRequestHandler):
    oauth: OAuthServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        status, answer = self.oauth.device(fields) if self.path == "/device" else self.oauth.token(fields)
        self._say(status, answer)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.oauth.authorize(fields))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        user = self.oauth.user_of(fields.get("access_token", ""))
        self._say(200 if user else 400, {"email": user, "expires_in": 60} if user else {"error": "invalid_token"})

    def _say(self, status: int, answer: Any) -> None:
        octets = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class OAuthSink(SmtpSink):
    """An SMTP sink that takes mail only from who signs in with a good token of `oauth`."""

    def __init__(self, oauth: OAuthServer) -> None:
        super().__init__(sign_in=("nobody", "never"))
        self._oauth = oauth

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._bearer(server, args, b"")

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._bearer(server, args, b"\x01")

    async def _bearer(self, server: SMTP, args: list[str], dummy: bytes) -> AuthResult:
        blob: Any = base64.b64decode(args[1]) if len(args) > 1 else await server.challenge_auth("")
        if blob is MISSING:
            return AuthResult(success=False)
        token = next((part[len(b"auth=Bearer ") :] for part in blob.split(b"\x01") if part.startswith(b"auth=")), b"")
        user = self._oauth.user_of(token.decode())
        if user is None:
            # The error comes as a challenge, and the client says something empty to it (RFC 7628 section 3.2.3).
            answer = await server.challenge_auth(json.dumps({"status": "invalid_token"}))
            assert answer in (dummy, None), answer
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=LoginPassword(user.encode(), b""))
