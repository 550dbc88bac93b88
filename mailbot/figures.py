"""How good a classifier is, as tables in the terminal (rich). Knows the measures, not how they came about.

Words out of a labelled file pass `one_line`: an escape sequence in them must not reach the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mailbot.classifying.evaluate import measure
from mailbot.rendering import one_line

if TYPE_CHECKING:
    from mailbot.classifying import Trial
    from mailbot.classifying.evaluate import Answer, Bin, Metrics, Score
    from mailbot.classifying.examples import Label
    from mailbot.model import Contribution, MessageClass

#: characters of a quote at most where it is set beside others
_MAX_QUOTE = 160


def measured(metrics: Metrics, answers: Sequence[Answer]) -> Group:
    """Everything that `mailbot evaluate` says of the whole.

    Args:
        metrics: of these answers.
        answers: at least one.
    """
    tables = (_overview(metrics, answers), _scores(metrics), _confusion(metrics), _reliability(metrics))
    return Group(*(part for table in tables for part in (table, Text())))


def trained(trial: Trial) -> Group:
    """What `mailbot train` says: the model in use beside the new one, on mails that neither was taught."""
    if not trial.answers:
        return Group(
            Text(
                "Trained. There are too few labelled mails to measure how good it is: it takes twenty that contribute."
            )
        )
    table = Table(
        box=None, pad_edge=False, title=f"On {trial.compared} mails that were not taught", title_justify="left"
    )
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("now", justify="right")
    for name in ("message_class", "aims", "types"):
        words = {"message_class": "class, share right", "aims": "aims, F1", "types": "types, F1"}[name]
        cells = ("" if one is None else f"{getattr(one, name):.3f}" for one in (trial.before, trial.after))
        table.add_row(words, *cells)
    return Group(table, Text(), measured(measure(trial.answers), trial.answers))


def worst(answers: Sequence[Answer], count: int) -> list[Answer]:
    """At most `count` mails that lie in a wrong place: the silent first, then wrong classes, the surest first."""
    wrong = [answer for answer in answers if answer.wrong]
    return sorted(wrong, key=lambda one: (not one.silent, not one.class_wrong, -one.said.confidence))[:count]


def mistake(answer: Answer) -> Group:
    """One mail that lies in a wrong place: what was labelled, what was said."""
    said, mail = answer.said, answer.mail
    head = Text.assemble(
        (one_line(mail.id), "bold"),
        f"  {one_line(mail.message.subject)}  ",
        ("silent", "bold red") if answer.silent else ("asks for a look", "yellow"),
    )
    body = Table.grid(padding=(0, 2))
    _add_lines(body, "labelled", str(mail.message_class), [_line(one) for one in mail.contributions])
    sure = f"{said.message_class} ({said.confidence:.0%})"
    _add_lines(body, "said", sure, [_line(one, f" ({one.confidence:.0%})") for one in said.contributions])
    if said.review_reasons:
        body.add_row("  look", Text(one_line("; ".join(said.review_reasons))))
    return Group(head, body, Text())


def _add_lines(body: Table, name: str, message_class: str, lines: Sequence[str]) -> None:
    body.add_row(f"  {name}", Text(message_class))
    for line in lines:
        body.add_row("", Text(line))


def _line(item: Label | Contribution, sure: str = "") -> str:
    aims = one_line(", ".join(item.aims)) or "no aim"
    return f"{item.type} for {aims}{sure}: “{one_line(item.quote, _MAX_QUOTE)}”"


def _overview(metrics: Metrics, answers: Sequence[Answer]) -> Table:
    silent = sum(answer.silent for answer in answers)
    table = Table(show_header=False, title=f"{metrics.mails} mails, model {one_line(answers[0].said.model_version)}")
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in (
        ("class right", f"{metrics.class_accuracy:.0%}"),
        ("ask for a look", f"{metrics.review_share:.0%}"),
        ("class or aims wrong", f"{metrics.wrong}"),
        ("… of them ask for a look", f"{metrics.wrong - silent} ({metrics.wrong_in_review:.0%})"),
        ("… of them silent", f"{silent}"),
    ):
        table.add_row(name, value)
    return table


def _scores(metrics: Metrics) -> Table:
    table = Table("", "", title="What was found", header_style="bold")
    for name in ("Precision", "Recall", "F1", "Labelled"):
        table.add_column(name, justify="right")
    _add_scores(table, "class", metrics.per_class)
    table.add_row("", "macro", "", "", f"{metrics.class_macro_f1:.2f}", "", end_section=True)
    _add_scores(table, "aims", [*metrics.per_aim, ("all", metrics.aims_micro)])
    _add_scores(table, "types", [*metrics.per_type, ("all", metrics.types_micro)])
    whole = [("right quote", metrics.quotes), ("wholly right", metrics.wholly_right)]
    _add_scores(table, "contributions", whole)
    return table


def _add_scores(table: Table, kind: str, scores: Sequence[tuple[str, Score]]) -> None:
    for number, (name, score) in enumerate(scores):
        table.add_row(
            kind if number == 0 else "",
            Text(one_line(name)),
            *(f"{value:.2f}" for value in (score.precision, score.recall, score.f1)),
            str(score.support),
            end_section=number == len(scores) - 1 and kind != "class",
        )


def _confusion(metrics: Metrics) -> Table:
    classes = [one for one, _ in metrics.per_class]
    counts = dict(metrics.confusion)
    table = Table("Labelled", title="Classes: rows were labelled, columns were said", header_style="bold")
    for one in classes:
        table.add_column(one, justify="right")
    for labelled in classes:
        table.add_row(labelled, *(_count(counts, labelled, said) for said in classes))
    return table


def _count(counts: dict[tuple[MessageClass, MessageClass], int], labelled: MessageClass, said: MessageClass) -> Text:
    count = counts.get((labelled, said), 0)
    return Text(str(count or "·"), style="bold" if labelled is said else "red" if count else "dim")


def _reliability(metrics: Metrics) -> Table:
    table = Table("", title="How sure, and how right", header_style="bold")
    for name in ("Sure", "Right", "Answers"):
        table.add_column(name, justify="right")
    _add_bins(table, "class", metrics.class_reliability)
    _add_bins(table, "contributions", metrics.contribution_reliability)
    return table


def _add_bins(table: Table, kind: str, bins: Sequence[Bin]) -> None:
    for number, one in enumerate(bins):
        table.add_row(
            kind if number == 0 else "",
            f"{one.claimed:.0%}",
            f"{one.right:.0%}",
            str(one.count),
            end_section=number == len(bins) - 1,
        )
