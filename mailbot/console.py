"""Standard output and standard error: what every command prints with. Knows no command."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mailbot.config import Config
from mailbot.errors import ConfigError, MailbotError

out = Console()
err = Console(stderr=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error while there is something long to wait for; gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=1.0, visible=False)

        def watch(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share, visible=share < 1)
            if share >= 1:
                progress.stop()

        yield watch


def complain(problem: MailbotError | str) -> None:
    """One line on standard error for each sentence."""
    from mailbot.rendering import one_line

    for sentence in problem.problems if isinstance(problem, ConfigError) else (str(problem),):
        # On one line, and without what a server or a file's name could do to the terminal.
        err.print(one_line(sentence), style="red", markup=False, highlight=False, soft_wrap=True)


def remark(words: str) -> None:
    """A line on standard error beside what is printed."""
    from mailbot.rendering import one_line

    err.print(one_line(words), style="dim", markup=False, highlight=False, soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on a line of its own."""
    # UTF-8 whatever the terminal has; a lone surrogate becomes "\\udc80", which is JSON for it.
    sys.stdout.buffer.write(f"{json.dumps(value, ensure_ascii=False)}\n".encode("utf-8", "backslashreplace"))


def log_to_stderr(settings: Config) -> None:
    """Settles what is logged, and how."""
    level = logging.getLevelNamesMapping()[settings.log.level.upper()]
    render: Any = (
        structlog.processors.JSONRenderer()
        if settings.log.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # A job that raises what no stage knows is a bug: APScheduler tells it, and it must be seen.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
