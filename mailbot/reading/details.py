"""Finds who wrote, from where, how much and when (labelling guide, "Details").

Owns telephone numbers, web sites, postcodes and amounts, and puts the details together. Reads the
sender's own text, the signature and From; never quoted mail, footers or attachments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat

from mailbot.model import Address, Body, Details
from mailbot.reading import dates, names

#: characters of own text that are searched; people's mails are far shorter
_MOST_TEXT = 20_000
#: details of one kind that are kept
_MOST_VALUES = 20

_DIGIT = re.compile(r"\d")
_PHONE = re.compile(r"(?<![\w£$€.,/-])(?:\+|\(?\d)[\d \t().\u00a0/-]{7,20}\d(?![\w])")
_FAX = re.compile(r"\b(?:tele)?fax|\bf:\s*$", re.IGNORECASE)
_POSTCODE = re.compile(
    r"\b(GIR\s?0AA|[A-PR-UWYZ](?:\d[A-HJKPS-UW\d]?|[A-HK-Y]\d[ABEHMNPRV-Y\d]?))[ \u00a0]{0,2}(\d[ABD-HJLNP-UW-Z]{2})\b"
)
#: last labels of web sites written without www; "example" is the one that documentation may use (RFC 2606)
_BARE_TLDS = "com|org|net|uk|eu|info|biz|coop|io|co|me|app|scot|wales|london|charity|community|foundation|example"
_WEBSITE = re.compile(
    r"(?<![\w@.-])(?:https?://[^\s<>\"'“”]{4,200}|www\.[^\s<>\"'“”,]{3,200}"
    rf"|(?:[a-z0-9][a-z0-9-]*\.)+(?:{_BARE_TLDS})(?:/[^\s<>\"'“”,]*)?(?![\w@-]|\.\w))",
    re.IGNORECASE,
)
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?"
_SCALE = r"(?:\s?(?:k|m|bn)\b|\s(?:thousand|million|billion)\b)?"
_AMOUNT = re.compile(
    rf"[£€$]\s?(?:{_NUMBER}){_SCALE}(?:\s?[-\u2013]\s?[£€$]?(?:{_NUMBER}){_SCALE}(?![\w-]))?(?:\sUSD\b)?"
    rf"|\b(?:GBP|EUR|USD)\s?(?:{_NUMBER}){_SCALE}"
    rf"|(?<![\w.,£€$])(?=\d)(?:(?:{_NUMBER}){_SCALE}\s?(?:GBP|EUR|USD|€|pounds?\b|quid\b|euros?\b|dollars?\b)"
    r"|\d{1,3}\s?(?:p(?!\.m)|pence)\b)",
    re.IGNORECASE,
)
#: the same in words, matched backwards from the currency: "three thousand pounds"
_CURRENCY_WORD = re.compile(r"\b(?:pounds|quid|euros|dollars|pence|grand|fiver|tenner)\b", re.IGNORECASE)
_COUNT_BEFORE = re.compile(
    r"\b(?:(?:a|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
    r"|sixty|seventy|eighty|ninety|hundred|thousand|million|couple)(?:\s(?:of|and))?[ -]){1,6}$",
    re.IGNORECASE,
)


def find(body: Body, *, sender: Address | None, region: str = "GB", sent_on: date | None = None) -> Details:
    """Find the details that the sender gives.

    Args:
        body: the mail's text, taken apart.
        sender: From.
        region: ISO 3166 country: telephone numbers without "+" are its own, and outside the United
            States the day stands before the month.
        sent_on: the date of the mail; full dates before it are bygone and left out.

    Returns:
        What was found; None and () where the mail does not say.
    """
    own = body.own_text[:_MOST_TEXT]
    signed = body.signature[:_MOST_TEXT]
    # The signature is where people put how to reach them; the text comes next.
    contacts = f"{signed}\n{own}"
    numbers = _lines_with_digits(contacts)
    person = names.person(own, signed, sender)
    return Details(
        person=person,
        organisation=names.organisation(own, signed, sender, person),
        phone=next(_phones(numbers, region), None),
        website=next(_websites(contacts), None),
        postcode=next((f"{out} {inward}" for out, inward in _POSTCODE.findall(numbers)), None),
        amounts=_values(_amounts(own)),
        dates=_values(dates.find(own, day_first=region != "US", sent_on=sent_on)),
    )


def _values(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))[:_MOST_VALUES]


def _lines_with_digits(text: str) -> str:
    """What numbers are searched in: most lines of most mails have none."""
    return "\n".join(line for line in text.split("\n") if _DIGIT.search(line))


def _amounts(text: str) -> Iterator[str]:
    """Amounts in digits, then those in words."""
    found = [match.group() for match in _AMOUNT.finditer(_lines_with_digits(text))]
    for match in _CURRENCY_WORD.finditer(text):
        start = max(match.start() - 60, 0)
        count = _COUNT_BEFORE.search(text[start : match.start()])
        if not count:
            continue
        begin = start + count.start()
        written = text[begin : match.end()]
        # In brackets words say again what the digits said; "a grand launch" is no money.
        if not text[:begin].endswith("(") and written.lower() != "a grand":
            found.append(written)
    return (" ".join(written.split()) for written in found)


def _phones(text: str, region: str) -> Iterator[str]:
    """Telephone numbers in E.164, those reserved for drama among them, which are possible though not valid."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    # Where people write a leading 0, digits without one are some other number.
    plain = metadata is not None and metadata.national_prefix != "0"
    for match in _PHONE.finditer(text):
        written = match.group()
        if sum(sign.isdigit() for sign in written) < 9 or _FAX.search(text[max(match.start() - 8, 0) : match.start()]):
            continue
        try:
            number = phonenumbers.parse(written, region)
        except NumberParseException:
            continue
        prefixed = written.lstrip("(").startswith(("+", "0"))
        if phonenumbers.is_possible_number(number) if prefixed else plain and phonenumbers.is_valid_number(number):
            yield phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _websites(text: str) -> Iterator[str]:
    for word in text.split():
        match = _WEBSITE.search(word) if "." in word[:-1] or "://" in word else None
        if match:
            yield match.group().rstrip(".,;:!?)]}'\"")
