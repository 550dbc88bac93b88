"""A mail in windows: every sentence once, none longer than the encoder reads at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailbot.classifying.windows import (
    CLS,
    QUOTED_TOKENS,
    SENTENCE_TOKENS,
    SEP,
    SUBJECT_TOKENS,
    WINDOW_TOKENS,
    windows_of,
)

TOKENS = st.lists(st.integers(1000, 2000), max_size=300)


@given(subject=TOKENS, quoted=TOKENS, sentences=st.lists(TOKENS, max_size=40))
def test_every_sentence_stands_in_one_window(subject: list[int], quoted: list[int], sentences: list[list[int]]) -> None:
    windows = windows_of(subject, quoted, sentences)
    read = [(number, window.ids[first:end]) for window in windows for number, first, end in window.spans]
    assert [number for number, _ in read] == list(range(len(sentences)))
    for number, ids in read:
        # A sentence of nothing but unknown signs still has a place.
        assert list(ids) == (sentences[number][:SENTENCE_TOKENS] or [100])
    for window in windows:
        assert window.ids[0] == CLS
        assert window.ids[-1] == SEP
        # One long sentence after head and repeated context is the most that can stand over the limit.
        assert len(window.ids) <= WINDOW_TOKENS + SENTENCE_TOKENS


def test_subject_and_the_end_of_what_is_answered_come_first() -> None:
    (window,) = windows_of(list(range(1000, 1100)), list(range(2000, 2100)), [[7, 8]])
    head = [CLS, *range(1000, 1000 + SUBJECT_TOKENS), SEP, *range(2100 - QUOTED_TOKENS, 2100), SEP]
    assert list(window.ids) == [*head, 7, 8, SEP]
    assert window.spans == ((0, len(head), len(head) + 2),)


def test_a_window_that_goes_on_repeats_the_last_sentences() -> None:
    sentences = [[number] * 100 for number in range(1, 6)]
    first, second = windows_of([], [], sentences)
    assert [number for number, _, _ in first.spans] == [0, 1, 2]
    assert [number for number, _, _ in second.spans] == [3, 4]
    assert set(second.ids[2 : second.spans[0][1]]) == {2, 3}


def test_nothing_to_read_is_one_window() -> None:
    assert [window.spans for window in windows_of([], [], [])] == [()]
