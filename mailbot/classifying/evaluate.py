"""How good a classifier is, on labelled mail it was not taught.

Owns: the measures, matching found quotes with labelled ones, reading a labelled corpus.
Must not know: how a mail is read; the caller passes the reading stage in.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mailbot.classifying.examples import UNUSABLE, Label, LabelledMail, Read, parse_mail, reason_of
from mailbot.model import Classification, Contribution, Message, MessageClass

_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)?")
#: found and labelled quote are the same contribution from this overlap of words on
OVERLAP = 0.5
#: bars of the reliability curve
BINS = 10


class Classifies(Protocol):
    """Anything that classifies a mail."""

    def classify(self, message: Message) -> Classification:
        """What a mail is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a classifier said of a labelled mail."""

    mail: LabelledMail
    said: Classification

    @property
    def aims(self) -> frozenset[str]:
        """The aims under which the mail was filed."""
        return frozenset(aim for one in self.said.contributions for aim in one.aims)

    @property
    def class_wrong(self) -> bool:
        """Whether the class is not the labelled one."""
        return self.said.message_class is not self.mail.message_class

    @property
    def wrong(self) -> bool:
        """Whether the mail lies in a wrong place: its class or its aims are not the labelled ones."""
        return self.class_wrong or self.aims != self.mail.aims()

    @property
    def silent(self) -> bool:
        """Whether it is wrong and asks nobody for a look."""
        return self.wrong and not self.said.needs_review


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Precision, recall and their harmonic mean, each 0 to 1."""

    precision: float
    recall: float
    f1: float
    #: how many were labelled
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The answers whose confidence lies in one tenth."""

    #: mean of what was claimed, 0 to 1
    claimed: float
    #: share that was right, 0 to 1
    right: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a classifier got right on labelled mail. Types and aims of a mail are compared as sets."""

    mails: int
    class_macro_f1: float
    class_accuracy: float
    #: one for each class that occurs
    per_class: tuple[tuple[MessageClass, Score], ...]
    #: mails by (labelled class, said class)
    confusion: tuple[tuple[tuple[MessageClass, MessageClass], int], ...]
    aims_micro: Score
    per_aim: tuple[tuple[str, Score], ...]
    types_micro: Score
    per_type: tuple[tuple[str, Score], ...]
    #: contributions found with the right quote, whatever their type and aims
    quotes: Score
    #: contributions with the right quote, type and aims
    wholly_right: Score
    #: share of mails that ask for a person's look
    review_share: float
    #: mails with a wrong class or wrong aims
    wrong: int
    #: the share of those that ask for a person's look; 1 when none is wrong
    wrong_in_review: float
    #: claimed and true share of right classes
    class_reliability: tuple[Bin, ...]
    #: claimed and true share of contributions with the right type and aims
    contribution_reliability: tuple[Bin, ...]


def _score(right: int, said: int, labelled: int) -> Score:
    precision = right / said if said else 0.0
    recall = right / labelled if labelled else 0.0
    total = precision + recall
    return Score(
        precision=precision, recall=recall, f1=2 * precision * recall / total if total else 0.0, support=labelled
    )


def overlap(first: str, second: str) -> float:
    """Words that two quotes share, over the words of either (Jaccard), 0 to 1; repeated words count."""
    one, two = Counter(_TOKEN.findall(first.lower())), Counter(_TOKEN.findall(second.lower()))
    union = sum((one | two).values())
    return sum((one & two).values()) / union if union else 0.0


def match(found: Sequence[Contribution], labels: Sequence[Label]) -> list[tuple[Contribution, Label]]:
    """Pair found contributions with labelled ones, best overlap first, each at most once."""
    pairs = sorted(
        ((overlap(one.quote, label.quote), -i, -j) for i, one in enumerate(found) for j, label in enumerate(labels)),
        reverse=True,
    )
    used_found: set[int] = set()
    used_labels: set[int] = set()
    matched = []
    for value, i, j in pairs:
        if value >= OVERLAP and -i not in used_found and -j not in used_labels:
            used_found.add(-i)
            used_labels.add(-j)
            matched.append((found[-i], labels[-j]))
    return matched


class _Tally:
    """Counts what was said, what was labelled, and where the two agree."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.labelled: Counter[str] = Counter()

    def add(self, said: Iterable[str], labelled: Iterable[str]) -> None:
        one, two = Counter(said), Counter(labelled)
        self.said += one
        self.labelled += two
        self.right += one & two

    def names(self) -> list[str]:
        return sorted({*self.said, *self.labelled})

    def score(self, *names: str) -> Score:
        keys = names or tuple(self.names())
        return _score(
            sum(self.right[name] for name in keys),
            sum(self.said[name] for name in keys),
            sum(self.labelled[name] for name in keys),
        )

    def each(self) -> tuple[tuple[str, Score], ...]:
        return tuple((name, self.score(name)) for name in self.names())


def reliability(answers: Sequence[tuple[float, bool]]) -> tuple[Bin, ...]:
    """Claimed against true shares, by tenths of what was claimed; empty tenths left out.

    Args:
        answers: what was claimed, 0 to 1, and whether it was right.

    Source:
        DeGroot, Fienberg, "The Comparison and Evaluation of Forecasters", The Statistician 32 (1983).
    """
    bins: list[Bin] = []
    for number in range(BINS):
        inside = [one for one in answers if min(int(one[0] * BINS), BINS - 1) == number]
        if inside:
            count = len(inside)
            bins.append(
                Bin(
                    claimed=sum(claimed for claimed, _ in inside) / count,
                    right=sum(right for _, right in inside) / count,
                    count=count,
                )
            )
    return tuple(bins)


def measure(answers: Sequence[Answer]) -> Metrics:
    """Compare answers with labels."""
    classes, types, aims, quotes, whole = _Tally(), _Tally(), _Tally(), _Tally(), _Tally()
    confusion: Counter[tuple[MessageClass, MessageClass]] = Counter()
    sure: list[tuple[float, bool]] = []
    for answer in answers:
        found, labels = answer.said.contributions, answer.mail.contributions
        classes.add([answer.said.message_class], [answer.mail.message_class])
        confusion[answer.mail.message_class, answer.said.message_class] += 1
        types.add({one.type for one in found}, {label.type for label in labels})
        aims.add(answer.aims, answer.mail.aims())
        matched = match(found, labels)
        agreed = {id(one) for one, label in matched if one.type is label.type and set(one.aims) == set(label.aims)}
        quotes.add(["quote"] * len(found), ["quote"] * len(labels))
        quotes.right["quote"] += len(matched) - min(len(found), len(labels))
        whole.add(["whole"] * len(found), ["whole"] * len(labels))
        whole.right["whole"] += len(agreed) - min(len(found), len(labels))
        sure += [(one.confidence, id(one) in agreed) for one in found]
    per_class = tuple((one, classes.score(one)) for one in MessageClass if one in classes.names())
    wrong = [answer for answer in answers if answer.wrong]
    count = max(len(answers), 1)
    return Metrics(
        mails=len(answers),
        class_macro_f1=sum(score.f1 for _, score in per_class) / max(len(per_class), 1),
        class_accuracy=classes.right.total() / count,
        per_class=per_class,
        confusion=tuple(sorted(confusion.items())),
        aims_micro=aims.score(),
        per_aim=aims.each(),
        types_micro=types.score(),
        per_type=types.each(),
        quotes=quotes.score(),
        wholly_right=whole.score(),
        review_share=sum(answer.said.needs_review for answer in answers) / count,
        wrong=len(wrong),
        wrong_in_review=sum(not answer.silent for answer in wrong) / len(wrong) if wrong else 1.0,
        class_reliability=reliability([(answer.said.confidence, not answer.class_wrong) for answer in answers]),
        contribution_reliability=reliability(sure),
    )


def answer_all(
    classifier: Classifies, mails: Sequence[LabelledMail], progress: Callable[[str, float], None] | None = None
) -> list[Answer]:
    """Classify labelled mails.

    Args:
        classifier: not taught with these mails, or the figures flatter it.
        mails: from `load_corpus`.
        progress: told what is being done and the share that is done, 0 to 1.
    """
    answers = []
    for number, mail in enumerate(mails):
        if progress:
            progress("Classifying", number / len(mails))
        answers.append(Answer(mail=mail, said=classifier.classify(mail.message)))
    if progress:
        progress("Classified", 1.0)
    return answers


def load_corpus(path: Path, read: Read) -> tuple[LabelledMail, ...]:
    """Read a file of labelled mails.

    Args:
        path: one JSON object a line, in the format of rules/examples/.
        read: the reading stage.

    Raises:
        ValueError: a line is no labelled mail, with file and line.
        OSError: the file cannot be read.
    """
    mails = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if line.strip():
            try:
                mails.append(parse_mail(json.loads(line), read))
            except UNUSABLE as error:
                raise ValueError(f"{path}, line {number}: {reason_of(error)}") from error
    return tuple(mails)
