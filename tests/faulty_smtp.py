"""An SMTP server over plain sockets that misbehaves as it is told, for faults that a well-behaved library cannot play.

Import as ``from tests.faulty_smtp import FaultySmtp, Fault``. It speaks RFC 5321 as far as a client of one recipient
needs it, one thread for each connection.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from typing import Self

_HOST = "127.0.0.1"
_ADDRESS = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do in place of the usual answer."""

    #: sent first; such as b"421 4.3.2 going down"
    answer: bytes = b""
    #: breaks the connection off
    drop: bool = False
    #: says nothing until the server stops
    silent: bool = False
    #: the mail is kept all the same (at "." only)
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of a session, at which a fault may strike."""

    #: "connect", a command in upper case, or "." for the end of DATA
    command: str
    #: counted from 1 over the life of the server
    connection: int
    #: mails begun in this connection, this one included
    mail: int
    #: argument of the command, and for "." the recipient
    argument: str


#: says what goes wrong at a step; None for nothing
Plan = Callable[[Step], Fault | None]


class FaultySmtp:
    """Listens on a free port of the loopback; use it as a context manager.

    Args:
        plan: what goes wrong, and when.
        extensions: lines of the answer to EHLO, such as "SIZE 1000".
    """

    def __init__(self, plan: Plan, *, extensions: tuple[str, ...] = ("SIZE 10000000",)) -> None:
        self._plan = plan
        self._extensions = extensions
        self._listener = socket.create_server((_HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections = 0
        #: Message-ID and octets of every mail whose DATA came to its end, whatever was answered
        self.offered: list[tuple[str, bytes]] = []
        #: how often each Message-ID was kept
        self.kept: Counter[str] = Counter()
        #: the arguments of every MAIL FROM
        self.mail_from: list[str] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def plan(self, plan: Plan) -> None:
        """What goes wrong from now on."""
        self._plan = plan

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections += 1
            thread = threading.Thread(target=self._serve, args=(connection, self._connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError, _Over):
            # Two small writes and a delayed acknowledgement would cost 40 ms a mail.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Session(self, connection, number).run()

    def _take(self, octets: bytes, *, kept: bool) -> None:
        message_id = str(message_from_bytes(octets)["Message-ID"])
        with self._lock:
            self.offered.append((message_id, octets))
            if kept:
                self.kept[message_id] += 1


class _Over(Exception):
    """The session is at its end."""


class _Session:
    def __init__(self, server: FaultySmtp, connection: socket.socket, number: int) -> None:
        self._server = server
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._number = number
        self._mails = 0

    def run(self) -> None:
        self._step("connect", "", b"220 faulty.example ESMTP")
        recipient = ""
        while line := self._lines.readline():
            command, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
            command = command.upper()
            match command:
                case "EHLO":
                    lines = ["faulty.example", *self._server._extensions]
                    answer = "\r\n".join(f"250-{each}" for each in lines[:-1]) + f"\r\n250 {lines[-1]}"
                    self._step(command, argument, answer.lstrip().encode())
                case "MAIL":
                    self._mails += 1
                    self._server.mail_from.append(argument)
                    self._step(command, argument, b"250 2.1.0 OK")
                case "RCPT":
                    found = _ADDRESS.search(line)
                    recipient = found[1].decode() if found else ""
                    self._step(command, recipient, b"250 2.1.5 OK")
                case "DATA":
                    if self._step(command, recipient, b"354 go on"):
                        self._data(recipient)
                case "STARTTLS":
                    # What comes next is no TLS: the server cannot do what it promised.
                    self._step(command, argument, b"220 2.0.0 go ahead")
                case "QUIT":
                    self._step(command, argument, b"221 2.0.0 bye")
                    return
                case _:
                    self._step(command, argument, b"250 2.0.0 OK")

    def _data(self, recipient: str) -> None:
        lines = []
        while (line := self._lines.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        fault = self._fault(".", recipient)
        self._server._take(b"".join(lines), kept=fault is None or fault.keep)
        self._answer(fault, b"250 2.0.0 taken")

    def _step(self, command: str, argument: str, usual: bytes) -> bool:
        """Answers a step; true when nothing went wrong with it."""
        fault = self._fault(command, argument)
        self._answer(fault, usual)
        return fault is None

    def _fault(self, command: str, argument: str) -> Fault | None:
        step = Step(command=command, connection=self._number, mail=self._mails, argument=argument)
        return self._server._plan(step)

    def _answer(self, fault: Fault | None, usual: bytes) -> None:
        if fault is None:
            self._connection.sendall(usual + b"\r\n")
            return
        if fault.answer:
            self._connection.sendall(fault.answer + b"\r\n")
        if fault.silent:
            self._server._stopped.wait()
        if fault.drop or fault.silent:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            raise _Over
