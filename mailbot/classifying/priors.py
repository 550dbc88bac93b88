"""What the heads know before any example: the weights that the encoder was built with.

Owns: how far they are trusted, for its own campaign and for others.
Must not know: examples, how a head is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mailbot.classifying.features import FACTS, PLACES, SIZES, TYPE_LABELS
from mailbot.classifying.fitted import Base, Model
from mailbot.classifying.heads import Calibration, Floats, Head, Prior
from mailbot.classifying.review import DOUBTS
from mailbot.classifying.verdicts import FINDINGS, Limits
from mailbot.model import Aim

#: how strongly the prior holds what it knows, what it knows of another campaign, and what it does not know
_KNOWN, _FOREIGN, _NEW = 20.0, 2.0, 1.0
#: the same for doubt, of which the encoder knows nothing
_DOUBT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """One for each head."""

    types: Prior
    aims: Prior
    classes: Prior
    doubts: Prior


def priors_of(base: Base, aims: Sequence[Aim]) -> Priors:
    """The priors for a campaign with these aims.

    An aim is known by key and title together: other campaigns may call an aim of their own "support".
    """
    # What contributes to one campaign is idle talk to another: the prior is weak where the aims are others.
    held = _KNOWN if {(aim.key, aim.title) for aim in aims} <= set(base.aims) else _FOREIGN
    doubts = np.zeros((DOUBTS, 1), dtype=np.float32)
    doubts[0], doubts[-1] = 2.0, -2.0
    return Priors(
        types=_prior(base.types, len(TYPE_LABELS) + len(PLACES), held, exclusive=True),
        aims=_prior(_aim_table(base, aims), len(aims), held, exclusive=False),
        classes=_prior(base.classes, len(FACTS) + len(SIZES) + FINDINGS, held, exclusive=True),
        doubts=Prior(head=Head(weights=doubts, exclusive=False), stiffness=np.full_like(doubts, _DOUBT)),
    )


def untrained(priors: Priors, keys: tuple[str, ...]) -> Model:
    """The model that the encoder came with, before any example."""
    return Model(
        aims=keys,
        type_head=priors.types.head,
        aim_head=priors.aims.head,
        class_head=priors.classes.head,
        doubt_head=priors.doubts.head,
        limits=Limits(),
        doubt_limit=0.35,
        class_calibration=Calibration(),
        contribution_calibration=Calibration(),
        held_out={},
        taught=frozenset(),
    )


def _prior(table: Floats, extra: int, held: float, *, exclusive: bool) -> Prior:
    """The encoder's own table, with `extra` columns that it does not have before the bias."""
    weights = np.concatenate([table[:-1], np.zeros((extra, table.shape[1]), dtype=np.float32), table[-1:]])
    known = np.concatenate([table[:-1] != 0, np.zeros((extra + 1, table.shape[1]), dtype=bool)])
    stiffness = np.where(known, held, _NEW).astype(np.float32)
    return Prior(head=Head(weights=weights, exclusive=exclusive), stiffness=stiffness)


def _aim_table(base: Base, aims: Sequence[Aim]) -> Floats:
    """The encoder's own weights for the aims that it knows; nothing for the others."""
    table = np.zeros((len(base.aim_table), len(aims)), dtype=np.float32)
    # An aim that nothing is known of is unlikely until examples say otherwise.
    table[-1] = -2.0
    for column, aim in enumerate(aims):
        if (aim.key, aim.title) in base.aims:
            table[:, column] = base.aim_table[:, base.aims.index((aim.key, aim.title))]
    return table
