"""Labelled mails and sentences: what the files in rules/examples/ hold, as values.

Owns: the two formats of a line, the check that labels follow the labelling guide, and turning a row into a Message.
Must not know: files, campaigns, models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailbot.model import Address, Attachment, Body, ContributionType, Details, Message, MessageClass

_FORWARD = re.compile(r"^[ \t>]*(?:-{2,} ?forwarded message|begin forwarded message)", re.IGNORECASE | re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*(?:>.*|-{2,} ?original message.*|on .{4,120}wrote:[ \t]*)$", re.IGNORECASE)
_ORIGINAL = re.compile(r"^[ \t]*-{2,} ?original message", re.IGNORECASE | re.MULTILINE)
_REPORT = re.compile(r"report-type=\"?([\w-]+)", re.IGNORECASE)
_METHOD = re.compile(r"method=\"?(\w+)", re.IGNORECASE)


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


def _aims(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(aim, str) for aim in value):
        raise ValueError("aims must be a list of keys")
    return tuple(value)


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def parse_example(row: Mapping[str, object]) -> LabelledMail | LabelledSentence:
    """Read one line of rules/examples/*.jsonl, in either format.

    Raises:
        ValueError: a label breaks the labelling guide, or a quote is not in the mail.
        KeyError: a key is missing.
    """
    return _parse_sentence(row) if "text" in row else parse_mail(row)


def _parse_sentence(row: Mapping[str, object]) -> LabelledSentence:
    kind = row["type"]
    text = _text(row, "text")
    if not text.strip():
        raise ValueError("text is empty")
    carried = None if kind == "none" else ContributionType(str(kind))
    aims = _aims(row["aims"])
    if carried is None and aims:
        raise ValueError('type "none" has no aims')
    return LabelledSentence(id=_text(row, "id"), text=text, type=carried, aim_keys=aims)


def parse_mail(row: Mapping[str, object]) -> LabelledMail:
    """Read one labelled mail.

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
    labels = []
    for label in gold["contributions"]:
        if label["quote"] not in body:
            raise ValueError(f"quote is not in the body: {label['quote'][:40]!r}")
        labels.append(Label(type=ContributionType(label["type"]), aims=_aims(label["aims"]), quote=str(label["quote"])))
    message_class = MessageClass(gold["class"])
    if (message_class is MessageClass.CONTRIBUTION) != bool(labels):
        raise ValueError("class is contribution exactly if there are contributions")
    return LabelledMail(
        id=_text(row, "id"), message=message_from_row(row), message_class=message_class, contributions=tuple(labels)
    )


def _body(text: str, subject: str) -> Body:
    """Take quoted and forwarded mail off a body; signatures stay, since only reading knows them well."""
    forward = _FORWARD.search(text)
    if forward is None and subject.lower().startswith(("fw:", "fwd:")):
        forward = _ORIGINAL.search(text)
    own, forwarded = (text[: forward.start()], text[forward.start() :]) if forward else (text, "")
    kept: list[str] = []
    quoted: list[str] = []
    rest_is_quoted = False
    for line in own.split("\n"):
        rest_is_quoted = rest_is_quoted or bool(_ORIGINAL.match(line))
        (quoted if rest_is_quoted or _QUOTED.match(line) else kept).append(line)
    return Body(own_text="\n".join(kept).strip("\n"), forwarded_text=forwarded, quoted_text="\n".join(quoted))


def _headers(row: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    given = row.get("headers")
    pairs = given.items() if isinstance(given, dict) else ()
    return tuple((str(name).lower(), str(value)) for name, value in pairs)


def _attachments(headers: Mapping[str, str]) -> tuple[Attachment, ...]:
    if headers.get("x-ms-has-attach", "").lower() != "yes":
        return ()
    return (Attachment(filename="", content_type="application/octet-stream", size_octets=0),)


def message_from_row(row: Mapping[str, object]) -> Message:
    """The Message that a row of labelled mail stands for, without building a mail from it.

    Source:
        the corpus' format: from_name, from_email, reply_to, subject, headers, body.
    """
    pairs = _headers(row)
    headers = dict(reversed(pairs))
    content_type = headers.get("content-type", "")
    report, method = _REPORT.search(content_type), _METHOD.search(content_type)
    addr_spec = _text(row, "from_email")
    reply_to = _text(row, "reply_to")
    return_path = headers.get("return-path")
    octets = f"{addr_spec}\n{_text(row, 'subject')}\n{_text(row, 'body')}".encode()
    return Message(
        message_id=f"<{_text(row, 'id')}@example>",
        content_hash=hashlib.sha256(octets).hexdigest(),
        subject=_text(row, "subject"),
        from_address=Address(display_name=_text(row, "from_name"), addr_spec=addr_spec) if addr_spec else None,
        reply_to=(Address(display_name="", addr_spec=reply_to),) if reply_to else (),
        recipients=(),
        return_path=None if return_path is None else return_path.strip("<> "),
        date=None,
        in_reply_to=headers.get("in-reply-to"),
        references=(),
        headers=pairs,
        body=_body(_text(row, "body"), _text(row, "subject")),
        content_types=(content_type.partition(";")[0].strip().lower() or "text/plain",),
        report_type=report.group(1).lower() if report else None,
        calendar_method=method.group(1).upper() if method and "calendar" in content_type else None,
        attachments=_attachments(headers),
        defects=(),
        details=Details(),
    )
