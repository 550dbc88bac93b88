"""A mail taken apart for the heads: its sentences with their spans, rule hits and features.

Owns: which texts of a mail are read at all, and what stands around each sentence.
Must not know: labels and weights. Training and classifying go through here alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailbot.classifying.features import Context, Features, header_facts, mail_features, sentence_features
from mailbot.classifying.sentences import MAX_CHARACTERS, RULES_KEY, Sentence, spans_of, split
from mailbot.model import Message

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

# A forwarded mail is read only where the sender points at it as theirs: "see below, this is what we would give".
_POINTS_AT_FORWARD = re.compile(r"\b(?:below|beneath|underneath|forward\w*|fwd|attached|following)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sentence that may carry a contribution."""

    sentence: Sentence
    span: Span
    #: (label, pattern id, words hit) of each pattern
    hits: tuple[tuple[str, str, str], ...]
    features: Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A mail as the heads see it."""

    message: Message
    #: the sender's own text first, then what they forward as a contribution
    docs: tuple[Doc, ...]
    subject: Doc
    #: in the order of the text
    candidates: tuple[Candidate, ...]
    facts: tuple[str, ...]

    def mail_features(self, found: Sequence[float]) -> Features:
        """The features of the whole mail, with numbers about what was found in its sentences."""
        return mail_features(self.docs[0], self.subject, self.facts, found, self.message)


def texts_of(message: Message) -> tuple[str, ...]:
    """The texts that may hold a contribution: the sender's own, and a forwarded one they point at."""
    own, forwarded = message.body.own_text, message.body.forwarded_text
    if forwarded and (not own.strip() or _POINTS_AT_FORWARD.search(own)):
        return own, forwarded
    return (own,)


def rule_hits(span: Span) -> tuple[tuple[str, str, str], ...]:
    """(label, pattern id, words) of each pattern that hit inside a span."""
    if RULES_KEY not in span.doc.spans:
        return ()
    return tuple(
        (hit.label_, hit.id_, hit.text)
        for hit in span.doc.spans[RULES_KEY]
        if hit.start >= span.start and hit.end <= span.end
    )


def _place(index: int, count: int, sentence: Sentence) -> tuple[str, ...]:
    place = []
    if index == 0:
        place.append("first of the mail")
    if index == count - 1:
        place.append("last of the mail")
    if index >= count - 3:
        place.append("near the end")
    if sentence.item:
        place.append("list item")
    if count == 1:
        place.append("alone")
    return tuple(place)


def candidates_of(doc: Doc, subject: Doc | None) -> tuple[Candidate, ...]:
    """The sentences of one text, with their surroundings."""
    sentences = split(doc.text)
    spans = spans_of(doc, sentences)
    found = []
    for index, (sentence, span) in enumerate(zip(sentences, spans, strict=True)):
        hits = rule_hits(span)
        context = Context(
            before=spans[index - 1] if index else None,
            after=spans[index + 1] if index + 1 < len(spans) else None,
            lead=None if sentence.lead is None else spans[sentence.lead],
            subject=subject,
            place=_place(index, len(spans), sentence),
            rules=tuple(label for label, _, _ in hits),
        )
        found.append(Candidate(sentence=sentence, span=span, hits=hits, features=sentence_features(span, context)))
    return tuple(found)


def single_features(nlp: Language, text: str) -> Features:
    """The features of a labelled sentence that stands in no mail."""
    span = nlp(text)[:]
    rules = tuple(label for label, _, _ in rule_hits(span))
    return sentence_features(span, Context(place=("single sentence",), rules=rules))


def analyse(nlp: Language, message: Message) -> Analysis:
    """Take a mail apart."""
    docs = tuple(nlp(text[:MAX_CHARACTERS]) for text in texts_of(message))
    subject = nlp.make_doc(message.subject[:1000])
    candidates = tuple(candidate for doc in docs for candidate in candidates_of(doc, subject))
    return Analysis(message=message, docs=docs, subject=subject, candidates=candidates, facts=header_facts(message))
