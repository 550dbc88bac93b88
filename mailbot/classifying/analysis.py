"""A mail taken apart for the heads: its sentences with their spans, rule hits and vectors.

Owns: which texts of a mail are read at all, and what stands around each sentence.
Must not know: labels and weights. Training and classifying go through here alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mailbot.classifying.encoder import Encoded, Encoder, Tokens, Vectors
from mailbot.classifying.features import header_facts
from mailbot.classifying.language import foreign_language
from mailbot.classifying.sentences import MAX_CHARACTERS, RULES_KEY, Sentence, spans_of, split
from mailbot.model import Message

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A pattern that hit inside a sentence."""

    #: "type:offer", "aim:support" or "none"
    label: str
    #: the pattern's id
    pattern: str
    #: the words it hit, verbatim
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sentence that may carry a contribution."""

    sentence: Sentence
    span: Span
    hits: tuple[Hit, ...]
    #: where it stands, of features.PLACES
    place: tuple[str, ...]
    tokens: Tokens

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the patterns that hit."""
        return tuple(hit.label for hit in self.hits)


class Alone:
    """The sentences of a mail, each read by itself under the subject line and what is answered.

    They are encoded when asked for, once.
    """

    def __init__(self, encoder: Encoder, subject: str, quoted: str, sentences: Sequence[str]) -> None:
        self._encoder = encoder
        self._subject = subject
        self._quoted = quoted
        self._sentences = sentences
        self._known: dict[int, Vectors] = {}

    def vectors(self, chosen: Sequence[int]) -> Vectors:
        """The vectors of the chosen sentences, in their order; at least one."""
        for number in chosen:
            if number not in self._known:
                encoded = self._encoder.encode(self._subject, self._quoted, [self._sentences[number]])
                self._known[number] = encoded.sentences
        found = [self._known[number] for number in chosen]
        return Vectors(
            own=np.concatenate([one.own for one in found]),
            surroundings=np.concatenate([one.surroundings for one in found]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A mail as the heads see it."""

    #: in the order of the text: the sender's own words first, then what they forward as a contribution
    candidates: tuple[Candidate, ...]
    encoded: Encoded
    #: for a second look at its sentences
    alone: Alone
    #: of features.FACTS
    facts: tuple[str, ...]
    #: length of the sender's own text
    words: int


def texts_of(message: Message) -> tuple[str, ...]:
    """The texts that may hold a contribution: the sender's own, and what they forward, header lines and all.

    Whether it is forwarded as a contribution ("see below", "here is the baker", "item 5 is yours") or for some other
    reason is for the heads to say: a sentence of it is read in the light of the sender's own, and of the lines that
    tell whose it was. Some people write all they have to say into the subject line.
    """
    own, forwarded = message.body.own_text, message.body.forwarded_text
    if forwarded.strip():
        return own, forwarded
    return (own if own.strip() else message.subject,)


def language_of(message: Message) -> str | None:
    """The English name of the language that a mail's first text is in; None for English, and for too little text."""
    return foreign_language(next((text for text in texts_of(message) if text.strip()), ""))


def rule_hits(span: Span) -> tuple[Hit, ...]:
    """Each pattern that hit inside a span."""
    if RULES_KEY not in span.doc.spans:
        return ()
    return tuple(
        Hit(label=hit.label_, pattern=hit.id_, words=hit.text)
        for hit in span.doc.spans[RULES_KEY]
        if hit.start >= span.start and hit.end <= span.end
    )


def _place(index: int, count: int, sentence: Sentence, *, forwarded: bool) -> tuple[str, ...]:
    place = ["forwarded"] if forwarded else []
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


def _sentences_of(doc: Doc, *, forwarded: bool) -> list[tuple[Sentence, Span, tuple[str, ...]]]:
    sentences = split(doc.text)
    spans = spans_of(doc, sentences)
    return [
        (sentence, span, _place(index, len(spans), sentence, forwarded=forwarded))
        for index, (sentence, span) in enumerate(zip(sentences, spans, strict=True))
    ]


def analyse(nlp: Language, encoder: Encoder, message: Message) -> Analysis:
    """Take a mail apart."""
    texts = texts_of(message)
    found = [
        one
        for number, text in enumerate(texts)
        for one in _sentences_of(nlp(text[:MAX_CHARACTERS]), forwarded=number > 0)
    ]
    sentences = [sentence.text for sentence, _, _ in found]
    encoded = encoder.encode(message.subject, message.body.quoted_text, sentences)
    candidates = tuple(
        Candidate(sentence=sentence, span=span, hits=rule_hits(span), place=place, tokens=tokens)
        for (sentence, span, place), tokens in zip(found, encoded.tokens, strict=True)
    )
    return Analysis(
        candidates=candidates,
        encoded=encoded,
        alone=Alone(encoder, message.subject, message.body.quoted_text, sentences),
        facts=header_facts(message),
        words=len(texts[0].split()),
    )


def analyse_single(nlp: Language, encoder: Encoder, text: str) -> Analysis:
    """Take a labelled sentence apart that stands in no mail: one candidate, however it could be cut."""
    span = nlp(text[:MAX_CHARACTERS])[:]
    encoded = encoder.encode("", "", [text])
    whole = Sentence(text=text, start=0, end=len(text), block=0, item=False)
    candidate = Candidate(
        sentence=whole, span=span, hits=rule_hits(span), place=("single sentence",), tokens=encoded.tokens[0]
    )
    return Analysis(
        candidates=(candidate,),
        encoded=encoded,
        alone=Alone(encoder, "", "", [text]),
        facts=(),
        words=len(text.split()),
    )
