"""Which language a text is in: English in all its kinds is left alone."""

from __future__ import annotations

import pytest

from mailbot.classifying.language import foreign_language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "07700 900123",
        "ok thx",
        "Yes, both rooms.",
        "We will take two lads on in March.",
        "ay up bab we can lend yow the van any time yow like",
        "Salaam Sarah, inshallah we bring samosas on Friday after jummah",
        "MOT bays Tues/Thurs, 2 lads, free. Ring Mo 07700 900123",
        "cheers Goran",
        "BOTH WAREHOUSES AT YOUR DISPOSAL FROM EASTER MONDAY STOP",
    ],
)
def test_english_and_scraps_are_not_foreign(text: str) -> None:
    assert foreign_language(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Chciałbym bardzo pomóc waszej organizacji w każdą sobotę rano.", "Polish"),
        ("Bonjour, nous pouvons prêter notre salle le lundi.", "French"),
        ("Putem ajuta cu două camere pentru tineri.", "Romanian"),
        ("Waxaan rabaa inaan caawiyo dhalinyarada magaalada.", "Somali"),
        ("ਸਤ ਸ੍ਰੀ ਅਕਾਲ, ਅਸੀਂ ਮਦਦ ਕਰਨਾ ਚਾਹੁੰਦੇ ਹਾਂ।", "Punjabi"),
        ("ہم نوجوانوں کی مدد کرنا چاہتے ہیں", "Urdu"),
        ("আমরা তরুণদের সাহায্য করতে চাই।", "Bangla"),
        ("نريد مساعدة الشباب في مدينتنا.", "Arabic"),
    ],
)
def test_other_languages_are_named(text: str, language: str) -> None:
    assert foreign_language(text) == language
