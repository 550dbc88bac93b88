"""Finds the person who writes and the organisation they write for.

Owns how people name themselves in From, in signatures and in their first sentences. Must not know
addresses to answer to, nor anything about the organisations. In doubt there is no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailbot.model import Address

#: characters within which people say who they are
_OPENING = 1_500
#: characters within which a form's fields and an organisation's name are looked for
_LONGEST_FORM = 4_000

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_ROBOT = re.compile(
    r"(?:^|[._+-])(?:no-?reply|do-?not-?reply|mailer-?daemon|postmaster|bounces?|notifications?|alerts?|robot"
    r"|receipts?|forms?"
    r"|website|wordpress|webform|voicemail|listserv|majordomo|orders?|web)(?:$|[._+-])|-request$|^owner-",
    re.IGNORECASE,
)
_ROBOT_NAME = re.compile(
    r"\b(?:mailer-daemon|mail delivery|postmaster|no-?reply|robot|helpdesk|help desk|ticket desk|pledge form"
    r"|web ?form|contact form|website|read receipt"
    r"|backup service|list|voicemail|webmaster|wall|digest|receivable|payable)\b|@",
    re.IGNORECASE,
)
#: a display name with one of these is an organisation's
_ORG_WORD = re.compile(
    r"\b(?<!-)(?:ltd|limited|plc|llp|llc|inc|cic|c\.i\.c|cio|gmbh|trust|foundation|(?<!^)charity|co-?op(?:erative)?"
    r"|society|association|club|council"
    r"|network|partnership|alliance|union|guild|federation|institute|university|college|school|academy|church"
    r"|centre|center|hub|group"
    r"|enterprises?|services?|solutions|studios?|project|community|housing|homes|bank|café|cafe|kitchen"
    r"|bakery|brewery|press|theatre"
    r"|team|office|department|awards|news|newsletter|weekly|post|registry|payroll|panel|committee|forum|works"
    r"|company|co|pantry|farm"
    r"|shop|stores?|garage|energy|digital|media|radio|fm|records|players|band|choir|pans|gallery|museum"
    r"|library|hospice|nursery|shed|sheds|rotary|league|fc|electrical|haulage|catering|finance|conference|suites"
    r"|weddings|playhouse|synagogue|mosque|unit(?!\s\d)|dept|mutual|fund)\b(?!-)",
    re.IGNORECASE,
)
_DESK = re.compile(
    r"\b(?:desk|dispatch|reception|enquiries|info|hello|office|contact|team|mail|admin|orders|events|accounts"
    r"|sales|support|bookings|secretary|clerk|ledger|deals|almoner|minutes|comms)\b",
    re.IGNORECASE,
)
_LETTERS_BEHIND = re.compile(
    r"(?:\s|,)+(?:mbe|obe|cbe|ba|bsc|ma|msc|phd|mba|fca|fcca|aca|acca|acma|acii|mrics|frics|riba|cipd|frsa|jp|pgce"
    r"|bds|rgn|frcs|mp|qc|kc)\b.*$",
    re.IGNORECASE,
)
#: forms of address before a name of two words or more; "Mrs Hobday" keeps hers
_TITLES = re.compile(
    r"^(?:the\s)?(?:(?:mrs?|ms|miss|mx|dr|prof(?:essor)?(?: emeritus)?|revd?|reverend|sir|dame|rt hon|fr|father"
    r"|sr|sister|canon|deacon|archdeacon|pastor|rabbi|cllr|councillor|alderman|capt(?:ain)?|lt col|brigadier|wing cdr"
    r"|insp(?:ector)?|sgt|pc|dci)\b\.?\s(?:&\s)?)+(?=\S+\s\S)",
    re.IGNORECASE,
)
_NAME = (
    r"[^\W\d_a-z][\w'\u2019.-]+(?:\s(?:(?:van|de|von|der|al|bin|del|la|le|du|da|ap"
    r"|ab)\s)?[^\W\d_a-z][\w'\u2019-]*\.?){0,3}"
)
_SAYS_NAME = re.compile(
    rf"(?:\b[Mm]y name is|\b(?:[Ii]t['\u2019]s|[Ii] am|[Ii]['\u2019]m"
    rf"|[Tt]his is)(?=\s[^\W\d_a-z][\w'\u2019-]+\s[^\W\d_a-z][\w'\u2019-]+\s(?:from|at|of"
    rf"|here)\b))\s(?P<name>{_NAME})"
)
#: "Jo at Acme", "Jo via the web"
_AFFILIATION = re.compile(r"\s+(?:via|from|at|@)\s+(?P<org>.*)$")
_FORM_NAME = re.compile(r"(?im)^\W*(?:your |full |contact |first and last )?name\s*[:=]\s*(?P<name>\S.{1,60})$")
_FORM_ORGANISATION = re.compile(
    r"(?im)^\W*(?:your |name of )?(?:organi[sz]ation|company|enterprise|charity"
    r"|group)(?: name)?\s*[:=]\s*(?P<org>\S.{1,80})$"
)
_NO_ANSWER = re.compile(r"(?i)\W*(?:n/?a|none\b.*|-+|no|not given|self)?\W*")

_POST = re.compile(
    r"\b(?:director|manager|officer|chair(?:man|woman|person)?|secretary|treasurer|trustee|founder"
    r"|co-?founder|owner|partner|president|head|lead"
    r"|leader|coordinator|co-ordinator|chief|executive|ceo|cfo|coo|cto|md|administrator|assistant|advis[eo]r"
    r"|consultant|engineer|developer|designer"
    r"|editor|reporter|correspondent|journalist|producer|teacher|tutor|lecturer|professor|researcher|student"
    r"|volunteer|member|members|captain"
    r"|vicar|curate|chaplain|priest|clerk|bursar|principal|governor|accountant|bookkeeper|solicitor"
    r"|photographer|sales|marketing|accounts"
    r"|communications|partnerships|freelance|retired|candidate|buyer|surveyor|mayor|councillor|candidate"
    r"|ninja|happiness|warden|librarian"
    r"|organiser|organizer|worker|representative|rep|delegate|convenor|steward|host|chef|baker|artist|writer"
    r"|banking|policy|engagement|talent|sec|registrar|broker|caseworker|specialist|consul|evaluator|superintendent"
    r"|almoner|auditor|assessor|negotiator|vp|ledger|credit control|archdeacon|dean|chancellor)\b",
    re.IGNORECASE,
)
_ADDRESS_WORD = re.compile(
    r"\b(?:street|st|road|rd|lane|avenue|ave|yard|way|drive|close|square|house no|unit|suite|floor|po box"
    r"|birmingham|solihull|digbeth|b\d{1,2})\b|\d",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"(?:\b(?:tel|phone|mob(?:ile)?|fax|t|m|e|w)\s?[:.]?\s*)?(?:\+|\(?0)[\d\s().-]{7,}\d|[^\s@]{1,64}@\S{1,255}|https?://\S+"
    r"|\bwww\.\S+"
    r"|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|uk|eu|info|coop|example|io)\b\S*|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[,|•·/]\s*|\s@\s|\s+[\u2013—-]\s+|\s{3,}|\s*[(\"“]")
_SIGN_OFF_WORD = re.compile(
    r"(?:in|yours|with|best|kind|every|love|warm\w*|many|thanks|all|god|blessings|cheers|regards|for)\b", re.IGNORECASE
)
_POST_OF = re.compile(r"^.*\b(?:at|of|for|to)\s+(?=(?:[Tt]he\s)?[^\W\d_a-z])")
_NAME_WORD = re.compile(r"[^\W_][\w'\u2019-]*|&")
_ORG_SUFFIX = re.compile(
    r"\s(?:CIC|C\.I\.C\.|Ltd|Limited|PLC|plc|LLP|Trust|Foundation|Co-op(?:erative)?|CIO|Society"
    r"|University|College|School|Academy|Network|Union|Group|Centre|Association|Solicitors|Accountants"
    r"|Communications)\b"
)
_FOR_ORG = re.compile(
    r"^(?:for|on behalf of|for and on behalf of|for all at|and all at|all at|from all at)\s+(?:the team at\s+)?",
    re.IGNORECASE,
)
_CAPITALISED = r"(?:(?!(?:I|We|You|My|Our)\b)[^\W\d_a-z][\w'\u2019-]*|&|of|and|for|the|at|\+)"
_ORG_NAME = rf"(?:[Tt]he\s)?(?!(?:I|We|You|My|Our)\b)[^\W\d_a-z][\w'\u2019-]*(?:\s{_CAPITALISED}){{0,6}}"
_SAYS_ORG = re.compile(
    rf"(?:\b(?:[Ww]riting|here|[Ss]peaking|[Ww]rite|[Gg]etting in touch)\s(?:to you\s)?(?:for|from|on behalf of|at)"
    rf"|\b(?:founder|director|manager|chair|secretary|treasurer|ceo|owner|member|head|clerk|part|trustee"
    rf"|partner|coordinator)\s(?:of|at)"
    rf"|\b(?:I|we)\s(?:run|manage|represent|chair|work (?:for|at)|drive for|look after|lead)"
    rf"|\b(?:[Ii]t['\u2019]s|this is|[Tt]his is|I['\u2019]m"
    rf"|I am)\s[^\W\d_a-z][\w'\u2019-]+(?:\s[^\W\d_a-z][\w'\u2019-]+)?\s(?:from|at|of))\s(?P<org>{_ORG_NAME})"
    rf"|\b[^\W\d_a-z][\w'\u2019-]+\s(?:here\s)?from\s(?P<hail>{_ORG_NAME})"
    rf"|(?:^|[.,]\s)(?P<subject>{_ORG_NAME})\s(?:is an?|are an?|here\b|will be|would be|has been|can|provides?"
    rf"|helps?|was founded)\b",
    re.MULTILINE,
)
#: how a name goes on behind the words that its domain is made of: "Brick & Bloom" + " Catering Club"
_MORE_NAME = re.compile(r"(?:\s(?:&\s)?(?!(?:I|We|You|My|Our|On|In|At)\b)[^\W\d_a-z][\w'\u2019-]*){1,4}")
#: words that begin a sentence rather than a name
_STOP = frozenset(
    {
        *("i", "we", "you", "it", "this", "that", "there", "he", "she", "they", "my", "our", "your", "a", "an", "as"),
        *("if", "in", "on", "at", "for", "and", "but", "so", "or", "not", "no", "yes", "hi", "hello", "dear", "please"),
        *("thanks", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january"),
        *("february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
        *("december", "what", "when", "where", "who", "why", "how"),
    }
)
_TRAILING = re.compile(r"\s(?:of|and|for|the|at|&|\+)$")


def person(own_text: str, signature: str, sender: Address | None) -> str | None:
    """The one who writes, in the fullest form.

    Args:
        own_text: the sender's own words.
        signature: the signature block.
        sender: From.

    Returns:
        From's display name, a fuller form of it that the mail is signed with, or, where From is a robot's
        or an organisation's, the name that the mail is signed with. None when no person is named.
    """
    shown = _tidy_name(sender.display_name) if sender else ""
    form = _FORM_NAME.search(own_text[:_LONGEST_FORM])
    robot = _is_robot(sender)
    if robot and form:
        return _tidy_name(form["name"]) or None
    if shown and not robot and not _is_office(sender):
        return _fuller(shown, signature) or shown
    says = _SAYS_NAME.search(own_text[:_OPENING])
    if says:
        return _tidy_name(says["name"])
    # The name above a post ("Jo Smith", then "Clerk") may be the last line of the sender's own text.
    above, _, closing = own_text.rstrip().rpartition("\n")
    if robot or not above or closing.endswith((".", "!", "?", ":", ",")):
        closing = ""
    shop = _squashed(sender.display_name) if sender else ""
    signed = (*_signed_names(signature), *_signed_names(closing))
    return next((name for name in signed if _squashed(name) != shop), None)


def organisation(own_text: str, signature: str, sender: Address | None, person: str | None) -> str | None:
    """The organisation that the sender writes for.

    Args:
        own_text: the sender's own words.
        signature: the signature block.
        sender: From.
        person: who writes, as `person()` found it.

    Returns:
        The name as written, where the signature, the text or From gives one; None in doubt.
    """
    form = _FORM_ORGANISATION.search(own_text[:_LONGEST_FORM])
    if form:
        return None if _NO_ANSWER.fullmatch(form["org"]) else form["org"].strip()
    person_words = _folded(person or "")
    domain = re.sub(r"[^a-z0-9.]", "", sender.domain) if sender else ""
    candidates = (
        *_signed_organisations(signature, domain),
        *_shown_organisations(sender),
        *_said_organisations(own_text),
        *_named_like_domain(f"{signature}\n{own_text}", domain),
    )
    best, found = 2, None
    for name, base in candidates:
        score = _score(name, base, domain, person_words)
        if score > best or (score == best and found and name.startswith(found)):
            best, found = score, name
    # The domain may hold the first words only: Keane Carver Accountants at keanecarver.example.
    longer = (name for name, _ in candidates if found and name.startswith(f"{found} "))
    full = next(longer, found)
    return re.sub(r"^the\s", "", full) if full else None


def _is_office(sender: Address | None) -> bool:
    """Whether From's display name is an organisation's or a post's."""
    if sender is None:
        return False
    shown = re.sub(r"\s\([^()]*\)", "", _AFFILIATION.sub("", sender.display_name))
    if _ORG_WORD.search(shown) or "," in _tidy_name(shown) or _DESK.search(shown):
        return True
    local = sender.addr_spec.rpartition("@")[0]
    return bool(_DESK.fullmatch(local) or _ROBOT.search(local)) and _squashed(shown) in _squashed(sender.domain)


def _is_robot(sender: Address | None) -> bool:
    if sender is None:
        return False
    local = sender.addr_spec.rpartition("@")[0]
    return bool(_ROBOT.search(local)) or bool(_ROBOT_NAME.search(_AFFILIATION.sub("", sender.display_name)))


def _tidy_name(written: str) -> str:
    """A display name as people say it: "Smith, Dr John (Acme)" is John Smith."""
    name = re.sub(r"\s\([^()]*\)(?=\s\w)", "", written)
    name = re.sub(r"\s*[(\[|].*$", "", name).strip(" \t\"'“”,;.*_") or written.strip()
    name = _LETTERS_BEHIND.sub("", _AFFILIATION.sub("", name))
    last, comma, first = name.partition(", ")
    if comma and _WORD.fullmatch(last) and 1 <= len(first.split()) <= 2 and not _ORG_WORD.search(name):
        name = f"{first} {last}"
    return _TITLES.sub("", " ".join(name.split()))


def _folded(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text))


def _signed_names(signature: str) -> Iterator[str]:
    for line in signature.split("\n"):
        # "(Mrs) Jo Smith" has its title in brackets.
        line = re.sub(r"^\((\w+)\)\s", r"\1 ", line.strip())
        head = _TITLES.sub("", _LETTERS_BEHIND.sub("", _SEPARATOR.split(line, maxsplit=1)[0]).strip())
        if any(word.search(head) for word in (_ORG_WORD, _POST, _DESK)) or _SIGN_OFF_WORD.match(head):
            continue
        if re.fullmatch(_NAME, head) and (len(head.split()) > 1 or line == head or _POST.search(line)):
            yield head


def _fuller(shown: str, signature: str) -> str | None:
    """A signed form with every word of the shown name and more, such as "Dr Jo Ann Smith" for "Jo Smith"."""
    wanted = _folded(shown)
    for signed in _signed_names(signature):
        words = _folded(signed)
        if wanted < words and len(words) <= len(wanted) + 2:
            return signed
    return None


def _signed_organisations(signature: str, domain: str) -> Iterator[tuple[str, int]]:
    """Candidates in the signature with the weight of the place where they stand, last line first."""
    lines = [line.strip() for line in signature.split("\n") if line.strip()]
    for position, line in reversed(list(enumerate(lines))):
        pieces = [piece.strip(' .|*_-\u2013—)"”') for piece in _SEPARATOR.split(_CONTACT.sub("|", line))]
        for place, piece in enumerate(pieces):
            name = _POST_OF.sub("", piece) if _POST.search(piece) else piece
            name = _FOR_ORG.sub("", name)
            if not name or len(name) > 60 or len(name.split()) > 7 or not re.match(r"[^\W_a-z]", name):
                continue
            known = bool(domain) and _squashed(name) in domain
            if not known and (_POST.search(name.split()[-1]) or _looks_like_place_or_post(name)):
                continue
            if position or place:
                # Behind a comma stands a place as often as an organisation.
                yield name, 2 if place else 3


def _is_kind(name: str) -> bool:
    """Whether a name is only a kind of organisation: "the Trust", "Institute"."""
    return bool(re.fullmatch(rf"(?:the\s)?{_ORG_WORD.pattern}", name, re.IGNORECASE))


def _looks_like_place_or_post(name: str) -> bool:
    return bool(_POST.search(name) or _ADDRESS_WORD.search(name)) and not _ORG_WORD.search(name)


def _shown_organisations(sender: Address | None) -> Iterator[tuple[str, int]]:
    """What From's display name says besides the person: "Smith, John (Acme Trust)", "Events, The Grand Hotel"."""
    shown = sender.display_name if sender else ""
    if not shown or _ROBOT_NAME.search(shown):
        return
    inside = re.search(r"[(\[]([^)\]]{3,80})[)\]]", shown)
    affiliation = _AFFILIATION.search(shown)
    if inside:
        yield inside.group(1).strip(), 2
    elif affiliation:
        yield affiliation["org"].strip(), 2
    elif _is_office(sender):
        last = shown.rpartition(", ")[2].strip()
        yield last, 1


def _named_like_domain(text: str, domain: str) -> Iterator[tuple[str, int]]:
    """Names in the text that the domain is made of: "Brick & Bloom" at brickandbloom.example."""
    if len(domain) < 4:
        return
    for line in text[:_LONGEST_FORM].split("\n"):
        words = list(_NAME_WORD.finditer(line))
        for first in range(len(words)):
            begins = words[first].group()
            if not begins[0].isupper() or (begins != "The" and begins[:3].lower() not in domain):
                continue
            for last in range(min(first + 7, len(words)), first, -1):
                if last - first > 1 and not words[last - 1].group()[0].isupper():
                    continue
                name = line[words[first].start() : words[last - 1].end()]
                squashed = _squashed(name)
                if len(squashed) < 5 or squashed not in domain:
                    continue
                more = _MORE_NAME.match(line, words[last - 1].end())
                # One word alone is an organisation when it is the whole domain; a part of one is often a place.
                if last - first > 1 or (len(squashed) >= 8 and (more or squashed in domain.split("."))):
                    yield re.sub(r"['\u2019]s$", "", name + more.group()) if more else name, 1
                    break


def _squashed(name: str) -> str:
    """A name as a domain writes it."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^the\s", "", name.casefold()).replace("&", "and").replace("'s", "s"))


def _said_organisations(own_text: str) -> Iterator[tuple[str, int]]:
    for match in _SAYS_ORG.finditer(own_text[:_OPENING]):
        written = match["org"] or match["hail"] or match["subject"]
        name = _TRAILING.sub("", _TRAILING.sub("", written)).strip(" .,'\u2019")
        words = [word.casefold() for word in _WORD.findall(name)]
        if not words or words[0] in _STOP:
            continue
        yield name, 2 if match["org"] or match["hail"] else 1


def _score(name: str, base: int, domain: str, person_words: frozenset[str]) -> int:
    """How sure it is that a name is the sender's organisation."""
    words = _folded(name)
    if words <= person_words or _is_kind(name):
        return 0
    squashed = _squashed(_ORG_SUFFIX.sub("", name))
    shares_domain = bool(domain) and any(len(word) >= 4 and re.sub(r"\W|s$", "", word) in domain for word in words)
    known = len(squashed) > 4 and squashed in domain
    score = base + 2 * bool(_ORG_WORD.search(name)) + 2 * shares_domain + 2 * known
    if known:
        return score
    if words & person_words and not _ORG_WORD.search(name) and "'" not in name and "&" not in name:
        score -= 2
    return score
