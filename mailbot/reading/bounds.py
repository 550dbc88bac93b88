"""Bounds a raw mail before any parser sees it, so that a hostile one ends in bounded time.

Owns how much of a mail is read: its lines, header fields, parts and nesting. What is cut is cut from
the copy that is parsed; the stored octets stay whole. Must not know what the mail means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one mail is read. The defaults are far above what people send."""

    #: lines of the whole mail; a 30 MB attachment in base64 has 400,000
    lines: int = 600_000
    #: octets of the top header section
    header_octets: int = 262_144
    #: octets of one header field with its continuation lines
    field_octets: int = 32_768
    #: octets of one MIME field (Content-Type and kin), whose parameters are parsed in quadratic time
    mime_field_octets: int = 2_048
    #: octets of the header section of one part
    part_header_octets: int = 16_384
    #: parts between MIME boundaries
    parts: int = 400
    #: multipart and message containers, and with them the depth of nesting
    containers: int = 40
    #: characters of text that are taken apart
    text_characters: int = 200_000


_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
_FIELD = re.compile(rb"^[!-9;-~]+:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.MULTILINE)
_MIME_FIELD = re.compile(rb"\ncontent-[a-z-]{1,40}:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")
_CONTAINER = re.compile(rb"\ncontent-type:(?:[ \t]|\r?\n[ \t])*(?:multipart|message)/")
# These three run over a copy in lower case: a literal beginning lets the search skip base64 at full speed.
_BOUNDARY = re.compile(rb"boundary\s*=\s*(?:\"([^\"\r\n]{1,200})\"|([^\s;\"]{1,200}))")
_REPORT = b"message/delivery-status"
_FIRST_FIELD = re.compile(rb"[!-9;-~]{1,80}:")


def bounded(octets: bytes, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    """The octets to parse, within the limits, and what was left out.

    Args:
        octets: a raw mail.
        limits: how much of it is read.

    Returns:
        The mail, shortened where it exceeds a limit, and one sentence for each cut.
    """
    defects: list[str] = []
    octets = from_first_field(octets)
    octets = _bound_lines(octets, limits, defects)
    octets = _bound_header(octets, limits, defects)
    octets = _bound_parts(octets, limits, defects)
    octets = _bound_mime_fields(octets, limits, defects)
    octets = _bound_containers(octets, limits, defects)
    return octets, tuple(defects)


def header_end(octets: bytes) -> int:
    """Where the top header section ends: the offset of the blank line, or of the end."""
    blank = _BLANK_LINE.search(octets)
    return blank.start() if blank else len(octets)


def from_first_field(octets: bytes) -> bytes:
    """Drop blank lines and a byte order mark that stand before the first header field."""
    trimmed = octets.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    return trimmed if len(trimmed) < len(octets) and _FIRST_FIELD.match(trimmed) else octets


def _bound_lines(octets: bytes, limits: Limits, defects: list[str]) -> bytes:
    ends = max(octets.count(b"\n"), octets.count(b"\r"))
    if ends <= limits.lines:
        return octets
    defects.append(f"{ends} lines: only the first {limits.lines} were read")
    lines = octets.splitlines(keepends=True)
    return b"".join(lines[: limits.lines])


def _bound_header(octets: bytes, limits: Limits, defects: list[str]) -> bytes:
    end = header_end(octets)
    header, rest = octets[:end], octets[end:]
    if not _FIRST_FIELD.match(header) and not header.startswith(b"From "):
        return octets

    def shortened(field: re.Match[bytes]) -> bytes:
        value = field.group()
        if len(value) <= limits.field_octets:
            return value
        defects.append(f"header field of {len(value)} octets: only the first {limits.field_octets} were read")
        return value[: limits.field_octets].rstrip(b"\r\n\t ")

    if len(header) > limits.field_octets:
        header = _FIELD.sub(shortened, header)
    if len(header) > limits.header_octets:
        cut = max(header.rfind(b"\n", 0, limits.header_octets), 0) or limits.header_octets
        defects.append(f"header of {len(header)} octets: only the first {cut} were read")
        header = header[:cut].rstrip(b"\r\n")
    return header + rest if len(header) < end else octets


def _delimiters(octets: bytes) -> Iterator[int]:
    """Offsets of the lines that begin with a declared MIME boundary, in order."""
    lowered = octets.lower()
    declared = {octets[slice(*match.span(match.lastindex or 0))] for match in _BOUNDARY.finditer(lowered)}
    if b"boundary*" in lowered:
        # Written in pieces or percent-encoded (RFC 2231): any delimiter-like line may be one.
        declared.add(b"")
    if not declared:
        return
    # Matched by the set, not by one alternation of what may be thousands of names.
    lengths = {len(name) for name in declared}
    offset = octets.find(b"\n--")
    while offset != -1:
        start = offset + 3
        if any(octets[start : start + length] in declared for length in lengths):
            yield offset + 1
        offset = octets.find(b"\n--", start)


def _bound_parts(octets: bytes, limits: Limits, defects: list[str]) -> bytes:
    starts = list(islice(_delimiters(octets), limits.parts + 2))
    if len(starts) > limits.parts + 1:
        defects.append(f"more than {limits.parts} parts: the rest was not read")
        octets = octets[: starts.pop()]
    cuts: list[tuple[int, int]] = []
    for start, following in pairwise((*starts, len(octets))):
        blank = _BLANK_LINE.search(octets, start, following)
        end = blank.start() if blank else following
        if end - start > limits.part_header_octets:
            cuts.append((start + limits.part_header_octets, end))
    if not cuts:
        return octets
    defects.append(f"{len(cuts)} part headers exceed {limits.part_header_octets} octets and were cut")
    kept: list[bytes] = []
    position = 0
    for start, end in cuts:
        kept.append(octets[position:start])
        position = end
    return b"".join((*kept, octets[position:]))


def _bound_mime_fields(octets: bytes, limits: Limits, defects: list[str]) -> bytes:
    # A leading line feed lets the first line match as well.
    lowered = b"\n" + octets.lower()
    long = [
        match.span()
        for match in _MIME_FIELD.finditer(lowered)
        if match.end() - match.start() > limits.mime_field_octets
    ]
    if not long:
        return octets
    defects.append(f"{len(long)} MIME fields exceed {limits.mime_field_octets} octets and were cut")
    kept: list[bytes] = []
    position = 0
    for start, end in long:
        kept.append(octets[position : start - 1 + limits.mime_field_octets].rstrip(b"\r\n\t "))
        position = end - 1
    return b"".join((*kept, octets[position:]))


def _bound_containers(octets: bytes, limits: Limits, defects: list[str]) -> bytes:
    """Rename the Content-Type of surplus containers, which makes them plain text."""
    lowered = b"\n" + octets.lower()
    offsets = [match.start() for match in _CONTAINER.finditer(lowered)]
    surplus = offsets[limits.containers :]
    report = lowered.find(_REPORT)
    if report != -1 and len(_BLANK_LINE.findall(lowered, report)) > limits.parts:
        # Every blank line of a delivery report begins a new "part".
        surplus = sorted({*surplus, *(at for at in offsets if lowered.find(_REPORT, at, at + 99) != -1)})
    if not surplus:
        return octets
    defects.append(f"{len(surplus)} containers too many were read as text")
    kept: list[bytes] = []
    position = 0
    for at in surplus:
        kept.append(octets[position:at])
        kept.append(b"x-nested-type")
        position = at + len(b"content-type")
    return b"".join((*kept, octets[position:]))
