"""Labelled mails and sentences: what the files in rules/examples/ hold, as values.

Owns: the two formats of a line, the check that labels follow the labelling guide, and the mail that a row stands for.
Must not know: files, campaigns, models, how a mail is read: the caller passes the reading stage in.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage

from mailbot.model import ContributionType, Message, MessageClass

#: what a line that is no example may raise
UNUSABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, MessageError)
#: the reading stage
Read = Callable[[bytes], Message]

_REPORT = re.compile(r"report-type=\"?([\w-]+)", re.IGNORECASE)
_METHOD = re.compile(r"method=\"?(\w+)", re.IGNORECASE)
#: header fields that the mail has from elsewhere in its row
_OWN_FIELDS = ("content-type", "content-transfer-encoding", "from", "to", "subject", "message-id", "mime-version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One contribution as a person labelled it."""

    type: ContributionType
    aims: tuple[str, ...]
    #: verbatim from the mail
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledMail:
    """A mail with the class and contributions a person gave it."""

    id: str
    #: names the example by what it holds
    fingerprint: str
    message: Message
    message_class: MessageClass
    contributions: tuple[Label, ...]

    def aims(self) -> frozenset[str]:
        """Every aim that a label names."""
        return frozenset(aim for label in self.contributions for aim in label.aims)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSentence:
    """A single sentence, or two that belong together, with its label."""

    id: str
    text: str
    #: None when it contributes nothing
    type: ContributionType | None
    aim_keys: tuple[str, ...]

    def aims(self) -> frozenset[str]:
        """Every aim that the label names."""
        return frozenset(self.aim_keys)

    @property
    def label(self) -> Label | None:
        """The same as a label with the whole text for its quote; None when it contributes nothing."""
        return Label(type=self.type, aims=self.aim_keys, quote=self.text) if self.type else None


def _aims(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(aim, str) for aim in value):
        raise ValueError("aims must be a list of keys")
    return tuple(value)


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def fingerprint(row: Mapping[str, object]) -> str:
    """Names an example by what it holds, 16 hexadecimal digits; the order of its keys does not matter."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reason_of(error: Exception) -> str:
    """Why a line is no example, for a coordinator."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, UnicodeEncodeError):
        return "a \\u escape holds half a character"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) or "cannot be understood"


def parse_example(row: Mapping[str, object], read: Read) -> LabelledMail | LabelledSentence:
    """Read one line of rules/examples/*.jsonl, in either format.

    Args:
        row: the line.
        read: the reading stage.

    Raises:
        ValueError: a label breaks the labelling guide, or a quote is not in the mail.
        KeyError: a key is missing.
        Exception: another of UNUSABLE, with what the mail library has against the line.
    """
    return _parse_sentence(row) if "text" in row else parse_mail(row, read)


def _parse_sentence(row: Mapping[str, object]) -> LabelledSentence:
    kind = row["type"]
    text = _text(row, "text")
    if not text.strip():
        raise ValueError("text is empty")
    text.encode()
    carried = None if kind == "none" else ContributionType(str(kind))
    aims = _aims(row["aims"])
    if carried is None and aims:
        raise ValueError('type "none" has no aims')
    return LabelledSentence(id=_text(row, "id"), text=text, type=carried, aim_keys=aims)


def parse_mail(row: Mapping[str, object], read: Read) -> LabelledMail:
    """Read one labelled mail.

    Args:
        row: the line.
        read: the reading stage.

    Raises:
        ValueError: a label breaks the labelling guide, or a quote is not in the mail.
        KeyError: a key is missing.
    """
    gold = row["gold"]
    if not isinstance(gold, dict):
        raise ValueError("gold must be an object")
    body = row["body"]
    if not isinstance(body, str):
        raise ValueError("body must be text")
    body.encode()
    labels = []
    for label in gold["contributions"]:
        if label["quote"] not in body:
            raise ValueError(f"quote is not in the body: {label['quote'][:40]!r}")
        labels.append(Label(type=ContributionType(label["type"]), aims=_aims(label["aims"]), quote=str(label["quote"])))
    message_class = MessageClass(gold["class"])
    if (message_class is MessageClass.CONTRIBUTION) != bool(labels):
        raise ValueError("class is contribution exactly if there are contributions")
    return LabelledMail(
        id=_text(row, "id"),
        fingerprint=fingerprint(row),
        message=read(mail_octets(row)),
        message_class=message_class,
        contributions=tuple(labels),
    )


def mail_octets(row: Mapping[str, object]) -> bytes:
    """The mail that a row stands for, as RFC 5322 octets.

    Source:
        the corpus' format: from_name, from_email, reply_to, subject, headers, body. Where the headers tell of a report
        (RFC 6522) or a calendar answer (RFC 5546), the mail gets an empty part of that kind.
    """
    mail = EmailMessage()
    mail["From"] = f"{json.dumps(_text(row, 'from_name'), ensure_ascii=False)} <{_text(row, 'from_email')}>"
    mail["To"] = "coordinator@campaign.example"
    mail["Subject"] = " ".join(_text(row, "subject").split())
    # Not by its id: what people write there is not always fit for a header.
    mail["Message-ID"] = f"<{fingerprint(row)}@corpus.example>"
    if reply_to := _text(row, "reply_to"):
        mail["Reply-To"] = reply_to
    headers = row.get("headers")
    given = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    for name, value in given.items():
        if name.lower() not in _OWN_FIELDS:
            mail[name] = " ".join(value.split())
    mail.set_content(_text(row, "body"))
    content_type = next((value for name, value in given.items() if name.lower() == "content-type"), "")
    if report := _REPORT.search(content_type):
        mail.make_mixed()
        mail.set_type("multipart/report")
        mail.set_param("report-type", report.group(1).lower())
    elif (method := _METHOD.search(content_type)) and "calendar" in content_type:
        mail.add_alternative("BEGIN:VCALENDAR\nEND:VCALENDAR\n", subtype="calendar")
        mail.get_payload()[1].set_param("method", method.group(1).upper())  # type: ignore[union-attr, index]
    elif given.get("X-MS-Has-Attach", "").lower() == "yes":
        mail.add_attachment(b"", maintype="application", subtype="octet-stream", filename="attachment")
    return mail.as_bytes()
