"""A TCP proxy on the loopback that cuts, stalls and garbles what a server says, at a chosen octet.

Import as ``from tests.tcp_proxy import TcpProxy, Cut, Stall, Insert``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset after so many octets of the server."""

    after: int


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more is passed on after so many octets of the server; the connection stays open."""

    after: int


@dataclass(frozen=True, slots=True)
class Insert:
    """Something the server never said, put in at the end of the line in which octet `after` of the server lies."""

    after: int
    octets: bytes
    #: the connection is closed behind it
    close: bool = False


#: what happens to the connection of this number, counted from 1
Plan = Callable[[int], Cut | Stall | Insert | None]


class TcpProxy:
    """Passes connections on to a port of this machine; use it as a context manager."""

    def __init__(self, to_port: int, plan: Plan = lambda _: None) -> None:
        self._to_port = to_port
        self._plan = plan
        self._listener = socket.create_server((_HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        #: octets of the server that were passed on, by connection
        self.passed: list[int] = []
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.drop_all()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def plan(self, plan: Plan) -> None:
        """What happens to connections from now on."""
        self._plan = plan

    def drop_all(self) -> None:
        """Breaks every connection off."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection((_HOST, self._to_port))
            except OSError:
                if self._stopped.is_set():
                    return
                with suppress(UnboundLocalError, OSError):
                    client.close()
                continue
            self._sockets += [client, server]
            self.passed.append(0)
            number = len(self.passed)
            self._start(self._upwards, client, server)
            self._start(self._downwards, server, client, number, self._plan(number))

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while octets := client.recv(65536):
                server.sendall(octets)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _downwards(
        self, server: socket.socket, client: socket.socket, number: int, fault: Cut | Stall | Insert | None
    ) -> None:
        with suppress(OSError):
            while octets := server.recv(65536):
                before = self.passed[number - 1]
                match fault:
                    case Cut(after=after) if before + len(octets) >= after:
                        client.sendall(octets[: after - before])
                        # No FIN but RST: what the client has not read yet is lost as well.
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        # Wakes the thread that reads from it: until then the system keeps the connection.
                        client.shutdown(socket.SHUT_RD)
                        client.close()
                        break
                    case Stall(after=after) if before + len(octets) >= after:
                        client.sendall(octets[: after - before])
                        self.passed[number - 1] = after
                        self._stopped.wait()
                        break
                    case Insert(after=after) if before + len(octets) >= after and (
                        end := octets.find(b"\n", max(after - before - 1, 0)) + 1
                    ):
                        client.sendall(octets[:end] + fault.octets)
                        if fault.close:
                            break
                        client.sendall(octets[end:])
                        fault = None
                    case _:
                        client.sendall(octets)
                self.passed[number - 1] += len(octets)
        for each in (server, client):
            with suppress(OSError):
                each.close()
