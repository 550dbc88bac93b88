"""Turns HTML into plain text that reads like the text part of a mail.

Owns which HTML elements are quoted mail: they come out with "> " before each line, as in plain text,
so that one set of rules (quotes.py) serves both. Must not know what the text says.
"""

from __future__ import annotations

import html
import re

from inscriptis import get_annotated_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

#: attributes by which mail programs mark the mail they quote: Gmail, Apple Mail and Thunderbird, Yahoo, ProtonMail
_QUOTE_RULES = {
    "blockquote#class=gmail_quote": ["quote"],
    "blockquote#type=cite": ["quote"],
    "blockquote#class=protonmail_quote": ["quote"],
    "div#class=yahoo_quoted": ["quote"],
}
_CONFIG = ParserConfig(css=CSS_PROFILES["strict"], annotation_rules=_QUOTE_RULES)

_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = ("script", "style", "head", "title")
_BREAK = re.compile(r"(?i)<(?:br|/?(?:p|div|tr|li|h[1-6]|blockquote))\b[^<>]*>")
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
#: invisible characters that mail templates pad their previews with
_INVISIBLE = re.compile("[\u200b\u200c\u034f\u2060\ufeff\u00ad]")
#: more nesting or more markup than this is no mail that a person wrote
_MOST_TABLES = 400


def to_text(source: str) -> str:
    """The text of an HTML document, quoted mail marked with "> ".

    Args:
        source: decoded HTML, whole or broken.
    """
    source = _XML_DECLARATION.sub("", source, count=1)
    # inscriptis lays tables out cell by cell, in quadratic time where they are nested without end.
    if source.lower().count("<table") > _MOST_TABLES:
        return _tidy(_stripped(source))
    try:
        annotated = get_annotated_text(source, _CONFIG)
    except Exception:
        # lxml and inscriptis raise many things on hostile HTML; the words are still in it.
        return _tidy(_stripped(source))
    if not annotated:
        return ""
    text = str(annotated["text"])
    if not text.strip():
        # lxml drops what is nested deeper than it goes.
        return _tidy(_stripped(source))
    quotes = [(int(start), int(end)) for start, end, label in annotated["label"] if label == "quote"]
    return _tidy(_prefixed(text, quotes) if quotes else text)


def _prefixed(text: str, quotes: list[tuple[int, int]]) -> str:
    """Put "> " before every line that begins within a quoted span."""
    lines: list[str] = []
    position = 0
    for line in text.split("\n"):
        first = position + len(line) - len(line.lstrip())
        quoted = line.strip() and any(start <= first < end for start, end in quotes)
        lines.append(f"> {line.strip()}" if quoted else line)
        position += len(line) + 1
    return "\n".join(lines)


def _stripped(source: str) -> str:
    """The crude way: break where elements break, drop every tag."""
    for name in _UNSEEN:
        source = _without(source, f"<{name}", f"</{name}")
    source = _without(source, "<!--", "--")
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", source)))


def _without(source: str, start: str, end: str) -> str:
    """Drop every span from `start` up to `end`; a span that is never closed stays."""
    folded = source.lower()
    if len(folded) != len(source):
        return source
    kept: list[str] = []
    position = 0
    while (opens := folded.find(start, position)) != -1 and (closes := folded.find(end, opens)) != -1:
        kept.append(source[position:opens])
        position = closes
    return "".join((*kept, source[position:]))


def _tidy(text: str) -> str:
    lines = (_INVISIBLE.sub("", line).rstrip() for line in text.replace("\r", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
