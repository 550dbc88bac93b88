"""Linear heads: they learn, they say why, and the same input gives the same head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.classifying.features import Features, rows_of
from mailbot.classifying.heads import Calibration, Training, calibrate, fit, select, squash


def features(*places: int) -> Features:
    return Features(
        indices=np.array(places, dtype=np.int32),
        values=np.ones(len(places), dtype=np.float32),
        owners=np.arange(len(places), dtype=np.int32),
    )


ROWS = rows_of([features(1, 9), features(2, 9), features(1, 8), features(2, 8)] * 10)
TARGETS = np.array([[1, 0], [0, 1], [1, 0], [0, 1]] * 10, dtype=np.float32)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_head_learns_and_is_the_same_every_time(exclusive: bool) -> None:
    training = Training(exclusive=exclusive)
    heads = [fit(ROWS, TARGETS, np.ones_like(TARGETS), training) for _ in range(2)]
    answers = heads[0].probabilities(ROWS)
    assert (answers.argmax(axis=1) == TARGETS.argmax(axis=1)).all()
    assert float(answers.max(axis=1).min()) > 0.8
    assert np.array_equal(heads[0].weights, heads[1].weights)


def test_examples_without_weight_teach_nothing() -> None:
    weights = np.ones_like(TARGETS)
    weights[1::2] = 0
    head = fit(ROWS, TARGETS, weights, Training(exclusive=True))
    assert not head.weights[2].any()


def test_attributions_name_the_feature_that_decided() -> None:
    head = fit(ROWS, TARGETS, np.ones_like(TARGETS), Training(exclusive=True))
    found = head.attributions(features(9, 2), 1)
    assert found[1] > abs(found[0])
    assert head.attributions(features(9, 2), 0)[1] < 0


def test_selected_rows_are_those_rows() -> None:
    rows = rows_of([features(1), features(2, 3), features(4, 5, 6)])
    part = select(rows, np.array([2, 0]))
    assert part.indices.tolist() == [4, 5, 6, 1]
    assert part.offsets.tolist() == [0, 3, 4]
    assert len(select(rows, np.array([], dtype=np.int64))) == 0


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
