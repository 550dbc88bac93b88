"""The commands that look at the classifier itself: arguments in, tables, JSON or pictures out. No decisions about mail.

They touch no store and no network; `cli` gives them their place beside the others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailbot import console
from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED, Config
from mailbot.errors import ConfigError, UnreadableMail
from mailbot.options import DEFAULT_CONFIG, ConfigOption, JsonOption, settings_if_any, write_file

if TYPE_CHECKING:
    from mailbot.classifying.examples import LabelledMail
    from mailbot.model import Campaign, Message


def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Labelled mails, one JSON object a line, as in rules/examples/."),
    ],
    errors: Annotated[int, typer.Option(min=0, help="Show so many of the wrong mails, the silent ones first.")] = 0,
    as_json: JsonOption = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw how sure it was against how often it was right.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Measure the classifier on labelled mails: how often it is right, and whether it knows when it is not.

    Take mails that it was not taught: those in rules/examples/ flatter it. Without a configuration file the shipped
    campaign is used. A silent error is a mail with a wrong class or wrong aims that asks nobody for a look.
    """
    from mailbot import figures, shapes
    from mailbot.app import load_understanding
    from mailbot.classifying.evaluate import answer_all, measure

    settings = settings_if_any(config)
    mails = _labelled(paths, _campaign(settings))
    with console.progress_bar() as watch:
        _, classifier = load_understanding(settings, watch)
    with console.progress_bar() as watch:
        answers = answer_all(classifier, mails, watch)
    metrics, shown = measure(answers), figures.worst(answers, errors)
    if as_json:
        console.print_json(shapes.measured(metrics, answers, shown))
    else:
        console.out.print(figures.measured(metrics, answers), *map(figures.mistake, shown))
    if plot is not None:
        from mailbot.plot import Curve, reliability_picture

        curves = (
            Curve(name="class", bins=metrics.class_reliability),
            Curve(name="contributions", bins=metrics.contribution_reliability),
        )
        write_file("--plot", plot, reliability_picture(*curves, title=f"How sure, and how right: {len(mails)} mails"))


def explain(
    path: Annotated[
        str, typer.Argument(metavar="FILE", help="A mail (.eml), or - (standard input); of several the first.")
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page for the browser instead.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show a mail's own text, the contributions found in it, and the words that spoke for each.

    Without a configuration file the shipped campaign is used. Nothing is stored or sent.
    """
    from mailbot import tables
    from mailbot.app import load_understanding
    from mailbot.classifying.picture import marked_texts, page

    settings = settings_if_any(config)
    campaign = _campaign(settings)
    message = _first_mail(path)
    with console.progress_bar() as watch:
        _, classifier = load_understanding(settings, watch)
    classification, analysis = classifier.explain(message)
    texts = marked_texts(message, classification, analysis)
    if html is None:
        console.out.print(tables.explained(message, classification, texts, campaign))
        return
    write_file("--html", html, page(message, classification, texts, campaign))
    console.out.print(f"Written to {html}", highlight=False, markup=False)


def _campaign(settings: Config | None) -> Campaign:
    return load_campaign(settings.rules_folders if settings else (SHIPPED / "rules",))


def _labelled(paths: Sequence[Path], campaign: Campaign) -> list[LabelledMail]:
    """Every labelled mail; a word on standard error about aims that nobody could find in them.

    Raises:
        ConfigError: a file cannot be used; with the first problem of each.
    """
    from mailbot.classifying.evaluate import load_corpus
    from mailbot.reading import read

    mails: list[LabelledMail] = []
    problems = []
    for path in paths:
        try:
            found = load_corpus(path, read)
        except OSError as problem:
            problems.append(f"{path}: cannot be read: {problem.strerror}")
        except UnicodeDecodeError:
            problems.append(f"{path}: cannot be read: it is not UTF-8")
        except ValueError as problem:
            problems.append(str(problem))
        else:
            mails += found
            if not found:
                problems.append(f"{path}: there is no labelled mail in it")
    if problems:
        raise ConfigError(problems)
    unknown = {aim for mail in mails for aim in mail.aims()} - {aim.key for aim in campaign.aims}
    if unknown:
        console.complain(f"labelled with aims that this campaign does not have: {', '.join(sorted(unknown))}")
    return mails


def _first_mail(path: str) -> Message:
    """The first mail in a file, a folder or standard input.

    Raises:
        UnreadableMail: there is none, or it cannot be read.
    """
    from mailbot.intake.archive import first_mail
    from mailbot.reading import read

    place, octets = first_mail(path, sys.stdin.buffer)
    try:
        return read(octets)
    except UnreadableMail as problem:
        raise UnreadableMail(f"{place}: {problem}") from problem


def train(
    force: Annotated[bool, typer.Option("--force", help="Keep the new model even if it is worse.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Learn from the examples and patterns in rules/ as they are now, and show whether that is better.

    Both models are judged on mails that they were not taught. The new one is kept unless it is worse, or nothing tells
    (exit code 1).
    A running mailbot takes it at its next start.
    """
    from mailbot import figures, shapes
    from mailbot.app import open_workshop_for
    from mailbot.classifying import keep, try_training
    from mailbot.reading import read

    workshop = open_workshop_for(settings_if_any(config))
    with console.progress_bar() as watch:
        trial = try_training(workshop, read, watch)
    kept = force or not (trial.worse or trial.blind)
    problems = [*workshop.problems, *trial.problems, *(keep(workshop, trial) if kept else ())]
    if as_json:
        console.print_json(shapes.trained(trial, problems, kept=kept))
    else:
        console.out.print(figures.trained(trial))
    for problem in problems:
        console.complain(problem)
    if not kept:
        what = "is worse" if trial.worse else "cannot be compared with the one in use, for want of labelled mails,"
        console.complain(f"the new model {what} and was not kept; --force keeps it")
        raise typer.Exit(1)
