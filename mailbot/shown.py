"""What everything that people see is made of."""

from __future__ import annotations

from dataclasses import dataclass

from mailbot.config import Config
from mailbot.model import Campaign
from mailbot.rendering import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What people see is made of; wired in app.py."""

    config: Config
    campaign: Campaign
    templates: Templates
