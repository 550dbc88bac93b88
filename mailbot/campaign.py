"""rules/campaign.toml -> Campaign: the campaign's name and its aims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mailbot import tomlfile
from mailbot.errors import ConfigError
from mailbot.model import Aim, Campaign


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _prefix(value: str) -> str:
    if not (2 <= len(value) <= 12 and value.isascii() and value.isalnum()):
        raise ValueError(f"must be 2 to 12 letters or digits, not {value!r}")
    return value


class _AimRow(_Section):
    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    title: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1)]
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class _CampaignFile(_Section):
    name: Annotated[str, Field(min_length=1, max_length=120)]
    reference_prefix: Annotated[str, AfterValidator(_prefix)]
    website: str = ""
    aims: Annotated[tuple[_AimRow, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _distinct(self) -> _CampaignFile:
        keys = [aim.key for aim in self.aims]
        if len(set(keys)) != len(keys):
            raise ValueError("aims: every aim needs a key of its own")
        return self


def load_campaign(folders: Sequence[Path]) -> Campaign:
    """Reads campaign.toml from the first of `folders` that has it.

    Raises:
        ConfigError: with every problem at once.
    """
    path = next((folder / "campaign.toml" for folder in folders if (folder / "campaign.toml").is_file()), None)
    if path is None:
        raise ConfigError([f"{folders[0]}: no campaign.toml there; copy the one from rules/"])
    document, text = tomlfile.parse(path)
    try:
        found = _CampaignFile.model_validate(document)
    except ValidationError as problem:
        raise ConfigError(tomlfile.sentences(path, text, problem)) from None
    return Campaign(
        name=found.name,
        reference_prefix=found.reference_prefix,
        website=found.website,
        aims=tuple(
            Aim(number=number, key=aim.key, title=aim.title, text=aim.text, colour=aim.colour)
            for number, aim in enumerate(found.aims, start=1)
        ),
    )
