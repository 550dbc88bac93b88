"""Walks the tree of MIME parts: which are text to read, which are earlier mail, which are attachments.

Owns MIME structure (alternatives, signed and report containers, attached mails, missing boundaries).
Must not know how text is taken apart into own words and quotes (body.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message as Part
from typing import TypeVar

from mailbot.model import Attachment
from mailbot.reading import charset, flowed, headers, html, parse

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Content:
    """What the walk found, in the order of the mail."""

    #: text to be taken apart, one for each readable part
    texts: list[str] = field(default_factory=list)
    #: attached mails, each with its header lines
    forwarded: list[str] = field(default_factory=list)
    #: what a report returns: the status of each recipient and our own mail
    returned: list[str] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)
    report_type: str | None = None
    calendar_method: str | None = None
    attachments: list[Attachment] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


#: parts whose presence makes the mail something else than their text says
_TEXT_TYPES = frozenset({"text/plain", "text/html", "text/enriched", "text/x-markdown", "text/markdown"})
_DELIMITER = re.compile(r"\s*(?:[^\n]*\n){0,20}?--([^\s\"]{1,70})[ \t]*\r?\n")
_LOOKS_LIKE_HTML = re.compile(r"(?i)\A\s*(?:<!doctype html|<html|<body|<div|<p>|<table)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
_CALENDAR_WORDS = re.compile(r"(?im)^(?:SUMMARY|COMMENT|DESCRIPTION)[^:\n]*:(.+)$")
_CALENDAR_METHOD = re.compile(r"(?im)^METHOD\s*:\s*([A-Za-z-]{1,30})")
_FORWARDED_HEADERS = ("From", "Date", "To", "Subject")
_LONGEST_FILENAME = 150


def content_of(root: Part, *, text_characters: int) -> Content:
    """Walk a mail's parts.

    Args:
        root: the mail as parsed.
        text_characters: at most so many characters of each text are kept.
    """
    content = Content()
    _Walk(content, text_characters).visit(root)
    if not any(text.strip() for text in content.texts):
        _take_named_text(root, content, text_characters)
    return content


class _Walk:
    """One mail's walk; attached mails are walked by a new one, so that nothing of theirs leaks out."""

    def __init__(self, content: Content, text_characters: int) -> None:
        self.content = content
        self.text_characters = text_characters

    def visit(self, part: Part, *, in_report: bool = False, is_body: bool = True) -> None:
        """Take one part, and all within it, into the content."""
        kind = _type(part)
        self.content.content_types.append(kind)
        self.content.defects.extend(f"{kind}: {type(defect).__name__}: {defect.__doc__}" for defect in part.defects)
        if kind == "multipart/report":
            self.content.report_type = self.content.report_type or _parameter(part, "report-type")
        children = _children(part)
        if kind.startswith("multipart/"):
            self._visit_container(part, children, in_report=in_report, is_body=is_body)
        elif kind.startswith("message/"):
            self._visit_message(part, kind, children, in_report)
        elif kind == "text/calendar":
            self._visit_calendar(part)
        elif in_report and kind == "text/rfc822-headers":
            self.content.returned.append(self._text(part))
        elif kind in _TEXT_TYPES and not _is_attached(part):
            if is_body:
                self.content.texts.append(self._text(part))
        else:
            self.content.attachments.append(_attachment(part, kind))

    def _visit_container(self, part: Part, children: list[Part], *, in_report: bool, is_body: bool) -> None:
        kind = _type(part)
        if not children:
            self._visit_broken(part)
            return
        chosen = _chosen(children) if kind == "multipart/alternative" else None
        for position, child in enumerate(children):
            # multipart/related holds its text first; another text in it is a frame or a style sheet.
            read = child is chosen if chosen is not None else not (kind == "multipart/related" and position)
            self.visit(child, in_report=in_report or kind == "multipart/report", is_body=is_body and read)

    def _visit_broken(self, part: Part) -> None:
        """A multipart whose boundary is missing or wrong: find it in the text, else read the text."""
        payload = part.get_payload()
        payload = payload if isinstance(payload, str) else ""
        found = _DELIMITER.match(payload)
        repaired = parse.reparse(payload, found.group(1)) if found else None
        if repaired is not None:
            self.content.defects.append("the MIME boundary was missing or wrong; found in the text")
            for child in _children(repaired):
                if not _type(child).startswith("multipart/"):
                    self.visit(child)
                else:
                    self.content.texts.append(self._text(child))
            return
        self.content.defects.append("a multipart without parts was read as text")
        self.content.texts.append(self._text(part))

    def _visit_message(self, part: Part, kind: str, children: list[Part], in_report: bool) -> None:
        if kind != "message/rfc822":
            status = "\n".join(_header_lines(child) for child in children) or self._text(part)
            (self.content.returned if in_report else self.content.forwarded).append(status)
            return
        inner = Content()
        for child in children[:1]:
            _Walk(inner, self.text_characters).visit(child)
            texts = [_header_lines(child, _FORWARDED_HEADERS), *inner.texts, *inner.forwarded, *inner.returned]
            text = "\n\n".join(text.strip("\n") for text in texts if text.strip())
            (self.content.returned if in_report else self.content.forwarded).append(text)
        self.content.defects.extend(inner.defects)
        self.content.attachments.append(
            Attachment(filename=_filename(part), content_type=kind, size_octets=_size(part))
        )

    def _visit_calendar(self, part: Part) -> None:
        text = self._text(part)
        named = _parameter(part, "method") or next(iter(_CALENDAR_METHOD.findall(text)), None)
        self.content.calendar_method = self.content.calendar_method or (named.upper() if named else None)
        self.content.attachments.append(_attachment(part, "text/calendar"))
        if len(self.content.content_types) > 1:
            return
        # The whole mail is the calendar part: its words are all that a person may have written.
        if text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
            lines = _CALENDAR_WORDS.findall(re.sub(r"\n[ \t]", "", text))
            unescaped = (re.sub(r"\\([,;\\])", r"\1", re.sub(r"\\[nN]", "\n", line)) for line in lines)
            text = "\n".join(dict.fromkeys(unescaped))
        self.content.texts.append(text)

    def _text(self, part: Part) -> str:
        """A part's text: decoded, one kind of line end, HTML and flowed lines resolved, bounded."""
        octets = _octets(part)
        text, defect = charset.decode(octets, _charset(part))
        if defect:
            self.content.defects.append(defect)
        text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
        if len(text) > self.text_characters:
            self.content.defects.append(
                f"text of {len(text)} characters: only the first {self.text_characters} were read"
            )
            text = text[: self.text_characters]
        if _type(part) == "text/html" or (_type(part) != "text/plain" and _LOOKS_LIKE_HTML.match(text)):
            return html.to_text(text)
        if (_parameter(part, "format") or "") == "flowed":
            return flowed.unflow(text, del_sp=_parameter(part, "delsp") == "yes")
        return text


def _take_named_text(root: Part, content: Content, text_characters: int) -> None:
    """Some programs send the text itself as an attachment: read it when there is no other."""
    walk = _Walk(content, text_characters)
    for part in _own_leaves(root):
        if _type(part) in _TEXT_TYPES:
            text = walk._text(part)
            if text.strip():
                content.texts.append(text)
                content.defects.append("the text came as an attachment")
                return


def _own_leaves(part: Part) -> Iterator[Part]:
    if _type(part).startswith("message/"):
        return
    children = _children(part)
    if not children:
        yield part
    for child in children:
        yield from _own_leaves(child)


def _chosen(alternatives: list[Part]) -> Part | None:
    """The alternative to read: plain text when it holds text, else HTML, else whatever holds some."""
    for wanted in ("text/plain", "text/html"):
        for part in alternatives:
            if _type(part) == wanted and not _is_attached(part) and _octets(part).strip():
                return part
    return next((part for part in alternatives if _children(part)), None)


def _children(part: Part) -> list[Part]:
    payload = part.get_payload() if part.is_multipart() else None
    return [child for child in payload if isinstance(child, Part)] if isinstance(payload, list) else []


def _safely(call: Callable[[], T], otherwise: T) -> T:
    try:
        return call()
    except Exception:
        # The email package raises many things on malformed parameters; a parameter is never worth a mail.
        return otherwise


def _type(part: Part) -> str:
    return charset.clean(_safely(part.get_content_type, "text/plain")).lower()


def _parameter(part: Part, name: str) -> str | None:
    value = _safely(lambda: part.get_param(name), None)
    text = value[2] if isinstance(value, tuple) else value
    return charset.clean(str(text)).strip().lower() if text else None


def _charset(part: Part) -> str | None:
    return _safely(part.get_content_charset, None)


def _octets(part: Part) -> bytes:
    decoded = _safely(lambda: part.get_payload(decode=True), None)
    if isinstance(decoded, bytes):
        return decoded
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def _is_attached(part: Part) -> bool:
    return _safely(part.get_content_disposition, None) == "attachment" or bool(_filename(part))


def _filename(part: Part) -> str:
    """A name that is safe for a file system; "" when the part has none."""
    named = headers.decode_words(headers.unfold(_safely(part.get_filename, None) or ""))
    base = re.split(r"[/\\]", named)[-1]
    return _UNSAFE.sub("_", base).strip(" .")[-_LONGEST_FILENAME:]


def _attachment(part: Part, kind: str) -> Attachment:
    return Attachment(filename=_filename(part), content_type=kind, size_octets=len(_octets(part)))


def _size(part: Part) -> int:
    return sum(len(_octets(leaf)) for leaf in part.walk() if not leaf.is_multipart())


def _header_lines(part: Part, names: tuple[str, ...] | None = None) -> str:
    found = headers.fields(part)
    if names is None:
        return "\n".join(f"{name}: {value}" for name, value in found)
    wanted = ((name, next((value for key, value in found if key == name.lower()), "")) for name in names)
    return "\n".join(f"{name}: {value}" for name, value in wanted if value)
