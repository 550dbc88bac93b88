# ruff: noqa: RUF001 -- mails in eleven languages
"""Out-of-office answers without headers are known; people who mention a holiday stay people."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.model import Body
from mailbot.screening.wording import LANGUAGES, WORDINGS, out_of_office
from tests.unit.factories import make_message

NOTICES = {
    "en": "Thank you for your email. I am on annual leave until Monday 9 March and will reply on my return.",
    "pl": "Dziękuję za wiadomość. Jestem na urlopie do 9 marca. W pilnych sprawach proszę o kontakt z biurem.",
    "de": "Vielen Dank für Ihre Nachricht. Ich bin vom 2. bis zum 9. März im Urlaub und nicht erreichbar. "
    "In dringenden Fällen wenden Sie sich an Frau Krause.",
    "fr": "Bonjour, je suis actuellement en congés jusqu'au 9 mars. En cas d'urgence, écrivez à l'accueil.",
    "es": "Gracias por su mensaje. Estoy de vacaciones hasta el 9 de marzo y le responderé a mi vuelta.",
    "ro": "Vă mulțumesc pentru mesaj. Sunt în concediu până pe 9 martie. Pentru urgențe contactați biroul.",
    "so": "Waad ku mahadsan tahay farriintaada. Waxaan ku jiraa fasax ilaa 9 Maarso. Arrimaha degdegga ah "
    "la xiriir xafiiska.",
    "ar": "شكرًا على رسالتكم. أنا حاليًا في إجازة حتى 9 مارس. للأمور العاجلة يرجى التواصل مع المكتب.",
    "ur": "آپ کے پیغام کا شکریہ۔ میں 9 مارچ تک چھٹی پر ہوں۔ فوری کام کے لیے دفتر سے رابطہ کریں۔",
    "pa": "ਤੁਹਾਡੇ ਸੁਨੇਹੇ ਲਈ ਧੰਨਵਾਦ। ਮੈਂ 9 ਮਾਰਚ ਤੱਕ ਛੁੱਟੀ 'ਤੇ ਹਾਂ। ਜ਼ਰੂਰੀ ਕੰਮ ਲਈ ਦਫ਼ਤਰ ਨਾਲ ਸੰਪਰਕ ਕਰੋ।",
    "bn": "আপনার বার্তার জন্য ধন্যবাদ। আমি ৯ মার্চ পর্যন্ত ছুটিতে আছি। জরুরি প্রয়োজনে অফিসে যোগাযোগ করুন।",
}

SUBJECTS = {
    "en": "Automatic reply: What can your enterprise do?",
    "pl": "Odpowiedź automatyczna: Zaproszenie",
    "de": "Abwesenheitsnotiz: Einladung",
    "fr": "Réponse automatique : Invitation",
    "es": "Respuesta automática: Invitación",
    "ro": "Răspuns automat: Invitație",
    "so": "Jawaab otomaatig ah: Casuumaad",
    "ar": "رد تلقائي: دعوة",
    "ur": "خودکار جواب: دعوت",
    "pa": "ਸਵੈਚਲਿਤ ਜਵਾਬ: ਸੱਦਾ",
    "bn": "স্বয়ংক্রিয় উত্তর: আমন্ত্রণ",
}

PEOPLE = [
    "I am on annual leave next week but we pledge two days of mentoring a month.",
    "Sorry, was out of the office, only read this today. Our van is yours on Saturdays.",
    "I'm on leave until Monday with no access to my work email, so from my phone: put us down for three trainees.",
    "Thanks for your message. I am away until Thursday. We'd like to offer the hall, and I can show you round then.",
    "When I am back from holiday on 9 March we could meet. In the meantime, could you send me the form?",
    "I have left Acme after ten years and would like to volunteer. Until May I am free on any weekday.",
    "We could pay for a holiday club. Children are out of school until September and nobody is about.",
    "Jestem na urlopie do 9 marca, ale chcemy dać dwa dni miesięcznie. W razie pytań proszę o kontakt.",
    "Ich bin bis zum 9. März im Urlaub, aber wir möchten einen Raum anbieten. Dringend: wie viele Plätze?",
    "Je suis en congés jusqu'au 9 mars mais nous proposons une salle; merci pour votre message.",
    "Estoy de vacaciones hasta el 9 de marzo, pero nos gustaría ayudar; gracias por su mensaje.",
    "Sunt în concediu până pe 9 martie, dar oferim o sală. Mulțumesc pentru mesaj.",
    "Waxaan ku jiraa fasax ilaa 9 Maarso, laakiin waxaan rabaa inaan qol bixiyo. Mahadsanid.",
    "أنا في إجازة حتى 9 مارس ولكن نود أن نقدم قاعة. شكرا على رسالتكم.",
    "میں 9 مارچ تک چھٹی پر ہوں مگر ہم ہال دینا چاہتے ہیں۔ شکریہ۔",
    "ਮੈਂ 9 ਮਾਰਚ ਤੱਕ ਛੁੱਟੀ 'ਤੇ ਹਾਂ ਪਰ ਅਸੀਂ ਹਾਲ ਦੇਣਾ ਚਾਹੁੰਦੇ ਹਾਂ। ਧੰਨਵਾਦ।",
    "আমি ৯ মার্চ পর্যন্ত ছুটিতে আছি কিন্তু আমরা একটি হল দিতে চাই। ধন্যবাদ।",
]


def test_every_language_has_its_examples() -> None:
    assert set(NOTICES) == set(SUBJECTS) == LANGUAGES
    assert len(WORDINGS) == len(LANGUAGES)


@pytest.mark.parametrize("language", sorted(NOTICES))
def test_a_notice_is_known_by_its_text(language: str) -> None:
    message = make_message(subject="Re: your invitation", text=NOTICES[language])
    assert out_of_office(message, {language}) is not None
    assert out_of_office(message, LANGUAGES) is not None


@pytest.mark.parametrize("language", sorted(SUBJECTS))
def test_a_notice_is_known_by_its_subject(language: str) -> None:
    message = make_message(subject=SUBJECTS[language], text="…")
    assert out_of_office(message, {language}) == f"Subject: {SUBJECTS[language]}"


@pytest.mark.parametrize("language", sorted(SUBJECTS))
def test_an_answer_to_a_notice_is_a_persons(language: str) -> None:
    message = make_message(subject=f"Re: {SUBJECTS[language]}", text="See you when you are back!")
    assert out_of_office(message, LANGUAGES) is None


def test_a_language_that_is_not_configured_is_not_looked_for() -> None:
    assert out_of_office(make_message(text=NOTICES["pl"]), LANGUAGES - {"pl"}) is None
    assert out_of_office(make_message(text=NOTICES["en"]), frozenset()) is None
    assert out_of_office(make_message(subject=SUBJECTS["en"]), {"xx"}) is None


@pytest.mark.parametrize("text", PEOPLE)
def test_people_who_mention_a_holiday_stay_people(text: str) -> None:
    assert out_of_office(make_message(subject="Social Enterprise City", text=text), LANGUAGES) is None


@pytest.mark.parametrize(
    "subject",
    ["Out of office", "OOO", "Out of Office: Your invitation", "out of the office Re: hall", "Annual leave"],
)
def test_a_bare_subject_needs_one_more_sign(subject: str) -> None:
    assert out_of_office(make_message(subject=subject, text="Back in a week. Jo"), LANGUAGES) is not None
    assert out_of_office(make_message(subject=subject, text="I am away. Jo"), LANGUAGES) is not None
    assert out_of_office(make_message(subject=subject, text="Shall we talk about it?"), LANGUAGES) is None


def test_an_absence_must_be_said_early() -> None:
    early, late = "The kitchen is empty, and the boiler is new. ", "x" * 400 + ". "
    assert out_of_office(make_message(text=early + NOTICES["en"]), LANGUAGES) is not None
    assert out_of_office(make_message(text=late + NOTICES["en"]), LANGUAGES) is None


def test_a_subject_that_goes_on_is_no_label() -> None:
    text = "Back in a week. Jo"
    assert out_of_office(make_message(subject="Out of office space for a start-up", text=text), LANGUAGES) is None
    assert out_of_office(make_message(subject="Leave us a shelf", text=text), LANGUAGES) is None


@pytest.mark.parametrize(
    "text",
    [
        "*** This is an automatic reply. *** We shall look at it.",
        "Hello.\nThis is an automated response\nfrom the town hall.",
        "THIS IS AN AUTO-GENERATED MESSAGE",
    ],
)
def test_a_text_that_calls_itself_automatic(text: str) -> None:
    assert out_of_office(make_message(text=text), LANGUAGES) is not None


def test_a_person_may_quote_the_phrase() -> None:
    text = "Your site told me 'this is an automatic reply', so I am asking again: may we join?"
    assert out_of_office(make_message(text=text), LANGUAGES) is None


def test_case_accents_apostrophes_and_line_breaks_do_not_matter() -> None:
    text = "THANKS FOR YOUR E-MAIL.\nI’m out of the\noffice un\u0074il Friday"
    assert out_of_office(make_message(text=text), {"en"}) is not None
    assert out_of_office(make_message(text="Sunt in concediu pana pe 9 martie. Multumesc pentru mesaj."), {"ro"})


def test_quoted_mail_does_not_count() -> None:
    body = Body(own_text="Yes please, do come.", quoted_text=NOTICES["en"])
    assert out_of_office(make_message(body=body), LANGUAGES) is None


def test_a_long_mail_of_a_person_does_not_count() -> None:
    more = " The kitchen at the mill stands empty all morning. The boiler was renewed by the council. " * 2
    assert out_of_office(make_message(text=NOTICES["en"] + more), LANGUAGES) is None


def test_the_reason_quotes_a_few_words_only() -> None:
    reason = out_of_office(make_message(text=NOTICES["en"]), LANGUAGES)
    assert reason == 'out-of-office wording: "am on annual leave"'


@given(subject=st.text(), text=st.text())
def test_no_text_raises(subject: str, text: str) -> None:
    reason = out_of_office(make_message(subject=subject, text=text), LANGUAGES)
    assert reason is None or not re.search(r"[\x00-\x1f\x7f]", reason)


@given(text=st.sampled_from(sorted(NOTICES.values())), before=st.integers(0, 3))
def test_a_greeting_before_it_changes_nothing(text: str, before: int) -> None:
    assert out_of_office(make_message(text="Hello,\n" * before + text), LANGUAGES) is not None
