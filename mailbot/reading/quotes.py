"""Finds quoted and forwarded mail in a text.

Owns how mail programs introduce the mail they quote: ">" signs, attribution lines ("On ... wrote:"),
header blocks, dividing lines. Must not know signatures (signature.py) or what the words mean.
"""

from __future__ import annotations

import re

from mailparser_reply.constants import MAIL_LANGUAGES

from mailbot.reading.kinds import Kind

#: most lines over which a mail program wraps one attribution
_LONGEST_ATTRIBUTION_LINES = 4
_LONGEST_ATTRIBUTION = 400
_COLONS = (":", ":*", "\uff1a")
#: header lines that a header block may spread over, blank ones included
_LONGEST_BLOCK = 12

_FORWARD_MARK = re.compile(
    r"\W*(?:-{2,}|_{2,}|={2,})\s*(?:forwarded (?:message|by\b.*)|weitergeleitete nachricht"
    r"|message (?:transf[ée]r[ée]|réexpédié)"
    r"|mensaje reenviado|wiadomość przekazana|treść przekazanej wiadomości|przekazana wiadomość"
    r"|messaggio inoltrato|doorgestuurd bericht|vidarebefordrat meddelande|mensagem encaminhada)\W*"
    r"|\W*(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-mail)"
    r"|début du message (?:réexpédié|transféré)"
    r"|inicio del mensaje reenviado|początek przekazywanej wiadomości|inizio messaggio inoltrato)\s*:\W*",
    re.IGNORECASE,
)
_ORIGINAL_MARK = re.compile(
    r"\s*[-_=*]{2,}\s*(?:original (?:message|appointment)|urspr(?:ü|ue)ngliche (?:nachricht|e-?mail)"
    r"|original-?nachricht"
    r"|message d'origine|message original|mensaje original|oryginalna wiadomość|wiadomość oryginalna"
    r"|messaggio originale|oorspronkelijk bericht|ursprungligt meddelande|mensagem original|mesaj(?:ul)? original"
    r"|الرسالة الأصلية|رسالة أصلية|اصل پیغام|اصلی پیغام|ਮੂਲ ਸੁਨੇਹਾ|ਅਸਲ ਸੁਨੇਹਾ|মূল বার্তা|মূল ইমেল)\s*[-_=*]{2,}\s*",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*(?:_{10,}|-{10,}|={10,})\s*")
_QUOTED_LINE = re.compile(r"\s?>(?!From )")
_ESCAPED_FROM = re.compile(r">From ")
_QUOTE_SIGNS = re.compile(r"[\s>|]+")

_WROTE = re.compile(
    r"\b(?:wrote|writes|said|schrieb|schreibt|a écrit|napisał(?:\(a\)|a)?|pisze|escribió|ha scritto|schreef"
    r"|skrev|escreveu)\b"
    r".{0,120}:\W{0,3}$",
    re.IGNORECASE,
)
_OPENER = re.compile(
    r"\W*(?:on|am|le|el|dnia|w dniu|il|op|den|em|a|mon|tue|wed|thu|fri|sat|sun|\d{1,4})\b", re.IGNORECASE
)
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]+")
_CLOCK = re.compile(r"\b\d{1,2}[:.]\d{2}\b")
_DATED_BY_NAME = re.compile(r"\d.{0,60}(?:,|\bschrieb\b|\bnapisał)", re.IGNORECASE)
_BARE_DATE_AND_ADDRESS = re.compile(r"\W*\d{4}-\d{1,2}-\d{1,2}.{0,160}<[^<>\s]+@[^<>\s]+>\s*:$")
#: attributions of the languages that mail-parser-reply knows besides our own list
_OTHER_LANGUAGES = re.compile(
    "|".join(
        f"(?:{words['wrote_header'].removeprefix('^')})"
        for language, words in MAIL_LANGUAGES.items()
        if language in ("cs", "ja", "ko", "zh")
    )
)

_FROM_FIELD = re.compile(r"\W*(?:from|von|de|da|van|od|från|fra)\s?:\W{0,3}\s*\S", re.IGNORECASE)
_OTHER_FIELD = re.compile(
    r"\W*(?:(?P<date>sent|date|gesendet|datum|envoyé|enviado(?: el)?|fecha|data|wysłano|inviato|verzonden"
    r"|skickat|sendt)"
    r"|(?P<to>to|an|à|para|do|a|aan|till|til)|(?P<cc>cc|kopie|dw|copie)"
    r"|(?P<subject>subject|betreff|objet|asunto|temat|oggetto|onderwerp|ämne|emne)"
    r"|(?P<other>reply-to|importance|attachments|priority))\s?:",
    re.IGNORECASE,
)
#: a form that a web site relays has such lines beside From: and Subject:
_FORM_FIELD = re.compile(r"(?im)^\W*(?:your )?(?:message|comments?|enquiry|name|phone|telephone)\s?:")


def mark(lines: list[str], kinds: list[Kind], *, is_forward: bool) -> None:
    """Mark the lines that are quoted or forwarded mail.

    Args:
        lines: the text.
        kinds: one for each line; changed in place.
        is_forward: the subject says that the mail forwards another.
    """
    own_above = False
    colons = {index for index, line in enumerate(lines) if line.rstrip().endswith(_COLONS)}
    position = 0
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
            continue
        if _is_forward_mark(lines, position):
            _mark_rest(kinds, position, Kind.FORWARDED)
            return
        if _ORIGINAL_MARK.fullmatch(line) or _is_header_block(lines, position):
            # A mail that is nothing but another one hands it on, whatever its subject says.
            forwards = is_forward or not own_above
            _mark_rest(kinds, position, Kind.FORWARDED if forwards else Kind.QUOTED)
            return
        near = colons and not colons.isdisjoint(range(position, position + _LONGEST_ATTRIBUTION_LINES))
        length = _attribution(lines, position) if near else 0
        if length:
            follows = _next_line(lines, position + length)
            joined = _join(lines, position, length)
            marked = follows is not None and bool(_QUOTED_LINE.match(follows))
            if _is_certain(joined) and own_above and not marked:
                _mark_rest(kinds, position, Kind.QUOTED)
                return
            # Where nothing stands above and nothing is marked, the answer may well stand below.
            if _is_certain(joined) or (marked and _is_short(joined)):
                _mark_span(kinds, position, position + length)
                position += length
                continue
        if _is_quoted(lines, position):
            kinds[position] = Kind.QUOTED
        else:
            own_above = True
        position += 1


def _is_forward_mark(lines: list[str], position: int) -> bool:
    line = lines[position]
    if not _FORWARD_MARK.fullmatch(line):
        return False
    # Within a quoted mail the mark is part of what is quoted; at its head it introduces a forwarded one.
    return not _QUOTED_LINE.match(line) or position == 0 or not _QUOTED_LINE.match(lines[position - 1])


def _is_quoted(lines: list[str], position: int) -> bool:
    line = lines[position]
    if _QUOTED_LINE.match(line):
        return True
    # mbox escapes a line that begins with "From " by ">": in the middle of own text it is own text.
    return bool(_ESCAPED_FROM.match(line)) and position > 0 and bool(_QUOTED_LINE.match(lines[position - 1]))


def _is_header_block(lines: list[str], position: int) -> bool:
    """Whether an Outlook-like block of header lines begins here, perhaps with a line of underscores."""
    start = position
    if _RULE.fullmatch(lines[position]):
        start = next((at for at in range(position + 1, min(position + 4, len(lines))) if lines[at].strip()), start)
    if _QUOTED_LINE.match(lines[start]) or not _FROM_FIELD.match(lines[start]):
        return False
    found: set[str] = set()
    for at in range(start + 1, min(start + _LONGEST_BLOCK, len(lines))):
        match = _OTHER_FIELD.match(lines[at])
        if match and match.lastgroup:
            found.add(match.lastgroup)
        elif lines[at].strip() and not lines[at - 1].strip():
            break
    if not ({"date", "to", "subject"} & found) or len(found) < 2:
        return False
    return not _FORM_FIELD.search("\n".join(lines[start + 1 : start + _LONGEST_BLOCK]))


def _attribution(lines: list[str], position: int) -> int:
    """How many lines from here are one attribution; 0 when none begins here."""
    first = _QUOTE_SIGNS.sub("", lines[position][:40])
    if not first or _QUOTED_LINE.match(lines[position]):
        return 0
    opens = bool(_OPENER.match(lines[position]))
    for length in range(1, _LONGEST_ATTRIBUTION_LINES + 1):
        if length > 1 and (not opens or position + length > len(lines) or not lines[position + length - 1].strip()):
            return 0
        joined = _join(lines, position, length)
        if len(joined) > _LONGEST_ATTRIBUTION:
            return 0
        if joined.endswith(_COLONS) and (
            _WROTE.search(joined) or _BARE_DATE_AND_ADDRESS.match(joined) or _OTHER_LANGUAGES.match(joined)
        ):
            # A line above a weak attribution is more likely the end of the sender's own words.
            return length if length == 1 or _is_certain(joined) else 0
    return 0


def _is_certain(attribution: str) -> bool:
    """Whether it can be nothing else: it names an address or a time, or a date and then a name."""
    if _ADDRESS.search(attribution) or _OTHER_LANGUAGES.match(attribution):
        return True
    opens = bool(_OPENER.match(attribution))
    return opens and bool(_CLOCK.search(attribution) or _DATED_BY_NAME.search(attribution))


def _is_short(attribution: str) -> bool:
    """Whether a weak attribution ("Sarah wrote:") is no more than that: one short clause."""
    return len(attribution) <= 80 and not re.search(r"[.!?;]\s", attribution)


def _join(lines: list[str], position: int, length: int) -> str:
    return " ".join(line.strip() for line in lines[position : position + length])


def _next_line(lines: list[str], position: int) -> str | None:
    return next((line for line in lines[position : position + 4] if line.strip()), None)


def _mark_span(kinds: list[Kind], start: int, end: int) -> None:
    kinds[start:end] = [Kind.QUOTED] * (end - start)


def _mark_rest(kinds: list[Kind], start: int, kind: Kind) -> None:
    kinds[start:] = [kind] * (len(kinds) - start)
