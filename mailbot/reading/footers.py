"""The wording of footers: disclaimers, company lines, list footers, advertising of mail programs.

Owns these patterns alone. Must not know where in a mail a line stands (signature.py does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_DEVICE = re.compile(
    r"\W*(?:sent (?:from|via|using|by|with) (?:my |the |an? )?[\w'\u2019 ]{2,40}|get outlook for \w+"
    r"|sent from outlook for \w+"
    r"|von mein\w+ [\w-]+ gesendet|gesendet von .{2,40}|envoyé (?:de|depuis) mon .{2,30}|enviado desde mi .{2,30}"
    r"|wysłano z .{2,40}|inviato da(?:l mio)? .{2,30}|verzonden vanaf mijn .{2,30}|skickat från min .{2,30})"
    r"(?:<\S+>)?\W*",
    re.IGNORECASE,
)
#: (words one of which must occur, the wording); each wording is looked for only where one of its words is, since
#: looking for all of them together takes most of the time of reading a mail
_WORDINGS = tuple(
    (tuple(words.split(", ")), re.compile(wording, re.IGNORECASE | re.MULTILINE))
    for words, wording in (
        (
            "confidential, privileged",
            r"\b(?:is|are|may be|strictly|and|privileged|private) (?:and |or )?(?:confidential|privileged)\b"
            r"|\bconfidentiality (?:notice|note|warning)",
        ),
        ("disclaimer", r"\bdisclaimer\b"),
        (
            "intended, meant, confidential, privileged, addressed",
            r"\b(?:this|the) (?:e-?mail|message|communication)[^.]{0,60}"
            r"\b(?:intended|meant|confidential|privileged|addressed)"
            r"|\bintended (?:solely |only )?for the\b",
        ),
        (
            "if you",
            r"\bif you (?:have received|are not|aren['\u2019]t) (?:this|the (?:intended|right|named))",
        ),
        (
            "registered, incorporated",
            r"\b(?:registered|incorporated) in (?:england|scotland|wales|the uk|northern ireland)\b"
            r"|\bregistered (?:charity|company|office|society|provider|number|no|as a)\b",
        ),
        ("company, charity, vat", r"\b(?:company|charity|vat) (?:no|number|reg|registration)\b|\bcharity commission\b"),
        (
            "regulated, licensed",
            r"\bregulated (?:by|for|under)\b|\bauthorised and regulated\b|\bis (?:licensed|regulated)\b",
        ),
        ("trading", r"\btrading (?:name|style) of\b"),
        ("not secure, not legal", r"\be-?mails? (?:is|are) not secure\b|\bnot legal advice\b"),
        ("benefit society", r"\bis a community benefit society\b"),
        ("unsubscribe, opt out, opt-out", r"\bunsubscribe\b|\bopt[- ]out\b"),
        (
            "preferences, subscription",
            r"\bmanage (?:your )?(?:preferences|subscription)|\bupdate (?:your )?preferences",
        ),
        (
            "you",
            r"\byou(?:['\u2019]re| are| have|['\u2019]ve) (?:receiv\w+|had|got|getting|on) (?:this|our"
            r"|the) (?:\w+ ){0,3}(?:because|as|since|list|if|mailing)",
        ),
        ("to stop", r"\bto stop (?:getting|receiving)\b"),
        ("view ", r"\bview (?:this|it) (?:e-?mail )?(?:in|online)"),
        ("reply", r"\breply(?:ing)? (?:with )?[\"'“]?(?:stop|no\b)"),
        ("rather not", r"\brather not (?:hear|receive|get)\b"),
        (
            "the planet, the environment, the trees",
            r"\b(?:think|consider|care) (?:about |of |for )?the (?:planet|environment|trees)\b",
        ),
        ("before", r"\bbefore (?:you )?print(?:ing)?\b"),
        (
            "virus, liability",
            r"\b(?:free of|for|from) (?:any )?viruses\b|\bliability for (?:any )?(?:virus|loss|damage)"
            r"|\bvirus[- ](?:free|checked|scanned)",
        ),
        ("view", r"\bviews? (?:expressed )?in this (?:e-?mail|message)\b|\bviews expressed\b"),
        ("recorded", r"\bcalls (?:are|may be) recorded\b"),
        ("nothing", r"\bnothing (?:in this|here is)\b"),
        ("mailing list, mailman, google", r"\bmailing list\s*$|\bmailman/listinfo\b|\bgoogle groups?\b.*\bgroup\b"),
        ("powered by", r"\bpowered by\b"),
        ("rights reserved, copyright, ©", r"\ball rights reserved\b|\bcopyright \d{4}\b|^\s*©"),
        ("must be", r"\bplay(?:ers)? must be\b"),
    )
)
#: words by which a footer's wording turns out to be the sender's own sentence
_OWN_WORDS = re.compile(
    r"\b(?:i|i['\u2019](?:m|d|ll|ve)|we['\u2019](?:d|ll)|we (?:would|could|can|will|shall|want|offer|pledge|promise)"
    r"|happy to|glad to|would like|put (?:me|us) down|count (?:me|us) in)\b",
    re.IGNORECASE,
)
#: a web form's field for what a person typed: what stands with it is no footer, whatever the relay wrote below
_FORM_FIELD = re.compile(
    r"^[ \t]*(?:your )?(?:message|comments?|enquiry|question)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
#: characters; the longest disclaimers of banks have half as many
_LONGEST = 5_000
_RULE = re.compile(r"\s*[_=*-]{10,}\s*")


def is_footer(lines: Sequence[str]) -> bool:
    """Whether a paragraph is a footer: it has a footer's wording and does not speak for its sender.

    Args:
        lines: the paragraph's lines, at least one.
    """
    text = "\n".join(lines)
    if len(text) > _LONGEST:
        return False
    if _DEVICE.fullmatch(text):
        return True
    if _RULE.fullmatch(text):
        return True
    folded = text.lower()
    worded = any(any(word in folded for word in words) and wording.search(text) for words, wording in _WORDINGS)
    return worded and not _OWN_WORDS.search(text) and not _FORM_FIELD.search(text)


def is_device_line(line: str) -> bool:
    """Whether a line is a mail program's own, such as "Sent from my iPhone"."""
    return len(line) <= _LONGEST and bool(_DEVICE.fullmatch(line))
