"""`mailbot`, watched: every connection and every file opened for writing is told on standard error at the end.

python -m tests.acceptance.watched_child ARGUMENTS. The interpreter's own audit events are what is watched
(PEP 578), so that no library can go past.
"""

from __future__ import annotations

import os
import sys

from mailbot import cli

#: asking for a name or talking to somebody; making a socket, as some libraries do at import, is neither
_TALKS = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.send")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_seen: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith((*_TALKS, "sqlite3.")):
        _seen.append(f"{event} {arguments[-1]}")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        _seen.append(f"{event} {arguments[0]}")


if __name__ == "__main__":
    sys.addaudithook(_watch)
    try:
        cli.main()
    finally:
        sys.stderr.write("".join(f"watched: {line}\n" for line in _seen))
