"""The kinds of lines that a text is made of. Must not know how they are told apart."""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """What a line of a mail's text is."""

    OWN = auto()
    FORWARDED = auto()
    QUOTED = auto()
    SIGNATURE = auto()
    FOOTER = auto()
