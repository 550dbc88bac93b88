"""Finds the person who writes and the organisation they write for.

Owns how people name themselves in From, in signatures and in their first sentences. Must not know
addresses to answer to, nor anything about the organisations. In doubt there is no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailbot.model import Address

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_ROBOT = re.compile(
    r"(?:^|[._+-])(?:no-?reply|do-?not-?reply|mailer-?daemon|postmaster|bounces?|notifications?|alerts?|robot|receipts?|forms?"
    r"|website|webform|voicemail|listserv|majordomo|orders?|web)(?:$|[._+-])|-request$|^owner-",
    re.IGNORECASE,
)
_ROBOT_NAME = re.compile(
    r"\b(?:mailer-daemon|mail delivery|postmaster|no-?reply|robot|helpdesk|help desk|ticket desk|pledge form|web ?form|read receipt"
    r"|backup service|list|voicemail|webmaster|wall|digest|receivable|payable)\b|@",
    re.IGNORECASE,
)
#: a display name with one of these is an organisation's
_ORG_WORD = re.compile(
    r"\b(?:ltd|limited|plc|llp|llc|inc|cic|c\.i\.c|cio|gmbh|trust|foundation|charity|co-?op(?:erative)?|society|association|club|council"
    r"|network|partnership|alliance|union|guild|federation|institute|university|college|school|academy|church|centre|center|hub|group"
    r"|enterprises?|services?|solutions|studios?|project|community|housing|homes|bank|café|cafe|kitchen|bakery|brewery|press|theatre"
    r"|team|office|department|awards|news|newsletter|weekly|post|registry|payroll|panel|committee|forum|works|company|co|pantry|farm"
    r"|shop|stores?|garage|energy|digital|media|radio|fm|records|players|band|choir|pans|gallery|museum|library|hospice|nursery|shed|sheds)\b",
    re.IGNORECASE,
)
_TITLE = re.compile(r"(?:mr|mrs|ms|miss|mx|dr|prof|professor|rev|revd|fr|sr|sister|brother|cllr|sir|dame|lord|lady|canon|mgr|imam|rabbi)\b\.?", re.IGNORECASE)
_LETTERS_BEHIND = re.compile(r"(?:\s|,)+(?:mbe|obe|cbe|ba|bsc|ma|msc|phd|mba|fca|aca|acii|frsa|jp|pgce)\b.*$", re.IGNORECASE)
_NAME = r"[^\W\d_a-z][\w'’.-]+(?:\s(?:(?:van|de|von|der|al|bin|del|la|le|du|da|ap|ab)\s)?[^\W\d_a-z][\w'’-]*\.?){0,3}"
_SAYS_NAME = re.compile(
    rf"(?:\b[Mm]y name is|\b(?:[Ii]t['’]s|[Ii] am|[Ii]['’]m|[Tt]his is)(?=\s[^\W\d_a-z][\w'’-]+\s[^\W\d_a-z][\w'’-]+\s(?:from|at|of|here)\b))\s(?P<name>{_NAME})"
)
_FORM_NAME = re.compile(r"(?im)^\W*(?:your |full |contact |first and last )?name\s*[:=]\s*(?P<name>\S.{1,60})$")
_FORM_ORGANISATION = re.compile(r"(?im)^\W*(?:your |name of )?(?:organi[sz]ation|company|enterprise|charity|group)(?: name)?\s*[:=]\s*(?P<org>\S.{1,80})$")
_NO_ANSWER = re.compile(r"(?i)\W*(?:n/?a|none|-+|no|not given|self)?\W*")

_POST = re.compile(
    r"\b(?:director|manager|officer|chair(?:man|woman|person)?|secretary|treasurer|trustee|founder|co-?founder|owner|partner|president|head|lead"
    r"|leader|coordinator|co-ordinator|chief|executive|ceo|cfo|coo|cto|md|administrator|assistant|advis[eo]r|consultant|engineer|developer|designer"
    r"|editor|reporter|correspondent|journalist|producer|teacher|tutor|lecturer|professor|researcher|student|volunteer|member|members|captain"
    r"|vicar|curate|chaplain|priest|clerk|bursar|principal|governor|accountant|bookkeeper|solicitor|photographer|sales|marketing|accounts"
    r"|communications|partnerships|freelance|retired|candidate|buyer|surveyor|mayor|councillor|candidate|ninja|happiness|warden|librarian"
    r"|organiser|organizer|worker|representative|rep|delegate|convenor|steward|host|chef|baker|artist|writer|banking|policy|engagement|talent)\b",
    re.IGNORECASE,
)
_ADDRESS_WORD = re.compile(
    r"\b(?:street|st|road|rd|lane|avenue|ave|yard|way|drive|close|square|house no|unit|suite|floor|po box|birmingham|solihull|digbeth|b\d{1,2})\b|\d",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"(?:(?:tel|phone|mob(?:ile)?|fax|t|m|e|w)\s?[:.]?\s*)?(?:\+|\(?0)[\d\s().-]{7,}\d|\S+@\S+|https?://\S+|\bwww\.\S+"
    r"|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|uk|eu|info|coop|example|io)\b\S*|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[,|•·/]\s*|\s+[–—-]\s+|\s{3,}|\s*[(\"“]")
_FOR_ORG = re.compile(r"^(?:for|on behalf of|for and on behalf of|for all at|and all at|all at|from all at)\s+(?:the team at\s+)?", re.IGNORECASE)
_CAPITALISED = r"(?:(?:The|[^\W\d_a-z])[\w'’.-]*|&|of|and|for|the|at|\+)"
_ORG_NAME = rf"(?:[Tt]he\s)?[^\W\d_a-z][\w'’-]*(?:\s{_CAPITALISED}){{0,6}}"
_SAYS_ORG = re.compile(
    rf"(?:\b(?:[Ww]riting|here|[Ss]peaking|[Ww]rite|[Gg]etting in touch)\s(?:to you\s)?(?:for|from|on behalf of|at)"
    rf"|\b(?:founder|director|manager|chair|secretary|treasurer|ceo|owner|member|head|clerk|part|trustee|partner|coordinator)\s(?:of|at)"
    rf"|\b(?:I|we)\s(?:run|manage|represent|chair|work (?:for|at)|lead)"
    rf"|\b(?:[Ii]t['’]s|this is|[Tt]his is|I['’]m|I am)\s[^\W\d_a-z][\w'’-]+(?:\s[^\W\d_a-z][\w'’-]+)?\s(?:from|at|of))\s(?P<org>{_ORG_NAME})"
    rf"|\b[^\W\d_a-z][\w'’-]+\s(?:here\s)?from\s(?P<hail>{_ORG_NAME})"
    rf"|(?:^|[.,]\s)(?P<subject>{_ORG_NAME})\s(?:is an?|are an?|here\b|will be|would be|has been|can|provides?|helps?|was founded)\b",
    re.MULTILINE,
)
_STOP = frozenset(
    "i we you it this that there he she they my our your the a an as if in on at for and but so or not no yes hi hello dear please thanks birmingham "
    "social enterprise city steering group monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december sarah aim what when where who why how".split()
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
    form = _FORM_NAME.search(own_text)
    robot = _is_robot(sender)
    if robot and form:
        return _tidy_name(form["name"]) or None
    if shown and not robot and not _ORG_WORD.search(shown):
        return _fuller(shown, signature) or shown
    says = _SAYS_NAME.search(own_text)
    if says:
        return _tidy_name(says["name"])
    signed = next(_signed_names(signature), None)
    return signed if not robot or signed else None


def organisation(own_text: str, signature: str, sender: Address | None) -> str | None:
    """The organisation that the sender writes for.

    Args:
        own_text: the sender's own words.
        signature: the signature block.
        sender: From.

    Returns:
        The name as written, where the signature, the text or From gives one; None in doubt.
    """
    form = _FORM_ORGANISATION.search(own_text)
    if form:
        return None if _NO_ANSWER.fullmatch(form["org"]) else form["org"].strip()
    person_words = _folded(sender.display_name) if sender else frozenset()
    domain = re.sub(r"[^a-z0-9]", "", sender.domain) if sender else ""
    scored = [
        (_score(name, base, domain, person_words), name)
        for name, base in (*_signed_organisations(signature), *_said_organisations(own_text))
    ]
    best = max((score for score, _ in scored), default=0)
    if best >= 3:
        return next(name for score, name in scored if score == best)
    shown = _tidy_name(sender.display_name) if sender else ""
    if shown and sender and _ORG_WORD.search(shown) and not _ROBOT_NAME.search(shown):
        return shown
    return None


def _is_robot(sender: Address | None) -> bool:
    if sender is None:
        return False
    local = sender.addr_spec.rpartition("@")[0]
    return bool(_ROBOT.search(local)) or bool(_ROBOT_NAME.search(sender.display_name))


def _tidy_name(written: str) -> str:
    """A display name as people say it: "Smith, John (Acme)" is John Smith."""
    name = re.sub(r"\s*[(\[|].*$", "", written).strip(" \t\"'“”,;.*_") or written.strip()
    name = re.sub(r"\s+(?:via|from|at)\s.*$", "", name)
    last, comma, first = name.partition(", ")
    if comma and _WORD.fullmatch(last) and 1 <= len(first.split()) <= 2 and not _ORG_WORD.search(name):
        name = f"{first} {last}"
    return " ".join(name.split())


def _folded(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text))


def _signed_names(signature: str) -> Iterator[str]:
    for line in signature.split("\n"):
        head = _LETTERS_BEHIND.sub("", _SEPARATOR.split(line.strip(), maxsplit=1)[0]).strip()
        if re.fullmatch(_NAME, head) and not _ORG_WORD.search(head) and not _POST.search(head):
            if len(head.split()) > 1 or line.strip() == head:
                yield head


def _fuller(shown: str, signature: str) -> str | None:
    """A signed form with every word of the shown name and more, such as "Dr Jo Ann Smith" for "Jo Smith"."""
    wanted = _folded(shown)
    for signed in _signed_names(signature):
        words = _folded(signed)
        if wanted < words and len(words) <= len(wanted) + 2:
            return signed
    return None


def _signed_organisations(signature: str) -> Iterator[tuple[str, int]]:
    """Candidates in the signature with the weight of the place where they stand."""
    lines = [line.strip() for line in signature.split("\n") if line.strip()]
    for position, line in enumerate(lines):
        without = _CONTACT.sub("|", line)
        pieces = [piece.strip(" .|*_-–—)\"”") for piece in _SEPARATOR.split(without)]
        behind_name = position > 0 or len(pieces) > 1
        for place, piece in enumerate(pieces):
            name = re.sub(r"^.*\b(?:at|of|for)\s+(?=(?:[Tt]he\s)?[^\W\d_a-z])", "", piece) if _POST.search(piece) else piece
            name = _FOR_ORG.sub("", name)
            if not name or len(name) > 60 or len(name.split()) > 7 or not re.match(r"[^\W_a-z]", name):
                continue
            if _POST.search(name) and not _ORG_WORD.search(name):
                continue
            if _ADDRESS_WORD.search(name) and not _ORG_WORD.search(name):
                continue
            yield name, 3 if behind_name and (position or place) else 1


def _said_organisations(own_text: str) -> Iterator[tuple[str, int]]:
    for match in _SAYS_ORG.finditer(own_text[:1500]):
        written = match["org"] or match["hail"] or match["subject"]
        name = _TRAILING.sub("", _TRAILING.sub("", written)).strip(" .,'’")
        words = [word.casefold() for word in _WORD.findall(name)]
        if not words or all(word in _STOP for word in words) or words[0] in _STOP - {"the", "birmingham", "social"}:
            continue
        yield name, 2 if match["org"] or match["hail"] else 1


def _score(name: str, base: int, domain: str, person_words: frozenset[str]) -> int:
    """How sure it is that a name is the sender's organisation."""
    words = _folded(name)
    if words <= person_words:
        return 0
    squashed = "".join(re.findall(r"[a-z0-9]", name.casefold()))
    shares_domain = bool(domain) and any(len(word) >= 4 and re.sub(r"\W|s$", "", word) in domain for word in words)
    score = base + 2 * bool(_ORG_WORD.search(name)) + 2 * shares_domain + 2 * (len(squashed) > 4 and squashed in domain)
    if words & person_words and not _ORG_WORD.search(name) and "'" not in name and "&" not in name:
        score -= 2
    return score
