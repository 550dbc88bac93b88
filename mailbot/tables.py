"""Values as tables and pages in the terminal (rich). No decisions.

Whatever came by mail passes `one_line`: an escape sequence in a subject must not reach the terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mailbot.doctor import Finding, Light
from mailbot.model import (
    Acknowledgement,
    Campaign,
    Classification,
    Contribution,
    Decision,
    Details,
    Message,
    OutgoingState,
    ParkedMail,
    Record,
)
from mailbot.pipeline import Understood
from mailbot.rendering import one_line, printable
from mailbot.reviewing.digest import confidence_in_words

if TYPE_CHECKING:
    from mailbot.classifying.picture import MarkedText

_LIGHTS = {Light.GREEN: ("green", "ok"), Light.AMBER: ("yellow", "look"), Light.RED: ("red", "wrong")}
_STATES = {
    OutgoingState.QUEUED: "waits to be sent",
    OutgoingState.SENDING: "is being sent",
    OutgoingState.SENT: "sent",
    OutgoingState.BOUNCED: "came back",
    OutgoingState.DEFERRED: "put off by the server",
    OutgoingState.FAILED: "failed",
    OutgoingState.HELD: "held for the coordinator",
    OutgoingState.CANCELLED: "dropped",
    OutgoingState.PARKED: "not written",
}
#: what people read for a calibrated probability; whether to check is told by the reasons to do so
_SURE = {"sure": "sure", "fairly": "fairly sure", "check": "not sure"}


def finding(found: Finding) -> Text:
    """One line of the doctor's report."""
    colour, word = _LIGHTS[found.light]
    return Text.assemble((f"{word:5} ", f"bold {colour}"), (f"{found.what}: ", "bold"), one_line(found.words))


def held(found: Iterable[Record], zone: ZoneInfo) -> Table:
    """One row for each acknowledgement that waits."""
    table = Table("Reference", "Received", "To", "Why it waits", header_style="bold")
    for record in found:
        why = record.reply_error or record.acknowledgement.reason
        to = record.acknowledgement.to or "nobody can safely be answered"
        when = f"{record.received_at.astimezone(zone):%d %b %H:%M}"
        table.add_row(record.reference, when, one_line(to), one_line(why))
    return table


def records(found: Iterable[Record], zone: ZoneInfo) -> Table:
    """One row for each mail."""
    table = Table("Reference", "Received", "From", "Class", "What", "Reply", header_style="bold")
    for record in found:
        table.add_row(
            Text(record.reference),
            Text(f"{record.received_at.astimezone(zone):%d %b %H:%M}"),
            _text(record.who),
            Text(str(record.message_class), style="yellow" if record.needs_review else ""),
            _text("; ".join(_short(item) for item in record.contributions) or record.subject),
            Text(reply_words(record)),
        )
    return table


def record(found: Record, zone: ZoneInfo) -> Group:
    """Everything about one filed mail."""
    head = _grid(
        ("Reference", found.reference),
        ("From", f"{found.from_name} <{found.from_addr_spec}>".strip()),
        ("Subject", found.subject),
        ("Received", f"{found.received_at.astimezone(zone):%A %d %B %Y, %H:%M}"),
        ("Attachments", ", ".join(name or "(nameless)" for name in found.attachments)),
        ("Read with care", "; ".join(found.defects)),
        ("Class", f"{found.message_class} ({found.confidence:.0%}), model {found.model_version}"),
        ("Please check", "; ".join(found.review_reasons)),
        *_details(found.details),
        ("Reply", f"{reply_words(found)}: {found.reply_error or found.acknowledgement.reason}"),
    )
    return Group(head, *(_contribution(item) for item in found.contributions))


def understood(path: str, found: Understood, acknowledgement: Acknowledgement) -> Group:
    """What `mailbot classify` shows of one mail."""
    classification: Classification = found.classification
    head = _grid(
        ("File", path),
        ("Subject", found.message.subject),
        ("Class", f"{classification.message_class} ({classification.confidence:.0%})"),
        ("Please check", "; ".join(classification.review_reasons)),
        *_details(found.message.details),
        ("Reply", _decision(acknowledgement)),
    )
    return Group(head, *(_contribution(item) for item in classification.contributions), Text())


def explained(
    message: Message, classification: Classification, texts: Sequence[MarkedText], campaign: Campaign
) -> Group:
    """What `mailbot explain` shows of one mail: its text with quotes coloured by aim, and the reasons beneath."""
    head = _grid(
        ("Subject", message.subject),
        ("Class", f"{classification.message_class}, {_sure(classification.confidence)}"),
        ("Please check", "; ".join(classification.review_reasons)),
        ("Model", classification.model_version),
    )
    styles = [_aim_style(item, campaign) for item in classification.contributions]
    parts: list[RenderableType] = [head, Text()]
    for text in texts:
        parts += [Text("Forwarded:", style="bold")] if text.forwarded else []
        parts += [_marked(text, styles), Text()]
    for number, (item, style) in enumerate(zip(classification.contributions, styles, strict=True), start=1):
        aims = "; ".join(campaign.aim(key).title for key in item.aims) or "no particular aim"
        parts.append(Text.assemble((f"[{number}]", style), (f" {item.type}", "bold"), f" for {one_line(aims)}"))
        parts.append(Text(f"    {_sure(item.confidence)}"))
        for why, because in groupby(item.because, key=lambda evidence: evidence.why):
            words = ", ".join(f"“{one_line(evidence.text)}”" for evidence in because)
            parts.append(Text(f"    {one_line(why)} ({words})", style="dim"))
    return Group(*parts)


def filed_by_aim(found: Sequence[Record], campaign: Campaign) -> Table:
    """How many contributions of each type each aim got, with the first words of each."""
    table = Table("Aim", "Pledges", "Offers", "Ideas", "Such as", header_style="bold", title="Filed by aim")
    for aim in campaign.aims:
        items = [item for record in found for item in record.contributions if aim.key in item.aims]
        table.add_row(*_aim_row(f"{aim.number} {aim.title}", aim.colour, items))
    none = [item for record in found for item in record.contributions if not item.aims]
    if none:
        table.add_row(*_aim_row("no particular aim", "default", none))
    return table


def answers(found: Sequence[Record]) -> Table:
    """What was answered and what was not, and why."""
    table = Table("Reply", "Mails", "Why", header_style="bold", title="Answered, and not answered")
    rows = Counter(
        (reply_words(record), "" if record.reply_state is OutgoingState.SENT else record.acknowledgement.reason)
        for record in found
    )
    for (words, why), count in sorted(rows.items(), key=lambda row: (row[0][0] != "sent", -row[1], row[0])):
        table.add_row(Text(words), str(count), _text(why))
    return table


def parked(found: Iterable[ParkedMail]) -> Table:
    """Mail that broke a stage."""
    table = Table("Mail", "From", "Subject", "Stage", "Error", header_style="bold", title="Parked")
    for item in found:
        table.add_row(
            _text(item.where or str(item.mail_id)),
            _text(item.sender),
            _text(item.subject),
            _text(item.stage),
            _text(item.error),
        )
    return table


def reply_words(found: Record) -> str:
    """The state of a record's acknowledgement, in words."""
    return _STATES[found.reply_state] if found.reply_state else "no reply"


def _sure(confidence: float) -> str:
    return f"{_SURE[confidence_in_words(confidence)]} ({confidence:.0%})"


def _aim_style(item: Contribution, campaign: Campaign) -> str:
    """Letters that can be read on the colour of a contribution's first aim, whatever the terminal's own colours."""
    if not item.aims:
        return "reverse"
    colour = campaign.aim(item.aims[0]).colour
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    return f"{'#000000' if light else '#ffffff'} on {colour}"


def _marked(text: MarkedText, styles: Sequence[str]) -> Text:
    """A text with its quotes coloured and numbered, and the words that carried them underlined."""
    cuts = sorted(
        {0, len(text.text), *(place for mark in (*text.quotes, *text.words) for place in (mark.start, mark.end))}
    )
    starts = {mark.start: mark for mark in text.quotes}
    shown = Text()
    for start, end in pairwise(cuts):
        quote = next((mark for mark in text.quotes if mark.start <= start < mark.end), None)
        style = styles[quote.contribution] if quote else ""
        if start in starts:
            # Without colours the number alone tells where a quote begins.
            shown.append(f"[{starts[start].contribution + 1}]", f"bold {style}").append(" ", style)
        carrying = any(mark.start <= start < mark.end for mark in text.words)
        shown.append(printable(text.text[start:end]), f"{style} bold underline" if carrying else style)
    return shown


def _decision(acknowledgement: Acknowledgement) -> str:
    if acknowledgement.decision is Decision.SEND:
        return f"would be sent to {acknowledgement.to} ({acknowledgement.template}): {acknowledgement.reason}"
    word = "would be held" if acknowledgement.decision is Decision.HOLD else "none"
    guard = f" (guard {acknowledgement.guard})" if acknowledgement.guard else ""
    return f"{word}{guard}: {acknowledgement.reason}"


def _aim_row(title: str, colour: str, items: Sequence[Contribution]) -> tuple[RenderableType, ...]:
    counts = Counter(str(item.type) for item in items)
    such_as = items[0].quote if items else ""
    return (
        Text(title, style=colour),
        *(str(counts[kind]) for kind in ("pledge", "offer", "idea")),
        Text(one_line(such_as), overflow="ellipsis", no_wrap=True),
    )


def _short(item: Contribution) -> str:
    return f"{item.type}: {', '.join(item.aims) or 'no aim'}"


def _contribution(item: Contribution) -> Group:
    quote = Text(f"  “{one_line(item.quote)}”", style="italic")
    because = [(one_line(evidence.text), evidence.why) for evidence in item.because]
    quote.highlight_words([text for text, _ in because], style="underline")
    why = Text("  because: " + ", ".join(f"{text} ({why})" for text, why in because), style="dim")
    head = Text.assemble(
        (f"{item.type}", "bold"), f" for {', '.join(item.aims) or 'no particular aim'} ({item.confidence:.0%})"
    )
    return Group(head, quote, *([why] if item.because else []))


def _details(details: Details) -> tuple[tuple[str, str], ...]:
    return (
        ("Person", details.person or ""),
        ("Organisation", details.organisation or ""),
        ("Phone", details.phone or ""),
        ("Website", details.website or ""),
        ("Postcode", details.postcode or ""),
        ("Amounts", ", ".join(details.amounts)),
        ("Dates", ", ".join(details.dates)),
    )


def _grid(*rows: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, value in rows:
        if value:
            grid.add_row(Text(name, style="bold"), _text(value))
    return grid


def _text(value: str) -> Text:
    return Text(one_line(value))
