"""Which words of a sentence spoke for an answer.

Owns: turning a head's weights into a few verbatim runs of words.
Must not know: how heads are fitted.

A sentence's vector is the mean of its tokens' vectors, so a linear head's score falls apart into one share for each
token, exactly. A token's vector has seen the whole mail; its share still peaks where the meaning lies.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from mailbot.classifying.analysis import Candidate
from mailbot.classifying.encoder import WIDTH
from mailbot.classifying.heads import Head
from mailbot.model import Evidence

#: at most so many words speak for one answer
_WORDS = 4
#: a word counts from this share of the strongest word's attribution
_SHARE = 0.5
_EMPTY = """
a an the and or but nor of to in on at for by from with as so if than that this these those it its is was were are am
be been being has have had do does did not n't 's 've 're 'll 'd 'm there here then too very just also some any all few
who which what where when we i you he she they them us me my our your his her their
"""
#: words that say nothing on their own; they count only between words that do
_FUNCTION_WORDS = frozenset(_EMPTY.split())


def attributions(candidate: Candidate, head: Head, answer: int) -> dict[int, float]:
    """How much each word of a sentence spoke for an answer, above the sentence's mean.

    Args:
        candidate: the sentence.
        head: which gave the answer.
        answer: its index in the head.

    Returns:
        Index of the document's token to the sum of its pieces' shares.
    """
    shares = candidate.tokens.vectors @ head.lean(answer)[:WIDTH]
    shares = shares - shares.mean()
    doc = candidate.span.doc
    starts = [token.idx for token in candidate.span]
    found: dict[int, float] = {}
    for share, (start, _) in zip(shares.tolist(), candidate.tokens.offsets.tolist(), strict=True):
        place = bisect_right(starts, candidate.sentence.start + start) - 1
        if 0 <= place < len(starts):
            index = doc[candidate.span.start + place].i
            found[index] = found.get(index, 0.0) + share
    return found


def words_for(candidate: Candidate, head: Head, answer: int, name: str) -> list[Evidence]:
    """The words that spoke most for an answer, neighbouring ones together, strongest first.

    Args:
        candidate: the sentence.
        head: which gave the answer.
        answer: its index in the head.
        name: what people call it, such as "offer" or "support".
    """
    doc = candidate.span.doc
    found = {
        owner: value
        for owner, value in attributions(candidate, head, answer).items()
        if value > 0
        and any(character.isalnum() for character in doc[owner].text)
        and doc[owner].lower_ not in _FUNCTION_WORDS
    }
    if not found:
        return []
    strongest = max(found.values())
    kept = sorted(found, key=lambda owner: (-found[owner], owner))[:_WORDS]
    kept = sorted(owner for owner in kept if found[owner] >= _SHARE * strongest)
    runs: list[list[int]] = []
    for owner in kept:
        between = [token.lower_ for token in doc[runs[-1][-1] + 1 : owner]] if runs else ["no run"]
        if all(word in _FUNCTION_WORDS for word in between):
            runs[-1].append(owner)
        else:
            runs.append([owner])
    runs.sort(key=lambda run: -float(np.sum([found[owner] for owner in run])))
    return [Evidence(text=doc[run[0] : run[-1] + 1].text, why=f"{name}: model") for run in runs]
