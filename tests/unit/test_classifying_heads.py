"""Linear heads: they learn around what was known before, and the same input gives the same head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.classifying.heads import Calibration, Floats, Head, Prior, calibrate, squash

ROWS = np.array([[1, 0, 1], [0, 1, 1]] * 20, dtype=np.float32)
TARGETS = np.array([[1, 0], [0, 1]] * 20, dtype=np.float32)


def prior(weights: object = ((0, 0), (0, 0), (0, 0)), *, exclusive: bool = True, stiffness: float = 0.1) -> Prior:
    table: Floats = np.array(weights, dtype=np.float32)
    return Prior(head=Head(weights=table, exclusive=exclusive), stiffness=np.full_like(table, stiffness))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_head_learns_and_is_the_same_every_time(exclusive: bool) -> None:
    heads = [prior(exclusive=exclusive).fit(ROWS, TARGETS) for _ in range(2)]
    answers = heads[0].probabilities(ROWS)
    assert (answers.argmax(axis=1) == TARGETS.argmax(axis=1)).all()
    assert float(answers.max(axis=1).min()) > 0.9
    assert np.array_equal(heads[0].weights, heads[1].weights)


def test_examples_without_weight_teach_nothing() -> None:
    known = prior([[0.5, 0], [0, 0.25], [1, 0]])
    assert np.array_equal(known.fit(ROWS, TARGETS, np.zeros_like(TARGETS)).weights, known.head.weights)


def test_a_stiff_prior_gives_way_less() -> None:
    contrary = [[-2, 2], [2, -2], [0, 0]]
    weak, strong = (prior(contrary, stiffness=value).fit(ROWS, TARGETS) for value in (0.1, 1000))
    assert weak.probabilities(ROWS)[0, 0] > 0.9
    assert strong.probabilities(ROWS)[0, 0] < 0.5


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_leans_to_an_answer_raises_it(exclusive: bool) -> None:
    head = prior(exclusive=exclusive).fit(ROWS, TARGETS)
    assert head.lean(0)[0] > 0 > head.lean(0)[1]
    assert head.lean(1)[1] > 0 > head.lean(1)[0]


@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_exclusive_probabilities_add_up(scores: list[list[float]]) -> None:
    given_scores = np.array(scores, dtype=np.float32)
    assert np.allclose(squash(given_scores, exclusive=True).sum(axis=1), 1, atol=1e-5)
    alone = squash(given_scores, exclusive=False)
    assert ((alone >= 0) & (alone <= 1)).all()


def test_calibration_turns_boasts_into_shares() -> None:
    calibration = calibrate([0.99] * 100 + [0.6] * 100, [True] * 80 + [False] * 20 + [True] * 50 + [False] * 50)
    assert calibration.apply(0.99) == pytest.approx(0.8, abs=0.05)
    assert calibration.apply(0.6) == pytest.approx(0.5, abs=0.07)


def test_calibration_without_mistakes_changes_nothing() -> None:
    assert calibrate([0.9, 0.8], [True, True]) == Calibration()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_calibration_keeps_the_order(answers: list[tuple[float, bool]], one: float, other: float) -> None:
    calibration = calibrate([chance for chance, _ in answers], [right for _, right in answers])
    low, high = sorted([one, other])
    assert 0 <= calibration.apply(low) <= calibration.apply(high) <= 1
