"""What several commands take, and what they do with it. Knows no command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailbot.config import Config, load_config
from mailbot.errors import ConfigError

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="MAILBOT_CONFIG", help="The configuration file.", show_default="config.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DEFAULT_CONFIG = Path("config.toml")


def settings_if_any(config: Path) -> Config | None:
    """The settings, or None where no configuration was named and none lies here: then what is shipped counts.

    Raises:
        ConfigError: as `load_config`.
    """
    return load_config(config) if config.is_file() or config != DEFAULT_CONFIG else None


def write_file(option: str, path: Path, text: str) -> None:
    """Writes what an option asked for, as UTF-8.

    Args:
        option: such as "--html", for the sentence when it fails.
        path: replaced when it is there.
        text: what it will hold; a lone surrogate becomes "?".

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as problem:
        raise ConfigError([f"{option}: {path} cannot be written ({problem.strerror})"]) from None
