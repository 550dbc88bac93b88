"""Honest doubt: how likely a mail is read wrongly, and why a person should look, in plain words.

Owns: what doubt is measured by, the reasons and their order.
Must not know: how the answers came about, or from where on doubt is too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailbot.classifying.analysis import Analysis, Candidate, Hit, texts_of
from mailbot.classifying.heads import Floats
from mailbot.classifying.language import words_of
from mailbot.classifying.sentences import MAX_CHARACTERS
from mailbot.classifying.verdicts import CLASSES, Decision, Found, Limits, Verdict, strongest
from mailbot.model import ContributionType, Message, MessageClass

#: a sentence that comes this near the limit, as a share of it, may have been missed
_NEARLY = 0.4


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57].rsplit(" ", 1)[0] + " \u2026"


def _quoted(text: str) -> str:
    return f"\u201c{_excerpt(text)}\u201d"


def disagreement(hits: Sequence[Hit], kind: ContributionType | None, aims: Sequence[str]) -> str | None:
    """Say where the patterns and the model disagree about a sentence; None where they do not.

    Args:
        hits: the patterns that hit in it.
        kind: what the model says; None for no contribution.
        aims: the model's aims.
    """
    labels = {hit.label for hit in hits}
    types = {label.removeprefix("type:") for label in labels if label.startswith("type:")}
    if kind is None:
        if types and "none" not in labels:
            return f"the patterns find {_with_article(min(types))}, the model finds nothing"
        return None
    if types and kind not in types:
        return f"the patterns say {' or '.join(sorted(types))}, the model says {kind}"
    if "none" in labels and not types:
        return f"the patterns speak against a contribution, the model says {kind}"
    wanted = {label.removeprefix("aim:") for label in labels if label.startswith("aim:")}
    if wanted and not wanted & set(aims):
        return f"the patterns say {', '.join(sorted(wanted))}, the model says {', '.join(aims) or 'no aim'}"
    return None


def _with_article(word: str) -> str:
    return f"{'an' if word[:1] in 'aeio' else 'a'} {word}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What doubt about one mail is drawn from."""

    analysis: Analysis
    verdicts: Sequence[Verdict]
    #: of the class head, in the order of CLASSES
    chances: Floats
    decision: Decision
    limits: Limits

    def missed(self) -> list[tuple[Candidate, Verdict]]:
        """The sentences that no contribution holds."""
        held = {id(candidate) for one in self.decision.found for candidate in one.candidates}
        return [
            (candidate, verdict)
            for candidate, verdict in zip(self.analysis.candidates, self.verdicts, strict=True)
            if id(candidate) not in held
        ]

    def disagreements(self) -> list[tuple[Candidate, str]]:
        """The sentences about which patterns and model disagree, and how."""
        found: list[tuple[Candidate, str]] = []
        for one in self.decision.found:
            hits = [hit for candidate in one.candidates for hit in candidate.hits]
            if words := disagreement(hits, one.verdict.type, one.verdict.aims):
                found.append((one.candidates[0], words))
        if not self.decision.found:
            # A pattern alone is weak: it is news only where nothing else was found.
            for candidate, _ in self.missed():
                if words := disagreement(candidate.hits, None, ()):
                    found.append((candidate, words))
        return found


def _entropy(chances: Iterable[float]) -> float:
    """How undecided a choice is, in nats."""
    return -sum(chance * math.log(chance) for chance in chances if chance > 0)


def _surprise(chance: float) -> float:
    return -math.log(max(chance, 1e-4))


def _aims_of_mail(verdicts: Sequence[Verdict]) -> list[float]:
    """Probability of each aim that some sentence of the mail serves it, if sentences were independent."""
    pairs = [[1 - verdict.carrying * chance for chance in verdict.each_aim] for verdict in verdicts]
    return [1 - math.prod(column) for column in zip(*pairs, strict=True)]


def doubts(evidence: Evidence) -> list[float]:
    """What the doubt head may know about the answer for one mail, each number about 0 to 3; the last is always 1.

    The first three are what a wrong answer comes from: another class, other aims, and a class that the sentences speak
    against. They carry most of it.
    """
    decision, found = evidence.decision, evidence.decision.found
    aims = _aims_of_mail(evidence.verdicts)
    undecided = sum(_entropy((chance, 1 - chance)) for chance in aims)
    surprise = _surprise(decision.chance)
    other_aims = sum(_surprise(max(chance, 1 - chance)) for chance in aims) if found else 0.0
    contribution = float(evidence.chances[CLASSES.index(MessageClass.CONTRIBUTION)])
    carrying = (contribution + strongest(evidence.verdicts)) / 2
    against = _entropy((carrying, 1 - carrying))
    return [
        surprise + other_aims + against,
        surprise,
        against,
        undecided + _entropy(evidence.chances.tolist()),
        float(bool(found)),
        max((1 - one.verdict.aims_probability for one in found), default=0.0),
        max((1 - one.verdict.type_probability for one in found), default=0.0),
        float(any(not one.verdict.aims for one in found)),
        float(any(len(one.verdict.aims) > 1 for one in found)),
        min(len(found), 4) / 2,
        float(bool(evidence.disagreements())),
        min(evidence.analysis.words, 400) / 200,
        max((one.verdict.apart for one in found), default=0.0),
        max((verdict.apart for _, verdict in evidence.missed()), default=0.0),
        1.0,
    ]


#: how many numbers `doubts` gives
DOUBTS = 15


def plain_reasons(message: Message, decision: Decision, language: str | None) -> list[str]:
    """The reasons that need no measuring: what nobody could understand from the text alone.

    Args:
        message: the mail.
        decision: what it was taken for.
        language: that of the sender's own text where it is not one that was taught.
    """
    reasons, texts = [], texts_of(message)
    # What reads like a machine's notice in a language that was not taught may be anything, unless the headers say so.
    if language and not decision.machine:
        reasons.append(f"seems to be in {language}, which was not taught")
    if message.attachments and len(words_of(message.body.own_text)) < 8:
        reasons.append("hardly any text, but something is attached")
    if any(len(text) > MAX_CHARACTERS for text in texts):
        reasons.append(f"only the first {MAX_CHARACTERS:,} characters were read")
    if not decision.machine and not any(words_of(text) for text in texts):
        reasons.append("holds no words")
    if decision.mixed:
        reasons.append("sent by a machine, yet it may hold a person's own words")
    return reasons


def doubtful_reasons(evidence: Evidence, confidence: float, sure: Sequence[float]) -> list[str]:
    """Why the answer for a mail is in doubt; at least one reason.

    Args:
        evidence: the mail and its answer.
        confidence: calibrated probability of its class.
        sure: calibrated probability of each contribution found.
    """
    decision, limits = evidence.decision, evidence.limits
    weighed: list[tuple[float, str]] = [
        (1 - confidence, f"not sure what this mail is: {decision.message_class}, or perhaps {decision.runner_up}")
    ]
    for one, probability in zip(decision.found, sure, strict=True):
        weighed.append((1 - probability, _weak_point(one)))
    for candidate, verdict in evidence.missed():
        nearly = verdict.carrying / max(limits.carrying, 1e-6)
        if nearly >= _NEARLY:
            words = f"this may be {_with_article(verdict.type)} too: {_quoted(candidate.sentence.text)}"
            weighed.append((0.8 * min(nearly, 1.0), words))
    for candidate, words in evidence.disagreements():
        weighed.append((0.5, f"{words}: {_quoted(candidate.sentence.text)}"))
    weighed.sort(key=lambda one: -one[0])
    told = [words for weight, words in weighed if weight >= 0.3][:3]
    return told or [weighed[0][1]]


def _weak_point(found: Found) -> str:
    quote = _quoted(found.candidates[0].sentence.text)
    verdict = found.verdict
    weakest = min(verdict.carrying, verdict.type_probability, verdict.aims_probability)
    if weakest == verdict.aims_probability:
        return f"not sure of the aims of {quote}"
    if weakest == verdict.type_probability:
        return f"not sure whether this is a pledge, an offer or an idea: {quote}"
    return f"not sure that this is {_with_article(verdict.type)}: {quote}"
