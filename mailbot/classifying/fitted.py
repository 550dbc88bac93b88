"""A fitted model: the heads, and what they say of a mail taken apart.

Owns: which rows each head sees, and the second look.
Must not know: how heads are fitted, where models are kept.

A sentence is read twice where it may carry something: with its whole mail, and by itself. What is plain from the
sentence alone should not hang on what stands around it; where the two looks differ, doubt grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mailbot.classifying.analysis import Analysis, Candidate
from mailbot.classifying.encoder import WIDTH, Vectors
from mailbot.classifying.evaluate import Answer
from mailbot.classifying.features import aim_row, mail_row, sentence_row
from mailbot.classifying.heads import Calibration, Floats, Head
from mailbot.classifying.review import Evidence, doubts
from mailbot.classifying.verdicts import Limits, Verdict, findings, verdict_of
from mailbot.model import MessageClass

#: a sentence that carries something with this probability is read again by itself
_AGAIN = 0.1
#: at most so many, the likeliest; more would cost seconds, and nobody gives so much in one mail
_MOST = 40
#: how much the second look counts beside the first
_SECOND = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The heads that the encoder was built with; each table's last row is the bias."""

    #: key and title of each aim that the aim head knows
    aims: tuple[tuple[str, str], ...]
    #: 2 * WIDTH + 1 by TYPES
    types: Floats
    #: 2 * WIDTH + 1 by aims
    aim_table: Floats
    #: 2 * WIDTH + 1 by CLASSES
    classes: Floats
    #: fingerprints of the examples that the encoder was taught
    seen: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Where a mail was filed: enough to compare two models by."""

    message_class: MessageClass
    aims: tuple[str, ...]
    types: tuple[str, ...]

    @classmethod
    def of(cls, answer: Answer) -> Said:
        """What an answer says."""
        return cls(
            message_class=answer.said.message_class,
            aims=tuple(sorted(answer.aims)),
            types=tuple(sorted({one.type for one in answer.said.contributions})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything that training finds."""

    aims: tuple[str, ...]
    type_head: Head
    aim_head: Head
    class_head: Head
    #: says how likely the answer for a mail is wrong in class or aims
    doubt_head: Head
    limits: Limits
    #: a mail asks for a look from this doubt on
    doubt_limit: float
    class_calibration: Calibration
    contribution_calibration: Calibration
    #: what heads that were not taught a mail said of it, by the mail's fingerprint
    held_out: Mapping[str, Said]
    #: fingerprints of the mails that the heads were taught
    taught: frozenset[str]

    @property
    def version(self) -> str:
        """Names the model by everything that decides its answers, in hexadecimal."""
        limits = (self.limits, self.doubt_limit, self.class_calibration, self.contribution_calibration)
        digest = hashlib.sha256(repr(limits).encode())
        for head in (self.type_head, self.aim_head, self.class_head, self.doubt_head):
            digest.update(head.weights.astype(np.float16).tobytes())
        return digest.hexdigest()

    def looks(self, analysis: Analysis) -> Looks:
        """What the sentence heads say of each sentence."""
        return look_twice(self.type_head, self.aim_head, self.aims, analysis)

    def chances(self, analysis: Analysis, verdicts: Sequence[Verdict]) -> Floats:
        """What the class head says, in the order of CLASSES."""
        chances: Floats = self.class_head.probabilities(class_row(analysis, verdicts)[None])[0]
        return chances

    def doubt(self, evidence: Evidence) -> float:
        """How likely the answer for a mail is wrong in class or aims, 0 to 1."""
        return float(self.doubt_head.probabilities(np.array([doubts(evidence)], dtype=np.float32))[0, 0])


@dataclass(frozen=True, slots=True)
class Looks:
    """What the sentence heads say of the sentences of a mail, after both looks."""

    #: sentences by TYPES
    types: Floats
    #: sentences by aims
    aims: Floats
    #: how far the two looks lie apart, 0 to 1; 0 where one was enough
    apart: Floats

    def verdicts(self, keys: Sequence[str], limits: Limits) -> list[Verdict]:
        """The same in words, one for each sentence."""
        numbers = zip(self.types, self.aims, self.apart.tolist(), strict=True)
        return [verdict_of(types, aims, keys, limits, apart) for types, aims, apart in numbers]


def look_twice(type_head: Head, aim_head: Head, keys: Sequence[str], analysis: Analysis) -> Looks:
    """Ask the sentence heads about a mail.

    Args:
        type_head: answers in the order of TYPES.
        aim_head: answers in the order of `keys`.
        keys: the campaign's aims.
        analysis: the mail.
    """
    candidates = analysis.candidates
    types = type_head.probabilities(type_rows(candidates, analysis.encoded.sentences))
    aims = aim_head.probabilities(aim_rows(candidates, analysis.encoded.sentences, keys))
    apart = np.zeros(len(candidates), dtype=np.float32)
    likeliest = np.argsort(types[:, 0], kind="stable")[:_MOST]
    again = sorted(likeliest[1 - types[likeliest, 0] >= _AGAIN].tolist())
    # Alone in its mail a sentence was read by itself already.
    if again and len(candidates) > 1:
        chosen, vectors = [candidates[number] for number in again], analysis.alone.vectors(again)
        alone_types = type_head.probabilities(type_rows(chosen, vectors))
        alone_aims = aim_head.probabilities(aim_rows(chosen, vectors, keys))
        distances = np.abs(alone_types - types[again]).sum(axis=1) / 2, np.abs(alone_aims - aims[again]).max(axis=1)
        apart[again] = np.maximum(*distances)
        types[again] = (1 - _SECOND) * types[again] + _SECOND * alone_types
        aims[again] = (1 - _SECOND) * aims[again] + _SECOND * alone_aims
    return Looks(types=types, aims=aims, apart=apart)


def type_rows(candidates: Sequence[Candidate], vectors: Vectors) -> Floats:
    """The rows of sentences for the type head."""
    rows = zip(candidates, vectors.own, vectors.surroundings, strict=True)
    found = [sentence_row(own, surroundings, one.labels, one.place) for one, own, surroundings in rows]
    return np.stack(found) if found else np.zeros((0, len(sentence_row(_NOTHING, _NOTHING, (), ()))), dtype=np.float32)


def aim_rows(candidates: Sequence[Candidate], vectors: Vectors, keys: Sequence[str]) -> Floats:
    """The rows of sentences for the aim head."""
    rows = zip(candidates, vectors.own, vectors.surroundings, strict=True)
    found = [aim_row(own, surroundings, one.labels, keys) for one, own, surroundings in rows]
    return np.stack(found) if found else np.zeros((0, len(aim_row(_NOTHING, _NOTHING, (), keys))), dtype=np.float32)


_NOTHING = np.zeros(WIDTH, dtype=np.float32)


def class_row(analysis: Analysis, verdicts: Sequence[Verdict]) -> Floats:
    """The row of a mail for the class head."""
    encoded = analysis.encoded
    return mail_row(encoded.mail, encoded.sentences.own, analysis.facts, findings(verdicts), analysis.words)
