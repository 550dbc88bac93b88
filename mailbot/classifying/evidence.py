"""Which words of a sentence spoke for an answer.

Owns: turning attributions into a few verbatim runs of words.
Must not know: how attributions are computed.
"""

from __future__ import annotations

from mailbot.classifying.analysis import Candidate
from mailbot.classifying.heads import Head
from mailbot.model import Evidence

#: at most so many words speak for one answer
_WORDS = 4
#: a word counts from this share of the strongest word's attribution
_SHARE = 0.35


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
        for owner, value in head.attributions(candidate.features, answer).items()
        if value > 0 and doc[owner].text.strip() and any(character.isalnum() for character in doc[owner].text)
    }
    if not found:
        return []
    strongest = max(found.values())
    kept = sorted(found, key=lambda owner: (-found[owner], owner))[:_WORDS]
    kept = sorted(owner for owner in kept if found[owner] >= _SHARE * strongest)
    runs: list[list[int]] = []
    for owner in kept:
        if runs and owner == runs[-1][-1] + 1:
            runs[-1].append(owner)
        else:
            runs.append([owner])
    runs.sort(key=lambda run: -sum(found[owner] for owner in run))
    return [Evidence(text=doc[run[0] : run[-1] + 1].text, why=f"{name}: model") for run in runs]
