"""What a coordinator may edit: patterns and labelled examples, read from the rules folders.

Owns: which file wins, the two formats of examples, the format of patterns, and naming every line that cannot be used.
Must not know: how a mail is classified, what the lines teach.

Files are looked up in the folders in order and the first that has a file of that name gives it: a deployment's own
`rules/patterns.jsonl` replaces the shipped one whole, and so does each file in `rules/examples/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mailbot.classifying.examples import (
    UNUSABLE,
    LabelledMail,
    LabelledSentence,
    Read,
    fingerprint,
    parse_example,
    reason_of,
)
from mailbot.model import Campaign, ContributionType

if TYPE_CHECKING:
    from spacy.tokens import Doc

_Parsed = TypeVar("_Parsed")

PATTERNS_FILE = "patterns.jsonl"
EXAMPLES_FOLDER = "examples"
#: the label of words that speak against a contribution
NONE_LABEL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of patterns.jsonl: words that speak for a type or an aim, or against any contribution."""

    #: "type:offer", "aim:support" or "none"
    label: str
    #: readable, such as "rent-free"
    id: str
    #: a phrase, or spaCy token patterns
    pattern: str | list[dict[str, object]]

    def for_ruler(self) -> dict[str, object]:
        """As spaCy's span ruler takes it."""
        return {"label": self.label, "id": self.id, "pattern": self.pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFiles:
    """The files that count, after the first folder has won file by file."""

    #: None when no folder has one
    patterns: Path | None
    #: sorted by name
    examples: tuple[Path, ...]

    def all(self) -> tuple[Path, ...]:
        """Every file, patterns first."""
        return ((self.patterns,) if self.patterns else ()) + self.examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What was labelled by hand, and what of it could not be read."""

    mails: tuple[LabelledMail, ...]
    sentences: tuple[LabelledSentence, ...]
    problems: tuple[str, ...]
    #: how many were left out because they are known
    known: int = 0


def find_files(folders: Sequence[Path]) -> RuleFiles:
    """The rule files that count; the first folder that has a file of a name wins.

    Args:
        folders: in order of precedence; missing ones are passed over.
    """
    examples: dict[str, Path] = {}
    patterns: Path | None = None
    for folder in folders:
        if patterns is None and (folder / PATTERNS_FILE).is_file():
            patterns = folder / PATTERNS_FILE
        for path in sorted((folder / EXAMPLES_FOLDER).glob("*.jsonl")):
            if path.is_file():
                examples.setdefault(path.name, path)
    return RuleFiles(patterns=patterns, examples=tuple(examples[name] for name in sorted(examples)))


def _parse_lines(
    path: Path, parse: Callable[[dict[str, object]], _Parsed], problems: list[str]
) -> Iterator[tuple[int, _Parsed]]:
    """Each line's value with its number; a line that cannot be used is named in `problems`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return
    # Not splitlines(): JSON strings may hold U+2028 and its kin as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("the line is no JSON object")
            yield number, parse(row)
        except UNUSABLE as error:
            problems.append(f"{path}, line {number}: {reason_of(error)}")


def _unknown_aims(path: Path, lines: Sequence[int], consequence: str) -> str:
    shown = ", ".join(str(number) for number in lines[:5]) + (", ..." if len(lines) > 5 else "")
    plural = "line" if len(lines) == 1 else "lines"
    return f"{path}, {plural} {shown}: aims that this campaign does not have; {consequence}"


def load_examples(
    paths: Sequence[Path], campaign: Campaign, read: Read, known: Container[str] = frozenset()
) -> Examples:
    """Read labelled mails and sentences; lines that cannot be used are named and left out.

    An example whose aims the campaign does not have still teaches class and type, so that a new campaign can start
    from the shipped examples.

    Args:
        paths: one JSON object a line.
        campaign: whose aims count.
        read: the reading stage.
        known: fingerprints of examples to leave out.
    """
    aims = {aim.key for aim in campaign.aims}
    mails: list[LabelledMail] = []
    sentences: list[LabelledSentence] = []
    problems: list[str] = []
    left_out = 0

    def parse(row: dict[str, object]) -> LabelledMail | LabelledSentence | None:
        return None if fingerprint(row) in known else parse_example(row, read)

    for path in paths:
        foreign = []
        for number, example in _parse_lines(path, parse, problems):
            if example is None:
                left_out += 1
                continue
            if not example.aims() <= aims:
                foreign.append(number)
            if isinstance(example, LabelledMail):
                mails.append(example)
            else:
                sentences.append(example)
        if foreign:
            problems.append(_unknown_aims(path, foreign, "these examples teach class and type only"))
    return Examples(mails=tuple(mails), sentences=tuple(sentences), problems=tuple(problems), known=left_out)


def _parse_pattern(row: dict[str, object]) -> Pattern:
    label, pattern = row["label"], row["pattern"]
    if not isinstance(label, str):
        raise ValueError("label must be text")
    kind, _, value = label.partition(":")
    types = ", ".join(ContributionType)
    if not ((kind == "type" and value in tuple(ContributionType)) or (kind == "aim" and value) or label == NONE_LABEL):
        raise ValueError(f'label {label!r} is neither "type:" with one of {types}, nor "aim:" with a key, nor "none"')
    if isinstance(pattern, str):
        if not pattern.strip():
            raise ValueError("pattern is empty")
        return Pattern(label=label, id=str(row.get("id") or pattern), pattern=pattern)
    if not isinstance(pattern, list) or not pattern or not all(isinstance(token, dict) for token in pattern):
        raise ValueError("pattern must be a phrase or a list of token patterns")
    if not row.get("id"):
        raise ValueError("a token pattern needs an id that people can read")
    _check_token_pattern(pattern)
    return Pattern(label=label, id=str(row["id"]), pattern=pattern)


@cache
def _some_text() -> Doc:
    import spacy

    return spacy.blank("en")("You may have 2 vans.")


def _check_token_pattern(pattern: list[dict[str, object]]) -> None:
    """Let spaCy judge one token pattern, and try it: some ask for word classes, which only a larger pipeline knows.

    Raises:
        ValueError: with spaCy's words, when it refuses the pattern.
    """
    import re

    from spacy.errors import MatchPatternError
    from spacy.matcher import Matcher

    try:
        text = _some_text()
        matcher = Matcher(text.vocab, validate=True)
        matcher.add("pattern", [pattern])
        matcher(text)
    except MatchPatternError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except re.error as error:
        raise ValueError(f"regular expression: {error}") from error
    except (ValueError, AttributeError) as error:
        # [E155] and its kin: annotations that the pipeline does not set.
        raise ValueError("LEMMA, POS, TAG, MORPH, DEP and ENT_TYPE cannot be used: the words are not tagged") from error


def load_patterns(path: Path | None, campaign: Campaign) -> tuple[tuple[Pattern, ...], tuple[str, ...]]:
    """Read patterns.jsonl.

    Returns:
        The patterns that can be used, and the problems of those that cannot, each with file and line.
    """
    if path is None:
        return (), ()
    known = {f"aim:{aim.key}" for aim in campaign.aims}
    patterns: list[Pattern] = []
    problems: list[str] = []
    foreign = []
    for number, pattern in _parse_lines(path, _parse_pattern, problems):
        if pattern.label.startswith("aim:") and pattern.label not in known:
            foreign.append(number)
        else:
            patterns.append(pattern)
    if foreign:
        problems.append(_unknown_aims(path, foreign, "these patterns are left out"))
    return tuple(patterns), tuple(problems)
