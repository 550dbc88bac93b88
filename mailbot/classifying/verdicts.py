"""From the heads' numbers to what a mail holds: verdicts on sentences, contributions, the class.

Owns: which sentences make one contribution, how many aims it has, and what the class head is told.
Must not know: features, weights, how the answers are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mailbot.classifying.analysis import Analysis, Candidate
from mailbot.classifying.features import MACHINE_FACTS
from mailbot.classifying.heads import Floats
from mailbot.model import ContributionType, MessageClass

#: the answers of the type head; "none" first
TYPES: tuple[ContributionType | None, ...] = (None, *ContributionType)
CLASSES: tuple[MessageClass, ...] = tuple(MessageClass)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From which probability on something counts; found on examples that the encoder has not seen."""

    #: a sentence carries a contribution
    carrying: float = 0.5
    #: the likeliest aim of a contribution
    first_aim: float = 0.3
    #: every further aim
    further_aim: float = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sentence heads say about one sentence."""

    #: probability that it carries a contribution
    carrying: float
    type: ContributionType
    #: probability of the type, given that it carries one
    type_probability: float
    aims: tuple[str, ...]
    #: probability that exactly these aims are right
    aims_probability: float
    #: probability of each of the campaign's aims, in its order
    each_aim: tuple[float, ...]
    #: how far the two looks at it lie apart, 0 to 1
    apart: float = 0.0

    @property
    def probability(self) -> float:
        """Raw probability that it is a contribution of this type with these aims."""
        return math.sqrt(self.carrying) * self.type_probability * self.aims_probability


@dataclass(frozen=True, slots=True)
class Found:
    """One contribution: neighbouring sentences, and what the heads say of the first."""

    candidates: tuple[Candidate, ...]
    verdict: Verdict

    @property
    def quote(self) -> str:
        """Verbatim from the text, from the first sentence to the last."""
        first, last = self.candidates[0], self.candidates[-1]
        return first.span.doc.text[first.sentence.start : last.sentence.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a mail is taken for."""

    message_class: MessageClass
    #: raw probability of the class
    chance: float
    runner_up: MessageClass
    #: a contribution exactly if there are some
    found: tuple[Found, ...]
    #: only a machine has such headers
    machine: bool
    #: the same, yet a sentence may be a person's contribution
    mixed: bool


def choose_aims(probabilities: Floats, keys: Sequence[str], limits: Limits) -> tuple[tuple[str, ...], float]:
    """The aims that are likely enough, in the campaign's order, and the probability of just that choice."""
    best = int(probabilities.argmax())
    chosen = {index for index, value in enumerate(probabilities.tolist()) if value >= limits.further_aim}
    if probabilities[best] >= limits.first_aim:
        chosen.add(best)
    sure = [float(value if index in chosen else 1 - value) for index, value in enumerate(probabilities)]
    return tuple(keys[index] for index in sorted(chosen)), float(np.prod(sure))


def verdict_of(types: Floats, aims: Floats, keys: Sequence[str], limits: Limits, apart: float = 0.0) -> Verdict:
    """Put the answers of the sentence heads into words.

    Args:
        types: probabilities in the order of TYPES.
        aims: probabilities in the order of `keys`.
        keys: the campaign's aims.
        limits: from where on an aim counts.
        apart: how far the two looks lie apart.
    """
    carrying = float(1 - types[0])
    among = types[1:] / max(carrying, 1e-6)
    likeliest = int(among.argmax())
    chosen, probability = choose_aims(aims, keys, limits)
    return Verdict(
        carrying=carrying,
        type=TYPES[1 + likeliest] or ContributionType.OFFER,
        type_probability=float(among[likeliest]),
        aims=chosen,
        aims_probability=probability,
        each_aim=tuple(aims.tolist()),
        apart=apart,
    )


def strongest(verdicts: Sequence[Verdict]) -> float:
    """How likely the likeliest sentence carries a contribution; 0 without sentences."""
    return max((verdict.carrying for verdict in verdicts), default=0.0)


def findings(verdicts: Sequence[Verdict]) -> list[float]:
    """What the class head is told about the sentences of a mail, each number about 0 to 2."""
    ordered = sorted((verdict.carrying for verdict in verdicts), reverse=True)
    top = ordered[0] if ordered else 0.0
    return [
        2 * top,
        2 * float(top >= 0.5),
        ordered[1] if len(ordered) > 1 else 0.0,
        min(sum(ordered), 3.0) / 2,
        max((v.carrying * v.type_probability for v in verdicts if v.type is ContributionType.PLEDGE), default=0.0),
        max((v.carrying * v.aims_probability for v in verdicts if v.aims), default=0.0),
    ]


#: how many numbers `findings` gives
FINDINGS = len(findings(()))


_ANAPHORS = """it it's it'd it'll they they're they'd that that's this these those he she which both"""
#: a sentence that begins so speaks of what was said before
_GOES_ON = frozenset(_ANAPHORS.split())


def _belongs(last: Found, candidate: Candidate, verdict: Verdict) -> bool:
    """Whether a carrying sentence goes on with the contribution before it."""
    before = last.candidates[-1]
    return (
        before.span.doc is candidate.span.doc
        and before.sentence.block == candidate.sentence.block
        and candidate.span.text.split(None, 1)[0].lower().strip(",") in _GOES_ON
        and last.verdict.type is verdict.type
        and (last.verdict.aims == verdict.aims or not verdict.aims)
    )


def gather(candidates: Sequence[Candidate], verdicts: Sequence[Verdict], limits: Limits) -> tuple[Found, ...]:
    """The contributions of a mail that holds some: at least the likeliest sentence."""
    limit = min(limits.carrying, strongest(verdicts))
    found: list[Found] = []
    adjacent = False
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        if verdict.carrying < limit:
            adjacent = False
            continue
        if adjacent and _belongs(found[-1], candidate, verdict):
            found[-1] = Found((*found[-1].candidates, candidate), found[-1].verdict)
        else:
            found.append(Found((candidate,), verdict))
        adjacent = True
    # "Count us in" counts only where nothing more specific is said.
    specific = tuple(one for one in found if one.verdict.aims)
    return specific or (max(found, key=lambda one: one.verdict.carrying),)


def decide(analysis: Analysis, verdicts: Sequence[Verdict], chances: Floats, limits: Limits) -> Decision:
    """What a mail is, and what it holds.

    Args:
        analysis: the mail.
        verdicts: on its sentences.
        chances: what the class head says, in the order of CLASSES.
        limits: from where on something counts.
    """
    machine = not MACHINE_FACTS.isdisjoint(analysis.facts)
    mixed = machine and strongest(verdicts) >= limits.carrying
    chances = chances.copy()
    if not verdicts:
        chances[CLASSES.index(MessageClass.CONTRIBUTION)] = 0.0
    if machine and not mixed:
        # RFC 3834 leaves no room for doubt; what a machine wrote may well sound like an offer.
        chances[:] = [0.99 if one is MessageClass.AUTOMATIC else 0.003 for one in CLASSES]
    chances = chances / max(float(chances.sum()), 1e-6)
    order = np.argsort(-chances, kind="stable")
    message_class = CLASSES[int(order[0])]
    return Decision(
        message_class=message_class,
        chance=float(chances[order[0]]),
        runner_up=CLASSES[int(order[1])],
        found=gather(analysis.candidates, verdicts, limits) if message_class is MessageClass.CONTRIBUTION else (),
        machine=machine,
        mixed=mixed,
    )
