"""Values as JSON: the contract of every `--json`. Field names are those of the model and the labelling guide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailbot.model import Acknowledgement, Classification, Contribution, Details, Record
from mailbot.pipeline import Understood

#: a JSON object
Json = dict[str, Any]


def classified(path: str, understood: Understood, acknowledgement: Acknowledgement) -> Json:
    """One line of `mailbot classify --json`."""
    message, classification = understood.message, understood.classification
    return {
        "path": path,
        "message_id": message.message_id,
        **_classification(classification),
        "details": _details(message.details),
        "acknowledge": _acknowledgement(acknowledgement),
    }


def unreadable(path: str, error: str) -> Json:
    """The line of `mailbot classify --json` for a file that cannot be read."""
    return {"path": path, "error": error}


def filed(record: Record) -> Json:
    """One record of `mailbot list --json` and `mailbot show --json`."""
    return {
        "reference": record.reference,
        "message_id": record.message_id,
        "subject": record.subject,
        "from": {"name": record.from_name, "address": record.from_addr_spec},
        "received_at": record.received_at.isoformat(),
        "filed_at": record.filed_at.isoformat(),
        "class": record.message_class,
        "confidence": round(record.confidence, 4),
        "needs_review": record.needs_review,
        "review_reasons": list(record.review_reasons),
        "contributions": _contributions(record.contributions),
        "details": _details(record.details),
        "acknowledge": _acknowledgement(record.acknowledgement),
        "reply": {"state": record.reply_state, "error": record.reply_error} if record.reply_state else None,
        "attachments": list(record.attachments),
        "defects": list(record.defects),
        "model_version": record.model_version,
    }


def _classification(classification: Classification) -> Json:
    return {
        "class": classification.message_class,
        "confidence": round(classification.confidence, 4),
        "needs_review": classification.needs_review,
        "review_reasons": list(classification.review_reasons),
        "contributions": _contributions(classification.contributions),
    }


def _contributions(contributions: Sequence[Contribution]) -> list[Json]:
    return [
        {
            "type": found.type,
            "aims": list(found.aims),
            "quote": found.quote,
            "confidence": round(found.confidence, 4),
            "because": [{"text": evidence.text, "why": evidence.why} for evidence in found.because],
        }
        for found in contributions
    ]


def _details(details: Details) -> Json:
    return {
        "person": details.person,
        "organisation": details.organisation,
        "phone": details.phone,
        "website": details.website,
        "postcode": details.postcode,
        "amounts": list(details.amounts),
        "dates": list(details.dates),
    }


def _acknowledgement(acknowledgement: Acknowledgement) -> Json:
    return {
        "decision": acknowledgement.decision,
        "guard": acknowledgement.guard,
        "reason": acknowledgement.reason,
        "to": acknowledgement.to,
        "template": acknowledgement.template,
    }
