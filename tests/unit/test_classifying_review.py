"""Doubt in plain words: the weakest point first, and where patterns and model disagree."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from mailbot.classifying.analysis import Alone, Analysis, Candidate, Hit
from mailbot.classifying.encoder import WIDTH, Encoded, Encoder, Tokens, Vectors
from mailbot.classifying.review import DOUBTS, Evidence, disagreement, doubtful_reasons, doubts
from mailbot.classifying.sentences import build_pipeline, spans_of, split
from mailbot.classifying.verdicts import CLASSES, Decision, Limits, Verdict, decide
from mailbot.model import ContributionType, MessageClass

TEXT = "You could have our barge. Perhaps a map of the moorings. Tom Lock"


def hit(label: str) -> Hit:
    return Hit(label=label, pattern="p", words="w")


@pytest.mark.parametrize(
    ("labels", "kind", "aims", "words"),
    [
        (["type:offer"], "offer", (), None),
        (["type:offer"], None, (), "the patterns find an offer, the model finds nothing"),
        (["type:offer", "none"], None, (), None),
        (["type:pledge"], "offer", (), "the patterns say pledge, the model says offer"),
        (["none"], "idea", (), "the patterns speak against a contribution, the model says idea"),
        (["aim:boats"], "idea", ("birds",), "the patterns say boats, the model says birds"),
        (["aim:boats"], "idea", (), "the patterns say boats, the model says no aim"),
        (["aim:boats"], "idea", ("birds", "boats"), None),
        ([], None, (), None),
    ],
)
def test_patterns_and_model_may_disagree(
    labels: list[str], kind: str | None, aims: tuple[str, ...], words: str | None
) -> None:
    said = None if kind is None else ContributionType(kind)
    assert disagreement([hit(label) for label in labels], said, aims) == words


def verdict(carrying: float, kind: str = "offer", sure: float = 0.9) -> Verdict:
    return Verdict(
        carrying=carrying,
        type=ContributionType(kind),
        type_probability=0.9,
        aims=("boats",),
        aims_probability=sure,
        each_aim=(sure,),
    )


def evidence(verdicts: list[Verdict], chances: dict[MessageClass, float]) -> Evidence:
    doc = build_pipeline([])(TEXT)
    sentences = split(TEXT)
    nothing = np.zeros((0, WIDTH), dtype=np.float32)
    tokens = Tokens(vectors=nothing, offsets=np.zeros((0, 2), dtype=np.int64))
    candidates = tuple(
        Candidate(sentence=sentence, span=span, hits=(), place=(), tokens=tokens)
        for sentence, span in zip(sentences, spans_of(doc, sentences), strict=True)
    )
    vectors = Vectors(own=nothing, surroundings=nothing)
    encoded = Encoded(sentences=vectors, mail=np.zeros(WIDTH, dtype=np.float32), tokens=())
    # No second look is taken here, so no encoder is asked.
    alone = Alone(cast(Encoder, None), "", "", ())
    analysis = Analysis(candidates=candidates, encoded=encoded, alone=alone, facts=(), words=13)
    told = np.array([chances.get(one, 0.01) for one in CLASSES], dtype=np.float32)
    return Evidence(
        analysis=analysis,
        verdicts=verdicts,
        chances=told,
        decision=decide(analysis, verdicts, told, Limits()),
        limits=Limits(),
    )


def test_the_weakest_point_comes_first() -> None:
    found = evidence([verdict(0.95, sure=0.4), verdict(0.3, "idea"), verdict(0.0)], {MessageClass.CONTRIBUTION: 0.9})
    reasons = doubtful_reasons(found, confidence=0.95, sure=[0.4])
    assert reasons == [
        "not sure of the aims of \u201cYou could have our barge.\u201d",
        "this may be an idea too: \u201cPerhaps a map of the moorings.\u201d",
    ]


def test_a_doubtful_class_is_said_with_its_rival() -> None:
    found = evidence(
        [verdict(0.1), verdict(0.0), verdict(0.0)], {MessageClass.ENQUIRY: 0.5, MessageClass.UNRELATED: 0.4}
    )
    assert doubtful_reasons(found, confidence=0.5, sure=[]) == [
        "not sure what this mail is: enquiry, or perhaps unrelated"
    ]


def test_doubt_always_has_a_reason() -> None:
    found = evidence([verdict(0.99), verdict(0.0), verdict(0.0)], {MessageClass.CONTRIBUTION: 0.99})
    assert len(doubtful_reasons(found, confidence=0.99, sure=[0.99])) == 1


def test_doubts_are_as_many_as_the_head_expects() -> None:
    numbers = doubts(evidence([verdict(0.9), verdict(0.2), verdict(0.0)], {MessageClass.CONTRIBUTION: 0.9}))
    assert len(numbers) == DOUBTS
    assert all(-3 <= number <= 3 for number in numbers)
    assert numbers[-1] == 1


def test_a_decision_holds_contributions_exactly_if_it_says_so() -> None:
    mail = [verdict(0.9), verdict(0.6, "idea"), verdict(0.0)]
    decision: Decision = evidence(mail, {MessageClass.CONTRIBUTION: 0.9}).decision
    assert [one.quote for one in decision.found] == ["You could have our barge.", "Perhaps a map of the moorings."]
    assert evidence(mail, {MessageClass.ENQUIRY: 0.9}).decision.found == ()
