"""The trained model's file.

Owns: writing a model at once or not at all, and reading it back; a damaged file is as good as none.
Must not know: what a model is for.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.features import PLACES
from mailbot.classifying.heads import Calibration, Head
from mailbot.classifying.learn import Model


def save(model: Model, problems: Sequence[str], path: Path) -> None:
    """Write a model to a file, at once or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    facts = {
        "aims": model.aims,
        "carrying": model.carrying,
        "class_calibration": asdict(model.class_calibration),
        "contribution_calibration": asdict(model.contribution_calibration),
        "machine_confidence": model.machine_confidence,
        "problems": list(problems),
    }
    arrays: dict[str, NDArray[np.generic]] = {"facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)}
    for name, head in (("type", model.type_head), ("aim", model.aim_head), ("class", model.class_head)):
        used = np.flatnonzero(head.weights.any(axis=1)).astype(np.int32)
        arrays[f"{name}_places"], arrays[f"{name}_weights"] = used, head.weights[used].astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".model-", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: Path) -> tuple[Model, tuple[str, ...]] | None:
    """Read a model with the problems found when it was trained; None when there is none, or it is damaged."""
    try:
        # Opened here, since np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            heads = {}
            for name in ("type", "aim", "class"):
                weights = arrays[f"{name}_weights"]
                table = np.zeros((PLACES, weights.shape[1]), dtype=np.float32)
                table[arrays[f"{name}_places"]] = weights
                heads[name] = Head(weights=table, exclusive=name != "aim")
        model = Model(
            aims=tuple(facts["aims"]),
            type_head=heads["type"],
            aim_head=heads["aim"],
            class_head=heads["class"],
            carrying=facts["carrying"],
            class_calibration=Calibration(**facts["class_calibration"]),
            contribution_calibration=Calibration(**facts["contribution_calibration"]),
            machine_confidence=facts["machine_confidence"],
        )
        return model, tuple(facts["problems"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile):
        return None
