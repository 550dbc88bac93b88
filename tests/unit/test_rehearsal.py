"""A template's mistake shows before anybody is written to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED
from mailbot.rehearsal import rehearse
from mailbot.rendering import Templates

TEMPLATES = SHIPPED / "templates"
CAMPAIGN = load_campaign([SHIPPED / "rules"])
NAMES = sorted(
    path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.suffix in (".txt", ".html")
)


def test_the_shipped_templates_have_no_mistake() -> None:
    assert rehearse(CAMPAIGN, Templates([TEMPLATES])) == ()
    one_aim = replace(CAMPAIGN, website="https://leeds.example/", aims=CAMPAIGN.aims[:1])
    assert rehearse(one_aim, Templates([TEMPLATES])) == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_misspelt_name_is_found(name: str, tmp_path: Path) -> None:
    """Each name that a shipped template prints, misspelt one at a time, wherever in its branches it stands."""
    text = (TEMPLATES / name).read_text("utf-8")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for found in re.finditer(r"(?<=\{\{ )[a-z_.]+", text):
        (tmp_path / name).write_text(f"{text[: found.end()]}x{text[found.end() :]}", "utf-8")
        problems = rehearse(CAMPAIGN, Templates([tmp_path, TEMPLATES]))
        line = text.count("\n", 0, found.start()) + 1
        assert any(problem.startswith(f"{tmp_path / name}, line {line}: ") for problem in problems), found
