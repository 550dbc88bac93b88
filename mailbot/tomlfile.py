"""TOML files that people write: read them, and say in which line a problem stands. Knows no keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mailbot.errors import ConfigError


def parse(path: Path) -> tuple[dict[str, Any], str]:
    """The document and its text.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8, or not TOML.
    """
    try:
        # Some editors put a byte order mark first.
        text = path.read_text("utf-8-sig")
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError([f"{path}: not valid TOML: {problem}"]) from None
    except UnicodeDecodeError as problem:
        raise ConfigError([f"{path}: must be UTF-8 text ({problem.reason} at byte {problem.start})"]) from None
    except OSError as problem:
        raise ConfigError([f"{path}: cannot be read ({problem.strerror})"]) from None


def sentences(path: Path, text: str, problem: ValidationError) -> list[str]:
    """Every problem as `file:line: key.path: what to change`, each once."""
    found = []
    errors = problem.errors(include_url=False, include_context=True)
    for error in errors:
        inside = [other for other in errors if len(other["loc"]) > len(error["loc"])]
        if error["type"] == "too_short" and any(other["loc"][: len(error["loc"])] == error["loc"] for other in inside):
            continue  # the list is short only because its broken items were left out
        where = tuple(
            part for part in error["loc"] if not (isinstance(part, str) and part.startswith(("literal[", "date")))
        )
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
        found.append(f"{path}:{_line(text, where)}: {key + ': ' if key else ''}{_words(error)}")
    return list(dict.fromkeys(found))


def _words(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown key; correct its spelling or remove it"
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            given = error["input"]
            # Not the store's URL: it may hold a password.
            tell = isinstance(given, str | int | float) and "url" not in error["loc"]
            shown = f", not {given!r}" if tell else ""
            return f"{error['msg'][0].lower()}{error['msg'][1:]}{shown}"


_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\s]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.]+)\s*=")


def _line(text: str, where: Sequence[str | int]) -> int:
    """The line (from 1) on which the key path `where` stands; when absent, that of its nearest table."""
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str | int, ...] = ()
    lines: dict[tuple[str | int, ...], int] = {(): 1}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = tuple(part.strip() for part in header[2].split("."))
            if header[1] == "[[":
                counts[names] = counts.get(names, -1) + 1
            table = ()
            for depth, name in enumerate(names, start=1):
                table += (name, counts[names[:depth]]) if names[:depth] in counts else (name,)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *key[1].split(".")), number)
    path = tuple(where)
    while path not in lines:
        path = path[:-1]
    return lines[path]
