"""`mailbot init`: writes a deployment's own files from the shipped ones and a few answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED, load_config
from mailbot.errors import ConfigError
from mailbot.finding import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What only the operator knows."""

    address: str
    coordinator_name: str
    coordinator_address: str
    imap_host: str
    smtp_host: str
    campaign: str
    prefix: str
    #: the servers' ports and security where they are not the usual ones
    servers: Servers | None = None


def write_deployment(folder: Path, answers: Answers) -> tuple[Path, Path]:
    """Writes config.toml and rules/campaign.toml into `folder`; never over a file that is there.

    Returns:
        The two files.

    Raises:
        ConfigError: a file is there already, cannot be written, or an answer cannot be used; no file is left behind.
    """
    config, campaign = folder / "config.toml", folder / "rules" / "campaign.toml"
    for path in (config, campaign):
        if path.exists():
            raise ConfigError([f"{path} is there already; move it away, or change it by hand"])
    own: dict[tuple[str, str], str | int] = {
        ("coordinator", "name"): answers.coordinator_name,
        ("coordinator", "address"): answers.coordinator_address,
        ("account", "address"): answers.address,
        ("account.imap", "host"): answers.imap_host,
        ("account.imap", "username"): answers.address,
        ("account.imap", "password_env"): "MAILBOT_PASSWORD",
        ("account.smtp", "host"): answers.smtp_host,
        ("account.smtp", "username"): answers.address,
        ("account.smtp", "password_env"): "MAILBOT_PASSWORD",
    }
    if answers.servers is not None:
        own |= _unusual(answers.servers)
    texts = {
        config: _with(own, (SHIPPED / "config.example.toml").read_text("utf-8")),
        campaign: _with(
            {("", "name"): answers.campaign, ("", "reference_prefix"): answers.prefix},
            (SHIPPED / "rules" / "campaign.toml").read_text("utf-8"),
        ),
    }
    made = []
    try:
        campaign.parent.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
        load_config(config)
        load_campaign([campaign.parent])
    except Exception as problem:
        for path in made:
            path.unlink()
        if isinstance(problem, OSError):
            raise ConfigError([f"{problem.filename}: cannot be written ({problem.strerror})"]) from None
        if isinstance(problem, UnicodeEncodeError):
            raise ConfigError([f"{problem.object[problem.start]!r} in an answer is no letter of UTF-8"]) from None
        raise
    return config, campaign


def next_steps(config: Path, campaign: Path) -> str:
    """What the operator does after `write_deployment`, in words."""
    return (
        f"\nNext:\n"
        f"1. Write your aims into {campaign}.\n"
        f"2. Put the password into the environment variable MAILBOT_PASSWORD, or let {config} name a file or the "
        "keyring instead.\n"
        f"3. mailbot check -c {config}\n"
        f"4. mailbot run -c {config}"
    )


def _unusual(servers: Servers) -> dict[tuple[str, str], str | int]:
    """Keys for ports and security, where the defaults are not right."""
    found: dict[tuple[str, str], str | int] = {}
    for section, security, port in (
        ("imap", servers.imap_security, servers.imap_port),
        ("smtp", servers.smtp_security, servers.smtp_port),
    ):
        usual_security, ports = _USUAL[section]
        if security != usual_security:
            found[f"account.{section}", "security"] = security
        if port != ports[security]:
            found[f"account.{section}", "port"] = port
    return found


#: the security that is the default, and the port that goes with each
_USUAL: dict[str, tuple[str, dict[str, int]]] = {
    "imap": ("tls", {"tls": 993, "starttls": 143}),
    "smtp": ("starttls", {"tls": 465, "starttls": 587}),
}


def _with(values: Mapping[tuple[str, str], str | int], text: str) -> str:
    """The TOML `text` with the values of some keys replaced, comments and all else as they are."""
    table, lines = "", []
    for line in text.splitlines():
        if header := re.match(r"\[+([\w.]+)\]+", line):
            table = header[1]
        key = re.match(r"(?:# )?(\w+) = (\"[^\"]*\"|\d+)(.*)", line)
        if key and (table, key[1]) in values:
            # JSON's strings are TOML's basic strings.
            written = f"{key[1]} = {json.dumps(values[table, key[1]], ensure_ascii=False)}"
            line = f"{written:<45} {key[3].strip()}".rstrip()
        lines.append(line)
    return "\n".join(lines) + "\n"
