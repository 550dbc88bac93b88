"""Doubt in plain words: why a person should look at a mail.

Owns: the reasons and their limits.
Must not know: how the answers came about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailbot.model import Contribution, ContributionType, Message, MessageClass

#: below these calibrated probabilities a person looks; chosen on held-out training mails
CLASS_LIMIT = 0.68
CONTRIBUTION_LIMIT = 0.55
#: a type that leads by less than this is in doubt
TYPE_MARGIN = 0.15

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_EVERYDAY = """
a about all also am an and any are as at be been but by can could did do don't for from get had has
have he her here him his how i i'd i'll i'm i've if in is it it's its just like me more my no not of
on one or our out please she so some than thank thanks that that's the their them then there they
this to up us was we we'd we'll we're we've were what when which who will with would you your
"""
#: the words that make up about half of any English text
_ENGLISH = frozenset(_EVERYDAY.split())


def is_english(text: str) -> bool:
    """Whether a text is likely English; short texts get the benefit of the doubt.

    Args:
        text: any text; judged by the share of everyday English words.
    """
    words = [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]
    if len(words) < 10:
        letters = [character for character in text if character.isalpha()]
        return len(letters) < 10 or sum(character.isascii() for character in letters) > len(letters) / 2
    return sum(word in _ENGLISH for word in words) / len(words) >= 0.2


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57].rsplit(" ", 1)[0] + " \u2026"


def mail_reasons(
    message: Message, message_class: MessageClass, confidence: float, runner_up: MessageClass, *, mixed: bool
) -> list[str]:
    """Why the class of a mail is in doubt.

    Args:
        message: the mail.
        message_class: what it was taken for.
        confidence: calibrated probability of that.
        runner_up: the next likely class.
        mixed: only a machine has such headers, yet a sentence in it may carry a contribution.
    """
    reasons = []
    if confidence < CLASS_LIMIT:
        reasons.append(f"not sure what this mail is: {message_class}, or perhaps {runner_up}")
    text = message.body.own_text
    # Machines write tables and many languages; there is nothing in them to understand.
    if message_class is not MessageClass.AUTOMATIC and not is_english(text):
        reasons.append("does not seem to be in English")
    if message.attachments and len(_WORD.findall(text)) < 8:
        reasons.append("hardly any text, but something is attached")
    if mixed:
        reasons.append("sent by a machine, yet it may hold a person's own words")
    return reasons


def contribution_reasons(contribution: Contribution, type_margin: float) -> list[str]:
    """Why one contribution's type or aims are in doubt.

    Args:
        contribution: as found.
        type_margin: lead of its type over the next, 0 to 1.
    """
    quoted = f"\u201c{_excerpt(contribution.quote)}\u201d"
    if type_margin < TYPE_MARGIN:
        return [f"not sure whether this is a pledge, an offer or an idea: {quoted}"]
    if contribution.confidence < CONTRIBUTION_LIMIT:
        return [f"not sure of the type or the aims of {quoted}"]
    return []


def disagreement(
    quote: str, hits: Sequence[tuple[str, str, str]], kind: ContributionType | None, aims: Sequence[str]
) -> str | None:
    """Say where the patterns and the model disagree about a sentence; None where they do not.

    Args:
        quote: the sentence.
        hits: (label, pattern id, words) of each pattern.
        kind: what the model says; None for no contribution.
        aims: the model's aims.
    """
    labels = {label for label, _, _ in hits}
    types = {label.removeprefix("type:") for label in labels if label.startswith("type:")}
    quoted = f"\u201c{_excerpt(quote)}\u201d"
    if kind is None:
        if types and "none" not in labels:
            return f"the patterns find {_with_article(min(types))} in {quoted}, the model finds nothing"
        return None
    if types and kind not in types:
        return f"the patterns say {' or '.join(sorted(types))}, the model says {kind}: {quoted}"
    if "none" in labels and not types:
        return f"the patterns speak against a contribution, the model says {kind}: {quoted}"
    wanted = {label.removeprefix("aim:") for label in labels if label.startswith("aim:")}
    if wanted and not wanted & set(aims):
        return f"the patterns say {', '.join(sorted(wanted))}, the model says {', '.join(aims) or 'no aim'}: {quoted}"
    return None


def _with_article(word: str) -> str:
    return f"{'an' if word[:1] in 'aeio' else 'a'} {word}"
