"""Finds the dates in a text.

Owns how people write dates in mails about plans. Must not know what happens on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = (
    ("january", "jan", "januar", "janvier", "stycznia", "enero"),
    ("february", "feb", "februar", "février", "lutego", "febrero"),
    ("march", "mar", "märz", "mars", "marca", "marzo"),
    ("april", "apr", "avril", "kwietnia", "abril"),
    ("may", "mai", "maja", "mayo"),
    ("june", "jun", "juni", "juin", "czerwca", "junio"),
    ("july", "jul", "juli", "juillet", "lipca", "julio"),
    ("august", "aug", "août", "sierpnia", "agosto"),
    ("september", "sep", "sept", "septembre", "września", "septiembre"),
    ("october", "oct", "oktober", "octobre", "października", "octubre"),
    ("november", "nov", "novembre", "listopada", "noviembre"),
    ("december", "dec", "dezember", "décembre", "grudnia", "diciembre"),
)
_NUMBER_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
#: every spelling, longest first, so that "sept" wins over "sep"
_MONTH = "(?:" + "|".join(sorted(_NUMBER_OF, key=len, reverse=True)) + r")\b\.?"
_FULL_MONTH = r"(?:January|February|April|June|July|August|September|October|November|December)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_PART = r"(?:the\s)?(?:beginning|start|end|middle|mid|first week|second week|third week|last week|early|late)(?:\sof)?(?:\sthe)?\s"
_SEASON = r"(?:spring|summer|autumn|winter|half[- ]term|new year|financial year|term|month|year|week|quarter)"
_FEAST = r"(?:Easter|Christmas|Whitsun|Michaelmas|Ramadan|Eid|Diwali|Vaisakhi|Hanukkah|Passover|Pentecost|Halloween|Bonfire Night|Boxing Day|New Year(?:['’]s (?:Day|Eve))?)"

_DATE = re.compile(
    rf"(?P<iso>\b(?P<iso_year>(?:19|20)\d\d)-(?P<iso_month>\d\d)-(?P<iso_day>\d\d)\b)"
    rf"|(?P<slashed>\b(?P<first>\d{{1,2}})[/.](?P<second>\d{{1,2}})[/.](?P<slashed_year>(?:19|20)?\d\d)\b)"
    rf"|(?P<range>\b(?:from\s)?(?:the\s)?{_DAY}\s?(?:to|and|or|until|till|-|–|&)\s?(?:the\s)?{_DAY}\s(?:of\s)?{_MONTH}(?:\s(?P<range_year>20\d\d)\b)?)"
    rf"|(?P<written>\b(?P<day>{_DAY})\s?(?:of\s)?(?P<month>{_MONTH})(?:,?\s(?P<year>(?:19|20)\d\d)\b)?)"
    rf"|(?P<american>\b(?P<us_month>{_MONTH})\s(?P<us_day>{_DAY})(?:,?\s(?P<us_year>(?:19|20)\d\d)\b)?(?!\s?(?:am|pm|people|places|days|weeks|months|hours)\b|[\d:]))"
    rf"|(?P<ordinal>\bfirst\sof\s{_MONTH})"
    rf"|(?P<part>\b{_PART}(?:{_MONTH}(?:\s20\d\d)?|{_SEASON})\b)"
    rf"|(?P<nth>\b(?:the\s)?(?:first|second|third|fourth|last)\s{_WEEKDAY}\s(?:of|in)\s(?:the\smonth|every\smonth|each\smonth|{_MONTH}))"
    rf"|(?P<months>\b{_FULL_MONTH}\s(?:to|until|till|-|–)\s(?:{_FULL_MONTH}|March|May)\b)"
    rf"|(?P<named>\b(?:{_FULL_MONTH}|(?:(?<=\bin )|(?<=\bby )|(?<=\bfrom )|(?<=\bof )|(?<=\buntil )|(?<=\btill )|(?<=\bnext )|(?<=\bthis )|(?<=\bsince )|(?<=\bour ))(?:March|May))(?:\s(?P<named_year>20\d\d))?\b)"
    rf"|(?P<feast>\b{_FEAST}\b)"
    rf"|(?P<term>\b(?:(?:next|this|the\s(?:new|following|coming))\s(?:year|month|week|term|spring|summer|autumn|winter)|new year|half[- ]term|launch\s(?:week|month|day))\b)"
    rf"|(?P<season>(?:(?<=\bthe )|(?<=\bin )|(?<=\btill )|(?<=\buntil )|(?<=\bby )|(?<=\bthis )|(?<=\bnext ))(?:spring|summer|autumn|winter)\b)"
    rf"|(?P<dayonly>\bthe\s(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)\b(?!\s(?:of\s)?(?:{_MONTH}|floor|birthday|anniversary|century|year|time|person|edition|annual)))",
    re.IGNORECASE,
)
#: words before a date that put it in the past
_BYGONE = re.compile(r"\b(?:last|since|back in|ago|previous|past|former|dated|founded in|started in|began in|until last)\s(?:the\s)?$", re.IGNORECASE)
_BYGONE_AFTER = re.compile(r"\s(?:last year|ago|before last)\b", re.IGNORECASE)


def find(text: str, *, day_first: bool = True, sent_on: date | None = None) -> Iterator[str]:
    """The dates in a text, in order.

    Args:
        text: the sender's own words.
        day_first: "3/4/2019" is the third of April.
        sent_on: dates with day, month and year before this one are left out as bygone.

    Yields:
        ISO 8601 where day, month and year are given, otherwise the words as written. Bare weekdays and
        bare years are no dates; what the words say to be past is left out.
    """
    for match in _DATE.finditer(text):
        before = text[max(match.start() - 24, 0) : match.start()]
        if _BYGONE.search(before) or _BYGONE_AFTER.match(text, match.end()):
            continue
        try:
            full = _full_date(match, day_first)
        except ValueError:
            continue
        if full is None:
            if not match["iso"] and not match["slashed"]:
                yield " ".join(match.group().split())
        elif sent_on is None or full >= sent_on:
            yield full.isoformat()


def _full_date(match: re.Match[str], day_first: bool) -> date | None:
    """The date of a match with day, month and year; None when one of them is missing.

    Raises:
        ValueError: there is no such day.
    """
    if match["iso"]:
        return date(int(match["iso_year"]), int(match["iso_month"]), int(match["iso_day"]))
    if match["slashed"]:
        day, month = (match["first"], match["second"]) if day_first else (match["second"], match["first"])
        return date(_year(match["slashed_year"]), int(month), int(day))
    for day, named, year in (("day", "month", "year"), ("us_day", "us_month", "us_year")):
        if match[day] and match[year]:
            number = _NUMBER_OF[match[named].rstrip(".").lower()]
            return date(int(match[year]), number, int(re.sub(r"\D", "", match[day])))
    return None


def _year(written: str) -> int:
    return int(written) if len(written) == 4 else 2000 + int(written)
