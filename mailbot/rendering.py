"""Turns templates and values into mail: the one Jinja2 environment and the one way to build a mail.

Owns how text is laid out, how CSS reaches mail programs, how octets are made, and how words that a
stranger wrote become safe to show. Must not know what an acknowledgement or a digest says: that is
`replying.compose` and `reviewing.digest`, and above all templates/.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
import traceback
import unicodedata
from binascii import b2a_qp
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from email import message_from_bytes
from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage, Message
from email.policy import SMTP, Policy
from email.policy import default as default_policy
from email.utils import format_datetime as rfc_5322_date
from email.utils import formataddr
from pathlib import Path
from typing import ClassVar, Literal

import css_inline
from babel import Locale
from babel.dates import format_date, format_datetime
from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailbot.errors import PermanentError, TemplateProblem
from mailbot.model import Address

#: what counts as a template; editors leave other files beside them
_SUFFIXES = (".txt", ".html", ".css")
#: the language of the shipped templates that lie in no language's subfolder
DEFAULT_LANGUAGE = "en-GB"
#: columns of a text part: RFC 5322 section 2.1.1 asks for 78, quoting in an answer takes some
_TEXT_COLUMNS = 74
#: joiners that Persian, Indic scripts and emoji need; every other format character can mislead
_JOINERS = "\u200c\u200d"
#: nothing that a stranger wrote is looked at beyond this
_MAX_CHARACTERS = 4000

_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,20}://|www\.|(?:mailto|tel|javascript|data):)\S*[^\s.,;:!?)\]'\"\u201d\u2019>]", re.I
)
_MAIL_ADDRESS = re.compile(r"([^\s@<>\"()\[\],;:]{1,64}@[^\s@<>\"()\[\],;:]{0,254}[^\s@<>\"()\[\],;:.!?])")
_DOTTED_NAME = re.compile(r"(?<=\w)[.\u3002\uff0e\uff61](?=[^\W\d_]{2})")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"\u201d\u2019')]*\s+")
_LIST_ITEM = re.compile(r"\s*(?:[-*•] )?")
_BLANK_LINES = re.compile(r"\n{3,}")

_ATOM = r"[^\s\x00-\x1f\x7f\ud800-\udfff<>()\[\],;:\\\"@]+"
_ADDR_SPEC = re.compile(rf'(?:{_ATOM}|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*")@(?:{_ATOM}|\[[\w.:]+\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


class Templates:
    """Every text that is sent or shown, from the first folder that has the file.

    Args:
        folders: a deployment's own copies first, the shipped ones last; a file in an earlier folder
            stands for the file of that name in every later one.
        language: BCP 47, of dates and plurals in them.
        time_zone: of the moments in them.

    Beyond Jinja2's own, templates have the filters ``day`` and ``moment`` for a time ("3 March 2026", "3 March 2026,
    14:05") and the function ``plural(number)`` for the plural category of CLDR, such as "one", "few" or "other".
    """

    def __init__(self, folders: Sequence[Path], *, language: str = DEFAULT_LANGUAGE, time_zone: tzinfo = UTC) -> None:
        self._folders = tuple(folders)
        self._loader = FileSystemLoader(self._folders)
        self._environment = ImmutableSandboxedEnvironment(
            loader=self._loader,
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html"),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        locale = Locale.parse(language, sep="-")
        self._environment.globals["plural"] = locale.plural_form
        self._environment.filters["day"] = lambda when: format_date(when.astimezone(time_zone), "long", locale)
        self._environment.filters["moment"] = lambda when: format_datetime(
            when.astimezone(time_zone), "d MMMM y, HH:mm", locale=locale
        )
        self._inliner = css_inline.CSSInliner(
            keep_at_rules=True,  # the dark colours and the narrow layout live in @media rules
            load_remote_stylesheets=False,
        )

    def has(self, name: str) -> bool:
        """Whether any folder holds the template `name`, such as "aims/support.txt"."""
        return any((folder / name).is_file() for folder in self._folders)

    def render(self, name: str, /, **values: object) -> str:
        """The template `name` filled with `values`.

        Args:
            name: with its suffix: .html is escaped and gets its CSS inlined, .txt is wrapped to
                74 columns and loses surplus blank lines.
            values: what the template may use; a name that it uses and that is not here is a problem.

        Raises:
            TemplateProblem: the template is missing, broken, or uses what is not there.
        """
        try:
            text = self._environment.get_template(name).render(values)
            if name.endswith(".html"):
                return self._inliner.inline(text)
        # A template is somebody's program: it can raise whatever Python can.
        except Exception as error:
            raise TemplateProblem(self._sentence(name, error)) from error
        return _lay_out(text) if name.endswith(".txt") else text

    def check(self, required: Iterable[str] = ()) -> tuple[str, ...]:
        """Loads every template and says what is wrong with them, one sentence each.

        Args:
            required: names that must be there besides those that other templates include.

        Returns:
            the problems with file and line, in the order of the names; empty when all is well.
        """
        names = {name for name in self._environment.list_templates() if name.endswith(_SUFFIXES)}
        problems = []
        for name in sorted(names | set(required)):
            try:
                problems += self._problems_in(name)
            except Exception as error:
                problems.append(self._sentence(name, error))
        return tuple(problems)

    def _problems_in(self, name: str) -> list[str]:
        self._environment.get_template(name)
        source, path, _ = self._loader.get_source(self._environment, name)
        problems = []
        for wanted in meta.find_referenced_templates(self._environment.parse(source)):
            if wanted is not None and not self.has(wanted):
                at = source[: source.find(wanted)].count("\n") + 1
                problems.append(f"{path}, line {at}: the template {wanted} is missing.")
        return problems

    def _sentence(self, name: str, error: Exception) -> str:
        """What went wrong and where, for the person who edits the template."""
        place, line = next((str(folder / name) for folder in self._folders if (folder / name).is_file()), name), 1
        what = one_line(str(error)) or type(error).__name__
        if isinstance(error, TemplateSyntaxError):
            place, line, what = error.filename or place, error.lineno, one_line(error.message or "")
        elif isinstance(error, UnicodeDecodeError):
            line, what = error.object[: error.start].count(b"\n") + 1, "this is not UTF-8"
        else:
            if isinstance(error, TemplateNotFound):
                what = f"the template {error.name} is missing"
            for frame, number in traceback.walk_tb(error.__traceback__):
                # Jinja2 rewrites the traceback, so that a template's frames name its file and line.
                if any(Path(frame.f_code.co_filename).is_relative_to(folder) for folder in self._folders):
                    place, line = frame.f_code.co_filename, number
        return f"{place}, line {line}: {what.rstrip('.')}."


def _lay_out(text: str) -> str:
    """Wraps long lines under their own indent and keeps at most one blank line."""
    lines = []
    for line in text.splitlines():
        if len(line) <= _TEXT_COLUMNS and line.isprintable():
            # What most lines are; textwrap takes long over lines that need no wrapping.
            lines.append(line.rstrip())
            continue
        indent = _LIST_ITEM.match(line)
        hanging = " " * (indent.end() if indent else 0)
        wrapped = textwrap.wrap(
            line, _TEXT_COLUMNS, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        )
        lines += wrapped or [""]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"


def one_line(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """What a stranger wrote, on one line, without characters that control, hide or turn the text.

    Args:
        text: anything.
        limit: characters of the result at most; what is longer ends in "…" after a whole word.
    """
    return _shorten(" ".join(printable(text[: 2 * _MAX_CHARACTERS]).split()), limit)


def printable(text: str) -> str:
    """What a stranger wrote, with its spaces and line ends, without characters that control, hide or turn the text."""
    if text.isprintable():
        # Then it has none of the characters that are looked for below, one by one.
        return text
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if character == "\n":
            kept.append(character)
        elif category == "Cc" or character.isspace():
            kept.append(" ")
        elif category not in ("Cf", "Cs", "Co") or character in _JOINERS:
            kept.append(character)
    return "".join(kept)


def without_links(text: str, *, keep_addresses: bool = False) -> str:
    """`text` without anything that a mail program would turn into a link; a stranger's link is never passed on.

    Whole URLs and mail addresses are cut; in a bare name such as loomworks.example the full stop gets a
    space behind it, which also mends a sentence that began without one.

    Args:
        text: on one line.
        keep_addresses: leave mail addresses, for a reader who needs them.
    """
    # Split by a pattern with one group, every second piece is an address.
    pieces = _MAIL_ADDRESS.split(_LINK.sub("[link]", text[:_MAX_CHARACTERS]))
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            pieces[place] = _DOTTED_NAME.sub(". ", piece)
        elif not keep_addresses:
            pieces[place] = "[address]"
    return "".join(pieces)


def short_sentence(quote: str, limit: int = 200) -> str:
    """The first sentence of a quote, safe to show: one line, no links.

    Args:
        quote: verbatim from a mail.
        limit: characters at most.
    """
    text = one_line(quote)
    # An abbreviation such as "St." ends no sentence; what is shorter than this hardly ever is one.
    end = next((found.end() for found in _SENTENCE_END.finditer(text) if found.end() >= 40), len(text))
    return _shorten(without_links(text[:end].rstrip()), limit)


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    words = head.rpartition(" ")[0]
    return (words if len(words) > limit // 2 else head).rstrip(" ,;:-") + "…"


class _Words(BaseHeader):
    """A header of words, folded; an encoded word that a stranger spelt out stays the letters that it is.

    The standard library decodes it, so that a link or a line end could hide in it, and starts a long
    subject on the second line, which some mail programs show as a space before it.
    """

    max_count: ClassVar[Literal[1] | None] = None

    @classmethod
    def parse(cls, value: str, found: dict[str, object]) -> None:
        found["decoded"] = str(value)
        found["parse_tree"] = None

    def fold(self, *, policy: Policy[Message[str, str]]) -> str:
        folded = str(self)
        plain = folded.isascii() and "=?" not in folded
        if not plain or len(self.name) + len(folded) > 76:
            charset = "us-ascii" if plain else "utf-8"
            folded = Header(folded, charset, header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {folded}{policy.linesep}"


class _WordsOnce(_Words):
    """A header of words that a mail has once."""

    max_count: ClassVar[Literal[1] | None] = 1


class _Verbatim(_WordsOnce):
    """A header of msg-ids or one address, written as it stands, one msg-id a line.

    The standard library encodes a msg-id that is longer than a line as an encoded word, which RFC 2047
    section 5 forbids and which tears threads apart; and it decodes an encoded word that stands in a
    display name, line end and all, which adds a header.
    """

    def fold(self, *, policy: Policy[Message[str, str]]) -> str:
        return f"{self.name}: {str(self).replace('> <', f'>{policy.linesep} <')}{policy.linesep}"


class _Headers(HeaderRegistry):
    """The class of each header, made once; the standard library's registry makes a class for every header it writes."""

    def __init__(self) -> None:
        # typeshed asks for a value_parser, which only the standard library's own headers call.
        super().__init__(default_class=_Words, use_default_map=False)  # type: ignore[arg-type]
        for name in ("date", "subject", "mime-version", "content-type", "content-transfer-encoding"):
            self.map_to_type(name, _WordsOnce)
        for name in ("from", "to", "message-id", "in-reply-to", "references"):
            self.map_to_type(name, _Verbatim)
        self._made: dict[type, type] = {}

    def __getitem__(self, name: str) -> type:
        kind = self.registry.get(name.lower(), self.default_class)
        if kind not in self._made:
            self._made[kind] = super().__getitem__(name)
        return self._made[kind]


_POLICY = SMTP.clone(header_factory=_Headers())


def _author(address: Address) -> str:
    """From, with the display name quoted or encoded; an encoded word in the name stays the letters that it is."""
    name = one_line(address.display_name, 80)
    if name.isascii() and "=?" not in name:
        return formataddr((name, address.addr_spec))
    return f"{Header(name, 'utf-8', header_name='From').encode().replace(chr(10), '')} <{address.addr_spec}>"


def build_mail(
    *,
    sender: Address,
    to: str,
    subject: str,
    message_id: str,
    date: datetime,
    headers: Sequence[tuple[str, str]],
    text: str,
    html: str,
) -> EmailMessage:
    """A mail with text and HTML alternatives; the same arguments always give the same octets.

    Args:
        sender: for From.
        to: one addr-spec, for To.
        subject: decoded.
        message_id: with angle brackets.
        date: aware; written in its own zone.
        headers: further ones as (name, value), such as Auto-Submitted.
        text, html: the same content twice, in any script.

    Returns:
        a message whose `as_bytes()` is ASCII with CRLF and lines under 998 octets; only the headers of a
        mail to an addr-spec that is not ASCII are UTF-8 (RFC 6532), which its server must accept.

    Raises:
        PermanentError: `to` is no addr-spec that can be written to.
        ValueError: a header value holds CR, LF or another control character.
    """
    if any(len(each) > 320 or "=?" in each or not _ADDR_SPEC.fullmatch(each) for each in (to, sender.addr_spec)):
        raise PermanentError("The address to answer to, or our own, is not one that mail can be sent to.")
    mail = EmailMessage(_POLICY if (to + sender.addr_spec).isascii() else _POLICY.clone(utf8=True))
    # "=_" cannot occur in quoted-printable, so no text can end its part early (RFC 2045 section 6.7).
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    for name, value in (
        ("Date", rfc_5322_date(date)),
        ("From", _author(sender)),
        ("To", f"<{to}>"),
        ("Subject", subject),
        ("Message-ID", message_id),
        *headers,
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ):
        if _CONTROL.search(value):
            raise ValueError(f"control character in the header {name}")
        mail[name] = value
    mail.attach(_text_part("plain", text))
    mail.attach(_text_part("html", html))
    return mail


def parts_of(octets: bytes) -> tuple[str, str]:
    """The text part and the HTML part of a mail that `build_mail` made."""
    mail = message_from_bytes(octets, policy=default_policy)
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    return (text.get_content() if text else ""), (page.get_content() if page else "")


def headers_of(octets: bytes) -> str:
    """The headers of a mail that `build_mail` made, decoded, a line each."""
    mail = message_from_bytes(octets, policy=default_policy)
    return "".join(f"{name}: {value}\n" for name, value in mail.items())


def _text_part(subtype: str, text: str) -> EmailMessage:
    part = EmailMessage(_POLICY)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    octets = b"\n".join(text.encode().splitlines()) + b"\n"
    part.set_payload(b2a_qp(octets, istext=True).decode("ascii"))
    return part
