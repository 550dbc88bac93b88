"""`mailbot` inside this process, for commands that start no worker: no two seconds of imports for each."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from rich.console import Console

from mailbot import cli, console


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    octets: bytes
    err: str

    @property
    def out(self) -> str:
        return self.octets.decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its output as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def mailbot(*arguments: object, stdin: bytes = b"") -> Ended:
    """`mailbot ARGUMENTS` through the program's own entry point."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = 0
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "argv", ["mailbot", *map(str, arguments)]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
        # Wide enough for a row to stand on one line, whatever terminal the tests run in.
        patch.object(console, "out", Console(width=200)),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    out.flush()
    octets, words = out.buffer.getvalue(), err.buffer.getvalue()  # type: ignore[attr-defined]
    return Ended(code=code, octets=octets, err=words.decode())
