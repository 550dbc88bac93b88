"""No machine is answered, and no person is met with silence: raw mails of both kinds, through reading, screening and
the shipped classifier."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailbot.app import load_understanding
from mailbot.classifying import Classifier
from mailbot.model import Acknowledgement, Decision, History
from mailbot.pipeline import decide, understand
from mailbot.reading import read
from mailbot.screening import Policy

MAILS = Path(__file__).parents[1] / "mails"
MACHINES = sorted((MAILS / "machines").glob("*.eml"))
PEOPLE = sorted((MAILS / "people").glob("*.eml"))
POLICY = Policy(own_addresses=frozenset({"pledges@bsec.example"}), coordinator="sarah.crawley@bsec.example")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_understanding(None)[1]


def answer(path: Path, classifier: Classifier) -> Acknowledgement:
    found = understand(path.read_bytes(), POLICY, classifier)
    return decide(found, POLICY, History(), now=datetime.now(UTC))


def test_the_corpus_is_broad() -> None:
    kinds = Counter(path.name.partition("-")[0] for path in MACHINES)
    assert kinds["bounce"] >= 25
    assert kinds["away"] >= 15
    assert min(kinds[kind] for kind in ("calendar", "challenge", "list", "receipt", "ticket")) >= 3
    assert len(PEOPLE) >= 70


def test_no_machine_is_acknowledged(classifier: Classifier) -> None:
    answers = {path.stem: answer(path, classifier) for path in MACHINES}
    assert {name: each.reason for name, each in answers.items() if each.decision is Decision.SEND} == {}
    # Doubt holds; that it is rare is what the coordinator asks for.
    held = [name for name, each in answers.items() if each.decision is Decision.HOLD]
    assert len(held) <= 0.05 * len(answers), held


def test_every_person_is_acknowledged_or_held_with_a_reason(classifier: Classifier) -> None:
    answers = {path.stem: answer(path, classifier) for path in PEOPLE}
    silent = {name: each.reason for name, each in answers.items() if each.decision is Decision.NEVER}
    assert len(silent) <= 0.01 * len(answers), silent
    assert all(each.reason for each in answers.values())
    held = [name for name, each in answers.items() if each.decision is Decision.HOLD]
    assert len(held) <= 0.4 * len(answers), held


BOUNCES = [path for path in MACHINES if path.name.startswith("bounce-") and not path.stem.endswith("-held")]


@pytest.mark.parametrize("path", BOUNCES, ids=lambda path: path.stem)
def test_a_bounce_names_what_came_back(path: Path) -> None:
    """By the tag that our envelope address carries, by the Message-ID that it returns, or by the recipient."""
    message = read(path.read_bytes())
    assert message.bounce is not None
    tagged = any("+b." in address for address in message.recipients)
    assert tagged or message.bounce.message_id or message.bounce.recipients
