"""Programs' mail that carries no header saying so: receipts, challenges, bounces, newsletters, alarms.

Owns their wording and the marks that such programs leave. Knows nothing of other guards, nor of absence notices
(wording.py). Each kind is known by two things together, or by one that no person writes; what slips through is left to
the classifier's class `automatic`, and a person who is caught is held, not silenced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailbot.model import Message
from mailbot.screening.signs import shown
from mailbot.screening.wording import folded

#: characters of the text, from its start, that are looked at
_READ = 2_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One kind of program's mail. Every pattern that is given must be found; case and accents do not matter."""

    #: for people: "reads like …"
    kind: str
    subject: str = ""
    text: str = ""
    #: found in the text beside `text`
    beside: str = ""


_THIS = "(this|the) (e-?mail|message|mailbox|address|inbox|account)"

NOTICES: tuple[Notice, ...] = (
    Notice(
        kind="a mail that nobody is to answer",
        text=(
            f"do not (reply|respond) (directly )?to {_THIS}|do not reply(ing)? directly|{_THIS} (is|"
            f"was) (automatically|auto-?) ?(generated|sent)|(replies|responses) to {_THIS} (are|"
            f"will) not( be)? (read|monitored|answered|checked)|{_THIS} (is (sent )?from an?|"
            "is an?) (unmonitored|unattended|automated|automatic)|nie odpowiada(j|c) na t[ae] (wiadomosc|"
            "mail)|wiadomosc (zostala )?(wygenerowana|wyslana) automatycznie|"
            "antworten sie (bitte )?nicht auf diese|(nachricht|e-?mail) wurde automatisch|(ne pas|"
            "merci de ne pas) (y )?repondre|(message|courriel|mail) (est )?(envoye |"
            "genere )?automatique(ment)?|no (responda|conteste) (a )?este|(mensaje|correo) (generado |"
            "enviado )?automatic(o|amente)|nu raspunde(ti)? la acest|mesaj (este )?(generat |"
            "trimis )?automat|ha (ka )?jawaabin (fariin|farriin|email)|fariintan (waa )?otomaatig|(لا|"
            "عدم) (ترد|الرد) على هذ|رساله اليه|رساله تلقائيه|اس (پیغام|ای میل) کا جواب نہ|یہ خودکار|"
            "ਇਸ (ਸੁਨੇਹੇ|ਈਮੇਲ) ਦਾ ਜਵਾਬ ਨਾ|এই (বার্তার|ইমেলের|ইমেইলের) (উত্তর|জবাব) দেবেন না"
        ),
    ),
    Notice(
        kind="a help desk's receipt",
        text=(
            "(reply|antworten|repondez|responda|odpowiedz) above this line|type your reply above|"
            "(antwort|antworten) (bitte )?oberhalb dieser (linie|zeile)|au-dessus de cette ligne|"
            "(por )?encima de esta linea|powyzej tej linii"
        ),
        beside=("(request|ticket|case|query|message|enquiry)|anfrage|vorgang|demande|solicitud|zgloszeni|caso"),
    ),
    Notice(
        kind="a help desk's receipt",
        text=(
            "(ticket|case|request|reference|incident|zgloszeni\\w*|vorgangs?|ticket-?(nummer|id)|dossier|"
            "solicitud|demande)( (number|no|id|nr|ref|nummer|numer|numero|"
            "n))?[ .:°]*[\\[(#]+ ?[a-z]{0,6}[-_ ]?\\d{3,}|[\\[(#]+(ticket|case|request|req|inc|"
            "sr)[ #:_-]*\\d{3,}"
        ),
        beside=(
            "(has|have) been (received|created|logged|opened|registered|assigned)|(have|we've|we) (got|"
            "received|logged) your|has landed|was (received|created|logged)|erhalten|eingegangen|"
            "angelegt|(a bien )?(ete )?(recue?|enregistree?|creee?)|hemos recibido|se ha (creado|"
            "recibido|registrado)|otrzymalismy|zarejestrowan|przyjet|am primit|inregistrat"
        ),
    ),
    Notice(
        kind="a help desk's receipt",
        text=(
            "(your|the) (request|ticket|case|enquiry|query) (has been|was) (received|logged|registered|created|opened)|"
            "we('ve| have) (received|logged|got) your (request|ticket|case|enquiry|query)|"
            "(ihre|deine) (anfrage|nachricht) (ist |wurde )?(bei uns )?(eingegangen|erhalten|registriert)|"
            "zgloszenie zostalo (przyjete|zarejestrowane|utworzone)|hemos recibido su (solicitud|consulta|caso)|"
            "(nous avons|avons) bien recu votre (demande|message)|am primit (solicitarea|cererea)"
        ),
        beside=(
            "(number|nummer|numero|numer|caso|ref(erence)?|ticket|request|case|dossier)\\b[^\\n]{0,15}\\d{3,}|"
            "\\b[a-z]{2,6}-\\d{2,}|within [^\\n]{0,20}(working|business) days|en un plazo|innerhalb von|sous \\d+"
        ),
    ),
    Notice(
        kind="a challenge to prove that we are people",
        text=(
            "(click|follow|use|visit|press) (on )?(the |this )?(link|button|here|url|address)|captcha|fill (out|in) the"
        ),
        beside=(
            "(verify|confirm|authenticate|prove|identify) (that )?(you|your(self)?)|approved senders?|"
            "guest list|(deliver|release) your (message|e-?mail|mail)|waitlisted|receive your e-?mails?|"
            "(junk|spam|unsolicited)( e-?)?(mail)?.{0,60}(protect|filter|control|prevent|reduce|avoid)|"
            "(protect|filter|control|prevent|reduce|avoid).{0,60}(junk|spam|unsolicited)"
        ),
    ),
    Notice(
        kind="a receipt that our mail was read",
        subject=(
            "(not )?read|gelesen|ungelesen|lue?|non lue?|leido|no leido|przeczytano|nieprzeczytane|citit|"
            "delivered|ubermittelt|remis|entregado|dostarczono"
        ),
        text=("your message|ihre nachricht|votre message|el mensaje|twoja wiadomosc|mesajul"),
        beside=(
            "(was|has been) (read|deleted|delivered|opened)|wurde (am|gelesen|zugestellt)|a ete (lu|"
            "remis)|fue (leido|entregado)|zostala (przeczytana|dostarczona)"
        ),
    ),
    Notice(
        kind="a mail system's report",
        subject=(
            "(?:.{0,40}\\b)?(undeliver|not delivered|delivery|returned mail|mail system|mailbox full|"
            "failure notice|rejected|echec|non remis|non distribue|unzustellbar|nicht zugestellt|"
            "niedostarcz|nie dostarcz|no entregado|nelivrat)"
        ),
        text=(
            "(could|can|was|has|were) ?not (be(en)? )?(delivered|sent)|wasn't delivered|"
            "couldn't (be delivered|reach)|undeliverable|has failed|n'a (pas )?pu etre (remis|distribue)|"
            "nicht zugestellt|nie (zostala )?dostarcz|no (se )?(pudo|ha podido) (ser )?entreg"
        ),
        beside=(
            "(?<!\\d)[45]\\d\\d[ -]#?[45]\\.\\d{1,3}\\.\\d{1,3}|#[45]\\.\\d\\.\\d|over quota|"
            "mailbox (is )?full|user unknown|no such user|message-id:"
        ),
    ),
    Notice(
        kind="a newsletter",
        text=(
            "unsubscribe|opt[ -]?out|abmelden|abbestellen|se desabonner|desinscri|darse de baja|"
            "cancelar (la )?suscripcion|wypisz|zrezygnuj|dezabon"
        ),
        beside=(
            "(you (are|have been) |you're )?(receiving|received|getting|sent) this (e-?mail|message|"
            "newsletter|mailing|mail)?( because| as)|(view|read|see) (this|it|the|in) .{0,30}(in (your|"
            "a) )?(web )?browser|(sie erhalten|vous recevez|recibe|otrzymuje(sz)?|primiti) (diese[n]?|"
            "cet|ce|este|ten|te|acest)|im browser (ansehen|anzeigen|offnen)|dans (votre|le) navigateur|"
            "en (su|el|tu) navegador|w przegladarce"
        ),
    ),
    Notice(
        kind="an alarm or a report of a program",
        subject=(
            "(?:\\W*)(problem|recovery|acknowledgement|alert|firing|resolved|critical|warning|cron <|"
            "cron job|backup|down|up)\\b.{0,80}"
        ),
        text=(
            "(host|service|state|status|severity|node|monitor|server|instance|disk|exit code|job)\\b[^\\n]{0,30}[:=]"
        ),
        beside=(
            "(date/time|additional info|notification type|duration|threshold|uptime|alert(name)?|check output|exit)"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Patterns:
    kind: str
    subject: re.Pattern[str] | None
    text: re.Pattern[str] | None
    beside: re.Pattern[str] | None


def _compiled(notice: Notice) -> _Patterns:
    def pattern(source: str, before: str = "") -> re.Pattern[str] | None:
        return re.compile(f"{before}(?:{source})".replace(" ", r"\s{1,3}")) if source else None

    return _Patterns(
        notice.kind,
        # A subject's mark stands before a colon, or is the whole.
        pattern(notice.subject, before=r"\W*"),
        pattern(notice.text, before=r"(?<!\w)"),
        pattern(notice.beside),
    )


_PATTERNS = tuple(map(_compiled, NOTICES))


def program_notice(message: Message) -> str | None:
    """Guard 8, third part: the mail reads like one that only programs write."""
    subject = folded(message.subject)
    text = folded(
        "\n".join(
            (message.subject, message.body.own_text[:_READ], message.body.footer[:_READ], message.body.signature[:500])
        )
    )
    for each in _PATTERNS:
        if each.subject and not each.subject.match(subject):
            continue
        found = each.text.search(text) if each.text else None
        if found is None or (each.beside and not each.beside.search(text)):
            continue
        return f'reads like {each.kind}: "{shown(found[0])}"'
    return None
