"""A campaign of its own, taught and measured by command, as its coordinator would."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.acceptance.commands import mailbot

CLIMATE = Path(__file__).parents[1] / "campaigns" / "climate"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployment that never meets a server, with the climate campaign's rules."""
    (tmp_path / "config.toml").write_text(
        """\
[coordinator]
name = "Nell Prosser"
address = "nell@tvcp.example"

[store]
url = "sqlite:///mailbot.db"

[[account]]
name = "pledges"
address = "pledges@tvcp.example"

[account.imap]
host = "imap.tvcp.example"
username = "pledges"
password_file = "password.txt"

[account.smtp]
host = "smtp.tvcp.example"
""",
        encoding="utf-8",
    )
    (tmp_path / "password.txt").write_text("secret", encoding="utf-8")
    shutil.copytree(CLIMATE, tmp_path / "rules")
    return tmp_path


def test_train_then_evaluate_then_train_with_more(folder: Path) -> None:
    config = ("--config", folder / "config.toml")
    (first,) = mailbot("train", "--json", *config).lines
    # New aims: nothing is in use yet that it could be worse than.
    assert first["before"] is None and first["kept"] and not first["worse"]
    assert first["after"]["aims"] > 0.5
    (measured,) = mailbot("evaluate", CLIMATE / "unseen.jsonl", "--json", *config).lines
    assert measured["mails"] == 30
    with (folder / "rules" / "examples" / "own.jsonl").open("w", encoding="utf-8") as file:
        file.write('{"text": "You may keep the saplings with us.", "type": "offer", "aims": ["growing"]}\n{broken\n')
    second = mailbot("train", "--json", *config)
    assert second.lines[0]["before"] == first["after"]
    assert second.lines[0]["kept"] is not second.lines[0]["worse"]
    assert "own.jsonl, line 2" in second.err
    shown = mailbot("train", *config)
    assert shown.code == 0
    assert "before" in shown.out and "aims" in shown.out
