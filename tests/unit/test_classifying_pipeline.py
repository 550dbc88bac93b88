"""The shipped classifier: what it promises for every mail, and that it is honest about doubt."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.campaign import load_campaign
from mailbot.classifying import Classifier, load_classifier
from mailbot.classifying.examples import mail_octets
from mailbot.config import SHIPPED
from mailbot.model import Attachment, Body, ContributionType, Message, MessageClass
from mailbot.reading import read

RULES = SHIPPED / "rules"
MACHINE = {"Auto-Submitted": "auto-replied"}
OFFER = "Our hall stands empty on Mondays, and any new social enterprise could work there without paying rent."
PLEDGE = "We will take two school leavers on in March and train them as joiners."


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_classifier(
        campaign=load_campaign([RULES]), rules_folders=[RULES], cache_folder=tmp_path_factory.mktemp("cache"), read=read
    )


def mail(body: str, **more: object) -> Message:
    row = {"id": "m", "from_name": "Tom Lock", "from_email": "tom@lock.example", "subject": "Monday", "body": body}
    return read(mail_octets({**row, **more}))


def test_the_shipped_model_needs_no_training(tmp_path: Path) -> None:
    steps: list[str] = []
    shipped = load_classifier(
        campaign=load_campaign([RULES]),
        rules_folders=[RULES],
        cache_folder=tmp_path,
        read=read,
        progress=lambda what, _share: steps.append(what),
    )
    # A shipped example or pattern that changes asks for `python -m mailbot.fit_heads`.
    assert (steps, shipped.problems, list(tmp_path.iterdir())) == ([], (), [])


def test_several_contributions_get_their_quotes_in_order(classifier: Classifier) -> None:
    answer = classifier.classify(
        mail(f"Dear Sarah,\n\n{OFFER} My nephew sells tyres.\n\n{PLEDGE}\n\nKind regards\nTom Lock")
    )
    assert answer.message_class is MessageClass.CONTRIBUTION
    assert [(one.type, one.aims, one.quote) for one in answer.contributions] == [
        (ContributionType.OFFER, ("support",), OFFER),
        (ContributionType.PLEDGE, ("employment",), PLEDGE),
    ]
    assert answer.model_version == classifier.version
    assert classifier.version.startswith("minilm-")


def test_the_reasons_are_words_of_the_quote(classifier: Classifier) -> None:
    (contribution,) = classifier.classify(mail(PLEDGE)).contributions
    assert all(evidence.text in contribution.quote for evidence in contribution.because)
    whys = {evidence.why for evidence in contribution.because}
    assert {"pledge: model", "employment: model"} <= whys
    assert any("pattern" in why for why in whys)


def test_the_same_mail_gets_the_same_answer(classifier: Classifier) -> None:
    message = mail(f"{OFFER}\n\n{PLEDGE}")
    first = classifier.classify(message)
    classifier.classify(mail("When do you meet?"))
    assert classifier.classify(message) == first


def test_a_question_is_an_enquiry_without_contributions(classifier: Classifier) -> None:
    answer = classifier.classify(mail("Dear Sarah,\n\nWhen is the next meeting, and where do we park?\n\nTom Lock"))
    assert (answer.message_class, answer.contributions) == (MessageClass.ENQUIRY, ())


def test_a_machines_mail_is_automatic_with_clear_confidence(classifier: Classifier) -> None:
    answer = classifier.classify(mail("I am away until Monday.", headers=MACHINE))
    assert answer.message_class is MessageClass.AUTOMATIC
    assert answer.confidence > 0.9
    assert answer.review_reasons == ()


def test_a_persons_words_in_a_machines_mail_are_shown(classifier: Classifier) -> None:
    answer = classifier.classify(mail(f"{OFFER} {PLEDGE}", headers=MACHINE))
    assert any("machine" in reason for reason in answer.review_reasons)


def test_what_is_forwarded_as_a_contribution_is_read(classifier: Classifier) -> None:
    forwarded = f"---------- Forwarded message ----------\nFrom: Jo <jo@lock.example>\n\n{PLEDGE}"
    pointed = classifier.classify(mail(f"Sarah, see below, this is what my brother's firm will do.\n\n{forwarded}"))
    assert PLEDGE in [one.quote for one in pointed.contributions]


PLAIN = {
    "We will employ two apprentices from Handsworth.": ("pledge", "employment"),
    "I shall pay for printing a thousand leaflets about the campaign.": ("pledge", "awareness"),
    "I could mentor two start-ups in their first year.": ("offer", "support"),
    "We would be glad to join the steering group if you have a place.": ("offer", "alliance"),
    "Why not hold a careers fair for school leavers at the library?": ("idea", "employment"),
    "You should ask the local radio stations for a weekly slot about social enterprise.": ("idea", "awareness"),
}


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("frame", ["{}", "Dear Sarah,\n\n{}\n\nKind regards,\nTom Lock"])
def test_plain_words_are_understood(classifier: Classifier, text: str, frame: str) -> None:
    (found,) = classifier.classify(mail(frame.format(text))).contributions
    assert (found.quote, found.type, found.aims) == (text, PLAIN[text][0], (PLAIN[text][1],))


def test_a_mail_that_is_all_in_its_subject_is_read(classifier: Classifier) -> None:
    text = "We will employ two apprentices from Handsworth in March"
    (found,) = classifier.classify(replace(mail(""), subject=text)).contributions
    assert found.quote == text


def test_a_mail_without_a_word_is_shown_to_a_person(classifier: Classifier) -> None:
    answer = classifier.classify(replace(mail(" \n"), subject=""))
    assert answer.contributions == ()
    assert "holds no words" in answer.review_reasons


def test_of_an_endless_mail_it_is_said_that_not_all_was_read(classifier: Classifier) -> None:
    answer = classifier.classify(mail("When do you meet? " * 4_000))
    assert any("60,000" in reason for reason in answer.review_reasons)


def test_quoted_mail_makes_no_contribution(classifier: Classifier) -> None:
    answer = classifier.classify(mail(f"When is the next meeting?\n\n> {PLEDGE}"))
    assert answer.message_class is MessageClass.ENQUIRY


def test_an_answer_is_read_with_its_question(classifier: Classifier) -> None:
    answer = "Yes, both of them, gladly."
    question = "On Monday Sarah wrote:\n> Could you let new enterprises have your two workshops without rent till June?"
    model = classifier.model
    support = model.aims.index("support")
    alone, asked = (
        model.looks(classifier.explain(mail(text))[1]).aims[0, support] for text in (answer, f"{answer}\n\n{question}")
    )
    assert alone < 0.5 < 0.8 < asked


def test_foreign_mail_is_shown_to_a_person_and_claims_little(classifier: Classifier) -> None:
    polish = "Chciałbym bardzo pomóc waszej organizacji i mogę przyjść w każdą sobotę rano z przyjaciółmi oraz synem."
    answer = classifier.classify(mail(polish))
    assert any("Polish" in reason for reason in answer.review_reasons)
    assert answer.confidence < 0.5


def test_a_body_of_nothing_but_an_attachment_is_shown_to_a_person(classifier: Classifier) -> None:
    empty = mail("See file")
    attached = replace(
        empty, attachments=(Attachment(filename="a.pdf", content_type="application/pdf", size_octets=9),)
    )
    assert any("attached" in reason for reason in classifier.classify(attached).review_reasons)
    assert not any("attached" in reason for reason in classifier.classify(empty).review_reasons)


def test_the_contributions_lie_on_their_documents(classifier: Classifier) -> None:
    _, analysis = classifier.explain(mail(f"Dear Sarah,\n\n{PLEDGE}\n\nTom"))
    (span,) = analysis.candidates[0].span.doc.spans["contributions"]
    assert (span.text, span.label_) == (PLEDGE, "pledge")


def test_heavy_libraries_are_imported_only_when_a_classifier_is_loaded() -> None:
    heavy = "{'spacy', 'onnxruntime', 'tokenizers', 'scipy', 'py3langid'}"
    code = f"import sys, mailbot.app, mailbot.classifying.evaluate; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(
    own=st.text(max_size=300),
    forwarded=st.text(max_size=100),
    subject=st.text(max_size=60),
    pieces=st.lists(st.sampled_from([OFFER, PLEDGE, "see below", "\n", "- ", "Why not a map of us all?"]), max_size=8),
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
        assert one.quote in text or one.quote in forwarded or one.quote in subject
        assert all(evidence.text in one.quote for evidence in one.because)
    specific = [one for one in answer.contributions if one.aims]
    assert not specific or len(specific) == len(answer.contributions)
