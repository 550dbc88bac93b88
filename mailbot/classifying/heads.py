"""Linear heads: logistic regression over sparse features, in numpy.

Owns: fitting, answering, saying which features spoke for an answer, and calibration.
Must not know: what a feature or an answer means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailbot.classifying.features import PLACES, Features, Rows

Floats = NDArray[np.float32]

_SEED = 20_181_115


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a head is fitted; found by cross-validation on the training mails."""

    #: one answer of several (softmax) or several answers at once (sigmoid)
    exclusive: bool
    epochs: int = 10
    batch: int = 64
    #: Adagrad's step
    rate: float = 0.5
    #: weight decay on the features that a batch touches
    decay: float = 1e-4


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head."""

    #: PLACES by answers
    weights: Floats
    exclusive: bool

    def scores(self, rows: Rows) -> Floats:
        """Log-odds-like scores, rows by answers."""
        if not len(rows):
            return np.zeros((0, self.weights.shape[1]), dtype=np.float32)
        products = self.weights[rows.indices] * rows.values[:, None]
        totals: Floats = np.add.reduceat(products, rows.offsets[:-1], axis=0)
        return totals

    def probabilities(self, rows: Rows) -> Floats:
        """Probabilities, rows by answers."""
        return squash(self.scores(rows), exclusive=self.exclusive)

    def attributions(self, features: Features, answer: int) -> dict[int, float]:
        """How much each token of a sentence spoke for an answer, in score units above the mean of the answers.

        Returns:
            Owner to the sum of its features' weights times values; features without an owner left out.
        """
        weights = self.weights[features.indices]
        lean = weights[:, answer] - (weights.mean(axis=1) if self.exclusive else 0.0)
        found: dict[int, float] = {}
        for owner, value in zip(features.owners.tolist(), (lean * features.values).tolist(), strict=True):
            if owner >= 0:
                found[owner] = found.get(owner, 0.0) + value
        return found


def squash(scores: Floats, *, exclusive: bool) -> Floats:
    """Scores to probabilities: softmax for exclusive answers, the logistic function otherwise."""
    if not exclusive:
        chances: Floats = (1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30)))).astype(np.float32)
        return chances
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def select(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """The chosen rows, in the order given."""
    lengths = rows.offsets[chosen + 1] - rows.offsets[chosen]
    ends = np.cumsum(lengths)
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    places = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(rows.offsets[chosen] - offsets[:-1], lengths)
    return Rows(indices=rows.indices[places], values=rows.values[places], offsets=offsets)


def fit(rows: Rows, targets: Floats, weights: Floats, training: Training) -> Head:
    """Fit a head by mini-batch Adagrad; the same input gives the same head.

    Args:
        rows: one row for each example.
        targets: examples by answers, 0 to 1.
        weights: examples by answers, how much each answer counts; 0 where it is not known.
        training: how.

    Source:
        Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12 (2011).
    """
    random = np.random.default_rng(_SEED)
    answers = targets.shape[1]
    table = np.zeros((PLACES, answers), dtype=np.float32)
    squares = np.full((PLACES, answers), 1e-6, dtype=np.float32)
    useful = np.flatnonzero(weights.sum(axis=1) > 0)
    for _ in range(training.epochs):
        order = random.permutation(useful)
        for start in range(0, len(order), training.batch):
            chosen = order[start : start + training.batch]
            part = select(rows, chosen)
            places, inverse = np.unique(part.indices, return_inverse=True)
            owners = np.repeat(np.arange(len(chosen)), np.diff(part.offsets))
            current = table[places]
            scores = np.add.reduceat(current[inverse] * part.values[:, None], part.offsets[:-1], axis=0)
            error = (squash(scores, exclusive=training.exclusive) - targets[chosen]) * weights[chosen]
            # Sums by bincount, not by a matrix product: no threads, so the same head on every machine and load.
            sums = [
                np.bincount(inverse, weights=part.values * error[owners, answer], minlength=len(places))
                for answer in range(answers)
            ]
            gradient = (np.stack(sums, axis=1) / len(chosen)).astype(np.float32) + training.decay * current
            total = squares[places] + gradient * gradient
            squares[places] = total
            table[places] = current - training.rate * gradient / np.sqrt(total)
    # Half precision is what the model's file keeps: a fresh model and one from the file give the same answers.
    return Head(weights=table.astype(np.float16).astype(np.float32), exclusive=training.exclusive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Platt scaling: turns a raw probability into the share of such answers that are right."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, probability: float) -> float:
        """The calibrated probability, 0 to 1."""
        score = self.slope * _logit(probability) + self.intercept
        return float(1.0 / (1.0 + np.exp(-score)))


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return float(np.log(clipped / (1 - clipped)))


def calibrate(probabilities: list[float], right: list[bool]) -> Calibration:
    """Fit Platt scaling on answers of folds that were held out.

    Source:
        Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with its smoothed targets; Newton's method
        with halved steps after Lin, Lin, Weng (2007), for the plain one runs away on boasts that are often wrong.
    """
    if len(set(right)) < 2:
        return Calibration()
    hits, misses = sum(right), len(right) - sum(right)
    targets = np.where(np.array(right), (hits + 1) / (hits + 2), 1 / (misses + 2))
    scores = np.array([_logit(probability) for probability in probabilities])
    design = np.stack([scores, np.ones_like(scores)], axis=1)
    prior = np.array([1.0, 0.0])

    def loss(solution: NDArray[np.float64]) -> float:
        values = design @ solution
        likelihood = np.logaddexp(0, values) - targets * values
        return float(likelihood.sum() + 0.5 * ((solution - prior) ** 2).sum())

    solution = prior
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ solution, -30, 30)))
        gradient = design.T @ (chance - targets) + (solution - prior)
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while loss(solution - step) > loss(solution) and float(np.abs(step).max()) > 1e-8:
            step = step / 2
        solution = solution - step
        if float(np.abs(step).max()) < 1e-8:
            break
    # A negative slope would turn doubt into certainty; little data may give one.
    return Calibration(slope=max(float(solution[0]), 0.1), intercept=float(solution[1]))
