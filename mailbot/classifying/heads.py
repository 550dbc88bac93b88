"""Linear heads: logistic regression around a prior, and the calibration of what they say.

Owns: fitting, answering, calibration.
Must not know: what a column or an answer means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head."""

    #: columns by answers
    weights: Floats
    #: one answer of several (softmax) or several answers at once (logistic)
    exclusive: bool

    def probabilities(self, rows: Floats) -> Floats:
        """Probabilities, rows by answers."""
        return squash(rows @ self.weights, exclusive=self.exclusive)

    def lean(self, answer: int) -> Floats:
        """How much a unit of each column speaks for an answer and not for the others."""
        weights: Floats = self.weights[:, answer]
        return weights - self.weights.mean(axis=1) if self.exclusive else weights


def squash(scores: Floats, *, exclusive: bool) -> Floats:
    """Scores to probabilities: softmax for exclusive answers, the logistic function otherwise."""
    if not exclusive:
        chances: Floats = (1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30)))).astype(np.float32)
        return chances
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known before any example: a Gaussian around a head."""

    head: Head
    #: columns by answers, how strongly the evidence must pull to move a weight away
    stiffness: Floats

    def fit(self, rows: Floats, targets: Floats, weights: Floats | None = None) -> Head:
        """Fit a head by maximum a posteriori: logistic regression around what was known.

        Args:
            rows: examples by columns.
            targets: examples by answers, 0 to 1.
            weights: examples by answers, how much each answer counts; 0 where it is not known. Exclusive answers count
                by their first column. Without it all count alike.

        Returns:
            The head, rounded to half precision, which is what the model's file keeps.

        Source:
            Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.5; L-BFGS as scipy has it.
        """
        return _fit(rows, targets, np.ones_like(targets) if weights is None else weights, self.head, self.stiffness)


def _fit(rows: Floats, targets: Floats, weights: Floats, prior: Head, stiffness: Floats) -> Head:
    from scipy.optimize import minimize

    start = prior.weights.astype(np.float64)
    table, goals, counts = rows.astype(np.float64), targets.astype(np.float64), weights.astype(np.float64)
    pull = stiffness.astype(np.float64)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        current = flat.reshape(start.shape)
        scores = table @ current
        if prior.exclusive:
            top = scores.max(axis=1, keepdims=True)
            logs = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
            value = -(counts * goals * logs).sum()
            error = counts[:, :1] * (np.exp(logs) - goals)
        else:
            value = (counts * (np.logaddexp(0, scores) - goals * scores)).sum()
            error = counts * (1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30))) - goals)
        away = current - start
        return float(value + 0.5 * (pull * away * away).sum()), (table.T @ error + pull * away).ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-6})
    return Head(weights=found.x.reshape(start.shape).astype(np.float16).astype(np.float32), exclusive=prior.exclusive)


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
        Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with its smoothed targets.
    """
    if len(set(right)) < 2:
        return Calibration()
    hits, misses = sum(right), len(right) - sum(right)
    rows = np.array([[_logit(probability), 1.0] for probability in probabilities], dtype=np.float32)
    targets = np.where(np.array(right), (hits + 1) / (hits + 2), 1 / (misses + 2)).astype(np.float32)[:, None]
    boast = Head(weights=np.array([[1.0], [0.0]], dtype=np.float32), exclusive=False)
    head = Prior(head=boast, stiffness=np.ones((2, 1), dtype=np.float32)).fit(rows, targets)
    # A negative slope would turn doubt into certainty; little data may give one.
    return Calibration(slope=max(float(head.weights[0, 0]), 0.1), intercept=float(head.weights[1, 0]))
