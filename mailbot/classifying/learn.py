"""From labelled examples to a trained model.

Owns: the order of training, cross-fitting, limits, calibration.
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

from mailbot.classifying.analysis import Analysis, language_of
from mailbot.classifying.encoder import Encoder
from mailbot.classifying.evaluate import Answer
from mailbot.classifying.examples import Label, LabelledMail
from mailbot.classifying.fitted import Base, Looks, Model, Said, class_row, look_twice
from mailbot.classifying.heads import Floats, Head, Prior, calibrate
from mailbot.classifying.lessons import Lessons, lessons_of, read_examples
from mailbot.classifying.priors import Priors, priors_of, untrained
from mailbot.classifying.review import Evidence, doubts, plain_reasons
from mailbot.classifying.rules import Examples
from mailbot.classifying.verdicts import CLASSES, Decision, Limits, Verdict, decide, verdict_of
from mailbot.model import Campaign, Classification, Contribution

if TYPE_CHECKING:
    from spacy.language import Language

_FOLDS = 5
#: with fewer mails that the encoder has not seen the built-in class head stays, with fewer contributions among them the
#: built-in limits and doubt
_ENOUGH = 20
#: share of held-back mails, which are harder than most, that ask for a look because of measured doubt
_LOOKS = 0.16

Progress = Callable[[str, float], None]


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


def _cross_fit(
    priors: Priors, lessons: Lessons, analyses: Sequence[Analysis], targets: Floats, keys: Sequence[str]
) -> _Answers:
    mail_folds = _folds(np.arange(len(analyses), dtype=np.int64))
    looks: dict[int, Looks] = {}
    for fold in range(_FOLDS):
        type_head, aim_head = lessons.heads(priors, _folds(lessons.groups) != fold)
        for number in np.flatnonzero(mail_folds == fold).tolist():
            looks[number] = look_twice(type_head, aim_head, keys, analyses[number])
    found = [looks[number] for number in range(len(analyses))]
    rows = np.stack([class_row(one, look.verdicts(keys, Limits())) for one, look in zip(analyses, found, strict=True)])
    chances = np.zeros_like(targets)
    for fold in range(_FOLDS):
        taught, held = mail_folds != fold, mail_folds == fold
        if taught.any() and held.any():
            chances[held] = priors.classes.fit(rows[taught], targets[taught]).probabilities(rows[held])
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


def _doubt(prior: Prior, rows: Floats, wrong: Floats) -> tuple[Head, float, Floats]:
    """The doubt head, from where on to ask for a look, and what heads that were not taught a row say of it."""
    folds = _folds(np.arange(len(rows), dtype=np.int64))
    said = np.zeros(len(rows), dtype=np.float32)
    for fold in range(_FOLDS):
        taught, held = folds != fold, folds == fold
        said[held] = prior.fit(rows[taught], wrong[taught]).probabilities(rows[held])[:, 0]
    limit = float(np.quantile(said, 1 - _LOOKS))
    return prior.fit(rows, wrong), max(limit, 0.1), said


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
    priors = priors_of(base, campaign.aims)
    taught, sentences = read_examples(
        nlp, encoder, examples, campaign, lambda share: progress("Reading the examples", 0.7 * share)
    )
    progress("Learning types and aims", 0.7)
    lessons = lessons_of(taught, sentences, keys)
    type_head, aim_head = lessons.heads(priors, np.ones(len(lessons.groups), dtype=bool))
    model = replace(
        untrained(priors, keys),
        type_head=type_head,
        aim_head=aim_head,
        taught=frozenset(mail.fingerprint for mail in examples.mails),
    )
    # Where the shipped examples of another campaign belong here nobody has labelled.
    judged = [number for number, mail in enumerate(examples.mails) if mail.aims() <= set(keys)]
    measurable = sum(bool(examples.mails[number].contributions) for number in judged) >= _ENOUGH
    if len(examples.mails) < _ENOUGH:
        progress("Trained", 1.0)
        return model, []
    progress("Checking the model on mail it has not seen", 0.8)
    analyses, labels = [one.analysis for one in taught], [one.labels for one in taught]
    targets = _one_hot_classes(examples.mails)
    answers = _cross_fit(priors, lessons, analyses, targets, keys)
    limits = _best_aims(answers, labels, keys, _best_carrying(answers, labels)) if measurable else model.limits
    rows = np.stack(
        [class_row(one, look.verdicts(keys, limits)) for one, look in zip(analyses, answers.looks, strict=True)]
    )
    progress("Learning the class of a mail, and doubt", 0.95)
    model = replace(model, class_head=priors.classes.fit(rows, targets), limits=limits)
    if not measurable:
        progress("Trained", 1.0)
        return model, []
    measured = _with_measures(
        model,
        priors.doubts,
        answers.only(judged),
        [analyses[number] for number in judged],
        [examples.mails[number] for number in judged],
        [labels[number] for number in judged],
    )
    progress("Trained", 1.0)
    return measured


def _with_measures(
    model: Model,
    doubt_prior: Prior,
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
    doubt_head, doubt_limit, doubted = _doubt(doubt_prior, rows, np.array(wrong, dtype=np.float32))
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
    reasons = plain_reasons(mail.message, decision, language_of(mail.message)) + (["in doubt"] if doubted else [])
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
