"""Values as JSON: the contract of every `--json`. Field names are those of the model and the labelling guide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailbot.model import Acknowledgement, Classification, Contribution, Details, Record
from mailbot.pipeline import Understood

if TYPE_CHECKING:
    from mailbot.classifying.evaluate import Answer, Bin, Metrics, Score
    from mailbot.classifying.models import Scores, Trial

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


def measured(metrics: Metrics, answers: Sequence[Answer], errors: Sequence[Answer]) -> Json:
    """What `mailbot evaluate --json` prints; every share is 0 to 1.

    Args:
        metrics: of the answers.
        answers: at least one.
        errors: those to tell one by one.
    """
    confusion: dict[str, dict[str, int]] = {}
    for (labelled, said), count in metrics.confusion:
        confusion.setdefault(labelled, {})[said] = count
    return {
        "mails": metrics.mails,
        "model_version": answers[0].said.model_version,
        "class": {
            "accuracy": round(metrics.class_accuracy, 4),
            "macro_f1": round(metrics.class_macro_f1, 4),
            "each": {name: _score(score) for name, score in metrics.per_class},
            "confusion": confusion,
        },
        "aims": {"all": _score(metrics.aims_micro), "each": {name: _score(score) for name, score in metrics.per_aim}},
        "types": {
            "all": _score(metrics.types_micro),
            "each": {name: _score(score) for name, score in metrics.per_type},
        },
        "quotes": _score(metrics.quotes),
        "wholly_right": _score(metrics.wholly_right),
        "review": {
            "share": round(metrics.review_share, 4),
            "wrong": metrics.wrong,
            "wrong_in_review": round(metrics.wrong_in_review, 4),
            "silent": sum(answer.silent for answer in answers),
        },
        "reliability": {
            "class": _bins(metrics.class_reliability),
            "contributions": _bins(metrics.contribution_reliability),
        },
        "errors": [_error(answer) for answer in errors],
    }


def trained(trial: Trial, problems: Sequence[str], *, kept: bool) -> Json:
    """What `mailbot train --json` prints."""

    def scores(one: Scores | None) -> Json | None:
        return None if one is None else {"class": one.message_class, "aims": one.aims, "types": one.types}

    return {
        "mails": trial.compared,
        "before": scores(trial.before),
        "after": scores(trial.after),
        "worse": trial.worse,
        "kept": kept,
        "problems": list(problems),
    }


def _score(score: Score) -> Json:
    return {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "labelled": score.support,
    }


def _bins(bins: Sequence[Bin]) -> list[Json]:
    return [{"claimed": round(one.claimed, 4), "right": round(one.right, 4), "count": one.count} for one in bins]


def _error(answer: Answer) -> Json:
    mail = answer.mail
    labels = [{"type": one.type, "aims": list(one.aims), "quote": one.quote} for one in mail.contributions]
    return {
        "id": mail.id,
        "subject": mail.message.subject,
        "silent": answer.silent,
        "labelled": {"class": mail.message_class, "contributions": labels},
        "said": _classification(answer.said),
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
