"""A shipped campaign, its templates, and records by the dozen for the tests of what people see in mail."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from mailbot.model import (
    Acknowledgement,
    Address,
    Aim,
    Campaign,
    Contribution,
    ContributionType,
    Decision,
    Details,
    Digest,
    MessageClass,
    OutgoingState,
    Record,
    Template,
)
from mailbot.rendering import Templates

SHIPPED_TEMPLATES = Path(__file__).parents[2] / "templates"

CAMPAIGN = Campaign(
    name="Birmingham Social Enterprise City",
    reference_prefix="BSEC",
    website="https://brumcity.example/",
    aims=(
        Aim(number=1, key="awareness", title="Awareness", text="Widely acknowledged", colour="#b4540a"),
        Aim(number=2, key="support", title="Support for start-ups", text="More support", colour="#1f6f8b"),
        Aim(number=3, key="alliance", title="A wider alliance", text="An alliance", colour="#6b4a9e"),
        Aim(number=4, key="employment", title="Employment and training", text="Jobs", colour="#2f7d4f"),
    ),
)

SENDER = Address(display_name="Birmingham Social Enterprise City", addr_spec="pledges@brumcity.example")
COORDINATOR = Address(display_name="Sarah Crawley", addr_spec="sarah@brumcity.example")

SENT = Acknowledgement(
    decision=Decision.SEND,
    guard=None,
    reason="a person wrote it",
    to="amina@haven.example",
    template=Template.CONTRIBUTION,
)


def shipped_templates() -> Templates:
    return Templates([SHIPPED_TEMPLATES])


def never(reason: str) -> Acknowledgement:
    return Acknowledgement(decision=Decision.NEVER, guard=2, reason=reason, to=None, template=None)


def hold(reason: str) -> Acknowledgement:
    return Acknowledgement(
        decision=Decision.HOLD, guard=11, reason=reason, to="amina@haven.example", template=Template.CONTRIBUTION
    )


def make_record(number: int, **overrides: Any) -> Record:
    """A record of one sure offer of a hall from Amina Yusuf, unless a test says otherwise."""
    values: dict[str, Any] = {
        "record_id": number,
        "reference": CAMPAIGN.reference(number),
        "message_id": f"<mail-{number}@haven.example>",
        "subject": "A room for the campaign",
        "from_name": "Amina Yusuf",
        "from_addr_spec": f"amina{number}@haven.example",
        "received_at": datetime(2026, 3, 2, 9, 30, tzinfo=UTC) + timedelta(minutes=number),
        "filed_at": datetime(2026, 3, 2, 9, 31, tzinfo=UTC) + timedelta(minutes=number),
        "message_class": MessageClass.CONTRIBUTION,
        "confidence": 0.97,
        "review_reasons": (),
        "contributions": (offer("You could use our hall on Friday evenings."),),
        "details": Details(person="Amina Yusuf", organisation="Haven Kitchen"),
        "acknowledgement": SENT,
        "reply_state": OutgoingState.SENT,
        "reply_error": "",
        "model_version": "minilm-1",
    } | overrides
    return Record(**values)


def offer(quote: str, *aims: str, confidence: float = 0.93) -> Contribution:
    return Contribution(type=ContributionType.OFFER, aims=aims or ("support",), quote=quote, confidence=confidence)


def enquiry(number: int, **overrides: Any) -> Record:
    return make_record(number, message_class=MessageClass.ENQUIRY, contributions=(), **overrides)


def make_digest(*records: Record, **overrides: Any) -> Digest:
    values: dict[str, Any] = {
        "start": datetime(2026, 3, 2, 7, 0, tzinfo=UTC),
        "end": datetime(2026, 3, 3, 7, 0, tzinfo=UTC),
        "period": date(2026, 3, 3),
        "records": records,
        "totals": (("awareness", 11), ("support", 27), ("alliance", 6), ("employment", 19)),
    } | overrides
    return Digest(**values)
