"""Sentences and mails as hashed, sparse features.

Owns: which properties of a sentence, its neighbours, its subject line and its mail the heads may look at.
Must not know: labels, weights, what a head answers.

This is the seam for another encoder: anything that turns sentences into `Rows` (dense vectors included, one index for
each dimension) can stand in for `sentence_features`. Each value names the token it came from, so that a head can say
which words spoke for its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mailbot.model import Message

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

#: hashed features lie in this many places; a power of two
PLACES = 1 << 18
#: the owner of a feature that no single token of the sentence gave
NOBODY = -1

_NUMBER = re.compile(r"^[£$€]?[\d.,:/]*\d[\d.,:/]*(?:st|nd|rd|th|k|m|am|pm)?$")
_FIRST_PERSON = frozenset({"i", "we", "my", "our", "me", "us", "ours", "mine"})
_SECOND_PERSON = frozenset({"you", "your", "yours", "u", "ur"})


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one sentence or one mail."""

    #: places in the hashed space, no duplicates needed
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    #: index of the document's token that each came from, or NOBODY
    owners: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Many feature lists, one behind the other (compressed sparse rows)."""

    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    #: row r lies at offsets[r] .. offsets[r + 1]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def rows_of(features: Sequence[Features]) -> Rows:
    """Put feature lists behind one another."""
    lengths = [len(one.indices) for one in features]
    return Rows(
        indices=np.concatenate([one.indices for one in features]),
        values=np.concatenate([one.values for one in features]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


class _Bag:
    """Collects named features and hashes them; each group is scaled to a length of its own."""

    def __init__(self) -> None:
        self._indices: list[int] = []
        self._values: list[float] = []
        self._owners: list[int] = []

    def add(self, group: str, names: Sequence[tuple[str, int]], length: float) -> None:
        """Add (name, owner) pairs; together they get the Euclidean length `length`."""
        if not names:
            return
        value = length / len(names) ** 0.5
        for name, owner in names:
            self._indices.append(crc32(f"{group}{name}".encode()) & (PLACES - 1))
            self._values.append(value)
            self._owners.append(owner)

    def flags(self, names: Iterable[str], value: float) -> None:
        """Add features that stand for themselves, each with the same value."""
        for name in names:
            self._indices.append(crc32(f"x:{name}".encode()) & (PLACES - 1))
            self._values.append(value)
            self._owners.append(NOBODY)

    def features(self) -> Features:
        return Features(
            indices=np.array(self._indices, dtype=np.int32),
            values=np.array(self._values, dtype=np.float32),
            owners=np.array(self._owners, dtype=np.int32),
        )


def _normal(word: str) -> str:
    word = word.lower().replace("\u2019", "'")
    if _NUMBER.match(word):
        return "£#" if word[0] in "£$€" else "#"
    return word


def words_of(span: Span | Doc) -> list[tuple[str, int]]:
    """Normalised words with their token index; white space left out, numbers made alike."""
    return [(_normal(token.text), token.i) for token in span if not token.is_space]


def _stems(words: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(word[:5], owner) for word, owner in words if len(word) > 5]


def _grams(words: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for word, owner in words:
        if len(word) > 3 and word.isalpha():
            marked = f"^{word}$"
            found.extend((marked[at : at + 4], owner) for at in range(len(marked) - 3))
    return found


def _pairs(words: Sequence[tuple[str, int]], gap: int) -> list[tuple[str, int]]:
    padded = [("^", NOBODY), *words, ("$", NOBODY)]
    return [
        (f"{first[0]} {second[0]}", first[1] if first[1] != NOBODY else second[1])
        for first, second in zip(padded, padded[gap:], strict=False)
    ]


def _shape(words: Sequence[tuple[str, int]], text: str) -> list[str]:
    said = {word for word, _ in words}
    size = next(
        name for limit, name in ((4, "tiny"), (9, "short"), (25, "middle"), (10**9, "long")) if len(words) < limit
    )
    flags = [f"size {size}", f"ends {text[-1:]!r}" if text[-1:] in "?!:.," else "ends bare"]
    flags.append("first person" if said & _FIRST_PERSON else "no first person")
    flags.append("second person" if said & _SECOND_PERSON else "no second person")
    if "£#" in said:
        flags.append("money")
    if "#" in said:
        flags.append("number")
    return flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What stands around a sentence."""

    before: Span | None = None
    after: Span | None = None
    #: the sentence that leads into the list it stands in
    lead: Span | None = None
    subject: Doc | None = None
    #: such as "first of the mail", "list item", "single sentence"
    place: tuple[str, ...] = ()
    #: labels of the patterns that hit inside the sentence
    rules: tuple[str, ...] = ()


def sentence_features(span: Span, context: Context) -> Features:
    """What the heads may know about a sentence.

    Args:
        span: the sentence.
        context: its neighbours, subject line, place and rule hits.
    """
    bag = _Bag()
    words = words_of(span)
    bag.add("w:", words, 1.0)
    bag.add("2:", _pairs(words, 1), 1.0)
    bag.add("k:", _pairs(words, 2), 0.5)
    bag.add("t:", _stems(words), 0.7)
    bag.add("c:", _grams(words), 1.0)
    start = [word for word, _ in words[:3]]
    bag.add("f:", [(" ".join(start[:n]), words[n - 1][1]) for n in range(1, len(start) + 1)], 0.5)
    for name, neighbour in (
        ("b:", context.before),
        ("a:", context.after),
        ("l:", context.lead),
        ("s:", context.subject),
    ):
        if neighbour is not None:
            around = words_of(neighbour)
            bag.add(name, [(word, NOBODY) for word, _ in [*around, *_stems(around)]], 0.4)
    bag.flags(_shape(words, span.text), 0.25)
    bag.flags(context.place, 0.4)
    bag.flags(sorted({f"rule {label}" for label in context.rules}), 1.0)
    bag.flags(["always"], 1.0)
    return bag.features()


def mail_features(doc: Doc, subject: Doc, facts: Sequence[str], found: Sequence[float], message: Message) -> Features:
    """What the head for the class of a mail may know.

    Args:
        doc: the sender's own text.
        subject: the subject line.
        facts: header facts, from `header_facts`.
        found: numbers about the contributions found, each about 0 to 1.
        message: for what stands outside the text.
    """
    bag = _Bag()
    words = words_of(doc)[:400]
    bag.add("W:", words, 1.0)
    bag.add("P:", _pairs(words, 1), 0.7)
    bag.add("C:", _grams(words), 0.7)
    title = words_of(subject)
    bag.add("S:", [*title, *_pairs(title, 1), *_stems(title)], 0.7)
    bag.flags(facts, 1.0)
    size = len(words)
    bag.flags([f"words {next(limit for limit in (1, 8, 25, 60, 120, 10**9) if size < limit)}"], 0.3)
    bag.flags(["always"], 1.0)
    if message.attachments:
        bag.flags(["attachment"], 0.5)
    one = bag.features()
    places = [crc32(f"found {number}".encode()) & (PLACES - 1) for number in range(len(found))]
    return Features(
        indices=np.concatenate([one.indices, np.array(places, dtype=np.int32)]),
        values=np.concatenate([one.values, np.array(found, dtype=np.float32)]),
        owners=np.concatenate([one.owners, np.full(len(found), NOBODY, dtype=np.int32)]),
    )


_ROBOT = re.compile(
    r"(?:^|[.\-_+])(?:no-?_?reply|do-?not-?reply|mailer-daemon|postmaster|bounces?|notifications?|alerts?|news(?:letter)?"
    r"|listserv|majordomo|automat\w*|backup|receipts?|request|owner)(?:$|[.\-_+])",
    re.IGNORECASE,
)


def header_facts(message: Message) -> tuple[str, ...]:
    """What the headers say about who, or what, sent a mail, in words that hold no address.

    Source:
        RFC 3834 section 5 (Auto-Submitted), RFC 2919 and 2369 (List-*), RFC 6522 (reports), RFC 5546 (calendars).
    """
    facts = []
    submitted = (message.header("auto-submitted") or "no").partition(";")[0].partition("(")[0].strip().lower()
    if submitted != "no":
        facts.append(f"auto-submitted {submitted}")
    if any(name.startswith("list-") for name, _ in message.headers):
        facts.append("list")
    precedence = (message.header("precedence") or "").strip().lower()
    if precedence:
        facts.append(f"precedence {precedence}")
    facts += [name for name in ("x-autoreply", "x-autorespond", "x-loop") if message.header(name)]
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
    return tuple(facts)


#: facts that only a machine's mail has; lists, forms and relays are not among them, for they may carry a person's words
MACHINE_FACTS = frozenset(
    {"auto-submitted auto-replied", "report", "calendar", "x-autoreply", "x-autorespond", "precedence auto_reply"}
)
