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
_FULL_MONTH = r"(?:january|february|april|june|july|august|september|october|november|december)"
_ENGLISH_MONTH = rf"(?:{_FULL_MONTH}|march|may|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_SEASON = r"(?:spring|summer|autumn|winter)"
_PERIOD = rf"(?:year|month|week|term|{_SEASON})"
_NTH = r"(?:first|second|third|fourth|last)"
_TO = r"\s?(?:to|and|or|until|till|-|\u2013|&)\s?"
#: a season is a date behind what looks ahead; "in the spring" is as often past
_AHEAD = r"(?:(?<=\bby )|(?<=\bfrom )|(?<=\buntil )|(?<=\btill )|(?<=\bbefore ))"
#: the word before what is a month or a year only in such a place
_BEFORE = r"(?:(?<=\bin )|(?<=\bby )|(?<=\bfrom )|(?<=\bof )|(?<=\buntil )|(?<=\btill )|(?<=\bto )|(?<=\bbefore ))"

#: what begins with a digit
_NUMERIC = (
    rf"(?:(?P<between>20\d\d)[/\u2013-]\d\d\sacademic\syear\b)"
    rf"|(?P<alone>{_BEFORE}20\d\d)\b(?![-/\u2013.,]\d)"
    r"|(?P<iso>(?P<iso_year>(?:19|20)\d\d)-(?P<iso_month>\d\d)-(?P<iso_day>\d\d)\b)"
    r"|(?P<slashed>(?P<first>\d{1,2})[/.](?P<second>\d{1,2})[/.](?P<slashed_year>(?:19|20)?\d\d)\b)"
    rf"|(?:{_DAY}{_TO}(?:the\s)?{_DAY}\s(?:of\s)?{_MONTH}(?:\s20\d\d\b)?)"
    rf"|(?:{_DAY}\s{_MONTH}\s?(?:to|until|till|-|\u2013)\s?{_DAY}\s{_MONTH}(?:\s20\d\d\b)?)"
    rf"|(?P<day>{_DAY})\s?(?:of\s)?(?P<month>{_MONTH})(?:,?\s(?P<year>(?:19|20)\d\d)\b)?"
)
#: what begins with a month; "may" and "march" alone are verbs unless a preposition stands before them
_MONTHLY = (
    rf"(?P<us_month>{_ENGLISH_MONTH})\s(?P<us_day>{_DAY})(?:,?\s(?P<us_year>(?:19|20)\d\d)\b"
    r"|(?![\d:]|\s?(?:am|pm|people|places|days|weeks|months|hours)\b))"
    rf"|(?:{_FULL_MONTH}|march|may)\shalf[- ]term\b"
    rf"|{_BEFORE}(?:feb|apr|jun|jul|aug|sept?|oct|nov|dec)\b"
    rf"|{_FULL_MONTH}\s(?:to|until|till|-|\u2013)\s(?:{_FULL_MONTH}|march|may)\b"
    rf"|(?:{_FULL_MONTH}|(?:(?<=\bin )|(?<=\bby )|(?<=\bfrom )|(?<=\bof )|(?<=\buntil )|(?<=\btill )"
    r"|(?<=\bnext )|(?<=\bthis )|(?<=\bsince )|(?<=\bour ))(?:march|may))(?:\s20\d\d)?\b"
)
#: what begins with another word
_WORDED = (
    rf"first\sof\s{_MONTH}"
    rf"|(?:beginning|start|end|middle|mid|{_NTH}\s(?:week|quarter)|early|late)(?:\sof)?"
    rf"(?:\s(?:the|this|next))?[-\s](?:{_MONTH}(?:\s20\d\d)?|{_PERIOD}|half[- ]term|new\syear|financial\syear|quarter"
    r"|20\d\d)\b"
    rf"|{_NTH}\s(?:of|{_WEEKDAY}\s(?:of|in))\s(?:(?:the|next)\smonth|{_MONTH})"
    rf"|(?:this|next|(?<=\bby )the|(?<=\buntil )the|(?<=\btill )the|(?<=\bfrom )the|(?<=\bbefore )the)"
    rf"\s{_SEASON}(?:\s(?:of\s)?20\d\d)?\b"
    rf"|{_SEASON}\s(?:of\s)?20\d\d\b|{_AHEAD}{_SEASON}\b"
    r"|year\send\b|lady\sday\b|good\sfriday\b|(?:shrove|pancake)\stuesday\b|advent\ssunday\b|twelfth\snight\b"
    r"|(?:easter(?:\s(?:sunday|monday|holidays|hols))?|xmas|candlemas|lammas|christmas|whitsun|michaelmas|ramadan|eid|diwali|vaisakhi|hanukkah|passover|pentecost|halloween"
    r"|bonfire\snight|boxing\sday|new\syear(?:['\u2019]s\s(?:day|eve))?)\b"
    r"(?!\s(?:cards?|lights|trees?|party|parties|parade|bazaar|dinner|lunch|jumpers?|present|bonus|eggs?))"
    rf"|(?:next|the\s(?:new|following|coming))\s{_PERIOD}\b|half[- ]term\b|launch\s(?:week|month)\b"
    rf"|the\s{_DAY}\b(?<=[a-z])(?!\s(?:of\s)?(?:{_MONTH}|floor|birthday|anniversary|century|year|time|person|edition))"
)
# For text in lower case, which is searched twice as fast as letters of any case; the looks ahead at one letter
# let the search pass over most words without trying every alternative.
_DATE = re.compile(rf"\b(?:(?=\d)(?:{_NUMERIC})|(?=[jfmasond])(?:{_MONTHLY})|(?=[fbsemltcwrdvhpnyagx])(?:{_WORDED}))")
#: words before a date that put it in the past
_BYGONE = re.compile(
    r"\b(?:last|since|back in|ago|previous|past|former|dated|founded in|started in|began in|until last"
    r"|(?:e-?mail|mail|letter|message|minutes|invoice|report) of"
    # what was done: "closed in June", but not "to be opened in June"
    r"|(?<!\bbe )(?<!\bis )(?<!\bare )(?!promised|pledged|booked|needed|planned)"
    r"(?:\w{2,}ed|left us|sent|went|shut|took|told|gave|wrote|did|met|came|spoke)"
    r"(?:\s(?:it|us|you|me|up|in|out|to you|\w+ing))?\s(?:in|on))\s(?:the\s)?$",
    re.IGNORECASE,
)
_BYGONE_AFTER = re.compile(
    r"\s(?:last year|ago|before last)\b"
    r"|,?\s(?:i|we|he|she|they|you)\s(?:\w{2,}ed|told|gave|wrote|did|met|came|went|sent|saw|spoke|won|were|was)\b",
    re.IGNORECASE,
)


def find(text: str, *, day_first: bool = True, sent_on: date | None = None) -> Iterator[str]:
    """The dates in a text, in order.

    Args:
        text: the sender's own words.
        day_first: "3/4/2019" is the third of April.
        sent_on: dates with day, month and year before this one are left out as bygone.

    Yields:
        ISO 8601 where day, month and year are given, otherwise the words as written. Bare weekdays are no
        dates, and a bare year is one only when it lies after `sent_on`; what the words say to be past is left out.
    """
    folded = text.lower()
    # A few letters grow when they are folded; places must stay the same.
    for match in _DATE.finditer(folded if len(folded) == len(text) else text):
        before = text[max(match.start() - 32, 0) : match.start()]
        if _BYGONE.search(before) or _BYGONE_AFTER.match(text, match.end()):
            continue
        try:
            full = _full_date(match, day_first)
        except ValueError:
            continue
        if full is None:
            if _is_ahead(match, sent_on):
                yield " ".join(text[match.start() : match.end()].split()).rstrip(".")
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


def _is_ahead(match: re.Match[str], sent_on: date | None) -> bool:
    """Whether an incomplete date may stand: a year alone has to lie after the mail's own."""
    year = match["alone"] or match["between"]
    return year is None or (sent_on is not None and int(year) >= sent_on.year + bool(match["alone"]))


def _year(written: str) -> int:
    return int(written) if len(written) == 4 else 2000 + int(written)
