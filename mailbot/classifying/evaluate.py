"""How good a classifier is, on labelled mail it was not taught.

Owns: the measures, matching found quotes with labelled ones, reading a labelled corpus, cross-validation.
Must not know: how a mail is read; a caller who wants the real reading stage passes it in.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from mailbot.classifying.examples import Label, LabelledMail, parse_mail
from mailbot.classifying.learn import train
from mailbot.classifying.pipeline import Classifier
from mailbot.classifying.rules import Examples, find_files, load_examples, load_patterns
from mailbot.classifying.sentences import build_pipeline
from mailbot.model import Campaign, Classification, Contribution, Message, MessageClass

_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)?")
#: found and labelled quote are the same contribution from this overlap of words on
OVERLAP = 0.5


class Classifies(Protocol):
    """Anything that classifies a mail."""

    def classify(self, message: Message) -> Classification:
        """What a mail is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Precision, recall and their harmonic mean, each 0 to 1."""

    precision: float
    recall: float
    f1: float
    #: how many were labelled
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a classifier got right on labelled mail."""

    mails: int
    class_macro_f1: float
    class_accuracy: float
    #: one for each class that occurs
    per_class: tuple[tuple[MessageClass, Score], ...]
    #: a found aim counts as right where the labelled contribution that its quote matches has it
    aims_micro: Score
    per_aim: tuple[tuple[str, Score], ...]
    types_micro: Score
    #: contributions found with the right quote, whatever their type and aims
    quotes: Score
    #: share of mails that ask for a person's look
    review_share: float
    #: of the mails with a wrong class, quote, type or aim, the share that ask for a person's look; 1 when none is wrong
    wrong_in_review: float


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


@dataclass(slots=True)
class _Tally:
    right: Counter[str]
    said: Counter[str]
    labelled: Counter[str]

    def score(self, keys: Iterable[str]) -> Score:
        names = list(keys)
        return _score(
            sum(self.right[name] for name in names),
            sum(self.said[name] for name in names),
            sum(self.labelled[name] for name in names),
        )


def _tally() -> _Tally:
    return _Tally(Counter(), Counter(), Counter())


def _is_wrong(
    classification: Classification, mail: LabelledMail, matched: Sequence[tuple[Contribution, Label]]
) -> bool:
    return (
        classification.message_class is not mail.message_class
        or not len(matched) == len(mail.contributions) == len(classification.contributions)
        or any(one.type is not label.type or set(one.aims) != set(label.aims) for one, label in matched)
    )


def measure(answers: Sequence[tuple[Classification, LabelledMail]]) -> Metrics:
    """Compare answers with labels."""
    classes, types, aims, quotes = _tally(), _tally(), _tally(), _tally()
    reviewed = wrong = wrong_reviewed = 0
    for answer, mail in answers:
        matched = match(answer.contributions, mail.contributions)
        classes.said[answer.message_class] += 1
        classes.labelled[mail.message_class] += 1
        classes.right[mail.message_class] += answer.message_class is mail.message_class
        quotes.said["quote"] += len(answer.contributions)
        quotes.labelled["quote"] += len(mail.contributions)
        quotes.right["quote"] += len(matched)
        types.said.update(one.type for one in answer.contributions)
        types.labelled.update(label.type for label in mail.contributions)
        types.right.update(one.type for one, label in matched if one.type is label.type)
        aims.said.update(aim for one in answer.contributions for aim in one.aims)
        aims.labelled.update(aim for label in mail.contributions for aim in label.aims)
        aims.right.update(aim for one, label in matched for aim in one.aims if aim in label.aims)
        reviewed += answer.needs_review
        if _is_wrong(answer, mail, matched):
            wrong += 1
            wrong_reviewed += answer.needs_review
    present = [one for one in MessageClass if classes.labelled[one] or classes.said[one]]
    per_class = tuple((one, classes.score([one])) for one in present)
    names = sorted({*aims.said, *aims.labelled})
    count = max(len(answers), 1)
    return Metrics(
        mails=len(answers),
        class_macro_f1=sum(score.f1 for _, score in per_class) / max(len(per_class), 1),
        class_accuracy=classes.right.total() / count,
        per_class=per_class,
        aims_micro=aims.score(names),
        per_aim=tuple((name, aims.score([name])) for name in names),
        types_micro=types.score({*types.said, *types.labelled}),
        quotes=quotes.score(["quote"]),
        review_share=reviewed / count,
        wrong_in_review=wrong_reviewed / wrong if wrong else 1.0,
    )


def evaluate(classifier: Classifies, mails: Iterable[LabelledMail]) -> Metrics:
    """Classify labelled mails and compare.

    Args:
        classifier: not taught with these mails, or the figures flatter it.
        mails: from `load_corpus`.
    """
    return measure([(classifier.classify(mail.message), mail) for mail in mails])


def mail_octets(row: Mapping[str, object]) -> bytes:
    """The mail that a row of a labelled corpus describes, as RFC 5322 octets."""
    mail = EmailMessage()
    mail["From"] = f"{json.dumps(str(row['from_name']), ensure_ascii=False)} <{row['from_email']}>"
    mail["To"] = "coordinator@campaign.example"
    mail["Subject"] = " ".join(str(row["subject"]).split())
    mail["Message-ID"] = f"<{row['id']}@corpus.example>"
    if row.get("reply_to"):
        mail["Reply-To"] = str(row["reply_to"])
    headers = row.get("headers")
    given = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    for name, value in given.items():
        # The description of a report's or calendar's parts would not fit a mail of one part.
        if name.lower() not in ("content-type", "from", "to", "subject", "message-id", "mime-version"):
            mail[name] = value
    mail.set_content(str(row["body"]))
    return mail.as_bytes()


def load_corpus(path: Path, read: Callable[[bytes], Message] | None = None) -> tuple[LabelledMail, ...]:
    """Read a file of labelled mails.

    Args:
        path: one JSON object a line, in the format of rules/examples/.
        read: the reading stage; without it the message is made from the row, its body as the sender's own text.

    Raises:
        ValueError: a line is no labelled mail.
    """
    mails = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            row = json.loads(line)
            mail = parse_mail(row)
            mails.append(replace(mail, message=read(mail_octets(row))) if read else mail)
    return tuple(mails)


def held_out_answers(
    *,
    campaign: Campaign,
    rules_folders: Sequence[Path],
    folds: int = 5,
    progress: Callable[[str, float], None] | None = None,
) -> list[tuple[Classification, LabelledMail]]:
    """Train on all but one part of the labelled mails and answer that part, for each part in turn.

    Args:
        campaign: whose aims are told apart.
        rules_folders: as for `load_classifier`.
        folds: how many parts, at least 2; single sentences are taught in every fold.
        progress: told what is being done and the share that is done, 0 to 1.

    Returns:
        For each labelled mail the answer of a model that was not taught it.
    """
    files = find_files(rules_folders)
    patterns, _ = load_patterns(files.patterns, campaign)
    nlp = build_pipeline([pattern.for_ruler() for pattern in patterns])
    examples = load_examples(files.examples, campaign)
    answers: list[tuple[Classification, LabelledMail]] = []
    for fold in range(folds):
        if progress:
            progress(f"Part {fold + 1} of {folds}", fold / folds)
        taught = tuple(mail for number, mail in enumerate(examples.mails) if number % folds != fold)
        held = [mail for number, mail in enumerate(examples.mails) if number % folds == fold]
        part = Examples(mails=taught, sentences=examples.sentences, problems=())
        model = train(nlp, part, campaign, lambda _what, _share: None)
        classifier = Classifier(nlp=nlp, model=model, version=f"fold-{fold}", problems=())
        answers += [(classifier.classify(mail.message), mail) for mail in held]
    return answers
