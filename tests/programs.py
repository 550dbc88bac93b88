"""Programs that tests start: found or missing, on free ports, in temporary folders, stopped for good."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HOST = "127.0.0.1"
AS_ROOT = os.geteuid() == 0
_START_TIMEOUT_S = 20.0


class ServerMissing(Exception):
    """A server is not installed; `str()` says what to install."""


def find_program(program: str, *folders: Path, install: str) -> str:
    """The path of `program`, in PATH or in `folders`.

    Raises:
        ServerMissing: it is nowhere.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *map(str, folders)])
    if found := shutil.which(program, path=path):
        return found
    raise ServerMissing(f"{program} is not installed: {install}")


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns as soon as `ready`; raises RuntimeError with the server's log when it never is."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            words = log.read_text(errors="replace") if log.exists() else "(no log)"
            raise RuntimeError(f"{process.args!r} did not start:\n{words}")
        time.sleep(0.01)


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((HOST, port)) == 0


def stop_process(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ends a server that we started, and waits until its folder and ports are free."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def temporary_folder(name: str, owner: str) -> Iterator[Path]:
    """A folder of `owner` that its users can pass through; the path is short, because socket paths are."""
    folder = Path(tempfile.mkdtemp(prefix=f"mailbot-{name}-"))
    folder.chmod(0o755)
    if AS_ROOT:
        shutil.chown(folder, owner)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
