"""The files of models: the heads that the encoder was built with, and fitted ones.

Owns: writing a model at once or not at all, and reading it back; a damaged file is as good as none.
Must not know: what a model is for.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.fitted import Base, Model, Said
from mailbot.classifying.heads import Calibration, Head
from mailbot.classifying.verdicts import Limits
from mailbot.model import MessageClass

#: octets of a fingerprint, as examples.fingerprint gives it in hexadecimal
_FINGERPRINT = 8


def _write(arrays: Mapping[str, NDArray[np.generic]], facts: Mapping[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile, whose files nobody else may read: the worker often runs as another user than whoever trains.
    temporary = path.with_name(f".model-{secrets.token_hex(8)}.npz")
    try:
        with temporary.open("xb") as file:
            told = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
            np.savez_compressed(file, facts=told, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_base(base: Base, path: Path) -> None:
    """Write the heads that an encoder was built with.

    Raises:
        OSError: the folder cannot be written.
    """
    seen = np.frombuffer(b"".join(bytes.fromhex(one) for one in sorted(base.seen)), dtype=np.uint8)
    arrays = {"types": base.types, "aim_table": base.aim_table, "classes": base.classes}
    halves: dict[str, NDArray[np.generic]] = {name: table.astype(np.float16) for name, table in arrays.items()}
    _write({**halves, "seen": seen}, {"aims": base.aims}, path)


def load_base(path: Path) -> Base:
    """Read the heads that an encoder was built with.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        octets = arrays["seen"].tobytes()
        return Base(
            aims=tuple((key, title) for key, title in json.loads(arrays["facts"].tobytes())["aims"]),
            types=arrays["types"].astype(np.float32),
            aim_table=arrays["aim_table"].astype(np.float32),
            classes=arrays["classes"].astype(np.float32),
            seen=frozenset(octets[at : at + _FINGERPRINT].hex() for at in range(0, len(octets), _FINGERPRINT)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A fitted model with what it was made from."""

    model: Model
    #: names the encoder and the aims
    fit: str
    #: names the patterns and examples
    rules: str
    #: lines of the rules that could not be used, with file and line
    problems: tuple[str, ...]


def save(stored: Stored, path: Path) -> None:
    """Write a fitted model to a file, at once or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    model = stored.model
    facts = {
        "fit": stored.fit,
        "rules": stored.rules,
        "problems": list(stored.problems),
        "aims": model.aims,
        "limits": asdict(model.limits),
        "doubt_limit": model.doubt_limit,
        "class_calibration": asdict(model.class_calibration),
        "contribution_calibration": asdict(model.contribution_calibration),
        "held_out": {key: asdict(one) for key, one in model.held_out.items()},
        "taught": sorted(model.taught),
    }
    heads = {"type": model.type_head, "aim": model.aim_head, "class": model.class_head, "doubt": model.doubt_head}
    _write({name: head.weights.astype(np.float16) for name, head in heads.items()}, facts, path)


def load(path: Path) -> Stored | None:
    """Read a fitted model; None when there is none, or it is damaged.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        # Opened here, since np.load leaves a damaged file open.
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        with file, np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            heads = {
                name: Head(weights=arrays[name].astype(np.float32), exclusive=name in ("type", "class"))
                for name in ("type", "aim", "class", "doubt")
            }
        model = Model(
            aims=tuple(facts["aims"]),
            type_head=heads["type"],
            aim_head=heads["aim"],
            class_head=heads["class"],
            doubt_head=heads["doubt"],
            limits=Limits(**facts["limits"]),
            doubt_limit=facts["doubt_limit"],
            class_calibration=Calibration(**facts["class_calibration"]),
            contribution_calibration=Calibration(**facts["contribution_calibration"]),
            held_out={
                key: Said(
                    message_class=MessageClass(one["message_class"]), aims=tuple(one["aims"]), types=tuple(one["types"])
                )
                for key, one in facts["held_out"].items()
            },
            taught=frozenset(facts["taught"]),
        )
        return Stored(model=model, fit=facts["fit"], rules=facts["rules"], problems=tuple(facts["problems"]))
    except Exception:
        return None
