"""Takes a mail's text apart: the sender's own words, forwarded and quoted mail, signature, footer.

Owns the order of the rules and the promise that no line is lost: every line gets exactly one kind, and
the parts are the lines of each kind. Must not know MIME, nor what the words mean. In doubt a line stays
the sender's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbot.model import Address, Body
from mailbot.reading import quotes, signature
from mailbot.reading.kinds import Kind

_FORWARD_SUBJECT = re.compile(r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:fwd?|wg|tr|rv|doorst|vs|vb|pd|enc|i)\s*:", re.IGNORECASE)


def take_apart(
    text: str,
    *,
    subject: str = "",
    sender: Address | None = None,
    forwarded: Iterable[str] = (),
    quoted: Iterable[str] = (),
) -> Body:
    """Take a text apart.

    Args:
        text: the mail's text, line ends "\\n", quoted mail marked with ">".
        subject: tells a forwarded mail (Fwd:) from a quoted one.
        sender: From; its name helps to find the signature.
        forwarded: texts of attached mails, which join the forwarded text.
        quoted: texts that a report returned, which join the quoted text.

    Returns:
        The parts. Together they hold every line of the text that is not blank, once each; own words are
        verbatim, without trailing spaces.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    kinds = [Kind.OWN] * len(lines)
    quotes.mark(lines, kinds, is_forward=bool(_FORWARD_SUBJECT.match(subject)))
    signature.mark(lines, kinds, sender)
    part = {kind: _lines_of(kind, lines, kinds) for kind in Kind}
    return Body(
        own_text=part[Kind.OWN],
        forwarded_text=_joined(part[Kind.FORWARDED], forwarded),
        quoted_text=_joined(part[Kind.QUOTED], quoted),
        signature=part[Kind.SIGNATURE],
        footer=part[Kind.FOOTER],
    )


def _lines_of(wanted: Kind, lines: list[str], kinds: list[Kind]) -> str:
    """The lines of one kind; blank lines within a run stay, runs are parted by one."""
    taken: list[str] = []
    blanks = 0
    before: Kind | None = None
    for line, kind in zip(lines, kinds, strict=True):
        if not line.strip():
            blanks += 1
            continue
        if kind == wanted:
            if taken:
                taken.extend([""] * (blanks if before == wanted else 1))
            taken.append(line)
        before, blanks = kind, 0
    return "\n".join(taken)


def _joined(first: str, others: Iterable[str]) -> str:
    return "\n\n".join(text for text in (first, *(other.strip("\n") for other in others)) if text.strip())
