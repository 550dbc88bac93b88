"""A mail cut into windows of tokens, as the encoder reads it: subject, the end of what is answered, then sentences.

Owns: how many tokens are read at once and what stands around a sentence. Encoding and building the encoder go through
here alike.
Must not know: the tokenizer's vocabulary beyond its two special tokens, labels, weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: tokens of one window; attention costs the square of it
WINDOW_TOKENS = 320
SUBJECT_TOKENS = 30
#: the last words of the quoted mail: "yes, both rooms" means nothing without the question above it
QUOTED_TOKENS = 40
#: longer sentences are cut
SENTENCE_TOKENS = 160
#: sentences that a window repeats from the one before it
REPEATED = 2

#: BERT's special tokens, as in the vocabulary of the tokenizer that ships with the encoder
CLS, SEP, UNKNOWN = 101, 102, 100


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens that are encoded together."""

    ids: tuple[int, ...]
    #: (sentence, first position, position after the last) of each sentence that is read in this window
    spans: tuple[tuple[int, int, int], ...]


def windows_of(
    subject: Sequence[int], quoted: Sequence[int], sentences: Sequence[Sequence[int]], limit: int = WINDOW_TOKENS
) -> tuple[Window, ...]:
    """Cut a mail into windows.

    Args:
        subject: the subject line's token ids.
        quoted: token ids of what the mail answers.
        sentences: token ids of each sentence, in order.
        limit: tokens of one window.

    Returns:
        At least one window; every sentence stands in exactly one as itself, and perhaps in the next as context.
    """
    head = [CLS, *subject[:SUBJECT_TOKENS], SEP]
    if quoted:
        head += [*quoted[-QUOTED_TOKENS:], SEP]
    pieces = [list(sentence[:SENTENCE_TOKENS]) or [UNKNOWN] for sentence in sentences]
    found: list[Window] = []
    at = 0
    while at < len(pieces) or not found:
        ids = list(head)
        for piece in pieces[max(at - REPEATED, 0) : at] if at else []:
            ids += piece[-SENTENCE_TOKENS // (2 * REPEATED) :]
        spans: list[tuple[int, int, int]] = []
        while at < len(pieces) and (not spans or len(ids) + len(pieces[at]) < limit):
            spans.append((at, len(ids), len(ids) + len(pieces[at])))
            ids += pieces[at]
            at += 1
        found.append(Window(ids=(*ids, SEP), spans=tuple(spans)))
    return tuple(found)
