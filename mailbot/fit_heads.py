"""Fits the heads that ship with mailbot: python -m mailbot.fit_heads

After a change of the shipped examples or patterns, or of what the heads are told. The encoder stays as it is, so this
needs no torch and takes half a minute. `python -m mailbot.build_encoder` ends with the same step.
"""

from __future__ import annotations

from mailbot import console
from mailbot.campaign import load_campaign
from mailbot.classifying.encoder import SHIPPED_MODEL
from mailbot.classifying.models import fit_shipped
from mailbot.config import SHIPPED
from mailbot.reading import read


def main() -> None:
    """Fits the heads to the shipped rules and leaves them beside the encoder."""
    rules = SHIPPED / "rules"
    with console.progress_bar() as watch:
        fit_shipped(
            campaign=load_campaign([rules]), rules_folder=rules, read=read, model_folder=SHIPPED_MODEL, progress=watch
        )


if __name__ == "__main__":
    main()
