"""Values between stages for unit tests, made by hand: a person's ordinary mail unless a test says otherwise.

Import as ``from tests.unit.factories import make_message``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mailbot.model import (
    Address,
    Body,
    Classification,
    Contribution,
    ContributionType,
    Details,
    Message,
    MessageClass,
)

#: the moment at which unit tests take place
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

OUR_ADDRESS = "pledges@brumcity.example"


def make_address(addr_spec: str = "amina@haven.example", display_name: str = "Amina Yusuf") -> Address:
    """An address as reading hands it on: the domain in lower case."""
    local, at, domain = addr_spec.rpartition("@")
    return Address(display_name=display_name, addr_spec=f"{local}{at}{domain.lower()}")


def make_message(
    *,
    text: str | None = None,
    sender: str | None = None,
    more_headers: tuple[tuple[str, str], ...] = (),
    **overrides: Any,
) -> Message:
    """A mail from Amina Yusuf to the campaign, whole and harmless.

    Args:
        text: what the sender wrote; short for ``body=Body(own_text=...)``.
        sender: addr-spec of both From and Return-Path.
        more_headers: (name in any case, value) put on top of the ordinary headers.
        overrides: any field of Message. Values that the default headers repeat (from, to, subject,
            return-path, message-id, reply-to) are kept in step, unless `headers` is given.
    """
    if sender is not None:
        overrides.setdefault("from_address", make_address(sender, ""))
        overrides.setdefault("return_path", sender)
    values: dict[str, Any] = {
        "message_id": "<m1@haven.example>",
        "content_hash": "0" * 64,
        "subject": "A room for the campaign",
        "from_address": make_address(),
        "reply_to": (),
        "recipients": (OUR_ADDRESS,),
        "return_path": "amina@haven.example",
        "date": NOW,
        "in_reply_to": None,
        "references": (),
        "body": Body(own_text="You could use our hall on Friday evenings." if text is None else text),
        "content_types": ("text/plain",),
        "report_type": None,
        "calendar_method": None,
        "attachments": (),
        "defects": (),
        "details": Details(),
    } | overrides
    values.setdefault("headers", _headers(values))
    values["headers"] = tuple((name.lower(), value) for name, value in more_headers) + values["headers"]
    return Message(**values)


def _headers(values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The headers that say what the fields say."""
    lines: list[tuple[str, str]] = []
    if values["return_path"] is not None:
        lines.append(("return-path", f"<{values['return_path']}>"))
    if values["from_address"] is not None:
        lines.append(("from", _written(values["from_address"])))
    if values["reply_to"]:
        lines.append(("reply-to", ", ".join(_written(address) for address in values["reply_to"])))
    lines.append(("to", ", ".join(values["recipients"])))
    lines.append(("subject", values["subject"]))
    lines.append(("message-id", values["message_id"]))
    if values["in_reply_to"]:
        lines.append(("in-reply-to", values["in_reply_to"]))
    if values["references"]:
        lines.append(("references", " ".join(values["references"])))
    return tuple(lines)


def _written(address: Address) -> str:
    return f'"{address.display_name}" <{address.addr_spec}>' if address.display_name else address.addr_spec


def make_contribution(**overrides: Any) -> Contribution:
    """An offer of a hall, under the aim `support`."""
    values: dict[str, Any] = {
        "type": ContributionType.OFFER,
        "aims": ("support",),
        "quote": "You could use our hall on Friday evenings.",
        "confidence": 0.93,
    } | overrides
    return Contribution(**values)


def make_classification(message_class: MessageClass = MessageClass.CONTRIBUTION, **overrides: Any) -> Classification:
    """A sure classification; a contribution holds one offer."""
    found = (make_contribution(),) if message_class is MessageClass.CONTRIBUTION else ()
    values: dict[str, Any] = {
        "message_class": message_class,
        "confidence": 0.95,
        "contributions": found,
        "review_reasons": (),
        "model_version": "test-1",
    } | overrides
    return Classification(**values)
