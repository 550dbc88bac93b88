"""The documentation says what is so: commands, targets, links, files, keys, modules and tables that it names exist."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from mailbot.campaign import load_campaign
from mailbot.cli import app
from mailbot.config import Account, Config, Imap, OAuth, Smtp
from mailbot.filing import Store
from mailbot.filing.schema import metadata
from mailbot.model import Acknowledgement, Decision, Location, Outgoing, OutgoingKind, OutgoingState, RawMail, Template
from tests.unit.factories import NOW, make_classification, make_message

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
#: `mailbot` and a command, at the start or after what starts it
CALL = re.compile(r"(?:^|-- |ExecStart=)(?:[\w./]*/)?mailbot ([a-z]+)([^|;&]*)")
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")
#: what the project's own files start with; other paths belong to a deployment
OURS = re.compile(
    r"(?:mailbot|docs|rules|templates|tests|benchmarks|\.ci)/[\w./*-]*"
    r"|(?:README|CONTRIBUTING|CHANGELOG)\.md|LICENSE|Makefile|pyproject\.toml|constraints\.txt|config\.example\.toml"
)
#: the sections of an account
PARTS: dict[str, type[BaseModel]] = {"imap": Imap, "smtp": Smtp, "oauth": OAuth}
every_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


def code(page: Path) -> Iterator[str]:
    """Each line of each code block, without its comment, and each code span."""
    text = page.read_text("utf-8")
    for block in FENCE.finditer(text):
        yield from (line.partition(" # ")[0].strip() for line in block[2].splitlines())
    yield from SPAN.findall(FENCE.sub("", text))


def anchors(page: Path) -> set[str]:
    """The fragments under which the page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    text = page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert table, f"{page.name}: no table under {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def names(page: Path, heading: str) -> list[str]:
    """The first cells of that table, without their backticks."""
    return [row[0].strip("`") for row in rows(page, heading)]


def test_there_is_something_to_hold() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/deploying.md"} <= set(IDS)
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 180


@every_page
def test_commands_and_options_exist(page: Path) -> None:
    for line in code(page):
        for name, rest in CALL.findall(line):
            assert name in COMMANDS, line
            known = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)) <= known, line


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=["README.md", "CHANGELOG.md"])
def test_every_command_is_told(page: Path) -> None:
    assert {name for line in code(page) for name, _ in CALL.findall(line)} == set(COMMANDS)


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for line in code(page):
        if wanted := re.match(r"make ([a-z]+)", line):
            assert wanted[1] in targets, line


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for found in LINK.finditer(FENCE.sub("", page.read_text("utf-8"))):
        target, _, fragment = (found[1] or found[2]).partition("#")
        if target.startswith("https://"):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), found[0]
        assert path.is_relative_to(ROOT), found[0]
        if fragment:
            assert fragment in anchors(path), found[0]


@every_page
def test_files_named_exist(page: Path) -> None:
    for line in code(page):
        if OURS.fullmatch(line):
            assert any(ROOT.glob(line.rstrip("/"))), line


@every_page
def test_no_package_index_is_named(page: Path) -> None:
    assert not re.search(r"py[p]i|python[h]osted|/simple\b|--(?:extra-)?index-url", page.read_text("utf-8"), re.I)


@every_page
def test_toml_blocks_hold_known_keys(page: Path) -> None:
    for language, block in FENCE.findall(page.read_text("utf-8")):
        if language == "toml":
            document = tomllib.loads(block)
            assert set(document) <= set(Config.model_fields)
            for section, values in document.items():
                if section == "account":
                    # A piece of one account: its own sections.
                    assert all(set(each) <= set(PARTS[part].model_fields) for part, each in values.items())
                    continue
                model = Config.model_fields[section].annotation
                assert isinstance(model, type) and issubclass(model, BaseModel)
                assert set(values) <= set(model.model_fields)


def minimal() -> Config:
    """The configuration with nothing but what is required."""
    server = {"host": "mail.example.org", "username": "x", "password_env": "X"}
    account = {"name": "a", "address": "a@example.org", "imap": server, "smtp": {"host": "mail.example.org"}}
    return Config.model_validate(
        {"coordinator": {"name": "A", "address": "c@example.org"}, "account": [account]}, strict=False
    )


def sections() -> dict[str, tuple[type[BaseModel], BaseModel]]:
    """Each section's heading with its model, and its defaults as they come out."""
    config = minimal()
    (account,) = config.account
    found = {
        f"`[{name}]`": (type(value), value)
        for name, value in ((name, getattr(config, name)) for name in Config.model_fields)
        if isinstance(value, BaseModel)
    }
    return found | {
        "`[[account]]`": (Account, account),
        "`[account.imap]`": (Imap, account.imap),
        "`[account.smtp]`": (Smtp, account.smtp),
        "`[account.oauth]`": (OAuth, OAuth(provider="microsoft", client_id="x")),
    }


@pytest.mark.parametrize("heading", sections())
def test_configuration_table_is_the_configuration(heading: str) -> None:
    model, defaults = sections()[heading]
    table = {row[0].strip("`"): row[1] for row in rows(ROOT / "docs/configuration.md", heading)}
    assert list(table) == list(model.model_fields)
    for key, field in model.model_fields.items():
        if field.is_required():
            assert table[key] == "required", key
        elif field.annotation == OAuth | None:
            assert (table[key], field.default) == ("none", None)
        elif key != "password_env":  # filled in above, because one of the three ways has to be
            told = tomllib.loads(f"value = {table[key].strip('`')}")["value"]
            actual = getattr(defaults, key)
            assert told == (list(actual) if isinstance(actual, tuple) else actual), key
        else:
            assert (table[key], field.default) == ('`""`', ""), key


def test_configuration_has_no_other_section() -> None:
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert set(re.findall(r"^## (`\[.*\]`)$", text, re.M)) == set(sections())


def test_modules_in_architecture_are_the_folder() -> None:
    told = names(ROOT / "docs/architecture.md", "The folders")
    package = ROOT / "mailbot"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert len(told) == len(set(told))
    assert set(told) == there - {"__init__"}


def test_tables_in_architecture_are_the_schema() -> None:
    assert names(ROOT / "docs/architecture.md", "The store's tables") == list(metadata.tables)


def test_functions_in_architecture_are_where_it_says() -> None:
    for _, place, *_ in rows(ROOT / "docs/architecture.md", "The way of one mail"):
        *functions, file = SPAN.findall(place)
        for function in functions:
            name = function.rpartition(".")[2]
            assert re.search(rf"\bdef {name}\(|\bimport .*\b{name}\b", (ROOT / file).read_text("utf-8")), place


def test_log_events_are_those_of_the_worker() -> None:
    logged = re.findall(r"_log\.\w+\(\"([^\"]+)\"", (ROOT / "mailbot/worker.py").read_text("utf-8"))
    assert set(names(ROOT / "docs/deploying.md", "Logs")) == set(logged)


def filed(store: Store, uid: int) -> None:
    """A mail, its record and its answer, all of which hold the word secret and its number."""
    message = make_message(message_id=f"<m{uid}@haven.example>", subject=f"secret{uid}")
    answer = Acknowledgement(
        decision=Decision.SEND, guard=None, reason="x", to="amina@haven.example", template=Template.CONTRIBUTION
    )
    place = Location(account="a", mailbox="INBOX", uid_validity=1, uid=uid)
    with store.write() as tx:
        tx.mails.save([RawMail(location=place, octets=b"secret%d " % uid * 9_000, internal_date=NOW)], now=NOW)
        (mail,) = tx.mails.pending(10, 1_000_000)
        record = tx.records.file(
            tx.records.next_number(),
            message,
            make_classification(),
            answer,
            account="a",
            received_at=NOW,
            partial=False,
            now=NOW,
        )
        tx.mails.filed(mail.mail_id, record)
        tx.outbox.put(
            Outgoing(
                kind=OutgoingKind.ACKNOWLEDGEMENT,
                purpose=f"acknowledgement:{uid}",
                state=OutgoingState.QUEUED,
                message_id=f"<a{uid}@x.example>",
                account="a",
                envelope_from="",
                to="amina@haven.example",
                octets=b"secret%d" % uid,
                template="contribution",
            ),
            record_id=record,
            now=NOW,
        )


def test_erasing_erases_one_person_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "mailbot.db"
    store = Store(f"sqlite:///{path}", load_campaign([ROOT / "rules"]), now=NOW)
    for uid in (1, 2):
        filed(store, uid)
    store.close()
    page = (ROOT / "docs/privacy-and-promises.md").read_text("utf-8")
    (script,) = [block for language, block in FENCE.findall(page) if language == "sql"]
    assert script.count("= 42;") == 1
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete = OFF")  # on by default in some distributions
    connection.executescript(script.replace("= 42;", "= 1;"))
    counts = {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - our own names
        for name in metadata.tables
    }
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    dump = "\n".join(str(row) for name in metadata.tables for row in connection.execute(f'SELECT * FROM "{name}"'))  # noqa: S608
    connection.close()
    erased = ("mail", "mail_octets", "sighting", "record", "contribution", "contribution_aim", "outgoing")
    assert {counts[name] for name in erased} == {1}
    assert "secret2" in dump and "secret1" not in dump
    assert b"secret1" not in path.read_bytes()


def test_the_states_of_an_answer_in_the_docs_are_those_in_code() -> None:
    told = names(ROOT / "docs" / "acknowledging.md", "What becomes of an answer")
    assert sorted(told) == sorted(map(str, OutgoingState))
