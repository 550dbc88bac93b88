"""Header fields as people mean them: decoded, unfolded, taken apart.

Owns addresses, identifiers and the content hash. Must not know about bodies, beyond hashing their octets.
"""

from __future__ import annotations

import hashlib
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator
from email.message import Message as Part

from mailbot.model import Address
from mailbot.reading import charset, parse
from mailbot.reading.bounds import from_first_field, header_end

#: (name in lower case, value decoded and unfolded)
Field = tuple[str, str]

RECIPIENT_HEADERS = ("to", "cc", "bcc", "resent-to", "resent-cc", "delivered-to", "x-original-to")
_READ_ADDRESSES = frozenset({"from", "reply-to", *RECIPIENT_HEADERS})
_ADDRESS_HEADERS = _READ_ADDRESSES | {"sender", "resent-from"}
#: what the sender wrote; everything else may be added or changed on the way
_HASHED_HEADERS = ("from", "date", "subject", "message-id")
#: RFC 5322 section 2.1.1: no line, and so no identifier, is longer
_LONGEST_MESSAGE_ID = 998

_FOLD = re.compile(r"\r?\n(?=[ \t])|[\r\n]+")
_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*|.*?)\?=")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_BARE_MESSAGE_ID = re.compile(r"[^<>\s,;]+@[^<>\s,;]+")
_MBOX_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def unfold(raw: str) -> str:
    """One line, 8-bit letters decoded, encoded words left as they are (RFC 5322 section 2.2.3)."""
    line = _without_folds(raw).strip(" \t")
    if not line.isascii():
        line = charset.decode_unlabelled(line.encode("utf-8", "surrogateescape"))
    return charset.clean(line)


def decode_words(line: str) -> str:
    """Decode the encoded words of one line.

    Args:
        line: an unfolded header value.

    Returns:
        The text; a word that cannot be decoded stays as it is written.

    Source:
        RFC 2047 section 6.2 (white space between encoded words is not shown). Neighbours of one charset
        are joined before decoding, since common senders split a letter's octets over two words.
    """
    if "=?" not in line:
        return line
    shown: list[str] = []
    pending: tuple[str, bytes] | None = None
    position = 0
    for word in _WORD.finditer(line):
        octets = _word_octets(word.group(2), word.group(3))
        gap = line[position : word.start()]
        label = word.group(1).lower()
        adjacent = pending is not None and not gap.strip()
        if octets is None:
            continue
        if adjacent and pending is not None and pending[0] == label:
            pending = (label, pending[1] + octets)
        else:
            shown.append(_shown(pending))
            if not adjacent:
                shown.append(gap)
            pending = (label, octets)
        position = word.end()
    shown.append(_shown(pending))
    shown.append(line[position:])
    return charset.clean(_without_folds("".join(shown)))


def fields(root: Part) -> tuple[Field, ...]:
    """Every header field of a part, decoded and unfolded, in order."""
    return tuple((charset.clean(name).lower(), _decoded(name.lower(), raw)) for name, raw in _raw_fields(root))


def addresses(root: Part) -> tuple[tuple[tuple[str, Address], ...], tuple[str, ...]]:
    """The addresses of From, Reply-To and every recipient header, and what was wrong with them.

    Args:
        root: the part whose header is meant.

    Returns:
        (header name in lower case, address) pairs in the order of the mail, and a sentence for each defect.
    """
    found: list[tuple[str, Address]] = []
    defects: list[str] = []
    for name, raw in _raw_fields(root):
        header = name.lower()
        if header in _READ_ADDRESSES:
            inside, complaints = _addresses(unfold(raw))
            found.extend((header, address) for address in inside)
            defects.extend(f"the addresses of {header}: {complaint}" for complaint in complaints)
    return tuple(found), tuple(defects)


def recipients(addressed: Iterable[tuple[str, Address]]) -> tuple[str, ...]:
    """Every addr-spec that the mail was addressed or delivered to, lower case, each once.

    Args:
        addressed: as `addresses()` gives it.
    """
    found = (address.addr_spec.lower() for header, address in addressed if header in RECIPIENT_HEADERS)
    return tuple(dict.fromkeys(found))


def return_path(root: Part) -> str | None:
    """The addr-spec of Return-Path; "" for the null path; None when the header is absent.

    Source:
        RFC 5321 section 4.4; the topmost one is the last server's.
    """
    for name, raw in _raw_fields(root):
        if name.lower() == "return-path":
            value = unfold(raw)
            found, _ = _addresses(value)
            return found[0].addr_spec if found else value.strip("<> \t")
    return None


def message_id(values: Iterable[str], content_hash: str) -> str:
    """The Message-ID with its brackets, or one made from the hash where the mail has none.

    Args:
        values: the Message-ID headers' values.
        content_hash: hex, of `content_hash()`.
    """
    for value in values:
        found = _MESSAGE_ID.search(value)
        if found and len(found.group()) <= _LONGEST_MESSAGE_ID:
            return found.group()
        bare = _BARE_MESSAGE_ID.search(value)
        if bare and len(bare.group()) <= _LONGEST_MESSAGE_ID:
            return f"<{bare.group()}>"
    return f"<{content_hash[:32]}@synthetic.mailbot.invalid>"


def references(values: Iterable[str]) -> tuple[str, ...]:
    """The message ids in References or In-Reply-To headers, in order, each once."""
    found = (word for value in values for word in _MESSAGE_ID.findall(value))
    return tuple(dict.fromkeys(word for word in found if len(word) <= _LONGEST_MESSAGE_ID))


def content_hash(octets: bytes, root: Part) -> str:
    """SHA-256, hex, over what the sender wrote: the same for every copy of one mail.

    Args:
        octets: the whole raw mail.
        root: the same mail, parsed.

    Returns:
        The hash over From, Date, Subject and Message-ID with white space folded, and over the body's
        octets with line ends, mbox escapes and trailing blank lines made alike. Headers that servers
        add or fold anew do not count.
    """
    digest = hashlib.sha256()
    hashed = [(name.lower(), raw) for name, raw in _raw_fields(root) if name.lower() in _HASHED_HEADERS]
    # Sorting is stable: fields of one name stay in the order of the mail.
    for name, raw in sorted(hashed, key=lambda field: _HASHED_HEADERS.index(field[0])):
        value = " ".join(_without_folds(raw).split())
        digest.update(f"{name}:{value}\n".encode("utf-8", "surrogateescape"))
    octets = from_first_field(octets)
    body = octets[header_end(octets) :] if len(root) else octets
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    body = body.strip(b"\n")
    if b">From " in body:
        body = _MBOX_FROM.sub(b"", body)
    digest.update(b"\n")
    digest.update(body)
    return digest.hexdigest()


def _raw_fields(root: Part) -> Iterator[tuple[str, str]]:
    return ((name, str(raw)) for name, raw in root.raw_items())


def _decoded(name: str, raw: str) -> str:
    line = unfold(raw)
    return decode_words(line).strip() if name not in _ADDRESS_HEADERS else decode_words(line)


def _without_folds(text: str) -> str:
    # Most headers have none: looking for two characters is far faster than the pattern.
    return _FOLD.sub("", text) if "\n" in text or "\r" in text else text


def _addresses(line: str) -> tuple[list[Address], list[str]]:
    pairs, complaints = parse.addresses(line)
    found = []
    for name, spec in pairs:
        local, _, domain = spec.rpartition("@")
        found.append(Address(display_name=" ".join(decode_words(name).split()), addr_spec=f"{local}@{domain.lower()}"))
    return found, complaints


def _word_octets(encoding: str, text: str) -> bytes | None:
    encoded = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return a2b_qp(encoded, header=True)
    try:
        return a2b_base64(encoded + b"=" * (-len(encoded) % 4))
    except (Base64Error, ValueError):
        return None


def _shown(word: tuple[str, bytes] | None) -> str:
    return charset.decode(word[1], word[0])[0] if word else ""
