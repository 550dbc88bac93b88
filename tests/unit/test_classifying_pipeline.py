"""A classifier for a made-up campaign: trained from a handful of examples, kept in the cache, honest about doubt."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.classifying import Classifier, load_classifier
from mailbot.classifying.examples import message_from_row
from mailbot.errors import ConfigError
from mailbot.model import Aim, Attachment, Body, Campaign, ContributionType, Message, MessageClass

CAMPAIGN = Campaign(
    name="Canal Clean-up",
    reference_prefix="CAN",
    website="",
    aims=(
        Aim(number=1, key="boats", title="Boats", text="boats and barges to carry rubbish", colour="#112233"),
        Aim(number=2, key="wildlife", title="Wildlife", text="otters, herons and fish come back", colour="#112233"),
        Aim(number=3, key="teaching", title="Teaching", text="children learn about water at school", colour="#112233"),
    ),
)
THINGS = {
    "boats": ("barge", "boat", "narrowboat", "dinghy"),
    "wildlife": ("otter holt", "heron nest", "fish ladder", "bird box"),
    "teaching": ("school visit", "lesson", "classroom talk", "pupils' workshop"),
}
WORDING = {
    "pledge": "We will bring a {} on the first of May.",
    "offer": "You could have our {} if it helps.",
    "idea": "Why not ask the council for a {}?",
}
CHAT = ("Dear Ann,", "I read your page with my tea.", "Kind regards", "The weather has been wet.", "Tom Lock")
MACHINE = {"Auto-Submitted": "auto-replied"}


def row(number: int, body: str, message_class: str, *labels: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "id": f"m{number}",
        "from_name": "Tom Lock",
        "from_email": "tom@lock.example",
        "subject": "The canal",
        "headers": {},
        "body": body,
        "gold": {"class": message_class, "contributions": list(labels)},
        **more,
    }


def example_rows() -> list[dict[str, object]]:
    rows = []
    for aim, things in THINGS.items():
        for thing in things:
            for kind, wording in WORDING.items():
                quote = wording.format(thing)
                body = f"{CHAT[0]}\n\n{CHAT[len(rows) % 2 + 1]} {quote}\n\n{CHAT[2]}\n{CHAT[4]}"
                rows.append(row(len(rows), body, "contribution", {"type": kind, "aims": [aim], "quote": quote}))
    for question in (
        "When is the next meeting?",
        "Where do we park?",
        "Who pays for gloves?",
        "How do I join the list?",
    ):
        rows.append(row(len(rows), f"Dear Ann,\n\n{question}\n\nTom Lock", "enquiry"))
        rows.append(row(len(rows), f"{question} I read your page.", "enquiry"))
    for pitch in ("Our firm sells pumps from £99 plus VAT.", "Invoice 7 is overdue.", "Cheap loans, apply now."):
        rows.append(row(len(rows), f"Dear Sir,\n\n{pitch}\n\nSales team", "unrelated"))
        rows.append(row(len(rows), pitch, "unrelated"))
    for reply in ("I am away until Monday.", "Out of office, back on Friday.", "We have received your message."):
        rows.append(row(len(rows), reply, "automatic", headers=MACHINE, subject="Automatic reply"))
    return rows


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "examples").mkdir()
    lines = [json.dumps(one) for one in example_rows()]
    (folder / "examples" / "mails.jsonl").write_text("\n".join([*lines, "{broken"]), encoding="utf-8")
    sentence = {"id": "s", "text": "Count us in.", "type": "pledge", "aims": []}
    (folder / "examples" / "sentences.jsonl").write_text(json.dumps(sentence), encoding="utf-8")
    pattern = {"label": "type:offer", "id": "could have", "pattern": "could have"}
    (folder / "patterns.jsonl").write_text(json.dumps(pattern), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "models"


@pytest.fixture(scope="module")
def classifier(rules: Path, cache: Path) -> Classifier:
    return load_classifier(campaign=CAMPAIGN, rules_folders=[rules], cache_folder=cache, progress=None)


def mail(body: str, **more: object) -> Message:
    return message_from_row(row(0, body, "enquiry", **more))


def test_a_campaign_of_three_aims_trains_and_classifies(classifier: Classifier) -> None:
    answer = classifier.classify(
        mail("Dear Ann,\n\nYou could have our old boat if it helps.\n\nKind regards\nTom Lock")
    )
    assert answer.message_class is MessageClass.CONTRIBUTION
    (contribution,) = answer.contributions
    assert contribution.quote == "You could have our old boat if it helps."
    assert contribution.type is ContributionType.OFFER
    assert contribution.aims == ("boats",)
    assert 0 < contribution.confidence <= 1
    assert answer.model_version == classifier.version
    assert classifier.version.startswith("bow-")


def test_the_reasons_are_words_of_the_quote(classifier: Classifier) -> None:
    answer = classifier.classify(mail("Dear Ann,\n\nYou could have our old boat if it helps.\n\nTom Lock"))
    because = answer.contributions[0].because
    assert all(evidence.text in answer.contributions[0].quote for evidence in because)
    whys = {evidence.why for evidence in because}
    assert {"offer: model", "boats: model", "offer: pattern could have"} <= whys
    assert any("boat" in evidence.text for evidence in because if evidence.why == "boats: model")


def test_two_contributions_get_two_quotes_in_order(classifier: Classifier) -> None:
    body = "Dear Ann,\n\nWe will bring a dinghy on the first of May.\n\nWhy not ask the council for a bird box?\n\nTom"
    answer = classifier.classify(mail(body))
    assert [(one.type, one.aims) for one in answer.contributions] == [
        (ContributionType.PLEDGE, ("boats",)),
        (ContributionType.IDEA, ("wildlife",)),
    ]


def test_a_sentence_that_goes_on_belongs_to_the_quote(classifier: Classifier) -> None:
    body = "Dear Ann,\n\nYou could have our barge if it helps. It could have our boat if it helps.\n\nTom Lock"
    answer = classifier.classify(mail(body))
    assert [one.quote for one in answer.contributions] == [
        "You could have our barge if it helps. It could have our boat if it helps."
    ]


def test_a_question_is_an_enquiry_without_contributions(classifier: Classifier) -> None:
    answer = classifier.classify(mail("Dear Ann,\n\nWhen is the next meeting?\n\nTom Lock"))
    assert (answer.message_class, answer.contributions) == (MessageClass.ENQUIRY, ())


def test_a_machines_mail_is_automatic_with_clear_confidence(classifier: Classifier) -> None:
    answer = classifier.classify(mail("I am away until Monday.", headers=MACHINE))
    assert answer.message_class is MessageClass.AUTOMATIC
    assert answer.confidence > 0.95
    assert answer.review_reasons == ()


def test_a_persons_words_in_a_machines_mail_are_shown(classifier: Classifier) -> None:
    answer = classifier.classify(mail("You could have our barge if it helps.", headers=MACHINE))
    assert any("machine" in reason for reason in answer.review_reasons)


def test_what_is_forwarded_as_a_contribution_is_read(classifier: Classifier) -> None:
    forwarded = "---------- Forwarded message ----------\nFrom: Jo\n\nYou could have our narrowboat if it helps."
    pointed = classifier.classify(mail(f"Dear Ann, see below.\n\n{forwarded}"))
    assert [one.quote for one in pointed.contributions] == ["You could have our narrowboat if it helps."]
    unread = classifier.classify(mail(f"Dear Ann, when is the next meeting?\n\n{forwarded}"))
    assert unread.contributions == ()


def test_quoted_mail_makes_no_contribution(classifier: Classifier) -> None:
    answer = classifier.classify(mail("When is the next meeting?\n\n> You could have our barge if it helps."))
    assert answer.message_class is MessageClass.ENQUIRY


def test_foreign_and_empty_mail_is_shown_to_a_person(classifier: Classifier) -> None:
    polish = "Chciałbym bardzo pomóc waszej organizacji i mogę przyjść w każdą sobotę rano z przyjaciółmi oraz synem."
    assert any("English" in reason for reason in classifier.classify(mail(polish)).review_reasons)
    empty = mail("See file")
    attached = replace(
        empty, attachments=(Attachment(filename="a.pdf", content_type="application/pdf", size_octets=9),)
    )
    assert any("attached" in reason for reason in classifier.classify(attached).review_reasons)
    assert not any("attached" in reason for reason in classifier.classify(empty).review_reasons)


def test_a_second_start_reads_the_cache_and_answers_the_same(classifier: Classifier, rules: Path, cache: Path) -> None:
    steps: list[str] = []
    again = load_classifier(
        campaign=CAMPAIGN, rules_folders=[rules], cache_folder=cache, progress=lambda what, _share: steps.append(what)
    )
    assert steps == []
    assert again.version == classifier.version
    assert again.problems == classifier.problems
    for one in example_rows():
        message = message_from_row(one)
        assert again.classify(message) == classifier.classify(message)


def test_training_anew_gives_the_same_model(classifier: Classifier, rules: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    anew = load_classifier(
        campaign=CAMPAIGN,
        rules_folders=[rules],
        cache_folder=tmp_path,
        progress=lambda _what, share: shares.append(share),
    )
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert [anew.classify(message_from_row(one)) for one in example_rows()] == [
        classifier.classify(message_from_row(one)) for one in example_rows()
    ]


def test_broken_lines_are_problems_and_stay_so_from_the_cache(classifier: Classifier, rules: Path) -> None:
    (problem,) = classifier.problems
    assert problem.startswith(f"{rules / 'examples' / 'mails.jsonl'}, line {len(example_rows()) + 1}:")


@pytest.mark.parametrize("damage", [b"", b"not a model", None])
def test_a_damaged_cache_is_trained_over(rules: Path, tmp_path: Path, damage: bytes | None) -> None:
    def load() -> Classifier:
        return load_classifier(campaign=CAMPAIGN, rules_folders=[rules], cache_folder=tmp_path)

    first = load()
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    assert load().classify(mail("When?")) == first.classify(mail("When?"))
    assert load().problems == first.problems
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_another_aim_or_pattern_is_another_model(classifier: Classifier, rules: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "patterns.jsonl").write_text('{"label": "none", "pattern": "x"}', encoding="utf-8")
    other = load_classifier(campaign=CAMPAIGN, rules_folders=[own, rules], cache_folder=tmp_path / "cache")
    assert other.version != classifier.version


def test_a_cache_that_cannot_be_written_is_a_problem_not_a_failure(rules: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    loaded = load_classifier(campaign=CAMPAIGN, rules_folders=[rules], cache_folder=blocked)
    assert any(str(blocked) in problem for problem in loaded.problems)
    assert loaded.classify(mail("When is the next meeting?")).message_class is MessageClass.ENQUIRY


def test_nothing_to_learn_from_is_the_operators_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no labelled mails"):
        load_classifier(campaign=CAMPAIGN, rules_folders=[tmp_path], cache_folder=tmp_path)


def test_spacy_is_imported_only_when_a_classifier_is_loaded() -> None:
    code = "import sys, mailbot.classifying, mailbot.classifying.evaluate; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(
    own=st.text(max_size=300),
    forwarded=st.text(max_size=100),
    subject=st.text(max_size=60),
    pieces=st.lists(
        st.sampled_from(["You could have our barge.", "see below", "\n", "- ", "Why not a lesson?"]), max_size=8
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_text_keeps_the_promises(
    classifier: Classifier, own: str, forwarded: str, subject: str, pieces: list[str]
) -> None:
    text = own + " ".join(pieces)
    message = replace(mail(""), subject=subject, body=Body(own_text=text, forwarded_text=forwarded))
    answer = classifier.classify(message)
    assert (answer.message_class is MessageClass.CONTRIBUTION) == bool(answer.contributions)
    assert 0 <= answer.confidence <= 1
    for one in answer.contributions:
        assert one.quote
        assert one.quote in text or one.quote in forwarded
        assert all(evidence.text in one.quote for evidence in one.because)
    specific = [one for one in answer.contributions if one.aims]
    assert not specific or len(specific) == len(answer.contributions)
