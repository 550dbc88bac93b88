"""The commands, as a person or a script meets them: what they print, what they change, how they end."""

from __future__ import annotations

import json
import mailbox
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mailbot.classifying.examples import mail_octets
from mailbot.config import load_config
from mailbot.demo.servers import SmtpSink
from mailbot.model import MessageClass, OutgoingState
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import ADDRESS, PATIENCE_S, Deployment, wrote
from tests.servers import Dovecot, DovecotAccount

ROOT = Path(__file__).parents[2]
#: what `classify --json` prints of every mail: names and kinds are a contract with scripts
CLASSIFIED = {
    "path": str,
    "message_id": str,
    "class": MessageClass,
    "confidence": float,
    "needs_review": bool,
    "review_reasons": list,
    "contributions": [
        {"type": str, "aims": list, "quote": str, "confidence": float, "because": [{"text": str, "why": str}]}
    ],
    "details": {
        "person": (str, type(None)),
        "organisation": (str, type(None)),
        "phone": (str, type(None)),
        "website": (str, type(None)),
        "postcode": (str, type(None)),
        "amounts": list,
        "dates": list,
    },
    "acknowledge": {
        "decision": str,
        "guard": (int, type(None)),
        "reason": str,
        "to": (str, type(None)),
        "template": (str, type(None)),
    },
}


def assert_shape(value: object, shape: Any, where: str = "") -> None:
    """Exactly the keys of `shape`, each of its kind."""
    if isinstance(shape, dict):
        assert isinstance(value, dict) and set(value) == set(shape), (where, value)
        for key, inner in shape.items():
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for item in value:
            assert_shape(item, shape[0], f"{where}[]")
    elif shape is MessageClass:
        assert value in list(MessageClass), where
    else:
        assert isinstance(value, shape), (where, value)


def assert_verbatim(line: dict[str, Any], text: str) -> None:
    """Every quote stands in `text` as it is, and every reason's words in its quote."""
    for contribution in line["contributions"]:
        assert contribution["quote"] in text
        for because in contribution["because"]:
            assert because["text"] in contribution["quote"]


# --- classify ---


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of .eml files, and the text of each."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = {}
    with (ROOT / "tests/corpus/dev.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, islice(lines, 40)):
            path = folder / f"{row['id']}.eml"
            path.write_bytes(mail_octets(row))
            texts[str(path)] = row["body"]
    return folder, texts


def test_classify_takes_every_shape_of_mail_and_touches_nothing(tmp_path: Path) -> None:
    """Without a configuration, in an empty folder, watched: no store, no file, no connection."""
    mails, here = tmp_path / "mails", tmp_path / "here"
    (mails / "folder" / "deeper").mkdir(parents=True)
    here.mkdir()
    (mails / "one.eml").write_bytes(wrote(number=1))
    (mails / "folder" / "a.eml").write_bytes(wrote(number=2))
    (mails / "folder" / "b.eml").symlink_to(mails / "nowhere")
    (mails / "folder" / "deeper" / "c.eml").write_bytes(wrote(number=3))
    (mails / "empty.eml").write_bytes(b"")
    archive = mailbox.mbox(mails / "archive.mbox")
    for number in (4, 5):
        archive.add(wrote(number=number))
    archive.close()
    box = mailbox.Maildir(mails / "box")
    box.add(wrote(number=6))

    arguments = ["one.eml", "missing.eml", "folder", "empty.eml", "archive.mbox", "box"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.watched_child", "classify", "--json"]
        + [str(mails / name) for name in arguments]
        + ["-"],
        input=wrote(number=7),
        capture_output=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr.decode()) == (1, "")
    assert list(here.iterdir()) == []

    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    errors = {line["path"]: line["error"] for line in lines if "error" in line}
    assert all(set(line) == {"path", "error"} for line in lines if "error" in line)
    assert {Path(path).name for path in errors} == {"missing.eml", "b.eml", "empty.eml"}
    assert all(error.startswith(("cannot be read: ", "reading: ")) for error in errors.values())
    (new,) = (mails / "box" / "new").iterdir()
    assert [line["path"] for line in lines] == [
        *(str(mails / name) for name in ("one.eml", "missing.eml")),
        *(str(mails / "folder" / name) for name in ("a.eml", "b.eml", "deeper/c.eml")),
        *(str(mails / name) for name in ("empty.eml", "archive.mbox#1", "archive.mbox#2")),
        str(new),
        "-",
    ]
    read = [line for line in lines if "error" not in line]
    for number, line in enumerate(read, start=1):
        assert_shape(line, CLASSIFIED)
        assert line["message_id"] == f"<m{number}.amina@haven.example>"
        assert line["class"] == "contribution"
        assert_verbatim(line, wrote(number=number).decode())


def test_classify_quotes_verbatim(corpus: tuple[Path, dict[str, str]]) -> None:
    folder, texts = corpus
    done = mailbot("classify", "--json", folder)
    assert (done.code, done.err) == (0, "")
    assert [line["path"] for line in done.lines] == sorted(texts)
    for line in done.lines:
        assert_shape(line, CLASSIFIED)
        assert_verbatim(line, texts[line["path"]])
        assert bool(line["contributions"]) == (line["class"] == "contribution")
        assert line["needs_review"] == bool(line["review_reasons"])
        assert 0 <= line["confidence"] <= 1
    assert {line["class"] for line in done.lines} == set(MessageClass)
    assert sum(len(line["contributions"]) for line in done.lines) >= 15


def test_classify_with_a_configuration_knows_its_addresses(tmp_path: Path) -> None:
    deployment = Deployment.write(tmp_path, imap_port=1, user="u", password="p", smtp_port=1)
    (tmp_path / "ours.eml").write_bytes(wrote(sender=ADDRESS))
    (tmp_path / "other.eml").write_bytes(wrote().replace(ADDRESS.encode(), b"else@bsec.example"))
    before = sorted(tmp_path.iterdir())
    done = mailbot("classify", "--json", tmp_path / "ours.eml", tmp_path / "other.eml", "-c", deployment.config)
    assert done.code == 0, done.err
    assert [line["acknowledge"]["decision"] for line in done.lines] == ["never", "hold"]
    assert [line["acknowledge"]["guard"] for line in done.lines] == [4, 11]
    assert sorted(tmp_path.iterdir()) == before
    without = mailbot("classify", "--json", tmp_path / "ours.eml", tmp_path / "other.eml")
    assert [line["acknowledge"]["decision"] for line in without.lines] == ["send", "send"]


def test_classify_for_people(tmp_path: Path) -> None:
    escape = wrote(subject="A room [red] \x1b]0;owned\x07")
    (tmp_path / "hall.eml").write_bytes(escape)
    done = mailbot("classify", tmp_path / "hall.eml", tmp_path / "missing.eml")
    assert done.code == 1
    for words in (
        "A room [red]",
        "hall.eml",
        "contribution",
        "hall on Friday evenings",
        "Amina Yusuf",
        "amina@haven.example",
    ):
        assert words in done.out
    assert "\x1b" not in done.out + done.err
    assert done.err == f"{tmp_path / 'missing.eml'}: cannot be read: No such file or directory\n"


def test_classify_names_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.eml")
    try:
        Path(path).write_bytes(wrote())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    done = mailbot("classify", "--json", tmp_path)
    assert done.code == 0, done.err
    assert done.lines[0]["path"] == path
    assert "contribution" in mailbot("classify", tmp_path).out


# --- what is filed ---


@dataclass(frozen=True)
class Filed:
    """A deployment with a contribution, an enquiry and a machine's mail filed, in this order."""

    deployment: Deployment
    mails: tuple[bytes, ...]
    sink: SmtpSink

    def ask(self, *arguments: object) -> Any:
        return mailbot(*arguments, "-c", self.deployment.config)


@pytest.fixture(scope="module")
def filed(dovecot_server: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filed]:
    account = dovecot_server.fresh_account()
    mails = (
        wrote(number=1, subject="A room\x1b[31m on Fridays"),
        wrote(
            number=2, sender="joe@other.example", name="Joe Bell", subject="When?", body="When is the launch, please?"
        ),
        b"Auto-Submitted: auto-replied\r\n" + wrote(number=3, subject="Out of office", body="I am away until Monday."),
    )
    account.deliver_many(mails)
    with SmtpSink() as sink:
        deployment = Deployment.write(
            tmp_path_factory.mktemp("filed"),
            imap_port=dovecot_server.port,
            user=account.user,
            password=account.password,
            smtp_port=sink.port,
        )
        deployment.once()
        yield Filed(deployment, mails, sink)


def test_list(filed: Filed) -> None:
    done = filed.ask("list")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines() if "BSEC" in line] == [
        "BSEC-0001",
        "BSEC-0002",
        "BSEC-0003",
    ]
    assert "\x1b" not in done.out
    for words in ("Amina Yusuf", "Joe Bell", "contribution", "automatic", "sent", "no reply"):
        assert words in done.out


@pytest.mark.parametrize(
    ("options", "references"),
    [
        ((), ["BSEC-0001", "BSEC-0002", "BSEC-0003"]),
        (("-n", "1"), ["BSEC-0003"]),
        (("--class", "enquiry"), ["BSEC-0002"]),
        (("--class", "unrelated"), []),
    ],
)
def test_list_as_json(options: tuple[str, ...], references: list[str], filed: Filed) -> None:
    done = filed.ask("list", "--json", *options)
    assert done.code == 0
    assert [line["reference"] for line in done.lines] == references


def test_list_by_aim_and_by_doubt(filed: Filed) -> None:
    everything = filed.ask("list", "--json").lines
    for aim in ("awareness", "support", "alliance", "employment"):
        wanted = [
            line["reference"] for line in everything if any(aim in item["aims"] for item in line["contributions"])
        ]
        assert [line["reference"] for line in filed.ask("list", "--json", "--aim", aim).lines] == wanted
    assert [line["reference"] for line in filed.ask("list", "--json", "--review").lines] == [
        line["reference"] for line in everything if line["needs_review"]
    ]
    wrong = filed.ask("list", "--aim", "money")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "--aim money: no such aim; there are awareness, support, alliance, employment\n"


def test_show(filed: Filed) -> None:
    (first, *_) = filed.ask("list", "--json").lines
    for spelling in ("1", "0001", "BSEC-0001", "bsec-1"):
        done = filed.ask("show", spelling, "--json")
        assert (done.code, done.lines) == (0, [first])
    assert_verbatim(first, filed.mails[0].decode())
    assert first["from"] == {"name": "Amina Yusuf", "address": "amina@haven.example"}
    assert first["reply"] == {"state": "sent", "error": ""}
    assert set(first) >= set(CLASSIFIED) - {"path"}
    page = filed.ask("show", "1")
    assert page.code == 0
    for words in ("BSEC-0001", "Amina Yusuf <amina@haven.example>", "contribution", "because", "sent"):
        assert words in page.out
    assert "\x1b" not in page.out


def test_show_raw_and_reply(filed: Filed) -> None:
    for number, octets in enumerate(filed.mails, start=1):
        assert filed.ask("show", str(number), "--raw").octets == octets
    (sent,) = [mail for mail in filed.sink.messages if mail.recipients == ("amina@haven.example",)]
    assert filed.ask("show", "1", "--reply").octets.rstrip() == sent.octets.rstrip()
    silent = filed.ask("show", "3", "--reply")
    assert (silent.code, silent.octets) == (2, b"")
    assert silent.err.startswith("3: there is no acknowledgement: ")
    assert "auto-replied" in silent.err


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("4", "4: nothing is filed under it; `mailbot list` shows what is\n"),
        ("hall", "hall: no reference; they look like BSEC-0042\n"),
        ("LDS-1", "LDS-1: no reference; they look like BSEC-0042\n"),
        ("9" * 40, f"{'9' * 40}: no reference; they look like BSEC-0042\n"),
    ],
)
def test_show_of_nothing(reference: str, words: str, filed: Filed) -> None:
    done = filed.ask("show", reference)
    assert (done.code, done.out, done.err) == (2, "", words)


def dump(deployment: Deployment) -> list[str]:
    """Everything that is in the store."""
    connection = sqlite3.connect(deployment.folder / "mailbot.db")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_digest_preview_changes_nothing(filed: Filed, tmp_path: Path) -> None:
    before, sent = dump(filed.deployment), len(filed.sink.messages)
    first, second = (filed.ask("digest", "--preview") for _ in range(2))
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out
    for words in ("BSEC-0001", "Amina Yusuf", "hall on Friday evenings"):
        assert words in first.out
    page = tmp_path / "digest.html"
    done = filed.ask("digest", "--preview", "--html", page)
    assert (done.code, done.out) == (0, f"Written to {page}\n")
    text = page.read_text("utf-8")
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert "BSEC-0001" in text
    assert (dump(filed.deployment), len(filed.sink.messages)) == (before, sent)


def test_digest_html_is_for_looking_only(filed: Filed, tmp_path: Path) -> None:
    before = dump(filed.deployment)
    done = filed.ask("digest", "--html", tmp_path / "digest.html")
    assert (done.code, done.err) == (2, "--html goes with --preview; without it the digest is sent\n")
    nowhere = tmp_path / "nowhere" / "digest.html"
    done = filed.ask("digest", "--preview", "--html", nowhere)
    assert (done.code, done.err) == (2, f"--html: {nowhere} cannot be written (No such file or directory)\n")
    assert dump(filed.deployment) == before


def test_check_is_green_on_a_working_deployment(filed: Filed) -> None:
    before = dump(filed.deployment)
    done = filed.ask("check")
    assert (done.code, done.err) == (0, "")
    findings = filed.ask("check", "--json").lines
    told = [line.split(None, 1)[1] for line in done.out.splitlines()]
    assert [f"{finding['what']}: {finding['words']}" for finding in findings] == told
    # Only whose results to believe is not known to a new deployment.
    assert [each["what"] for each in findings if each["light"] != "green"] == ["senders to pledges"]
    looked_at = ["configuration", "campaign", "templates", "classifier", "store", "disk"]
    looked_at += ["IMAP of pledges", "senders to pledges", "SMTP of pledges"]
    assert list(dict.fromkeys(finding["what"] for finding in findings)) == looked_at
    assert dump(filed.deployment) == before


# --- init and run ---

ANSWERS = {
    "--address": "pledges@leeds.example",
    "--coordinator-name": 'Ann "Nan" O\'Neill \\ Ünal',
    "--coordinator-address": "ann@leeds.example",
    "--imap-host": "imap.invalid",
    "--smtp-host": "smtp.invalid",
    "--campaign": "Leeds Social Enterprise City",
    "--prefix": "LDS",
}


def init(folder: Path, **changed: str) -> Any:
    answers = {**ANSWERS, **{f"--{name}": value for name, value in changed.items()}}
    return mailbot("init", folder, *(word for pair in answers.items() for word in pair))


def test_init_writes_what_check_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILBOT_PASSWORD", "hush-hush")
    folder = tmp_path / "leeds"
    done = init(folder)
    assert (done.code, done.err) == (0, "")
    assert [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()] == [
        "config.toml",
        "rules/campaign.toml",
    ]
    assert "MAILBOT_PASSWORD" in done.out
    config = folder / "config.toml"
    assert "hush-hush" not in config.read_text("utf-8")

    findings = {}
    checked = mailbot("check", "--json", "-c", config)
    for finding in checked.lines:
        findings.setdefault(finding["light"], {})[finding["what"]] = finding["words"]
    assert set(findings["green"]) == {"configuration", "campaign", "templates", "classifier", "store", "disk"}
    assert set(findings["red"]) == {"IMAP of pledges", "SMTP of pledges"}
    assert findings["green"]["campaign"].startswith("Leeds Social Enterprise City, 4 aims")
    assert "imap.invalid" in findings["red"]["IMAP of pledges"]
    assert checked.code == 1  # a name that is not found may be found later

    again = init(folder, address="other@leeds.example")
    assert (again.code, again.err) == (2, f"{config} is there already; move it away, or change it by hand\n")
    assert "pledges@leeds.example" in config.read_text("utf-8")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": "nobody"}, "account.1.address: must be one mail address"),
        ({"prefix": "!"}, "reference_prefix"),
        ({"coordinator-name": "\udcff"}, "no letter of UTF-8"),
    ],
)
def test_init_leaves_no_file_behind_a_wrong_answer(changed: dict[str, str], words: str, tmp_path: Path) -> None:
    done = init(tmp_path, **changed)
    assert done.code == 2
    assert words in done.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_init_finds_the_servers_of_a_known_provider(tmp_path: Path) -> None:
    answers = {name: value for name, value in ANSWERS.items() if name not in ("--imap-host", "--smtp-host")}
    answers["--address"] = "pledges@btinternet.com"
    words = [word for pair in answers.items() for word in pair]
    # Return takes what was found.
    done = mailbot("init", tmp_path / "bt", *words, stdin=b"\n\n")
    assert done.code == 0, done.err
    (account,) = load_config(tmp_path / "bt" / "config.toml").account
    assert (account.imap.host, account.smtp.host) == ("mail.btinternet.com", "mail.btinternet.com")
    assert (account.smtp.security, account.smtp.port, account.imap.port) == ("tls", 465, 993)


def test_init_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "campaign.toml").write_text("mine", "utf-8")
    done = init(tmp_path)
    assert done.code == 2
    assert "is there already" in done.err
    assert (tmp_path / "rules" / "campaign.toml").read_text("utf-8") == "mine"
    assert not (tmp_path / "config.toml").exists()


def test_run_works_until_it_is_told_to_stop(
    dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    deployment = Deployment.on(dovecot_account, smtp_sink, tmp_path)
    dovecot_account.deliver_many([wrote(number=1)])
    running = deployment.start("run")
    try:
        smtp_sink.wait_for(1, PATIENCE_S)
        dovecot_account.append("INBOX", wrote(number=2, sender="joe@other.example"))
        smtp_sink.wait_for(2, PATIENCE_S)
        second = mailbot("list", "--json", "-c", deployment.config)
        assert [line["reference"] for line in second.lines] == ["BSEC-0001", "BSEC-0002"]
        rival = deployment.run("once")
        assert (rival.returncode, b"another mailbot" in rival.stderr) == (2, True)
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=20)
    finally:
        running.kill()
        running.wait()
    log = (deployment.folder / "run.log").read_text("utf-8")
    assert running.returncode == 0, log
    assert "Traceback" not in log
    assert [record.reply_state for record in deployment.records()] == [OutgoingState.SENT] * 2


# --- the program itself ---


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", "until stopped"),
        ("once", "every job once"),
        ("classify", "touches no store and no network"),
        ("list", "List filed mail"),
        ("show", "one filed mail"),
        ("digest", "preview changes nothing"),
        ("release", "held"),
        ("drop", "held"),
        ("retry", "parked mail"),
        ("check", "what to do about what is wrong"),
        ("init", "Write config.toml"),
        ("demo", "made-up mailbox"),
    ],
)
def test_help_says_what_a_command_does(command: str, words: str) -> None:
    done = mailbot(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert words in " ".join(done.out.split())
    assert command in mailbot("--help").out


def test_every_command_and_option_has_its_help() -> None:
    import typer

    from mailbot.cli import app

    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert parameter.name == "help" or len(parameter.help or "") > 8, (name, parameter.name)


def test_version_in_a_process_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-m", "mailbot", "--version"], capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("mailbot ")


@pytest.mark.parametrize("arguments", [("nonsense",), ("show",), ("list", "-n", "0"), ("list", "--class", "money")])
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...]) -> None:
    done = mailbot(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage" in done.err
