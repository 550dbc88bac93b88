"""`mailbot once` in which stages raise: python -m tests.acceptance.raise_child CONFIG.

A mail whose subject says "breaks <stage>" makes that stage raise what no stage should. The product has no hooks for
this: the stages are wrapped here, in this process only.
"""

from __future__ import annotations

import sys
from typing import Any

from mailbot import cli, pipeline, replies
from mailbot.classifying import Classifier
from mailbot.filing.records import Records

STAGES: dict[str, tuple[Any, str]] = {
    "reading": (pipeline, "read"),
    "screening": (pipeline, "screen"),
    "classifying": (Classifier, "classify"),
    "filing": (Records, "file"),
    "replying": (replies, "compose"),
}


def _wrap(stage: str, owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def raising(*arguments: Any, **options: Any) -> Any:
        if f"breaks {stage}" in repr(arguments):
            raise ZeroDivisionError(f"made up for {stage}")
        return original(*arguments, **options)

    setattr(owner, name, raising)


if __name__ == "__main__":
    for stage, (owner, name) in STAGES.items():
        _wrap(stage, owner, name)
    sys.argv = ["mailbot", "once", "-c", sys.argv[1]]
    cli.main()
