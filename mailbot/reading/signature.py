"""Finds the signature and the footer below the sender's own words.

Owns sign-offs, name blocks and the wording of footers. Reads from the end of the text upwards and stops
at the first paragraph that may be the sender's own words. Must not know what contributions are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailbot.model import Address
from mailbot.reading import footers
from mailbot.reading.kinds import Kind

#: lines of a paragraph, or below "-- ", that are still taken for a signature
_LONGEST_SIGNATURE = 16
_LONGEST_LINE = 100
_MOST_NAME_WORDS = 6
#: paragraphs of one signature: closing, name, organisation, address
_MOST_BLOCKS = 5
#: paragraphs between a signature and the end that are looked past
_MOST_AFTERTHOUGHTS = 2

_DELIMITER = re.compile(r"--\s?|[—\u2013]{1,2}|_{2,10}")
_SIGN_OFF = re.compile(
    r"(?P<words>(?:(?:with|my|our|many|very|kind(?:est)?|best|warm(?:est)?|good|all|much|sincere|fond(?:est)?"
    r"|every)\s+){0,4}"
    r"(?:regards|wishes|wish|blessings?|respect|thanks|thank you|thankyou|gratitude|solidarity)(?:\s+(?:again"
    r"|in advance|and regards|and best wishes|to you all))?"
    r"|(?:in|with) (?:solidarity|hope|peace|friendship|haste|fellowship|anticipation)|yours\b[\w' ,]{0,28}"
    r"|all (?:the )?(?:very )?best|warmly"
    r"|(?:very )?best|cheers|ta|ta very much|ta ra|tara(?: a bit)?|thx|tx|rgds|love|lots of love|peace"
    r"|sincerely(?: yours)?"
    r"|respectfully(?: yours)?|faithfully|cordially|god bless(?: you)?|blessings|bless you|salaams?|namaste"
    r"|take care|bye(?: for now)?"
    r"|speak soon|see you soon|hope to hear from you(?: soon)?|looking forward|kr|br|bw|atb"
    r"|(?:mit )?(?:freundliche[nm]?|beste[nm]?|liebe[nm]?|viele[nm]?|herzliche[nm]?) gr(?:ü|ue)(?:ß|ss)en?|lg|mfg|vg"
    r"|(?:bien )?cordialement|bien à vous|amicalement|salutations(?: distinguées)?"
    r"|(?:un )?saludos?(?: cordial(?:es)?)?|atentamente"
    r"|z poważaniem|(?:serdecznie )?pozdrawiam(?:y)?|pozdrowienia|met vriendelijke groet(?:en)?|groet(?:en|jes)?"
    r"|cordiali saluti|saluti|(?:med )?vänliga? hälsning(?:ar)?|mvh|hälsningar)"
    r"(?P<rest>[\s,.!;:\u2013-]*(?:x{1,4}\b)?[\s,.!;:\u2013-]*(?P<name>.*))",
    re.IGNORECASE,
)
_NAME_AFTER = re.compile(
    r"(?:(?:from|for|and|all|at|the|of|&|x|xx|dr|mr|mrs|ms)\b\s*|[A-Z][\w'\u2019.-]*,?\s*){0,8}[!.]?"
)
_POSTSCRIPT = re.compile(r"\W*(?:p\.?\s?){1,3}s\b\.?\W", re.IGNORECASE)
_CONTACT = re.compile(
    r"(?:\+|\(?0)[\d\s().-]{8,}\d|[\w.+-]{1,64}@[\w-]{1,63}\.\w|\bhttps?://|\bwww\.|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b"
    r"|\b[a-z0-9-]{3,}\.(?:com|org|net|uk|eu|info|coop|example|io|co)\b"
)
_CONTACT_ALONE = re.compile(
    r"\W*(?:(?:tel(?:ephone)?|phone|mob(?:ile)?|call|t|m)\W{1,3})?(?:(?:\+|\(?0)[\d\s().-]{8,}\d|(?:https?://"
    r"|www\.)\S+|\S+@\S+)\W*",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*•·»>#]\s|\(?\d{1,2}[.)]\s|\(?[a-z]\)\s)")
_LABEL = re.compile(
    r"\s*(?!tel|phone|mob|fax|e-?mail|web|www|t:|m:|e:|w:|address|twitter|office|direct)[A-Za-z ]{2,30}:\s",
    re.IGNORECASE,
)
#: words by which a line speaks for its sender: such a line is never taken for a strapline
_SPEAKS = re.compile(
    r"\b(?:i|i['\u2019](?:m|d|ll|ve)|we['\u2019](?:d|ll|ve)|you|your|yours|would|could|can|will|shall|might"
    r"|happy|glad|offer|pledge"
    r"|promise|lend|give|donate|free|please|let me|put (?:me|us))\b",
    re.IGNORECASE,
)
#: the same, where advertising ("we offer tastings") is more likely than a contribution
_ADDRESSES = re.compile(
    r"\b(?:i|i['\u2019](?:m|d|ll|ve)|we['\u2019](?:d|ll)|we (?:would|could|can|will|shall)|you|your|happy"
    r"|glad|pledge|let me|put (?:me|us))\b",
    re.IGNORECASE,
)
_BARE_NAME = re.compile(
    r"(?:(?:Mrs?|Ms|Miss|Dr|Revd?|Prof|Fr|Sr|Cllr)\.? )?(?:[^\W\d_a-z][a-zà-ÿ'\u2019-]+[\w'\u2019-]*"
    r"|[A-Z]\.) ?(?:[^\W\d_a-z][a-zà-ÿ'\u2019-]+[\w'\u2019-]* ?){1,2}"
)
_GREETING = re.compile(
    r"\W*(?:dear|hi|hello|hey|hiya|good (?:morning|afternoon|evening)|salaam|morning|afternoon|to)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
#: words that stand small within a name line
_SMALL_WORDS = frozenset(
    {"x", "xx", "xxx", "van", "de", "von", "der", "al", "bin", "and", "for", "the", "of", "from", "at"}
)
_SEPARATOR = re.compile(r"\s*[,|/·•+(\u2013—\"“]\s*|\s-\s|\s{2,}")


def mark(lines: Sequence[str], kinds: list[Kind], sender: Address | None) -> None:
    """Mark the lines of the signature and of footers among the sender's own lines.

    Args:
        lines: the text.
        kinds: one for each line; only those still OWN are changed, in place.
        sender: From; its name tells a name line from the end of a sentence.
    """
    names = _names(sender)
    paragraphs = _paragraphs(lines, kinds)
    before = list(kinds)
    _mark_below_delimiter(lines, kinds, paragraphs)
    remaining = [each for each in paragraphs if kinds[each[-1]] is Kind.OWN]
    _mark_upwards(lines, kinds, remaining, names)
    if Kind.OWN not in (kind for kind, line in zip(kinds, lines, strict=True) if line.strip()):
        # A mail that is all signature by our rules is one that the rules do not understand.
        kinds[:] = [_kept(old, new) for old, new in zip(before, kinds, strict=True)]


def _kept(old: Kind, new: Kind) -> Kind:
    return new if new is Kind.FOOTER and old is Kind.OWN else old


def _names(sender: Address | None) -> frozenset[str]:
    """Words that may be the sender's name, folded; initials last."""
    if sender is None:
        return frozenset()
    words = _WORD.findall(sender.display_name)
    local = [part for part in re.split(r"[^A-Za-z]+", sender.addr_spec.rpartition("@")[0]) if len(part) > 2]
    initials = "".join(word[0] for word in words)
    return frozenset(word.casefold() for word in (*words, *local, initials) if word)


def _paragraphs(lines: Sequence[str], kinds: Sequence[Kind]) -> list[list[int]]:
    """Runs of own lines without a blank line between, in order."""
    found: list[list[int]] = []
    joins = False
    for index, (line, kind) in enumerate(zip(lines, kinds, strict=True)):
        if not line.strip() or kind is not Kind.OWN:
            joins = False
        elif joins:
            found[-1].append(index)
        else:
            found.append([index])
            joins = True
    return found


def _mark_below_delimiter(lines: Sequence[str], kinds: list[Kind], paragraphs: list[list[int]]) -> None:
    """The signature below "-- " (RFC 3676 section 4.3), if it is one."""
    flat = [index for paragraph in paragraphs for index in paragraph]
    at = next((place for place in range(len(flat) - 1, -1, -1) if _DELIMITER.fullmatch(lines[flat[place]])), None)
    if at is None or at == 0 or len(flat) - at > _LONGEST_SIGNATURE:
        return
    below = set(flat[at + 1 :])
    blocks = [[index for index in paragraph if index in below] for paragraph in paragraphs]
    blocks = [block for block in blocks if block and not _POSTSCRIPT.match(lines[block[0]])]
    if any(_is_prose([lines[index] for index in block]) for block in blocks):
        # A dividing line, not a signature's: what stands below it is the sender's own.
        return
    kinds[flat[at]] = Kind.SIGNATURE
    for block in blocks:
        _mark_block(lines, kinds, block)


def _mark_upwards(lines: Sequence[str], kinds: list[Kind], paragraphs: list[list[int]], names: frozenset[str]) -> None:
    afterthoughts: list[list[int]] = []
    found = 0
    for place, paragraph in reversed(list(enumerate(paragraphs))):
        text = [lines[index] for index in paragraph]
        if footers.is_footer(text) and not _starts_signature(text[0], names):
            _mark_all(kinds, paragraph, Kind.FOOTER)
            continue
        above = [lines[index] for index in paragraphs[place - 1]] if place else []
        start = _signature_start(text, names)
        if start is None and _is_formal_block(text, names) and _signature_start(above, names) is not None:
            start = 0
        if start is None and found and _is_closing(text[-1]):
            start = len(text) - 1
        if (
            start is None
            and not found
            and not afterthoughts
            and _is_bare_name(text[0])
            and all(map(_belongs, text[1:]))
        ):
            start = 0
        if start is not None and len(text) - start <= _LONGEST_SIGNATURE and found < _MOST_BLOCKS:
            _mark_block(lines, kinds, paragraph[start:])
            _mark_straplines(lines, kinds, afterthoughts, paragraph[start:])
            found += 1
            afterthoughts = []
            if start == 0:
                continue
            return
        if found or len(afterthoughts) == _MOST_AFTERTHOUGHTS:
            return
        afterthoughts.append(paragraph)


def _mark_straplines(lines: Sequence[str], kinds: list[Kind], afterthoughts: list[list[int]], block: list[int]) -> None:
    """A paragraph below the signature that opens with the signer's organisation is its own advertising."""
    signed = {word.casefold() for index in block for word in _WORD.findall(lines[index])}
    for paragraph in afterthoughts:
        words = _WORD.findall(lines[paragraph[0]])[:2]
        text = " ".join(lines[index] for index in paragraph)
        third_person = not re.search(r"\b(?:i|me|my|i['\u2019]\w+)\b", text, re.IGNORECASE)
        opens = len(words) == 2 and all(word.casefold() in signed for word in words)
        if opens and third_person and not _POSTSCRIPT.match(text):
            _mark_all(kinds, paragraph, Kind.FOOTER)


def _signature_start(text: list[str], names: frozenset[str]) -> int | None:
    """Where in a paragraph the signature begins that runs to its end; None when there is none."""
    for start in range(len(text)):
        if _POSTSCRIPT.match(text[start]):
            return None
        if not _starts_signature(text[start], names):
            continue
        if all(_belongs(line) for line in text[start + 1 :]):
            closes = start > 0 and _is_closing(text[start - 1], words=3)
            return start - 1 if closes else start
    contacts = sum(bool(_CONTACT.search(line[: 2 * _LONGEST_LINE])) for line in text)
    if len(text) > 1 and contacts and all(_belongs(line) and not line.endswith((".", "?", "!")) for line in text):
        return 0
    if len(text) == 1 and contacts and _CONTACT_ALONE.fullmatch(text[0]):
        return 0
    if text and footers.is_device_line(text[-1]):
        return len(text) - 1
    return None


def _starts_signature(line: str, names: frozenset[str]) -> bool:
    return not _GREETING.match(line) and (_is_sign_off(line) or _is_name_line(line, names))


def _is_sign_off(line: str) -> bool:
    match = _SIGN_OFF.fullmatch(line.strip())
    if not match or len(line) > 60:
        return False
    name = match["name"].strip()
    return not name or bool(_NAME_AFTER.fullmatch(name))


def _is_name_line(line: str, names: frozenset[str]) -> bool:
    """Whether the line is the sender's name, perhaps with a post or an organisation behind it."""
    stripped = line.strip().lstrip("~-\u2013—*_ ").rstrip("*_ ")
    if not stripped or len(stripped) > _LONGEST_LINE or _BULLET.match(line) or _SPEAKS.search(stripped):
        return False
    head = _SEPARATOR.split(stripped, maxsplit=1)[0].rstrip(".")
    if len(stripped.split()) <= 5:
        head = re.sub(r"\s(?:and|&) (?:the|all|everyone)\b.*$", "", head)
    words = _WORD.findall(head)
    if not words or len(words) > _MOST_NAME_WORDS or not any(_is_name(word, names) for word in words[:3]):
        return False
    whole = _WORD.findall(stripped)
    if len(whole) > 14 or (stripped.endswith((".", "!", "?")) and len(whole) > 4):
        return False
    return len(words) == 1 or all(word[0].isupper() or word in _SMALL_WORDS for word in words)


def _is_formal_block(text: list[str], names: frozenset[str]) -> bool:
    """A full name, what it stands for, and a strapline: what programs put below a name signed by hand."""
    if len(text) < 3 or not _is_name_line(text[0], names) or len(_WORD.findall(text[0])) < 2:
        return False
    return all(_belongs(line) for line in text[1:-1]) and not _ADDRESSES.search(text[-1])


def _is_bare_name(line: str) -> bool:
    """Two or three capitalised words and nothing else: somebody's name, though not the one in From."""
    words = line.strip().split()
    return 2 <= len(words) <= 4 and not _GREETING.match(line) and bool(_BARE_NAME.fullmatch(line.strip()))


def _is_closing(line: str, words: int = 6) -> bool:
    """A home-made sign-off right above a name, such as "Keep pedalling,", of at most so many words."""
    own = _SPEAKS.search(line) or _GREETING.match(line) or _BULLET.match(line)
    return line.endswith(",") and line[:1].isupper() and len(_WORD.findall(line)) <= words and not own


def _is_name(word: str, names: frozenset[str]) -> bool:
    folded = word.casefold()
    if folded in names:
        return True
    if len(folded) <= 2 and word.isupper():
        return any(name.startswith(folded[0]) for name in names)
    # Short forms: Sol for Solomon, Bernie for Bernadette.
    return len(folded) >= 3 and any(len(name) >= 3 and name[:3] == folded[:3] for name in names)


def _belongs(line: str) -> bool:
    """Whether a line below a name or a sign-off is part of the same signature."""
    if len(line) > 2 * _LONGEST_LINE:
        return False
    if _CONTACT.search(line):
        return not _SPEAKS.search(line)
    if footers.is_footer([line]):
        return True
    if _BULLET.match(line) or _LABEL.match(line) or _POSTSCRIPT.match(line):
        return False
    return len(line) <= _LONGEST_LINE and not _SPEAKS.search(line)


def _is_prose(text: list[str]) -> bool:
    joined = " ".join(text)
    return len(_WORD.findall(joined)) >= 10 and bool(_SPEAKS.search(joined)) and not footers.is_footer(text)


def _mark_block(lines: Sequence[str], kinds: list[Kind], indices: list[int]) -> None:
    """A signature; from the first line with a footer's wording on, a footer."""
    kind = Kind.SIGNATURE
    for index in indices:
        if (
            kind is Kind.SIGNATURE
            and footers.is_footer([lines[index]])
            and not _CONTACT.search(lines[index][:_LONGEST_LINE])
        ):
            kind = Kind.FOOTER
        kinds[index] = kind


def _mark_all(kinds: list[Kind], indices: list[int], kind: Kind) -> None:
    for index in indices:
        kinds[index] = kind
