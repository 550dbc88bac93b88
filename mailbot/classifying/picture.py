"""A classified mail to look at: where in its texts the contributions and their words stand, and a page that shows it.

Owns: finding quotes and reasons in the text again, the page by spaCy's displaCy.
Must not know: how the answers came about, terminals, files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from mailbot.classifying.analysis import Analysis
from mailbot.classifying.sentences import CONTRIBUTIONS_KEY
from mailbot.model import Campaign, Classification, Contribution, Message

if TYPE_CHECKING:
    from spacy.tokens import Doc

#: the colour of what is filed under no aim
NO_AIM_COLOUR = "#6e6e6e"
#: the label of carrying words: displaCy draws their line, and no label
_NO_LABEL = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of a text that belongs to a contribution."""

    #: character offsets into the text
    start: int
    end: int
    #: place of the contribution in the classification, from 0
    contribution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedText:
    """One text of a mail, and what was found in it."""

    text: str
    #: it was forwarded, not written by the sender
    forwarded: bool = False
    quotes: tuple[Mark, ...] = ()
    #: the words that spoke for it; each lies within a quote
    words: tuple[Mark, ...] = ()


def marked_texts(message: Message, classification: Classification, analysis: Analysis) -> tuple[MarkedText, ...]:
    """The texts of a mail that were read, the sender's own first, with what was found in them.

    Args:
        message: the mail.
        classification, analysis: what `Classifier.explain` gave for it.

    Returns:
        At least one text, be it empty.
    """
    docs = {id(candidate.span.doc): candidate.span.doc for candidate in analysis.candidates}
    texts, first = [], 0
    for doc in docs.values():
        quotes = tuple(_quotes(doc, classification.contributions[first:], first))
        first += len(quotes)
        texts.append(
            MarkedText(
                text=doc.text,
                forwarded=doc.text != message.body.own_text[: len(doc.text)],
                quotes=quotes,
                words=tuple(_words(doc.text, quotes, classification.contributions)),
            )
        )
    return tuple(texts) or (MarkedText(text=message.body.own_text),)


def _quotes(doc: Doc, contributions: Sequence[Contribution], first: int) -> Iterator[Mark]:
    """A document's quotes; the contributions come in the order of the spans that the classifier left."""
    spans = doc.spans.get(CONTRIBUTIONS_KEY, ())
    for number, (span, found) in enumerate(zip(spans, contributions, strict=False)):
        # A span has whole tokens, and may be a little longer than its quote.
        start = doc.text.index(found.quote, span.start_char)
        yield Mark(start=start, end=start + len(found.quote), contribution=first + number)


def _words(text: str, quotes: Sequence[Mark], contributions: Sequence[Contribution]) -> Iterator[Mark]:
    """Every place of the words that spoke for each quote; words that touch come as one."""
    for quote in quotes:
        hits = set()
        for words in {evidence.text for evidence in contributions[quote.contribution].because}:
            # "art" is not in "start", but "'ve" is in "we've".
            edges = (r"(?<!\w)" if words[:1].isalnum() else "", r"(?!\w)" if words[-1:].isalnum() else "")
            pattern = re.compile(re.escape(words).join(edges))
            hits |= {hit.span() for hit in pattern.finditer(text, quote.start, quote.end)}
        runs: list[tuple[int, int]] = []
        for start, end in sorted(hits):
            if runs and start <= runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], end))
            else:
                runs.append((start, end))
        for start, end in runs:
            yield Mark(start=start, end=end, contribution=quote.contribution)


# displaCy's own templates leave gaps in a line, lay labels over letters, and put black ones on any colour.
_TEMPLATES = {
    "span": '<span class="token">{span_starts}{text}{span_slices}</span> ',
    "slice": '<span class="line" style="background:{bg};top:{top_offset}px"></span>',
    "start": '<span class="label" style="border-color:{bg}">{label}{kb_link}</span>',
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; }
.look { background: #fff4d6; border-left: 4px solid #b57a00; padding: .5rem 1rem; margin: 1rem 0; }
.spans { white-space: pre-line; overflow-wrap: anywhere; border: 1px solid #ddd; border-radius: 6px;
  padding: .75rem 1rem; line-height: 34px !important; }
.token { display: inline-block; position: relative; height: 34px; vertical-align: top; }
.line { position: absolute; left: 0; width: calc(100% + .35em); height: 3px; }
.label { border: 2px solid; border-radius: 4px; padding: 1px 5px; margin-right: .35em; font-size: 12px; line-height: 1;
  font-weight: bold; white-space: nowrap; vertical-align: 1px; }
.label:empty { display: none; }
table { border-collapse: collapse; width: 100%; }
td:first-child { width: 2rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid #ddd; }
dl { margin: 0; }
@media (min-width: 45rem) { dl { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1rem; } }
dt { color: #595959; }
dd { margin: 0; }
.aim { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .35em; }
"""


def page(message: Message, classification: Classification, texts: Sequence[MarkedText], campaign: Campaign) -> str:
    """A page that shows what was found in a mail, and why; it loads nothing from anywhere.

    Args:
        message: the mail.
        classification: what it was taken for.
        texts: from `marked_texts`.
        campaign: names the aims and their colours.

    Returns:
        An HTML document; whatever the sender wrote is escaped.
    """
    title = escape(message.subject or "(no subject)")
    sure = f"{classification.message_class} ({classification.confidence:.0%} sure), {classification.model_version}"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in classification.review_reasons)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"</head>\n<body>\n<h1>{title}</h1>\n<p>{escape(sure)}</p>\n"
        + (f'<div class="look"><strong>Please check</strong><ul>{reasons}</ul></div>\n' if reasons else "")
        + "".join(_drawn(text, classification, campaign) for text in texts)
        + _reasons(classification, campaign)
        + "</body>\n</html>\n"
    )


def colour_of(contribution: Contribution, campaign: Campaign) -> str:
    """The colour of a contribution's first aim, "#rrggbb"."""
    return campaign.aim(contribution.aims[0]).colour if contribution.aims else NO_AIM_COLOUR


def _drawn(text: MarkedText, classification: Classification, campaign: Campaign) -> str:
    """One text with lines under its quotes, by displaCy."""
    from spacy import displacy

    # displaCy sets a space behind every token: only what stands between spaces comes out as it was written.
    pieces = [piece.span() for piece in re.finditer(r"\n|\S+", text.text)]
    labels = [
        escape(f"{number} {one.type}: {', '.join(one.aims) or 'no aim'}")
        for number, one in enumerate(classification.contributions, start=1)
    ]
    colours = {label: colour_of(one, campaign) for label, one in zip(labels, classification.contributions, strict=True)}
    spans = [(mark, labels[mark.contribution]) for mark in text.quotes] + [(mark, _NO_LABEL) for mark in text.words]
    parsed = {
        "tokens": [text.text[start:end] for start, end in pieces],
        "spans": [_token_span(mark, label, pieces) for mark, label in spans],
    }
    options = {
        "template": _TEMPLATES,
        "colors": {**colours, _NO_LABEL: "#1a1a1a"},
        "top_offset": 27,
        "top_offset_step": 4,
    }
    drawn: str = displacy.render(parsed, style="span", manual=True, jupyter=False, options=options)
    return f"<h2>{'Forwarded' if text.forwarded else 'The mail'}</h2>\n{drawn}\n"


def _token_span(mark: Mark, label: str, pieces: Sequence[tuple[int, int]]) -> dict[str, object]:
    """A mark as displaCy takes it: by tokens, each that it touches."""
    inside = [number for number, (start, end) in enumerate(pieces) if start < mark.end and end > mark.start]
    return {"start_token": inside[0], "end_token": inside[-1] + 1, "label": label}


def _reasons(classification: Classification, campaign: Campaign) -> str:
    """The contributions and what spoke for them, as a table."""
    if not classification.contributions:
        return "<h2>Contributions</h2>\n<p>None was found.</p>\n"
    rows = []
    for number, one in enumerate(classification.contributions, start=1):
        aims = "; ".join(escape(campaign.aim(key).title) for key in one.aims) or "no particular aim"
        dot = f'<span class="aim" style="background:{colour_of(one, campaign)}"></span>'
        because = "".join(
            f"<dt>{escape(why)}</dt><dd>{escape(', '.join(f'“{evidence.text}”' for evidence in group))}</dd>"
            for why, group in groupby(one.because, key=lambda evidence: evidence.why)
        )
        rows.append(
            f"<tr><td>{number}</td><td><b>{one.type}</b><br>{dot}{aims}<br>{one.confidence:.0%} sure</td>"
            f"<td><dl>{because}</dl></td></tr>\n"
        )
    return (
        "<h2>Contributions</h2>\n<table>\n<thead><tr><th></th><th>What</th><th>Because</th></tr></thead>\n"
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n"
    )
