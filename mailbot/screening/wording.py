# ruff: noqa: RUF001 -- letters of Arabic, Urdu and others look like Latin ones; here they are meant
"""Out-of-office answers that carry no header saying so, known by their structure and wording.

Owns the words of each language and the rule that weighs them. Knows nothing of other guards. It errs
towards people: a mail that only mentions a holiday, or says anything to the matter, is a person's; what
slips through is left to the classifier's class `automatic`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from mailbot.model import Message
from mailbot.screening.signs import shown

#: characters of the sender's own text within which an absence must be said, and that are read at all
_ABSENCE_WITHIN = 400
_READ = 2_000
#: a notice has fewer sentences than this that say something else; shorter ones than _SENTENCE words do not count
_OTHER_SENTENCES = 3
_SENTENCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One language's phrases, separated by ", ".

    In a phrase "…" stands for a few words, "_" for one word, "*" for any ending; the rest is a regular
    expression. Case and accents do not matter.
    """

    #: ISO 639-1
    language: str
    #: a subject that begins so was written by a program
    automatic: str
    #: a subject that is only this, or this and a colon, is an absence notice if the text agrees
    label: str
    #: the sender is away now, or for good
    absence: str
    #: such a notice goes on to say when the sender is back,
    back: str
    #: that the mail is not read or answered till then,
    unread: str
    #: whom to ask instead,
    instead: str
    #: and thanks for the mail
    thanks: str
    #: the sender speaks to the matter: then a person wrote it
    turns: str


WORDINGS: tuple[Wording, ...] = (
    Wording(
        language="en",
        automatic="(automatic|automated|auto)[ -]?(reply|response|answer), auto-?responder",
        label="out of (the )?office, ooo, away from (the|my) (office|desk), (on )?(annual |sick |maternity )?leave, "
        "on holiday, i('m| am) (away|on (_ )?leave|on holiday|out of the office), "
        "i('ve| have) (now )?left( _){1,4}, i no longer work (here|(at|for)( _){1,4})",
        absence="(am|i'm|be) … (out of (the )?office|away|abroad|travelling|traveling|off sick|not in the office), "
        "(am|i'm|be) … on (_ )?(leave|holidays?|vacation), i('ve| have) (now )?left, "
        "i( am|'m)? no longer, my last (working )?day was, office is (now )?closed",
        back="un?til*, return(ing)? (on|to|at|in), back (on|in|at|to), on my return, when i('m| am)? (back|return)",
        unread="(no|limited|little|without|intermittent|not have) (_ )?access, "
        "(will|shall|i'll|we'll) (reply|respond|answer|get back|be in touch|read), "
        "(not|_n't|no longer) (be )?(being |been )?(check|monitor|read|forward)*",
        instead="urgent*, immediate*, emergenc*, in my absence, while i('m| am) away, in the meantime, please contact",
        thanks="(thank you|thanks) (very much )?for your (e-?mail|message|mail|note), "
        "(thank you|thanks) (very much )?for (getting in touch|contacting|writing)",
        turns="(put|count) (us|me) (down|in), (i|we)('d| would)? (like|love|want|wanted|wish) to (?!thank), "
        "(i|we)('_)?( _){0,3} (pledge|offer|pledging|offering|donate|lend|host|mentor|suggest|propose|volunteer), "
        "(my|our|one|this) (idea|pledge|offer|suggestion), you (could|can|may|are welcome to) (use|have|borrow), "
        "but (our|my|here|yes), why not, how about",
    ),
    Wording(
        language="pl",
        automatic="automatyczna odpowiedź, odpowiedź automatyczna, autoodpowiedź",
        label="(jestem )?(poza biurem|na urlopie|nieobecn*), urlop",
        absence="(jestem|będę|przebywam) … (poza biurem|nieobecn*|w delegacji|niedostępn*), nie ma mnie w biurze, "
        "(jestem|będę|przebywam) … na (_ )?(urlopie|zwolnieniu|wakacjach), nie pracuję już, już nie pracuję",
        back="do (dnia )?\\d*, do (poniedz|wtor|środ|czwart|piąt|końca)*, wracam, wrócę, powroc*, powrot*",
        unread="odpowiem, odpiszę, udzielę odpowiedzi, (bez|ograniczony|brak|nie mam|nie będę mieć) dostęp*",
        instead="piln*, w razie, proszę o kontakt, proszę kontaktować",
        thanks="dziękuję za (_ )?(wiadomość|mail*|e-mail*|kontakt)",
        turns="chc(ę|emy), chciał*, chcieli*, możemy, moglibyśmy, proponuj*, oferuj*, deklaruj*, pomysł*",
    ),
    Wording(
        language="de",
        automatic="automatische (antwort|rückmeldung), abwesenheits(notiz|meldung|assistent)",
        label="(ich bin )?(abwesend|nicht im büro|außer haus|im urlaub), abwesenheit",
        absence="(bin|befinde|werde) … (nicht im (büro|haus)|außer haus|abwesend|nicht erreichbar), "
        "(bin|befinde) … (im|in) (_ )?(urlaub|elternzeit|mutterschutz), "
        "(bin|befinde) … auf (dienst|geschäfts)reise, arbeite … nicht mehr",
        back="bis (zum |einschließlich )?(\\d*|_tag), wieder (im|in|da|zurück|erreichbar|ab), meiner rückkehr",
        unread="zugriff, werde ich … (antworten|beantworten|bearbeiten|lesen), nicht (weitergeleitet|gelesen)",
        instead="dringend*, eilig*, notf(all|ällen), vertretung, wenden sie sich",
        thanks="dank für (ihre|deine|eure) (e-?mail|nachricht|mail)",
        turns="(ich|wir) (möchte|möchten|würde|würden|können|bieten?|spenden?|schlagen?), "
        "(möchten?|würden?|können|bieten?|spenden?) (ich|wir), "
        "(meine|unsere|eine) idee, (mein|unser|ein) (vorschlag|angebot)",
    ),
    Wording(
        language="fr",
        automatic="réponse automatique, (message|réponse|avis) d'absence",
        label="(je suis )?(absente?|en congés?|hors du bureau), absence( du bureau)?",
        absence="je (suis|serai) … (absente?|hors du bureau|indisponible), je ne (travaille|suis) plus, "
        "je (suis|serai) … en (congés?|vacances|arrêt|déplacement), je ne suis pas au bureau",
        back="jusqu'*, de retour, mon retour",
        unread="répondrai, prendrai connaissance, traiterai, lirai, accès (limité|restreint), (pas|sans) accès",
        instead="urgen*, veuillez contacter, (en|pendant) mon absence",
        thanks="merci (pour|de) (votre|ton) (message|mail|e-mail|courriel)",
        turns="(je|nous) (voudr|souhait|aimer|propos|offr|pouv|pourr)*, (je m'|nous nous )engage*, "
        "(mon|notre|une) (idée|offre|proposition)",
    ),
    Wording(
        language="es",
        automatic="(respuesta|contestación) automática",
        label="(estoy )?(fuera de (la )?oficina|ausente|de vacaciones), ausencia",
        absence="(estoy|estaré|encuentro|encontraré) … (fuera de (la |mi )?oficina|ausente), ya no trabajo, "
        "(estoy|estaré|encuentro|encontraré) … de (vacaciones|baja|permiso|viaje|licencia)",
        back="hasta (el|la|fin*|\\d*), regres*, vuelv*, mi vuelta, de vuelta",
        unread="responderé, contestaré, atenderé, leeré, acceso limitado, (sin|tendré|tengo) acceso",
        instead="urgen*, (en|durante) mi ausencia, contacten?, póngase en contacto, diríjase",
        thanks="gracias por (su|tu|vuestro) (mensaje|correo|e-?mail)",
        turns="quer(emos|ía|íamos|ría|ríamos), (me|nos) gustaría, podemos, podríamos, ofrec*, propon*, "
        "(me|nos) comprom*, (mi|nuestra|una) (idea|oferta|propuesta)",
    ),
    Wording(
        language="ro",
        automatic="răspuns automat",
        label="(sunt )?(în concediu|absent*|plecat* din birou), lipsesc din birou",
        absence="(sunt|voi fi|mă aflu) … (plecată?|absentă?|indisponibilă?), lipsesc din birou, nu mai lucrez, "
        "(sunt|voi fi|mă aflu) … în (_ )?(concediu|vacanță|delegație|deplasare), nu (sunt|voi fi) la birou",
        back="până (pe|la|în|luni|marți|miercuri|joi|vineri), revin, voi reveni, mă (voi )?înto*, la întoarcere",
        unread="voi răspunde, fără acces, acces limitat, nu (am|voi avea) acces",
        instead="urgen*, în (lipsa|absența) mea, contactați",
        thanks="mulțumesc pentru (mesaj*|e-?mail*|mail*)",
        turns="(aș|am|mi-ar|ne-ar) (vrea|dori|plăcea|putea), putem, oferim, ofer, propun*, ideea, ne angajăm, donăm",
    ),
    Wording(
        language="so",
        automatic="jawaab (otomaatig*|otomaatik*|toos)( ah)?",
        label="(waxaan ku jiraa )?fasax, (xafiiska )?waan (ka )?maqanahay( xafiiska)?",
        absence="wax?aan … (fasax|maqanahay|maqan ahay|safar), xafiiska (kuma jiro|ma joogo)",
        back="ilaa, soo (noqo|noqd|laaba)*",
        unread="jawaabi doonaa, soo jawaabi, ma (akhrin|arki) doono",
        instead="degdeg*, la (soo )?xiriir*",
        thanks="mahadsan*",
        turns="waxaan (rabaa|rabnaa|jecel*|jeclahay|jeclaan|doonaynaa|bixin*), ballan*, fikrad*, soo jeedin*, deeq*",
    ),
    Wording(
        language="ar",
        automatic="(ال)?رد (ال)?(تلقائي|آلي)",
        label="(أنا )?(خارج المكتب|في إجازة)",
        absence="(أنا|إنني|إني|سأكون|أكون) … (خارج (المكتب|العمل)|في (إجازة|عطلة|سفر|مهمة)|غائب*), لم أعد أعمل",
        back="و?(حتى|لغاية|سأعود|أعود), عودتي, العودة",
        unread="و?(سأرد|سأجيب|سأقوم بالرد|لن أتمكن|لا يمكنني), وصول محدود",
        instead="(لل|ال)?(عاجل|طارئ|ضرور)*, (يرجى|الرجاء|يمكنكم) (التواصل|الاتصال|مراسلة)",
        thanks="شكرا (_ )?(على|ل)*",
        turns="و?(أود|نود|أريد|نريد|أرغب|نرغب|نقدم|أقدم|نتعهد|أتعهد|نتبرع|أتبرع), و?(نقترح|أقترح|يمكننا|نستطيع), "
        "فكر(ة|تي|تنا)",
    ),
    Wording(
        language="ur",
        automatic="خودکار جواب",
        label="دفتر سے باہر, (چھٹی|رخصت) پر",
        absence="میں … دفتر سے باہر, میں … (چھٹی|چھٹیوں|رخصت|سفر) پر, دفتر میں موجود نہیں",
        back="تک, واپس*",
        unread="جواب (دوں|دے سک)*, رسائی, نہیں (دیکھ|پڑھ)*",
        instead="فوری, ہنگامی, رابطہ (کریں|کیجیے|فرمائیں)",
        thanks="شکریہ",
        turns="چاہ(تا|تی|تے|یں|وں)*, وعدہ, پیشکش, پیش کر*, عطیہ, تجویز, (دے|کر) سکتے",
    ),
    Wording(
        language="pa",
        automatic="(ਆਟੋਮੈਟਿਕ|ਸਵੈਚਲਿਤ|ਸਵੈਚਾਲਿਤ) ਜਵਾਬ",
        label="ਦਫ਼ਤਰ ਤੋਂ ਬਾਹਰ, ਛੁੱਟੀ ?'? ?ਤੇ",
        absence="ਮੈਂ … ਦਫ਼ਤਰ ਤੋਂ ਬਾਹਰ, ਮੈਂ … (ਛੁੱਟੀ|ਛੁੱਟੀਆਂ) ?'? ?(ਤੇ|ਉੱਤੇ)",
        back="ਤੱਕ, ਤਕ, ਵਾਪਸ",
        unread="ਜਵਾਬ (ਦੇਵਾਂ|ਦਿਆਂ|ਨਹੀਂ)",
        instead="ਜ਼ਰੂਰੀ, ਤੁਰੰਤ, ਸੰਪਰਕ",
        thanks="ਧੰਨਵਾਦ",
        turns="ਚਾਹੁੰਦ*, ਵਾਅਦਾ, ਪੇਸ਼ਕਸ਼, ਦਾਨ, ਸੁਝਾਅ, ਸਕਦੇ ਹਾਂ, ਦੇਵਾਂਗੇ",
    ),
    Wording(
        language="bn",
        automatic="স্বয়ংক্রিয় (উত্তর|জবাব)",
        label="অফিসের বাইরে, ছুটিতে",
        absence="আমি … (ছুটিতে|অফিসের বাইরে|অফিসে নেই|ভ্রমণে)",
        back="পর্যন্ত, ফির*, ফেরা*",
        unread="(উত্তর|জবাব) (দেব|দিতে পারব না)",
        instead="জরুর(ি|ী), যোগাযোগ",
        thanks="ধন্যবাদ",
        turns="চাই, অঙ্গীকার, প্রতিশ্রুতি, প্রস্তাব, অনুদান, ধারণা, (দিতে|করতে) পারি",
    ),
)

#: every language known, for Policy
LANGUAGES: frozenset[str] = frozenset(wording.language for wording in WORDINGS)

#: "This is an automatic reply", at the start of a sentence; English stands in the notices of all languages
_DECLARED = re.compile(
    r"(?:^|[.!?*#\n-]) ?(?:please note that )?this is an? (?:automatic|automated|auto)(?:ally)?[ -]?(?:generated )?"
    r"(?:reply|response|message|e-?mail|answer|acknowledgement)(?!\w)"
)

#: typographers' apostrophes, and letters that no decomposition makes plain
_PLAIN = str.maketrans("‘’ʼ`´łŁøØđĐ", "'''''lLoOdD")


def out_of_office(message: Message, languages: Iterable[str]) -> str | None:
    """Guard 8, second half: an absence notice, by subject and first lines.

    A subject that begins "Automatic reply", or a text that calls itself one, is enough. Otherwise the
    sender says that they are away and two things that such notices go on to say; under a subject that is
    only "Out of office", one of these three will do. Nothing of it counts once the sender speaks to the
    matter ("but we pledge …") or at length of other things, and a subject that begins "Re:" is a
    person's answer to a notice.

    Args:
        message: read; only `subject` and `body.own_text` are looked at.
        languages: ISO 639-1 codes of `WORDINGS` to look for.
    """
    subject = folded(message.subject)
    opening = folded(message.body.own_text)
    wordings = tuple(_compiled(code) for code in sorted(LANGUAGES.intersection(languages)))
    if any(wording.automatic.match(subject) for wording in wordings):
        return f"Subject: {shown(message.subject)}"
    if wordings and (declared := _DECLARED.search(opening[:_ABSENCE_WITHIN])):
        return f'it says "{shown(declared[0].strip(" .!?*#"))}"'
    for wording in wordings:
        labelled = wording.label.match(subject) is not None
        absence = wording.absence.search(opening[:_ABSENCE_WITHIN])
        if not labelled and not absence:
            # Nearly every mail, in every language: the longer searches are for the few that are left.
            continue
        signs = sum(sign.search(opening) is not None for sign in wording.signs)
        if (absence and signs >= 2) or (labelled and (absence or signs)):
            if any(each.turns.search(opening) for each in wordings) or _talkative(opening, wordings):
                return None
            return f'out-of-office wording: "{shown(absence[0] if absence else message.subject)}"'
    return None


def _talkative(opening: str, wordings: tuple[_Patterns, ...]) -> bool:
    """The sender says more than a notice would: several sentences are neither absence nor sign."""
    usual = [pattern for wording in wordings for pattern in (wording.absence, *wording.signs)]
    others = (
        sentence
        for sentence in re.split(r"[.!?।۔؟]\s", opening)
        if len(sentence.split()) >= _SENTENCE and not any(pattern.search(sentence) for pattern in usual)
    )
    return sum(1 for _ in others) >= _OTHER_SENTENCES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patterns:
    """A Wording, compiled."""

    automatic: re.Pattern[str]
    label: re.Pattern[str]
    absence: re.Pattern[str]
    signs: tuple[re.Pattern[str], ...]
    turns: re.Pattern[str]


@cache
def _compiled(language: str) -> _Patterns:
    """The patterns of a language, compiled when the first mail is screened for it."""
    wording = next(wording for wording in WORDINGS if wording.language == language)
    return _Patterns(
        # A person may begin so too ("Automatic reply received, but …"): a program's label ends there, or before a name.
        automatic=_pattern(
            wording.automatic, before=r"\W*", after=r"\s*(?:[:：\-–—|(\[]|$|(?:from|for|to|re|von|od|de|du)(?!\w))"
        ),
        label=_pattern(wording.label, before=r"\W*", after=r"\s*(?:[:\-–—|]|re:|$)"),
        absence=_pattern(wording.absence),
        signs=tuple(map(_pattern, (wording.back, wording.unread, wording.instead, wording.thanks))),
        turns=_pattern(wording.turns),
    )


def _pattern(phrases: str, before: str = r"(?<!\w)", after: str = r"(?!\w)") -> re.Pattern[str]:
    """Any of the `phrases`, as whole words; a space may be the end of a line."""
    words = "|".join(phrases.split(", ")).replace("*", r"\w*").replace("_", r"\w+").replace(" … ", " (.{0,40}? )?")
    return re.compile(f"{before}(?:{folded(words)}){after}".replace(" ", r"\s"), re.DOTALL)


def folded(text: str) -> str:
    """Text without case, accents and typographers' apostrophes, spaces single, for matching only."""
    plain = text[:_READ].translate(_PLAIN)
    if not plain.isascii():
        # By combining class, not by category: the vowel signs of Indic scripts are marks too, and are kept.
        plain = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
    plain = plain.casefold()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", plain)).strip()
