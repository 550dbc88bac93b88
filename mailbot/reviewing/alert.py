"""The alert: one mail to the coordinator when the circuit breaker has stopped the answers.

Owns what it says. Must not decide when it is due.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from mailbot.model import Address, Campaign, Outgoing, OutgoingKind, OutgoingState
from mailbot.rendering import Templates, build_mail, one_line

#: templates that must be there for the alert
TEMPLATES = ("alert.txt", "alert.html")


def render_alert(
    reason: str,
    held: int,
    *,
    campaign: Campaign,
    coordinator: Address,
    sender: Address,
    account: str,
    message_id: str,
    now: datetime,
    time_zone: tzinfo,
    templates: Templates,
    language: str = "en-GB",
) -> Outgoing:
    """The alert of one day, queued.

    Args:
        reason: why no more answers go out, such as "3 answers came back within the hour".
        held: how many answers wait for the coordinator's word.
        coordinator: who gets it.
        sender: for From and the envelope.
        account: whose SMTP server sends it.
        message_id: our own, with angle brackets, the same on every retry.
        now: aware, for Date; its day in `time_zone` is the alert's.
        time_zone: the campaign's.
        language: BCP 47, for the HTML part.

    Raises:
        TemplateProblem: a template is missing or broken.
        PermanentError: the coordinator's address cannot be written to.

    Source: RFC 3834 section 5 (auto-generated).
    """
    local = now.astimezone(time_zone)
    values = {
        "at": now,
        "campaign": campaign,
        "held": held,
        "language": language,
        "reason": one_line(reason),
        "sender": sender.addr_spec,
    }
    mail = build_mail(
        sender=sender,
        to=coordinator.addr_spec,
        subject=f"{campaign.name}: mailbot has stopped answering",
        message_id=message_id,
        date=local,
        headers=[
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("X-Mailbot-Alert", local.date().isoformat()),
        ],
        text=templates.render("alert.txt", **values),
        html=templates.render("alert.html", **values),
    )
    return Outgoing(
        kind=OutgoingKind.ALERT,
        purpose=f"alert:{local.date().isoformat()}",
        state=OutgoingState.QUEUED,
        message_id=message_id,
        account=account,
        envelope_from=sender.addr_spec,
        to=coordinator.addr_spec,
        octets=mail.as_bytes(),
        template="alert",
    )
