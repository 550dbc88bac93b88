"""Which language a text is in, as far as that matters: whether it is one that was taught.

Owns: when a text is English without asking, and the language identifier.
Must not know: what is done about it.

The identifier takes 80 MB, so it is loaded with the first text that everyday English words do not settle.

Source:
    Lui, Baldwin, "langid.py: An Off-the-shelf Language Identification Tool" (2012), as py3langid has it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_EVERYDAY = """
a about all also am an and any are as at be been but by can could did do don't for from get had has
have he her here him his how i i'd i'll i'm i've if in is it it's its just like me more my no not of
on one or our out please she so some than thank thanks that that's the their them then there they
this to up us was we we'd we'll we're we've were what when which who will with would you your
"""
#: the words that make up about half of any English text
_ENGLISH = frozenset(_EVERYDAY.split())
#: from this share of everyday words on a text of some length is English
_PLAINLY, _SOME = 0.25, 8
#: below this probability of English, and above that of another language, a text is in the other
_HARDLY, _SURELY = 0.1, 0.6
#: codes for "undetermined", "several" and "no linguistic content" (ISO 639-2)
_NO_LANGUAGE = ("und", "mul", "zxx")
#: characters that the identifier reads
_ENOUGH = 2_000


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; figures left out."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def foreign_language(text: str) -> str | None:
    """The English name of the language of a text, such as "Polish"; None for English, and for too little text.

    Args:
        text: any text; a greeting or an address in another language does not make it foreign.
    """
    words = words_of(text[:_ENOUGH])
    if not words:
        return None
    english = sum(word in _ENGLISH for word in words) / len(words)
    if english >= _PLAINLY and len(words) >= _SOME:
        return None
    latin = sum(character.isascii() for word in words for character in word) > sum(map(len, words)) / 2
    if latin and len(words) < _SOME // 2:
        return None
    chances = dict(_identifier().rank(text[:_ENOUGH]))
    language, chance = max(chances.items(), key=lambda one: one[1])
    if language == "en" or chance < _SURELY or chances.get("en", 0.0) > _HARDLY:
        return None
    return _name(language)


def _name(code: str) -> str | None:
    from babel import Locale

    if code in _NO_LANGUAGE:
        return None
    return Locale("en").languages.get(code) or f"a language other than English ({code})"
