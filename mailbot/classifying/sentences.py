"""Text into sentences, by a spaCy pipeline that is built once and imported late.

Owns: the pipeline (blank English tokeniser, sentence boundaries for mail, the span ruler of rules/patterns.jsonl),
and what a sentence is. Every sentence is a verbatim stretch of its text.
Must not know: labels, weights, campaigns, what a mail is beyond its text.

Importing spaCy takes 1.4 s and 95 MB, so this module imports it inside `build_pipeline` alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

#: the span group that holds the hits of rules/patterns.jsonl
RULES_KEY = "rules"
#: the span group that holds the contributions found
CONTRIBUTIONS_KEY = "contributions"
#: longer texts are cut before spaCy sees them: it refuses a million characters, and nobody pledges on page fifty
MAX_CHARACTERS = 60_000

_BULLET = (
    r"(?:[-*\u2022\u00b7\u2013\u2014\u2023\u25aa\u25e6]|\*\*"
    r"|\(?(?:\d{1,2}(?:\.\d{1,2})*[.)]|[a-zA-Z]\)|[ivx]{1,4}[.)])|\d{1,2}\.\d{1,2})"
)
_ITEM = re.compile(rf"[ \t>]*({_BULLET})[ \t]+(?=\S)")
_CLOSING = "\"'\u201d\u2019)]"
_OPENING = "(\"'\u201c\u2018["
# Begins where a run of stops begins and gives nothing back, or pages of dots would take time squared.
_TERMINAL = re.compile(rf"(?<![.!?\u2026])[.!?\u2026]++[{re.escape(_CLOSING)}]*+(?=\s)")
_WORD_BEFORE = re.compile(r"(\S+)$")
#: longer than any abbreviation with what opens before it; a whole block would be searched at every full stop
_LOOK_BACK = 40
_DATES = """mon tue tues wed thu thurs fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec"""
_TITLES = """mr mrs ms mx dr prof rev revd fr sr jr st hon cllr capt col sgt lt"""
_SHORT = """e.g i.e eg ie cf viz vs approx no nos tel ext fig dept est govt inc ltd co a.m p.m pp vol ref para c ca"""
_MINUTES = """nem cont incl excl"""
_ABBREVIATIONS = frozenset(f"{_DATES} {_TITLES} {_SHORT} {_MINUTES}".split())
_CLOSERS = """ltd co inc p.m a.m no st c jr sr"""
#: abbreviations that may also end a sentence: the capital after them decides
_MAY_END = frozenset(f"{_DATES} {_CLOSERS}".split())
_WRAP_WIDTH = 50
#: a run without white space that no tokeniser makes sense of
_ENDLESS = re.compile(r"\S{200,}")
#: "Dear Sarah," or "Sarah," on the first line, whatever the case of what follows
_GREETING = re.compile(
    r"(?:(?i:dear|hi|hiya|hello|hey|hallo|good (?:morning|afternoon|evening|day)|morning|afternoon|evening|greetings"
    r"|sal[a\u0101]+ms?|namaste|sat sri akal)\b[^.!?;:]*|[A-Z][\w'-]*(?: [A-Z][\w'-]*)*),\s*$"
)
_GREETING_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, list item or line of a text."""

    #: verbatim
    text: str
    #: character offsets into the document's text
    start: int
    end: int
    #: which paragraph or list item it stands in, from 0
    block: int
    #: it stands in a list
    item: bool


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    item: bool


def _lines(text: str) -> list[tuple[int, int]]:
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        found.append((at, at + len(line)))
        at += len(line)
    return found


def _continues(text: str, line: tuple[int, int], following: tuple[int, int], width: int) -> bool:
    """Whether a line break only wraps: a mail program broke the line because the next word did not fit."""
    here, there = text[line[0] : line[1]].rstrip(), text[following[0] : following[1]].strip()
    if not here or not there or _ITEM.match(text, following[0]):
        return False
    if not text[: line[0]].strip() and len(here.split()) <= _GREETING_WORDS and _GREETING.match(here.lstrip()):
        return False
    if there[0].islower() and here[-1] not in ".!?:":
        return True
    first_word = len(there.split(None, 1)[0])
    return width >= _WRAP_WIDTH and len(here) + 1 + first_word > width - 3


def _blocks(text: str) -> list[_Block]:
    """Paragraphs, list items and lines that stand alone, as offsets without list markers."""
    lines = _lines(text)
    lengths = sorted(len(text[start:end].rstrip()) for start, end in lines)
    # Hard-wrapped mail fills many lines to one width and overflows it never; anything wider was not wrapped.
    width = lengths[-1] if lengths and lengths[-1] <= 100 else 0
    blocks: list[_Block] = []
    open_start, open_item = -1, False
    for index, (start, end) in enumerate(lines):
        if open_start < 0:
            if not text[start:end].strip():
                continue
            marker = _ITEM.match(text, start, end)
            open_start, open_item = (marker.end(), True) if marker else (start, False)
        following = lines[index + 1] if index + 1 < len(lines) else None
        if following is None or not _continues(text, (start, end), following, width):
            blocks.append(_Block(start=open_start, end=end, item=open_item))
            open_start = -1
    return blocks


def _ends_sentence(text: str, block: _Block, match: re.Match[str]) -> bool:
    rest = text[match.end() : block.end].lstrip()
    if not rest:
        return False
    if rest[0].islower() and match.group()[-1] in _CLOSING:
        return False
    if match.group().strip(_CLOSING) != ".":
        return not (rest[0].islower() and match.group().startswith("\u2026"))
    before = _WORD_BEFORE.search(text, max(block.start, match.start() - _LOOK_BACK), match.start())
    word = before.group(1).lstrip(_OPENING).lower() if before else ""
    if len(word) == 1 and word.isalpha() and word not in "ai":
        return False
    if word in _ABBREVIATIONS:
        return word in _MAY_END and rest[0].isupper() and len(rest.split(None, 1)[0]) > 1
    return not (word == "etc" and rest[0].islower())


def _boundaries(text: str) -> list[tuple[int, int, int, bool]]:
    """(start, end, block number, item) of each sentence, trimmed of white space."""
    found = []
    for number, block in enumerate(_blocks(text)):
        at = block.start
        cuts = [m.end() for m in _TERMINAL.finditer(text, block.start, block.end) if _ends_sentence(text, block, m)]
        for cut in [*cuts, block.end]:
            piece = text[at:cut]
            start = at + len(piece) - len(piece.lstrip())
            end = at + len(piece.rstrip())
            if any(character.isalnum() for character in text[start:end]):
                found.append((start, end, number, block.item))
            at = cut
    return found


def split(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text, in order, each verbatim; list markers and blank lines fall between them."""
    return tuple(
        Sentence(text=text[start:end], start=start, end=end, block=block, item=item)
        for start, end, block, item in _boundaries(text[:MAX_CHARACTERS])
    )


def spans_of(doc: Doc, sentences: Sequence[Sentence]) -> list[Span]:
    """The sentences as spans of their document; every token a sentence touches belongs to it."""
    starts = [token.idx for token in doc]
    spans = []
    for sentence in sentences:
        first = max(bisect_right(starts, sentence.start) - 1, 0)
        last = bisect_right(starts, sentence.end - 1)
        spans.append(doc[first:last])
    return spans


def _mark_sentences(doc: Doc) -> Doc:
    """The pipeline component: `doc.sents` follows `split`."""
    import numpy as np

    # One array instead of a property of each token: that costs as much as all the rest of the pipeline.
    marks = np.full(len(doc), -1, dtype=np.int64)
    marks[:1] = 1
    marks[[span.start for span in spans_of(doc, split(doc.text)) if len(span)]] = 1
    return doc.from_array(["SENT_START"], marks.view(np.uint64)[:, None])  # type: ignore[arg-type]


def build_pipeline(patterns: Sequence[dict[str, object]]) -> Language:
    """A spaCy pipeline: blank English, sentence boundaries for mail, and a span ruler over `patterns`.

    Args:
        patterns: as the span ruler takes them, already checked by `rules.load_patterns`.

    Returns:
        The pipeline; hits lie in `doc.spans[RULES_KEY]`.

    Source:
        spaCy 3.8 usage guide, "Rule-based matching", SpanRuler.
    """
    import spacy
    from spacy.language import Language

    if not Language.has_factory("mailbot_sentences"):
        Language.component("mailbot_sentences", func=_mark_sentences)
    nlp = spacy.blank("en")
    # spaCy peels signs off the ends of a run one by one, each time looking at all the rest.
    nlp.tokenizer.token_match = _ENDLESS.fullmatch  # type: ignore[union-attr]
    nlp.add_pipe("mailbot_sentences")
    # A ruler without patterns warns at every text.
    if patterns:
        config = {"spans_key": RULES_KEY, "phrase_matcher_attr": "LOWER", "overwrite": True}
        ruler = nlp.add_pipe("span_ruler", config=config)
        ruler.add_patterns(list(patterns))  # type: ignore[attr-defined]
    return nlp
