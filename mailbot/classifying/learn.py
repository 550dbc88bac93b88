"""From labelled examples to a trained model.

Owns: what each head is taught, cross-fitting, limits, calibration.
Must not know: where examples come from, how a Classification is worded.

The encoder came with heads of its own, taught together with it. They are the prior: the examples that it has not seen
(a coordinator's own, her corrections, and those held back when it was built) move them as far as they have reason to.
Everything else is fitted on those examples alone, for on what it was taught the encoder is surer than it will ever be
again; and each is answered by heads that were not taught it (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.analysis import Analysis, Candidate, analyse, analyse_single
from mailbot.classifying.encoder import Encoder
from mailbot.classifying.evaluate import Answer
from mailbot.classifying.examples import Label, LabelledMail
from mailbot.classifying.features import FACTS, PLACES, TYPE_LABELS
from mailbot.classifying.fitted import Base, Looks, Model, Said, aim_rows, class_row, look_twice, type_rows
from mailbot.classifying.heads import Calibration, Floats, Head, calibrate, fit
from mailbot.classifying.language import foreign_language
from mailbot.classifying.review import DOUBTS, Evidence, doubts, plain_reasons
from mailbot.classifying.rules import Examples
from mailbot.classifying.verdicts import (
    CLASSES,
    FINDINGS,
    TYPES,
    Decision,
    Limits,
    Verdict,
    decide,
    verdict_of,
)
from mailbot.model import Campaign, Classification, Contribution, ContributionType

if TYPE_CHECKING:
    from spacy.language import Language

_FOLDS = 5
#: with fewer contributions among the mails that the encoder has not seen the built-in limits stay
_ENOUGH = 20
#: share of held-back mails, which are harder than most, that ask for a look because of measured doubt
_LOOKS = 0.13
#: how strongly the prior holds what it knows, what it knows of another campaign, and what it does not know
_KNOWN, _FOREIGN, _NEW = 20.0, 2.0, 1.0

Progress = Callable[[str, float], None]


def label_of(candidate: Candidate, labels: Sequence[Label]) -> Label | None:
    """The label whose quote a candidate belongs to."""
    return label_of_text(candidate.sentence.text, labels)


def label_of_text(sentence: str, labels: Sequence[Label]) -> Label | None:
    """The label whose quote a sentence belongs to; white space does not matter."""
    text = " ".join(sentence.split())
    for label in labels:
        quote = " ".join(label.quote.split())
        if text in quote or (quote in text and 2 * len(quote) > len(text)):
            return label
    return None


def _prior(table: Floats, extra: int, held: float, *, exclusive: bool) -> tuple[Head, Floats]:
    """A head that knows what the encoder's own does, with `extra` columns before the bias; and its stiffness.

    Args:
        table: the encoder's own.
        extra: columns that it does not have.
        held: how strongly the prior holds what it knows.
        exclusive: one answer of several, or several at once.
    """
    weights = np.concatenate([table[:-1], np.zeros((extra, table.shape[1]), dtype=np.float32), table[-1:]])
    known = np.concatenate([table[:-1] != 0, np.zeros((extra + 1, table.shape[1]), dtype=bool)])
    return Head(weights=weights, exclusive=exclusive), np.where(known, held, _NEW).astype(np.float32)


def _type_prior(base: Base, keys: Sequence[str]) -> tuple[Head, Floats]:
    return _prior(base.types, len(TYPE_LABELS) + len(PLACES), _hold(base, keys), exclusive=True)


def _aim_prior(base: Base, keys: Sequence[str]) -> tuple[Head, Floats]:
    return _prior(_aim_table(base, keys), len(keys), _hold(base, keys), exclusive=False)


def _class_prior(base: Base, keys: Sequence[str]) -> tuple[Head, Floats]:
    return _prior(base.classes, len(FACTS) + 5 + FINDINGS, _hold(base, keys), exclusive=True)


def _hold(base: Base, keys: Sequence[str]) -> float:
    """What contributes to one campaign is idle talk to another: the prior is weak where the aims are others."""
    return _KNOWN if set(keys) <= set(base.aims) else _FOREIGN


def _aim_table(base: Base, keys: Sequence[str]) -> Floats:
    """The encoder's own weights for the aims that it knows; nothing for the others."""
    table = np.zeros((len(base.aim_table), len(keys)), dtype=np.float32)
    # An aim that nothing is known of is unlikely until examples say otherwise.
    table[-1] = -2.0
    for column, key in enumerate(keys):
        if key in base.aims:
            table[:, column] = base.aim_table[:, base.aims.index(key)]
    return table


def untrained(base: Base, campaign: Campaign) -> Model:
    """The model that the encoder came with, before any example."""
    keys = tuple(aim.key for aim in campaign.aims)
    return Model(
        aims=keys,
        type_head=_type_prior(base, keys)[0],
        aim_head=_aim_prior(base, keys)[0],
        class_head=_class_prior(base, keys)[0],
        doubt_head=Head(weights=_first_doubts(), exclusive=False),
        limits=Limits(),
        doubt_limit=0.35,
        class_calibration=Calibration(),
        contribution_calibration=Calibration(),
        held_out={},
    )


def _first_doubts() -> Floats:
    weights = np.zeros((DOUBTS, 1), dtype=np.float32)
    weights[0], weights[-1] = -1.5, -0.5
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lessons:
    """What the sentence heads learn from, one row for each sentence."""

    type_rows: Floats
    aim_rows: Floats
    types: Floats
    type_weights: Floats
    aims: Floats
    aim_weights: Floats
    #: the example that each came from; negative for what is taught in every fold
    groups: NDArray[np.int64]

    def heads(self, base: Base, keys: Sequence[str], chosen: NDArray[np.bool_]) -> tuple[Head, Head]:
        """The type head and the aim head, taught the chosen rows."""
        type_prior, type_stiffness = _type_prior(base, keys)
        aim_prior, aim_stiffness = _aim_prior(base, keys)
        return (
            fit(self.type_rows[chosen], self.types[chosen], self.type_weights[chosen], type_prior, type_stiffness),
            fit(self.aim_rows[chosen], self.aims[chosen], self.aim_weights[chosen], aim_prior, aim_stiffness),
        )


def _collect(
    analyses: Sequence[tuple[Analysis, list[Label | None], int]], keys: Sequence[str], aims_only: int
) -> _Lessons:
    """Every sentence to learn from.

    Args:
        analyses: each with the labels of its sentences and its group.
        keys: the campaign's aims.
        aims_only: the group that says nothing about types.
    """
    labels = [label for _, mail, _ in analyses for label in mail]
    groups = np.array([group for _, mail, group in analyses for _ in mail], dtype=np.int64)
    kinds = [TYPES.index(label.type if label else None) for label in labels]
    known = [float(label is not None and set(label.aims) <= set(keys)) for label in labels]
    return _Lessons(
        type_rows=np.concatenate([type_rows(one.candidates, one.encoded.sentences) for one, _, _ in analyses]),
        aim_rows=np.concatenate([aim_rows(one.candidates, one.encoded.sentences, keys) for one, _, _ in analyses]),
        types=np.eye(len(TYPES), dtype=np.float32)[kinds],
        type_weights=np.repeat((groups != aims_only).astype(np.float32)[:, None], len(TYPES), axis=1),
        aims=np.array(
            [[float(label is not None and key in label.aims) for key in keys] for label in labels], np.float32
        ),
        aim_weights=np.repeat(np.array(known, dtype=np.float32)[:, None], len(keys), axis=1),
        groups=groups,
    )


def _folds(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    # A multiplicative shuffle: neighbouring lines of a file are often variations of one another.
    return np.where(groups < 0, -1, (groups * 7919) % _FOLDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What heads that were not taught a mail say of it, mail by mail."""

    looks: list[Looks]
    #: in the order of CLASSES
    chances: list[Floats]

    def only(self, mails: Sequence[int]) -> _Answers:
        """The answers for some of the mails."""
        return _Answers(
            looks=[self.looks[number] for number in mails], chances=[self.chances[number] for number in mails]
        )


def _one_hot_classes(mails: Sequence[LabelledMail]) -> Floats:
    return np.eye(len(CLASSES), dtype=np.float32)[[CLASSES.index(mail.message_class) for mail in mails]]


def _class_head(base: Base, keys: Sequence[str], rows: Floats, targets: Floats) -> Head:
    prior, stiffness = _class_prior(base, keys)
    return fit(rows, targets, np.ones_like(targets), prior, stiffness)


def _cross_fit(
    base: Base, lessons: _Lessons, analyses: Sequence[Analysis], mails: Sequence[LabelledMail], keys: Sequence[str]
) -> _Answers:
    mail_folds = _folds(np.arange(len(mails), dtype=np.int64))
    looks: dict[int, Looks] = {}
    for fold in range(_FOLDS):
        type_head, aim_head = lessons.heads(base, keys, _folds(lessons.groups) != fold)
        for number in np.flatnonzero(mail_folds == fold).tolist():
            looks[number] = look_twice(type_head, aim_head, keys, analyses[number])
    found = [looks[number] for number in range(len(mails))]
    rows = np.stack([class_row(one, look.verdicts(keys, Limits())) for one, look in zip(analyses, found, strict=True)])
    targets = _one_hot_classes(mails)
    chances = np.zeros_like(targets)
    for fold in range(_FOLDS):
        taught, held = mail_folds != fold, mail_folds == fold
        if taught.any() and held.any():
            chances[held] = _class_head(base, keys, rows[taught], targets[taught]).probabilities(rows[held])
    return _Answers(looks=found, chances=list(chances))


def _best_carrying(answers: _Answers, labels: Sequence[Sequence[Label | None]]) -> float:
    """The probability from which on calling a sentence a contribution gives the best F1."""
    truth = np.array([label is not None for mail in labels for label in mail])
    said = np.concatenate([1 - looks.types[:, 0] for looks in answers.looks])
    scores = {
        float(step): 2 * float(((said >= step) & truth).sum()) / max(float((said >= step).sum() + truth.sum()), 1.0)
        for step in np.arange(0.25, 0.7, 0.05)
    }
    return max(scores, key=lambda step: (round(scores[step], 3), -abs(step - 0.5)))


def _best_aims(
    answers: _Answers, labels: Sequence[Sequence[Label | None]], keys: Sequence[str], carrying: float
) -> Limits:
    """The limits for aims that give the best F1 on the sentences that carry something."""
    pairs = [
        (aims, set(label.aims))
        for mail, looks in zip(labels, answers.looks, strict=True)
        for label, aims in zip(mail, looks.aims, strict=True)
        if label is not None and set(label.aims) <= set(keys)
    ]
    best, found = -1.0, Limits(carrying=carrying)
    for first in (0.2, 0.3, 0.4, 0.5):
        for further in (0.4, 0.5, 0.6, 0.7):
            limits = Limits(carrying=carrying, first_aim=first, further_aim=max(further, first))
            chosen = [(set(verdict_of(_NONE, aims, keys, limits).aims), truth) for aims, truth in pairs]
            right = sum(len(said & truth) for said, truth in chosen)
            score = 2 * right / max(sum(len(said) + len(truth) for said, truth in chosen), 1)
            if score > best + 0.002:
                best, found = score, limits
    return found


_NONE = np.array([0.0, 0.4, 0.3, 0.3], dtype=np.float32)


def _is_wrong(decision: Decision, mail: LabelledMail, keys: Sequence[str]) -> bool:
    """Whether the class or the aims of a mail are wrong."""
    aims = {aim for one in decision.found for aim in one.verdict.aims}
    return decision.message_class is not mail.message_class or aims != mail.aims() & set(keys)


def _doubt(rows: Floats, wrong: Floats) -> tuple[Head, float, Floats]:
    """The doubt head, from where on to ask for a look, and what heads that were not taught a row say of it."""
    prior = Head(weights=_first_doubts(), exclusive=False)
    stiffness = np.full_like(prior.weights, 0.5)
    folds = _folds(np.arange(len(rows), dtype=np.int64))
    said = np.zeros(len(rows), dtype=np.float32)
    for fold in range(_FOLDS):
        taught, held = folds != fold, folds == fold
        head = fit(rows[taught], wrong[taught], np.ones_like(wrong[taught]), prior, stiffness)
        said[held] = head.probabilities(rows[held])[:, 0]
    limit = float(np.quantile(said, 1 - _LOOKS))
    return fit(rows, wrong, np.ones_like(wrong), prior, stiffness), max(limit, 0.1), said


def train(
    nlp: Language, encoder: Encoder, base: Base, examples: Examples, campaign: Campaign, progress: Progress
) -> tuple[Model, list[Answer]]:
    """Fit every head to the examples that the encoder has not seen; the same examples give the same model.

    Args:
        nlp: the pipeline with the rules.
        encoder: what `base` was built with.
        base: the prior.
        examples: without those that the encoder was taught.
        campaign: whose aims are learnt.
        progress: told what is being done and the share that is done, 0 to 1.

    Returns:
        The model, and for each mail the answer of heads that were not taught it; no answers with too few mails.
    """
    keys = tuple(aim.key for aim in campaign.aims)
    model = untrained(base, campaign)
    mails = examples.mails
    steps = len(mails) + len(examples.sentences) + 1
    analyses = []
    for number, mail in enumerate(mails):
        progress("Reading the examples", 0.7 * number / steps)
        analyses.append(analyse(nlp, encoder, mail.message))
    labels = [
        [label_of(candidate, mail.contributions) for candidate in analysis.candidates]
        for mail, analysis in zip(mails, analyses, strict=True)
    ]
    taught = [(analysis, labels[number], number) for number, analysis in enumerate(analyses)]
    for number, sentence in enumerate(examples.sentences):
        progress("Reading the examples", 0.7 * (len(mails) + number) / steps)
        label = Label(type=sentence.type, aims=sentence.aim_keys, quote=sentence.text) if sentence.type else None
        taught.append((analyse_single(nlp, encoder, sentence.text), [label], len(mails) + number))
    # The aims' own wording is all that a new campaign has to begin with; it says nothing about types.
    for aim in campaign.aims:
        label = Label(type=ContributionType.OFFER, aims=(aim.key,), quote=aim.text)
        taught.append((analyse_single(nlp, encoder, f"{aim.title}. {aim.text}"), [label], -1))
    lessons = _collect(taught, keys, aims_only=-1)
    progress("Learning types and aims", 0.7)
    type_head, aim_head = lessons.heads(base, keys, np.ones(len(lessons.groups), dtype=bool))
    model = replace(model, type_head=type_head, aim_head=aim_head)
    # Where the shipped examples of another campaign belong here nobody has labelled.
    judged = [number for number, mail in enumerate(mails) if mail.aims() <= set(keys)]
    if sum(bool(mails[number].contributions) for number in judged) < _ENOUGH:
        progress("Trained", 1.0)
        return model, []
    progress("Checking the model on mail it has not seen", 0.8)
    answers = _cross_fit(base, lessons, analyses, mails, keys)
    limits = _best_aims(answers, labels, keys, _best_carrying(answers, labels))
    rows = np.stack(
        [class_row(one, look.verdicts(keys, limits)) for one, look in zip(analyses, answers.looks, strict=True)]
    )
    progress("Learning the class of a mail, and doubt", 0.95)
    model = replace(model, class_head=_class_head(base, keys, rows, _one_hot_classes(mails)), limits=limits)
    progress("Trained", 1.0)
    return _with_measures(
        model,
        answers.only(judged),
        [analyses[number] for number in judged],
        [mails[number] for number in judged],
        [labels[number] for number in judged],
    )


def _with_measures(
    model: Model,
    answers: _Answers,
    analyses: Sequence[Analysis],
    mails: Sequence[LabelledMail],
    labels: Sequence[Sequence[Label | None]],
) -> tuple[Model, list[Answer]]:
    """The model with calibration and doubt, and the answers that they were fitted to."""
    evidence = [
        _evidence(analysis, looks.verdicts(model.aims, model.limits), chances, model.limits)
        for analysis, looks, chances in zip(analyses, answers.looks, answers.chances, strict=True)
    ]
    sure: list[float] = []
    true: list[bool] = []
    for one, truths in zip(evidence, labels, strict=True):
        for verdict, label in zip(one.verdicts, truths, strict=True):
            if verdict.carrying >= model.limits.carrying:
                sure.append(verdict.probability)
                true.append(label is not None and label.type is verdict.type and set(label.aims) == set(verdict.aims))
    decisions = [one.decision for one in evidence]
    wrong = [[float(_is_wrong(one, mail, model.aims))] for one, mail in zip(decisions, mails, strict=True)]
    rows = np.array([doubts(one) for one in evidence], dtype=np.float32)
    doubt_head, doubt_limit, doubted = _doubt(rows, np.array(wrong, dtype=np.float32))
    model = replace(
        model,
        doubt_head=doubt_head,
        doubt_limit=doubt_limit,
        class_calibration=calibrate(
            [one.chance for one in decisions],
            [one.message_class is mail.message_class for one, mail in zip(decisions, mails, strict=True)],
        ),
        contribution_calibration=calibrate(sure, true),
    )
    said = [
        Answer(mail=mail, said=_classification(model, one, mail, doubt >= doubt_limit))
        for one, mail, doubt in zip(decisions, mails, doubted.tolist(), strict=True)
    ]
    return replace(model, held_out={one.mail.fingerprint: Said.of(one) for one in said}), said


def _evidence(analysis: Analysis, verdicts: list[Verdict], chances: Floats, limits: Limits) -> Evidence:
    decision = decide(analysis, verdicts, chances, limits)
    return Evidence(analysis=analysis, verdicts=verdicts, chances=chances, decision=decision, limits=limits)


def _classification(model: Model, decision: Decision, mail: LabelledMail, doubted: bool) -> Classification:
    """An answer by heads that were not taught the mail; without the words that carried it."""
    reasons = plain_reasons(mail.message, decision, foreign_language(mail.message.body.own_text)) + (
        ["in doubt"] if doubted else []
    )
    contributions = tuple(
        Contribution(
            type=one.verdict.type,
            aims=one.verdict.aims,
            quote=one.quote,
            confidence=model.contribution_calibration.apply(one.verdict.probability),
            because=(),
        )
        for one in decision.found
    )
    return Classification(
        message_class=decision.message_class,
        confidence=model.class_calibration.apply(decision.chance),
        contributions=contributions,
        review_reasons=tuple(reasons),
        model_version="held out",
    )
