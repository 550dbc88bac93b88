"""Real servers inside this process, for `mailbot demo` and for tests: IMAP by pymap, SMTP by aiosmtpd.

Owns their start and stop on free loopback ports. Knows nothing of mailbot's stages. Both listen as soon as
they are made or entered, keep everything in memory, and leave no thread, socket or warning behind.

What pymap 0.36 cannot do: keyword flags, CONDSTORE, SPECIAL-USE attributes (folders go by their names),
and APPEND from a client is slow (some 20 a second); `EmbeddedImap.append` goes past the network instead.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pysasl.hashing import Cleartext

_HOST = "127.0.0.1"
#: A server that says nothing for so long has failed; far above what any call needs.
_PATIENCE_S = 20.0


def _bound_socket(port: int) -> socket.socket:
    """A loopback socket, any free port for 0: handed over open, so that nobody takes the port in between."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a restart waits for old connections
    bound.bind((_HOST, port))
    return bound


class EmbeddedImap:
    """An IMAP server with one user, in a thread of this process; use it as a context manager.

    Args:
        user: login name.
        password: in clear text.
        mailboxes: folders beside INBOX.
    """

    def __init__(
        self,
        *,
        user: str = "demo",
        password: str = "demo",  # noqa: S107 - guards nothing: loopback, in memory
        mailboxes: Iterable[str] = ("Junk", "Sent"),
    ) -> None:
        self.host = _HOST
        self.port = 0
        self.user = user
        self.password = password
        self._mailboxes = tuple(mailboxes)
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Listens on a free port, found in `port` afterwards and kept over a restart.

        Raises:
            OSError: the loopback interface cannot be listened on.
            RuntimeError: it runs already, or did not start.
        """
        if self._thread is not None:
            raise RuntimeError("the embedded IMAP server runs already")
        self._ready.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="embedded-imap", daemon=True)
        self._thread.start()
        started = self._ready.wait(_PATIENCE_S)
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure
        if not started:
            raise RuntimeError("the embedded IMAP server did not start")

    def stop(self) -> None:
        """Drops every connection and forgets every mail; harmless when it does not run."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(_PATIENCE_S)
        self._thread = None

    def append(self, mailbox: str, octets: bytes, internal_date: datetime | None = None) -> int:
        """Puts a mail into `mailbox` as a delivery would: idling clients are told.

        Args:
            mailbox: a folder that exists.
            octets: RFC 5322 octets, kept as they are.
            internal_date: when it arrived, aware; now by default.

        Returns:
            Its UID.

        Raises:
            KeyError: there is no such mailbox.
        """
        delivery = self._append(mailbox, octets, internal_date or datetime.now(UTC))
        return asyncio.run_coroutine_threadsafe(delivery, self._loop).result(_PATIENCE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _append(self, mailbox: str, octets: bytes, internal_date: datetime) -> int:
        folder = await self._folders.get_mailbox(mailbox)
        return (await folder.append(AppendMessage(octets, internal_date))).uid

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        backend, config = await self._backend()
        async with backend.login.demo_user_identity.new_session() as session:
            self._folders = session.mailbox_set
        for name in self._mailboxes:
            await self._folders.add_mailbox(name)
        # This reader is pymap's own way to give a connection its peer address; no PROXY header is read.
        accept = ProxyProtocolReader(ProxyProtocolNoop()).get_callback(IMAPServer(backend.login, config))
        server = await asyncio.start_server(accept, sock=_bound_socket(self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._leave.wait()
        server.close()
        await _cancel_others()

    async def _backend(self) -> tuple[DictBackend, Any]:
        """pymap's backend in memory. Clear text and no thread pool: hashing costs 0.3 s for each login."""
        options = Namespace(
            host=self.host,
            port=0,
            debug=False,
            cert=None,
            key=None,
            tls=False,
            passlib_cfg=None,
            proxy_protocol=None,
            demo_data=False,
            demo_user=self.user,
            demo_password=self.password,
        )
        backend, config = await DictBackend.init(
            options, hash_context=Cleartext(), cpu_subsystem=Subsystem.for_asyncio(), reject_dnsbl=False
        )
        config.apply_context()
        return backend, config


async def _cancel_others() -> None:
    """Ends every connection's task and lets its transport close before the loop does."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):  # a closed transport lets go of its socket in a later turn of the loop
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SunkMail:
    """A mail that `SmtpSink` accepted, with its envelope."""

    #: RFC 5321 MAIL FROM; "" for the null path <>
    envelope_from: str
    #: the RCPT TO that were accepted
    recipients: tuple[str, ...]
    #: as transferred: CRLF, without dot-stuffing
    octets: bytes
    #: the connection was encrypted
    encrypted: bool
    #: who signed in; "" for nobody
    username: str


class _PlainSession(Session):
    """aiosmtpd's session logs a warning for each use of its older `login_data`; this one does not."""

    login_data: Any = None


class _SinkSMTP(SMTP):
    def _create_session(self) -> Session:
        return _PlainSession(self.loop)


class _SinkController(Controller):
    """Listens on a socket that is bound already, so that its free port is known and cannot be lost."""

    def __init__(self, handler: object, listener: socket.socket, **smtp: Any) -> None:
        self._listener = listener
        super().__init__(handler, hostname=_HOST, port=listener.getsockname()[1], **smtp)

    def factory(self) -> SMTP:
        return _SinkSMTP(self.handler, loop=self.loop, **self.SMTP_kwargs)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


class SmtpSink:
    """An SMTP server that keeps what it accepts and refuses what it is told to; use it as a context manager.

    Args:
        tls: with the server's certificate, and STARTTLS is required; None for clear text only.
        implicit_tls: TLS from the first octet (RFC 8314 submissions) in place of STARTTLS.
        sign_in: (user, password) without which no mail is taken; None to ask for nothing and let anybody in.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        sign_in: tuple[str, str] | None = None,
    ) -> None:
        self.host = _HOST
        self.port = 0
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._sign_in = sign_in
        self._controller: Controller | None = None
        self._changed = threading.Condition()
        self._messages: list[SunkMail] = []
        self._answers: dict[str, str] = {}
        self._data_answer = ""
        self._drops = 0
        self._keeps_dropped = True

    def start(self) -> None:
        """Listens on a free port, found in `port` afterwards and kept over a restart.

        Raises:
            RuntimeError: it runs already.
        """
        if self._controller is not None:
            raise RuntimeError("the SMTP sink runs already")
        starttls = self._tls is not None and not self._implicit_tls
        listener = _bound_socket(self.port)
        self.port = listener.getsockname()[1]
        self._controller = _SinkController(
            self,
            listener,
            ssl_context=self._tls if self._implicit_tls else None,
            tls_context=self._tls if starttls else None,
            require_starttls=starttls,
            # aiosmtpd counts only STARTTLS as TLS here, so with implicit TLS it would never offer AUTH.
            auth_require_tls=starttls,
            authenticator=self._authenticate,
            server_hostname="sink.example",
        )
        self._controller.start()

    def stop(self) -> None:
        """Drops every connection; `messages` stay readable. Harmless when it does not run."""
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def messages(self) -> list[SunkMail]:
        """What was accepted so far, oldest first: a copy that no other thread changes."""
        with self._changed:
            return list(self._messages)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[SunkMail]:
        """The messages, as soon as there are `count` of them.

        Raises:
            TimeoutError: there are fewer after `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._messages) >= count, timeout_s):
                raise TimeoutError(f"{len(self._messages)} of {count} messages after {timeout_s} s")
            return list(self._messages)

    def clear(self) -> None:
        """Forgets the messages and every order to refuse or drop."""
        with self._changed:
            self._messages.clear()
            self._answers.clear()
            self._data_answer = ""
            self._drops = 0

    def answer(self, recipient: str, reply: str) -> None:
        """Answers RCPT TO for `recipient` with `reply`, such as "451 4.2.2 full"; "" accepts again."""
        with self._changed:
            self._answers[recipient.lower()] = reply

    def answer_data(self, reply: str) -> None:
        """Answers the end of DATA with `reply`, such as "554 5.7.1 spam"; "" accepts again."""
        with self._changed:
            self._data_answer = reply

    def drop_after_data(self, times: int = 1, *, keep: bool = True) -> None:
        """Breaks the next `times` connections off after the mail was transferred, before it is answered.

        Args:
            times: how many connections.
            keep: the mail was taken all the same, and only the answer is lost.
        """
        with self._changed:
            self._drops = times
            self._keeps_dropped = keep

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        wanted = self._sign_in and tuple(word.encode() for word in self._sign_in)
        return AuthResult(success=wanted in (None, tuple(given)), handled=False, auth_data=given)

    # aiosmtpd finds its hooks by these names.

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Asks for the sign-in first, where one is wanted."""
        if self._sign_in and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accepts, or gives the answer that was ordered."""
        with self._changed:
            reply = self._answers.get(address.lower(), "")
        if not reply:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keeps the mail, unless it is to be refused or dropped."""
        mail = SunkMail(
            envelope_from="" if envelope.mail_from in (None, "<>") else str(envelope.mail_from),
            recipients=tuple(envelope.rcpt_tos),
            octets=envelope.original_content or b"",
            encrypted=server.transport is not None and server.transport.get_extra_info("ssl_object") is not None,
            username=session.auth_data.login.decode() if session.authenticated and session.auth_data else "",
        )
        with self._changed:
            dropped, refused = self._drops > 0, self._data_answer
            self._drops -= dropped
            if not refused and (not dropped or self._keeps_dropped):
                self._messages.append(mail)
                self._changed.notify_all()
        if dropped and server.transport is not None:
            with suppress(OSError):
                server.transport.close()
        return refused or "250 2.0.0 OK"
