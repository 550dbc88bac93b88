"""The command line: arguments in, tables or JSON out. No decisions about mail.

Exit codes: 0 done, 1 failed (waiting may help, or a file could not be read), 2 the operator's mistake.
"""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer

from mailbot import __version__, commands, console
from mailbot.allocator import keep_memory_flat
from mailbot.config import Config, load_config
from mailbot.errors import ConfigError, MailbotError, TransientError, UnreadableMail
from mailbot.model import MessageClass, OutgoingState, Template
from mailbot.options import DEFAULT_CONFIG, ConfigOption, JsonOption, settings_if_any, write_file

app = typer.Typer(
    name="mailbot",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Reads a coordinator's mailbox, finds the **offers, ideas and pledges** in it, files them under the "
    "campaign's aims, answers the senders, and lays a digest before the coordinator.\n\n"
    "Begin with `mailbot demo` to see it at work, or `mailbot init` to set it up on a mailbox of yours.",
    epilog="Exit codes: 0 done, 1 failed, 2 your settings or arguments need a change.",
)

ReferenceArgument = Annotated[str, typer.Argument(metavar="REF", help="Such as BSEC-0042, or just 42.")]
ReferencesArgument = Annotated[
    list[str], typer.Argument(metavar="REF…", help="Such as BSEC-0042, or just 42; several are fine.")
]


def main() -> None:
    """Runs the command line; every known error becomes its sentence and its exit code."""
    # A file's name may hold octets that are no text in any charset.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except MailbotError as problem:
        console.complain(problem)
        sys.exit(1 if isinstance(problem, TransientError | UnreadableMail) else 2)
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mailbot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Everything but sending: answers are held, no digest is made.")
]


@app.command()
def run(dry_run: DryRunOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Work until stopped: receive, file, acknowledge, and send the digest when it is due.

    SIGTERM or Ctrl-C ends it cleanly: the mail in hand is finished first. Start it with your system's service
    manager; docs/deploying.md has a unit for systemd.
    """
    settings = load_config(config)
    with _worker(settings, dry_run=dry_run) as worker:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run()


@app.command()
def once(dry_run: DryRunOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Do every job once, then exit: receive, file, acknowledge, and make the digest if it is due."""
    settings = load_config(config)
    with _worker(settings, dry_run=dry_run) as worker:
        worker.once()
        problems = worker.problems
    for problem in problems:
        console.complain(problem)
    if problems:
        raise typer.Exit(1 if all(isinstance(problem, TransientError) for problem in problems) else 2)


@app.command()
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…", help="A .eml file, a folder of them, an mbox, a Maildir, or - (standard input)."
        ),
    ],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show what mailbot makes of mails in files; touches no store and no network.

    Without a configuration file the shipped campaign is used. With --json one object a line is printed; a file that
    cannot be read gives an object with "error", the rest goes on, and the exit code is 1.
    """
    from mailbot import shapes, tables
    from mailbot.app import load_understanding
    from mailbot.intake.archive import mails_in
    from mailbot.model import History
    from mailbot.pipeline import StageFailed, decide, understand

    settings = settings_if_any(config)
    with console.progress_bar() as watch:
        policy, classifier = load_understanding(settings, watch)
    failed = False
    for mail in (mail for path in paths for mail in mails_in(path, sys.stdin.buffer)):
        error = mail.error
        if mail.octets is not None:
            try:
                found = understand(mail.octets, policy, classifier)
                acknowledgement = decide(found, policy, History(), now=datetime.now(UTC))
            except StageFailed as problem:
                error = f"{problem.stage}: {problem.__cause__}"
            else:
                if as_json:
                    console.print_json(shapes.classified(mail.path, found, acknowledgement))
                else:
                    console.out.print(tables.understood(mail.path, found, acknowledgement))
                continue
        failed = True
        if as_json:
            console.print_json(shapes.unreadable(mail.path, error))
        else:
            console.complain(f"{mail.path}: {error}")
    if failed:
        raise typer.Exit(1)


app.command()(commands.explain)
app.command()(commands.evaluate)
app.command()(commands.train)


@app.command(name="list")
def list_(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many, counted from the last.")
    ] = 50,
    aim: Annotated[str | None, typer.Option(help="Only mail with a contribution for this aim (its key).")] = None,
    message_class: Annotated[MessageClass | None, typer.Option("--class", help="Only mail of this class.")] = None,
    review: Annotated[bool, typer.Option("--review", help="Only what should be checked.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List filed mail, the latest last, and what is parked."""
    from mailbot import shapes, tables
    from mailbot.app import open_store
    from mailbot.campaign import load_campaign

    settings = load_config(config)
    campaign = load_campaign(settings.rules_folders)
    if aim is not None and aim not in (known.key for known in campaign.aims):
        raise ConfigError([f"--aim {aim}: no such aim; there are {', '.join(known.key for known in campaign.aims)}"])
    store = open_store(settings, campaign)
    with store.read() as tx:
        found = tx.records.latest(limit, aim=aim, message_class=message_class, review=review)
        parked = tx.mails.parked()
    if as_json:
        for record in found:
            console.print_json(shapes.filed(record))
        return
    console.out.print(tables.records(found, settings.time_zone))
    if parked:
        console.out.print(tables.parked(parked))


@app.command()
def show(
    reference: ReferenceArgument,
    raw: Annotated[bool, typer.Option("--raw", help="Print the mail as it arrived.")] = False,
    reply: Annotated[bool, typer.Option("--reply", help="Print our acknowledgement as it is sent.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show everything about one filed mail: what was understood, and the reason of every decision."""
    from mailbot import shapes, tables
    from mailbot.app import find_record

    settings = load_config(config)
    store, record = find_record(reference, settings)
    with store.read() as tx:
        octets = tx.mails.octets_of_record(record.record_id) if raw else tx.outbox.octets_for(record.record_id)
    if raw or reply:
        if not octets:
            reason = record.reply_error or record.acknowledgement.reason
            raise ConfigError([f"{reference}: there is no acknowledgement: {reason}"])
        sys.stdout.buffer.write(octets)
    elif as_json:
        console.print_json(shapes.filed(record))
    else:
        console.out.print(tables.record(record, settings.time_zone))


@app.command()
def preview(
    mail: Annotated[
        str | None,
        typer.Argument(
            metavar="[REF|FILE]", help="A filed mail, such as BSEC-0042; or a file, or -. Without it: an example."
        ),
    ] = None,
    kind: Annotated[Template, typer.Option("--kind", help="Which answer the example shows.")] = Template.CONTRIBUTION,
    raw: Annotated[bool, typer.Option("--raw", help="Print the octets as they are sent.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE.html", help="Write the HTML part here.")] = None,
    browser: Annotated[bool, typer.Option("--open", help="Show the HTML part in the browser.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show an acknowledgement exactly as it is sent: that of a filed mail, of a mail in a file, or an example.

    Nothing is stored or sent. A mail in a file is answered as if it came now, from somebody who was never answered
    before; the number in its reference is an example. What becomes of the answer is said on standard error.
    """
    from mailbot import preview as previews
    from mailbot.rendering import headers_of, parts_of

    settings, now = load_config(config), datetime.now(UTC)
    if mail is None:
        found = previews.of_example(kind, settings, now=now)
    elif mail == "-" or Path(mail).suffix or Path(mail).exists():
        with console.progress_bar() as watch:
            found = previews.of_file(mail, sys.stdin.buffer, settings, watch, now=now)
    else:
        found = previews.of_record(mail, settings)
    console.remark(found.words)
    if not found.octets:
        return
    text, page = parts_of(found.octets)
    if html is not None:
        write_file("--html", html, page)
        console.out.print(f"Written to {html}", highlight=False, markup=False)
    if browser:
        # Kept: the browser reads it when it likes.
        with NamedTemporaryFile("w", encoding="utf-8", suffix=".html", prefix="mailbot-", delete=False) as written:
            written.write(page)
        webbrowser.open(Path(written.name).as_uri())
    if raw:
        sys.stdout.buffer.write(found.octets)
    elif html is None and not browser:
        typer.echo(f"{headers_of(found.octets)}\n{text}", nl=False)


@app.command()
def held(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the acknowledgements that wait for your word, and why each waits."""
    from mailbot import shapes, tables
    from mailbot.app import open_store
    from mailbot.campaign import load_campaign

    settings = load_config(config)
    with open_store(settings, load_campaign(settings.rules_folders)).read() as tx:
        found = tx.records.held_before(datetime.now(UTC))
    if as_json:
        for record in found:
            console.print_json(shapes.filed(record))
    elif found:
        console.out.print(tables.held(found, settings.time_zone))
    else:
        console.out.print("Nothing is held.")


@app.command()
def release(references: ReferencesArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Send the acknowledgements that are held for these mails; the worker takes them at its next round."""
    for reference in references:
        to = _settle(reference, config, OutgoingState.QUEUED)
        console.out.print(f"{reference}: it will be sent to {to}.", highlight=False, markup=False)


@app.command()
def drop(references: ReferencesArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Drop the acknowledgements that are held for these mails; the mails stay filed."""
    for reference in references:
        _settle(reference, config, OutgoingState.CANCELLED)
        console.out.print(f"{reference}: it is dropped; nobody is answered.", highlight=False, markup=False)


def _settle(reference: str, config: Path, state: OutgoingState) -> str:
    """Settles what is held for a mail; returns to whom it would go."""
    from mailbot.app import find_record

    store, record = find_record(reference, load_config(config))
    if state is OutgoingState.QUEUED and record.reply_state is OutgoingState.HELD and not record.acknowledgement.to:
        raise ConfigError(
            [
                f"{record.reference}: there is no address that can safely be answered; write to them yourself if you "
                f"wish, then `mailbot drop {record.reference}`"
            ]
        )
    with store.write() as tx:
        if not tx.outbox.settle_held(record.record_id, state, now=datetime.now(UTC)):
            words = record.acknowledgement.reason if record.reply_state is None else f"it is {record.reply_state}"
            raise ConfigError([f"{record.reference}: no acknowledgement is held for it: {words}"])
    return record.acknowledgement.to or ""


@app.command()
def digest(
    preview: Annotated[bool, typer.Option("--preview", help="Print the next digest as it would be now.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="With --preview: write the HTML part here.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Look at the next digest (--preview), or make and send the one that is due.

    A preview changes nothing. Without --preview the digest of the last period that has ended is made, once.
    """
    from mailbot import digests
    from mailbot.app import load_shown, open_store
    from mailbot.rendering import parts_of

    settings = load_config(config)
    if html is not None and not preview:
        raise ConfigError(["--html goes with --preview; without it the digest is sent"])
    if not preview:
        with _worker(settings) as worker:
            made = worker.digest()
            worker.send()
        console.out.print("The digest is made." if made else "No digest is due, or there is nothing to tell.")
        return
    shown = load_shown(settings)
    store = open_store(settings, shown.campaign)
    with store.read() as tx:
        found = digests.gather(tx, tx.journal.digest_start(), datetime.now(UTC), shown)
    text, page = parts_of(digests.make(found, shown).octets)
    if html is not None:
        write_file("--html", html, page)
        console.out.print(f"Written to {html}", highlight=False, markup=False)
    else:
        typer.echo(text)


@app.command()
def retry(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let parked mail be handled again at the next pass, and write the answers that a broken template kept back."""
    from mailbot import replies
    from mailbot.app import load_shown, open_store

    shown = load_shown(load_config(config))
    with open_store(shown.config, shown.campaign).write() as tx:
        count = tx.mails.unpark()
        written, problems = replies.write_parked(tx, shown, now=datetime.now(UTC))
    mails = f"{count} parked {'mail' if count == 1 else 'mails'} will be handled again"
    answers = f"{written} parked {'answer is' if written == 1 else 'answers are'} written"
    console.out.print(f"{mails}, {answers}.", highlight=False)
    for problem in problems:
        console.complain(problem)
    if problems:
        raise typer.Exit(1)


@app.command()
def check(
    probe: Annotated[
        bool, typer.Option("--probe", help="Also send each account a mail of its own, and wait for it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --probe: write what it finds out without asking.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Check settings, rules, templates, store and both servers; says what to do about what is wrong.

    Nothing is changed. With --probe each account gets a mail of its own; from what its server writes on it, mailbot
    learns whose Authentication-Results to believe, and offers to write that into the configuration.
    """
    from mailbot import doctor, probing, tables

    wrong = []
    with console.progress_bar() as watch:
        for finding in doctor.examine(config, watch):
            if finding.light is doctor.Light.RED:
                wrong.append(finding)
            if as_json:
                console.print_json({"light": finding.light, "what": finding.what, "words": finding.words})
            else:
                console.out.print(tables.finding(finding), soft_wrap=True)
    if probe and not wrong:
        if not as_json:
            console.remark("Sending the probe, and waiting for up to two minutes ...")
        for finding, account, authserv_id in doctor.probe(config):
            if finding.light is doctor.Light.RED:
                wrong.append(finding)
            if as_json:
                console.print_json({"light": finding.light, "what": finding.what, "words": finding.words})
            else:
                console.out.print(tables.finding(finding), soft_wrap=True)
            question = f'Write authserv_id = "{authserv_id}" into {config}?'
            if authserv_id and (yes or (sys.stdin.isatty() and typer.confirm(question))):
                probing.write_authserv_id(config, account, authserv_id)
                console.remark(f"{config}: authserv_id of {account.name} is written.")
    if wrong:
        raise typer.Exit(1 if all(finding.may_pass for finding in wrong) else 2)


@app.command(name="import")
def import_(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH…]", help="An mbox, a Maildir, a folder of .eml files, a .eml file, or -."),
    ] = None,
    mailbox: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of files: a mailbox (folder) of an account.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="The account; the first, by default.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Leave out what is older.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """File mail from an archive; nobody is answered.

    What is known already is left alone, so an import that was broken off can be started again. It may run beside a
    worker, which then files what is imported. The digest counts such mail and does not list it.
    """
    from mailbot import importing

    settings = load_config(config)
    by_name = {each.name: each for each in settings.account}
    if account is not None and account not in by_name:
        raise ConfigError([f"--account {account}: no such account; there are {', '.join(by_name)}"])
    if bool(paths) == (mailbox is not None):
        raise ConfigError(["give either files to import, or --mailbox"])
    chosen = by_name[account] if account is not None else settings.account[0]
    start = None if since is None else since.replace(tzinfo=settings.time_zone).astimezone(UTC)
    with _filing(settings) as (store, handle, watch):
        if mailbox is not None:
            done = importing.from_mailbox(
                chosen,
                mailbox,
                store,
                handle,
                since=start,
                batch_octets=settings.intake.batch_octets,
                max_size_octets=settings.intake.max_size_octets,
                watch=watch,
            )
        else:
            done = importing.from_files(
                paths or [], sys.stdin.buffer, store, handle, account=chosen.name, since=start, watch=watch
            )
    for problem in done.problems:
        console.complain(problem)
    if as_json:
        console.print_json({"seen": done.seen, "new": done.new, "unreadable": len(done.problems)})
    else:
        waits = "; the mailbot that is at work files them" if done.by_worker and done.new else ""
        console.out.print(f"{done.seen:,} mails looked at, {done.new:,} of them new{waits}.", highlight=False)
    if done.problems:
        raise typer.Exit(1)


@contextmanager
def _filing(settings: Config) -> Iterator[tuple[Any, Any, Any]]:
    """A store, what files the mail that is kept in it, and a progress bar."""
    from mailbot.app import load_parts, load_shown, open_store
    from mailbot.worker import Worker

    keep_memory_flat()
    console.log_to_stderr(settings.model_copy(update={"log": settings.log.model_copy(update={"level": "warning"})}))
    shown = load_shown(settings)
    store = open_store(settings, shown.campaign)
    try:
        with console.progress_bar() as watch:
            # Made only when it is needed: beside another worker nothing is filed here.
            worker = cache(lambda: Worker(shown, store, cache(lambda: load_parts(shown)), dry_run=True))
            yield store, lambda: worker().handle_pending(), watch
    finally:
        store.close()


@app.command()
def login(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Name of the account, where there are several.")
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Open no browser here; print where to go, and take what it ends at.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Sign in to an account that uses OAuth (Microsoft 365, Gmail); needed once, and when a sign-in has ended.

    Microsoft: type the code that is shown on any device. Google: agree in the browser; where it runs on another
    machine, take --no-browser and paste the address that it ends at. The token is kept where only you can read it.
    """
    from mailbot import logging_in

    settings = load_config(config)
    chosen = logging_in.choose(settings, account)
    logging_in.sign_in(chosen, console.out, open_browser=not no_browser)
    for words in logging_in.prove(chosen):
        console.out.print(words, highlight=False, markup=False, soft_wrap=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")] = Path(),
    *,
    address: Annotated[
        str,
        typer.Option(
            prompt="Address that enterprises write to",
            help="What enterprises write to; it is read, and answers come from it.",
        ),
    ],
    coordinator_name: Annotated[
        str, typer.Option(prompt="Coordinator's name", help="Who signs the answers, such as 'Sarah Crawley'.")
    ],
    coordinator_address: Annotated[
        str,
        typer.Option(
            prompt="Coordinator's own address, for the digest",
            help="Where the digest goes; best another than --address. Mail from it is never answered.",
        ),
    ],
    imap_host: Annotated[
        str | None, typer.Option(help="Where the mail is read, such as imap.example.org; found out where it can be.")
    ] = None,
    smtp_host: Annotated[
        str | None, typer.Option(help="Where answers are sent, such as smtp.example.org; found out where it can be.")
    ] = None,
    campaign: Annotated[
        str, typer.Option(prompt="Campaign's name", help="As people know it; stands in every answer and digest.")
    ],
    prefix: Annotated[
        str,
        typer.Option(
            prompt="Start of references, such as BSEC for BSEC-0042", help="2 to 12 letters or digits, such as BSEC."
        ),
    ],
) -> None:
    """Write config.toml and rules/campaign.toml for a mailbox of yours; asks for what no option gives."""
    from mailbot.setup import Answers, next_steps, write_deployment

    servers = None
    if imap_host is None or smtp_host is None:
        servers, imap_host, smtp_host = _servers(address, imap_host, smtp_host)
    answers = Answers(
        servers=servers,
        address=address,
        coordinator_name=coordinator_name,
        coordinator_address=coordinator_address,
        imap_host=imap_host,
        smtp_host=smtp_host,
        campaign=campaign,
        prefix=prefix,
    )
    written = write_deployment(folder, answers)
    for path in written:
        console.out.print(f"written: {path}", highlight=False, markup=False)
    console.out.print(next_steps(*written), highlight=False, markup=False, soft_wrap=True)


def _servers(address: str, imap_host: str | None, smtp_host: str | None) -> tuple[Any, str, str]:
    """What could be found out about the servers, and their hosts as the operator confirms them."""
    from mailbot.finding import find_servers

    console.remark("Looking for the servers ...")
    found = find_servers(address)
    if found is not None:
        console.remark(f"Found: {found.imap_host} and {found.smtp_host} ({found.how}).")
        if found.oauth == "microsoft":
            console.remark("Microsoft takes no passwords: see docs/deploying.md, section Microsoft 365.")
    imap = imap_host or typer.prompt("IMAP server", default=found.imap_host if found else None)
    smtp = smtp_host or typer.prompt("SMTP server", default=found.smtp_host if found else None)
    as_found = found is not None and (imap, smtp) == (found.imap_host, found.smtp_host)
    return (found if as_found else None), imap, smtp


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running, for a look with any mail program.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the results go.")] = Path("demo"),
) -> None:
    """See the main job on a made-up mailbox: some 40 mails come in over real IMAP, answers go out over real SMTP."""
    try:
        from mailbot.demo.show import run_demo
    except ModuleNotFoundError as problem:
        raise ConfigError([f"the demo needs {problem.name}; install it with `pip install 'mailbot[demo]'`"]) from None
    with console.progress_bar() as watch:
        run_demo(folder, console.out, watch, keep=keep)


@contextmanager
def _worker(settings: Config, *, dry_run: bool = False) -> Iterator[Any]:
    from mailbot.app import load_parts, load_shown, open_store
    from mailbot.worker import Worker

    keep_memory_flat()
    console.log_to_stderr(settings)
    shown = load_shown(settings)
    store = open_store(settings, shown.campaign)
    with store.exclusive(), ThreadPoolExecutor(1) as pool, console.progress_bar() as watch:
        # The classifier takes seconds to load, at the first start to train; the first poll need not wait for it.
        loading = pool.submit(load_parts, shown, watch, dry_run=dry_run)
        worker = Worker(shown, store, loading.result, dry_run=dry_run)
        loading.add_done_callback(lambda done: worker.stop() if done.exception() else None)
        try:
            yield worker
            loading.result()
        finally:
            store.close()
