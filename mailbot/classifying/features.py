"""Sentences and mails as rows of numbers.

Owns: which properties of a sentence and of its mail the heads may look at, and in which columns.
Must not know: labels, weights, what a head answers.

The first columns are the encoder's, which the shipped heads know; those after them are told by the rules, the place in
the mail and the headers, and are learnt from examples that the encoder has not seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mailbot.model import ContributionType, Message

Floats = NDArray[np.float32]

#: where a sentence may stand
PLACES = ("first of the mail", "last of the mail", "near the end", "list item", "alone", "single sentence", "forwarded")
#: a mail may be shorter than so many words
SIZES = (1, 8, 25, 60, 120)
#: labels of patterns that the type head looks at
TYPE_LABELS = (*(f"type:{kind}" for kind in ContributionType), "none")


def sentence_row(own: Floats, surroundings: Floats, labels: Sequence[str], place: Sequence[str]) -> Floats:
    """What the head for the type may know about a sentence; the last column is always 1.

    Args:
        own: the sentence's vector.
        surroundings: the vector of what was read with it.
        labels: of the patterns that hit inside the sentence.
        place: where it stands, of PLACES.
    """
    told = [float(label in labels) for label in TYPE_LABELS] + [float(name in place) for name in PLACES]
    return np.concatenate([own, surroundings, np.array([*told, 1.0], dtype=np.float32)])


def aim_row(own: Floats, surroundings: Floats, labels: Sequence[str], keys: Sequence[str]) -> Floats:
    """What the head for the aims may know about a sentence; the last column is always 1.

    Args:
        own: the sentence's vector.
        surroundings: the vector of what was read with it.
        labels: of the patterns that hit inside the sentence.
        keys: the campaign's aims.
    """
    told = [float(f"aim:{key}" in labels) for key in keys]
    return np.concatenate([own, surroundings, np.array([*told, 1.0], dtype=np.float32)])


def mail_row(mail: Floats, sentences: Floats, facts: Sequence[str], found: Sequence[float], words: int) -> Floats:
    """What the head for the class of a mail may know; the last column is always 1.

    Args:
        mail: the mail's vector.
        sentences: its sentences' vectors, sentences by width.
        facts: from `header_facts`.
        found: numbers about the contributions found, each about 0 to 1.
        words: length of the sender's own text.
    """
    strongest = sentences.max(axis=0) if len(sentences) else np.zeros_like(mail)
    sizes = [float(words < limit) for limit in SIZES]
    told = [float(fact in facts) for fact in FACTS]
    return np.concatenate([mail, strongest, np.array([*told, *sizes, *found, 1.0], dtype=np.float32)])


_ROBOT = re.compile(
    r"(?:^|[.\-_+])(?:no-?_?reply|do-?not-?reply|mailer-daemon|postmaster|bounces?|notifications?|alerts?|news(?:letter)?"
    r"|listserv|majordomo|automat\w*|backup|receipts?|request|owner)(?:$|[.\-_+])",
    re.IGNORECASE,
)
_PRECEDENCE = ("bulk", "list", "junk", "auto_reply")
_LOOP_FIELDS = ("x-autoreply", "x-autorespond", "x-loop")
_DENIALS = ("no", "false", "0")
#: what headers may tell, in the order of their columns
FACTS = (
    "auto-submitted auto-replied",
    "auto-submitted auto-generated",
    "auto-submitted otherwise",
    "list",
    *(f"precedence {value}" for value in _PRECEDENCE),
    *_LOOP_FIELDS,
    "auto-response-suppress",
    "report",
    "calendar",
    "null return path",
    "no sender",
    "robot's address",
    "reply",
    "attachment",
)


def header_facts(message: Message) -> tuple[str, ...]:
    """What the headers say about who, or what, sent a mail, in words that hold no address; each of FACTS.

    Source:
        RFC 3834 section 5 (Auto-Submitted), RFC 2919 and 2369 (List-*), RFC 6522 (reports), RFC 5546 (calendars).
    """
    facts = []
    submitted = (message.header("auto-submitted") or "no").partition(";")[0].partition("(")[0].strip().lower()
    if submitted != "no":
        known = submitted in ("auto-replied", "auto-generated")
        facts.append(f"auto-submitted {submitted if known else 'otherwise'}")
    if any(name.startswith("list-") for name, _ in message.headers):
        facts.append("list")
    precedence = (message.header("precedence") or "").strip().lower()
    if precedence in _PRECEDENCE:
        facts.append(f"precedence {precedence}")
    facts += [name for name in _LOOP_FIELDS if (message.header(name) or "no").strip().lower() not in _DENIALS]
    if message.header("x-auto-response-suppress"):
        facts.append("auto-response-suppress")
    if message.report_type:
        facts.append("report")
    if message.calendar_method:
        facts.append("calendar")
    if message.return_path == "":
        facts.append("null return path")
    if message.from_address is None:
        facts.append("no sender")
    elif _ROBOT.search(message.from_address.addr_spec.rpartition("@")[0]):
        facts.append("robot's address")
    if message.in_reply_to or message.subject.lower().startswith("re:"):
        facts.append("reply")
    if message.attachments:
        facts.append("attachment")
    return tuple(facts)


#: facts that only a machine's mail has; lists, forms and relays are not among them, for they may carry a person's words
MACHINE_FACTS = frozenset(
    {"auto-submitted auto-replied", "report", "calendar", "x-autoreply", "x-autorespond", "precedence auto_reply"}
)
