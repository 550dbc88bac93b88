"""From labelled examples to a trained model.

Owns: what each head is taught, cross-fitting, calibration, thresholds.
Must not know: where examples come from, how a Classification is worded.

The head for the class of a mail looks at what the sentence heads found. In training it must see findings as uncertain
as they will be later, so the sentence heads answer for each mail from a fold that did not hold it (cross-fitting).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.analysis import Analysis, Candidate, analyse, single_features
from mailbot.classifying.examples import Label, LabelledMail
from mailbot.classifying.features import MACHINE_FACTS, Features, Rows, rows_of
from mailbot.classifying.heads import Calibration, Floats, Head, Training, calibrate, fit, select
from mailbot.classifying.rules import Examples
from mailbot.model import Campaign, ContributionType, MessageClass

if TYPE_CHECKING:
    from spacy.language import Language

#: the answers of the type head; "none" first
TYPES: tuple[ContributionType | None, ...] = (None, *ContributionType)
CLASSES: tuple[MessageClass, ...] = tuple(MessageClass)

# Found by five-fold cross-validation on the shipped training mails.
_TYPE = Training(exclusive=True, epochs=5, rate=0.25, decay=3e-5)
_AIMS = Training(exclusive=False, epochs=5, rate=0.25, decay=3e-5)
_CLASS = Training(exclusive=True, epochs=15, rate=0.1, decay=1e-5, batch=32)
_FOLDS = 4
#: the likeliest aim counts from here, every further aim from _FURTHER_AIM
_FIRST_AIM = 0.2
_FURTHER_AIM = 0.6

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything that training finds."""

    aims: tuple[str, ...]
    type_head: Head
    aim_head: Head
    class_head: Head
    #: a sentence carries a contribution from this probability on
    carrying: float
    class_calibration: Calibration
    contribution_calibration: Calibration
    #: share of automatic mail among the examples whose headers only a machine writes
    machine_confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sentence heads say about one sentence."""

    #: probability that it carries a contribution
    carrying: float
    type: ContributionType
    #: probability of the type, given that it carries one
    type_probability: float
    #: the runner-up's probability
    type_margin: float
    aims: tuple[str, ...]
    #: probability that exactly these aims are right
    aims_probability: float

    @property
    def probability(self) -> float:
        """Raw probability that it is a contribution of this type with these aims."""
        return math.sqrt(self.carrying) * self.type_probability * self.aims_probability


def choose_aims(probabilities: Floats, keys: Sequence[str]) -> tuple[tuple[str, ...], float]:
    """The aims that are likely enough, in the campaign's order, and the probability of just that choice."""
    best = int(probabilities.argmax())
    chosen = {index for index, value in enumerate(probabilities.tolist()) if value >= _FURTHER_AIM}
    if probabilities[best] >= _FIRST_AIM:
        chosen.add(best)
    others = [float(value) for index, value in enumerate(probabilities) if index not in chosen]
    if not chosen:
        return (), float(np.prod([1 - value for value in others]))
    # The aims compete, although the head scores each alone: what matters is the lead over the others.
    strength = min(float(probabilities[index]) for index in chosen)
    return tuple(keys[index] for index in sorted(chosen)), strength / (strength + sum(others) + 0.05)


def verdict_of(types: Floats, aims: Floats, keys: Sequence[str]) -> Verdict:
    """Put the answers of the sentence heads into words.

    Args:
        types: probabilities in the order of TYPES.
        aims: probabilities in the order of `keys`.
        keys: the campaign's aims.
    """
    carrying = float(1 - types[0])
    among = types[1:] / max(carrying, 1e-6)
    order = np.argsort(-among)
    chosen, probability = choose_aims(aims, keys)
    kind = TYPES[1 + int(order[0])] or ContributionType.OFFER
    return Verdict(
        carrying=carrying,
        type=kind,
        type_probability=float(among[order[0]]),
        type_margin=float(among[order[0]] - among[order[1]]),
        aims=chosen,
        aims_probability=probability,
    )


def findings(verdicts: Sequence[Verdict], carrying: float) -> list[float]:
    """What the class head is told about the sentences of a mail, each number about 0 to 2."""
    ordered = sorted((verdict.carrying for verdict in verdicts), reverse=True)
    top = ordered[0] if ordered else 0.0
    return [
        2 * top,
        2 * float(top >= carrying),
        2 * float(top >= 0.5),
        ordered[1] if len(ordered) > 1 else 0.0,
        min(sum(ordered), 3.0) / 2,
        max((v.carrying * v.type_probability for v in verdicts if v.type is ContributionType.PLEDGE), default=0.0),
        max((v.carrying * max(v.aims_probability, 0.0) for v in verdicts if v.aims), default=0.0),
    ]


def label_of(candidate: Candidate, labels: Sequence[Label]) -> Label | None:
    """The label whose quote this sentence belongs to."""
    text = candidate.sentence.text
    for label in labels:
        if text in label.quote or (label.quote in text and 2 * len(label.quote) > len(text)):
            return label
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The lessons as arrays, one row for each sentence; targets and weights are rows by answers."""

    rows: Rows
    types: Floats
    type_weights: Floats
    aims: Floats
    aim_weights: Floats
    groups: NDArray[np.int64]


@dataclass(slots=True)
class _Lessons:
    """The sentences to learn from, mails' sentences first."""

    features: list[Features]
    types: list[int]
    aims: list[list[float]]
    #: whether the aims are known and taught
    aims_known: list[float]
    type_known: list[float]
    #: the mail or single sentence that each came from: folds never cut one apart
    groups: list[int]

    def add(
        self,
        features: Features,
        label: tuple[ContributionType | None, Sequence[str]] | None,
        keys: Sequence[str],
        group: int,
    ) -> None:
        """Add a sentence with its type and aims."""
        kind, aims = label or (None, ())
        self.features.append(features)
        self.types.append(TYPES.index(kind))
        self.aims.append([float(key in aims) for key in keys])
        self.aims_known.append(float(kind is not None and set(aims) <= set(keys)))
        self.type_known.append(1.0)
        self.groups.append(group)

    def table(self) -> _Table:
        """The same as arrays."""
        types = np.eye(len(TYPES), dtype=np.float32)[self.types]
        aims = np.array(self.aims, dtype=np.float32)
        return _Table(
            rows=rows_of(self.features),
            types=types,
            type_weights=np.repeat(np.array(self.type_known, dtype=np.float32)[:, None], types.shape[1], axis=1),
            aims=aims,
            aim_weights=np.repeat(np.array(self.aims_known, dtype=np.float32)[:, None], aims.shape[1], axis=1),
            groups=np.array(self.groups),
        )


def _collect(
    nlp: Language, examples: Examples, analyses: Sequence[Analysis], campaign: Campaign
) -> tuple[_Lessons, list[list[Label | None]]]:
    """Every sentence to learn from, and the label of each mail's sentences."""
    keys = [aim.key for aim in campaign.aims]
    lessons = _Lessons([], [], [], [], [], [])
    labels: list[list[Label | None]] = []
    for group, (mail, analysis) in enumerate(zip(examples.mails, analyses, strict=True)):
        labels.append([label_of(candidate, mail.contributions) for candidate in analysis.candidates])
        for candidate, label in zip(analysis.candidates, labels[-1], strict=True):
            lessons.add(candidate.features, (label.type, label.aims) if label else None, keys, group)
    first = len(examples.mails)
    for number, sentence in enumerate(examples.sentences):
        lessons.add(single_features(nlp, sentence.text), (sentence.type, sentence.aim_keys), keys, first + number)
    # The aims' own wording is all that a new campaign has to begin with; it says nothing about types.
    for aim in campaign.aims:
        lessons.add(single_features(nlp, f"{aim.title}. {aim.text}"), (ContributionType.OFFER, (aim.key,)), keys, -1)
        lessons.type_known[-1] = 0.0
    return lessons, labels


def _fit_sentence_heads(table: _Table, chosen: NDArray[np.int64]) -> tuple[Head, Head]:
    part = select(table.rows, chosen)
    return (
        fit(part, table.types[chosen], table.type_weights[chosen], _TYPE),
        fit(part, table.aims[chosen], table.aim_weights[chosen], _AIMS),
    )


def _held_out(table: _Table, keys: Sequence[str], progress: Progress) -> list[Verdict]:
    """For each sentence the verdict of heads that were not taught its mail."""
    # A multiplicative shuffle: neighbouring lines of a file are often variations of one another.
    folds = (table.groups * 7919) % _FOLDS
    types, aims = np.zeros_like(table.types), np.zeros_like(table.aims)
    for fold in range(_FOLDS):
        progress("Checking the model on mail it has not seen", 0.3 + 0.5 * fold / _FOLDS)
        type_head, aim_head = _fit_sentence_heads(table, np.flatnonzero((folds != fold) | (table.groups < 0)))
        held = np.flatnonzero((folds == fold) & (table.groups >= 0))
        part = select(table.rows, held)
        types[held] = type_head.probabilities(part)
        aims[held] = aim_head.probabilities(part)
    return [verdict_of(types[index], aims[index], keys) for index in range(len(types))]


def _best_threshold(verdicts: Sequence[Verdict], labels: Sequence[Label | None]) -> float:
    """The probability from which on calling a sentence a contribution gives the best F1."""
    truth = np.array([label is not None for label in labels])
    said = np.array([verdict.carrying for verdict in verdicts])
    best, threshold = -1.0, 0.5
    for step in np.arange(0.15, 0.75, 0.025):
        positive = said >= step
        score = 2 * float((positive & truth).sum()) / max(float(positive.sum() + truth.sum()), 1.0)
        if score > best + 1e-9:
            best, threshold = score, float(step)
    return threshold


def _class_targets(mails: Sequence[LabelledMail]) -> Floats:
    return np.eye(len(CLASSES), dtype=np.float32)[[CLASSES.index(mail.message_class) for mail in mails]]


def _calibrate_class(rows: Rows, targets: Floats) -> Calibration:
    folds = (np.arange(len(rows)) * 7919) % _FOLDS
    said: list[float] = []
    right: list[bool] = []
    for fold in range(_FOLDS):
        taught, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(taught) or not len(held):
            continue
        head = fit(select(rows, taught), targets[taught], np.ones_like(targets[taught]), _CLASS)
        answers = head.probabilities(select(rows, held))
        said += answers.max(axis=1).tolist()
        right += (answers.argmax(axis=1) == targets[held].argmax(axis=1)).tolist()
    return calibrate(said, right)


def _calibrate_contributions(
    verdicts: Sequence[Verdict], labels: Sequence[Label | None], threshold: float
) -> Calibration:
    said, right = [], []
    for verdict, label in zip(verdicts, labels, strict=True):
        if verdict.carrying >= threshold:
            said.append(verdict.probability)
            right.append(label is not None and label.type is verdict.type and set(label.aims) == set(verdict.aims))
    return calibrate(said, right)


def _machine_confidence(mails: Sequence[LabelledMail], analyses: Sequence[Analysis]) -> float:
    machines = [m for m, a in zip(mails, analyses, strict=True) if MACHINE_FACTS & set(a.facts)]
    automatic = sum(mail.message_class is MessageClass.AUTOMATIC for mail in machines)
    # Ten mails' worth of belief in RFC 3834 until the examples say otherwise.
    return (automatic + 9.9) / (len(machines) + 10)


def train(nlp: Language, examples: Examples, campaign: Campaign, progress: Progress) -> Model:
    """Train every head; the same examples give the same model.

    Args:
        nlp: the pipeline with the rules.
        examples: at least one mail.
        campaign: whose aims are learnt.
        progress: told what is being done and the share that is done, 0 to 1.
    """
    keys = tuple(aim.key for aim in campaign.aims)
    progress("Reading the examples", 0.0)
    analyses = [analyse(nlp, mail.message) for mail in examples.mails]
    progress("Reading the examples", 0.2)
    lessons, labels = _collect(nlp, examples, analyses, campaign)
    table = lessons.table()
    verdicts = _held_out(table, keys, progress)
    in_mails = [label for mail in labels for label in mail]
    carrying = _best_threshold(verdicts[: len(in_mails)], in_mails)
    progress("Learning the class of a mail", 0.8)
    start, rows = 0, []
    for analysis in analyses:
        end = start + len(analysis.candidates)
        rows.append(analysis.mail_features(findings(verdicts[start:end], carrying)))
        start = end
    mail_rows, targets = rows_of(rows), _class_targets(examples.mails)
    class_calibration = _calibrate_class(mail_rows, targets)
    class_head = fit(mail_rows, targets, np.ones_like(targets), _CLASS)
    progress("Learning types and aims", 0.9)
    type_head, aim_head = _fit_sentence_heads(table, np.arange(len(table.rows)))
    progress("Trained", 1.0)
    return Model(
        aims=keys,
        type_head=type_head,
        aim_head=aim_head,
        class_head=class_head,
        carrying=carrying,
        class_calibration=class_calibration,
        contribution_calibration=_calibrate_contributions(verdicts[: len(in_mails)], in_mails, carrying),
        machine_confidence=_machine_confidence(examples.mails, analyses),
    )
