"""Turns octets into text whatever their label says.

Owns charset labels and the repair of wrong ones. Must not know where in a mail the octets stood.
"""

from __future__ import annotations

import codecs
import re

#: labels that stand for another codec than Python's of that name (WHATWG Encoding, "Names and labels")
_ALIASES = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "utf8mb4": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
}
#: codecs that Python has but that are no charsets of mail; some take quadratic time
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def decode(octets: bytes, label: str | None) -> tuple[str, str | None]:
    """Decode with the labelled charset, and with a better guess where that fails.

    Args:
        octets: the encoded text.
        label: the charset's name as the mail gives it, None when it gives none.

    Returns:
        The text, and what was wrong in one sentence (None when nothing was).

    Source:
        RFC 2045 section 5.2 (the default is US-ASCII); WHATWG Encoding, "Names and labels", for
        windows-1252 behind the labels iso-8859-1 and us-ascii.
    """
    name = (label or "").strip().strip("\"'").lower()
    codec = _codec(_ALIASES.get(name, name))
    if octets.isascii() and codec in (None, "cp1252", "utf-8"):
        return clean(octets.decode("ascii")), None if codec or not name else f"unknown charset {name[:40]!r}"
    if codec not in (None, "cp1252"):
        try:
            return clean(octets.decode(str(codec))), None
        except (UnicodeError, ValueError):
            return _guess(octets), f"text is not {name[:40]}"
    if codec is None:
        return _guess(octets), f"unknown charset {name[:40]!r}" if name else "8-bit text without a charset"
    if name in ("us-ascii", "ascii", "ansi_x3.4-1968"):
        return _guess(octets), "8-bit text labelled us-ascii"
    return _western(octets), None


def decode_unlabelled(octets: bytes) -> str:
    """Decode octets that carry no label, such as an 8-bit header: UTF-8, else windows-1252."""
    return clean(octets.decode("ascii")) if octets.isascii() else _guess(octets)


def clean(text: str) -> str:
    """Text that every store and every encoder takes: no NUL, no lone surrogates.

    Args:
        text: any text; surrogate escapes of the email package become the letters they stood for.
    """
    if not _UNUSABLE.search(text):
        return text
    escaped = re.sub("[\udc80-\udcff]+", _unescape, text)
    return _UNUSABLE.sub(lambda found: "" if found.group() == "\x00" else "\ufffd", escaped)


def _unescape(found: re.Match[str]) -> str:
    return _guess(found.group().encode("ascii", "surrogateescape"))


def _guess(octets: bytes) -> str:
    try:
        return clean(octets.decode("utf-8"))
    except UnicodeDecodeError:
        return _western(octets)


def _western(octets: bytes) -> str:
    try:
        return clean(octets.decode("cp1252"))
    except UnicodeDecodeError:
        # Five octets are undefined in windows-1252; latin-1 has a (control) character for each.
        return clean(octets.decode("latin-1"))


def _codec(name: str) -> str | None:
    if not name or len(name) > 60:
        return None
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if info.name.replace("-", "_") in _NO_CHARSETS else info.name
