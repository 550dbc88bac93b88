"""What operators get wrong and servers do wrong: one sentence that helps, the right exit code, and no mail lost.

Exit code 2 is the operator's mistake, 1 is what waiting may mend. Once it is mended, every mail is filed and
acknowledged, once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mailbot.app import load_parts, load_shown
from mailbot.config import SHIPPED, load_config
from mailbot.demo.servers import SmtpSink
from mailbot.model import MessageClass, OutgoingState
from mailbot.worker import Worker, utc_now
from tests.acceptance.commands import Ended, mailbot
from tests.acceptance.deployment import PATIENCE_S, Deployment, acknowledgements, header, wrote
from tests.acceptance.raise_child import STAGES
from tests.programs import AS_ROOT, free_port
from tests.servers import Dovecot, DovecotAccount

ROOT = Path(__file__).parents[2]

_ACCOUNT = """
[[account]]
name = "{name}"
address = "{name}@bsec.example"
mailboxes = [{mailbox}]

[account.imap]
host = "{host}"
port = {port}
security = "{security}"
username = "{user}"
password_file = "{secret}"
timeout_s = 20

[account.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
"""


@pytest.fixture
def deployment(dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path) -> Deployment:
    """A deployment that works, with one mail waiting for it."""
    dovecot_account.deliver_many([wrote()])
    return Deployment.on(dovecot_account, smtp_sink, tmp_path)


def said(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """The sentences on standard error, without the log."""
    words = done.stderr.decode()
    assert "Traceback" not in words
    return [line for line in words.splitlines() if not line.startswith("20") and "[" not in line[:40]]


def reds(done: Ended) -> list[str]:
    """What `mailbot check --json` finds wrong."""
    assert "Traceback" not in done.err
    return [f"{each['what']}: {each['words']}" for each in done.lines if each["light"] == "red"]


def replace(path: Path, *changes: tuple[str, str]) -> str:
    """Changes a file; returns what it held before."""
    before = text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return before


def a_pass(deployment: Deployment, hours: float = 0) -> None:
    """`mailbot once`, so many hours later, in this process and without mistakes."""
    store = deployment.store()
    parts = load_parts(load_shown(load_config(deployment.config)))
    worker = Worker(parts.shown, store, lambda: parts, now=lambda: utc_now() + timedelta(hours=hours))
    worker.once()
    store.close()
    assert worker.problems == ()


def assert_all_done(deployment: Deployment, sink: SmtpSink, count: int = 1) -> None:
    """Every mail is filed and acknowledged once, and a further pass changes nothing."""
    records = deployment.records()
    assert len(records) == len({record.message_id for record in records}) == count
    assert {record.reply_state for record in records} == {OutgoingState.SENT}
    a_pass(deployment, hours=2)
    assert deployment.records() == records
    sent = Counter(header(mail, "In-Reply-To") for mail in acknowledgements(sink))
    assert sent == Counter(record.message_id for record in records)


# --- servers ---


def test_accounts_with_a_mistake_each(
    deployment: Deployment, dovecot_server: Dovecot, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    """Five accounts fail in five ways; each has its sentence, and none holds up the one that works."""
    (tmp_path / "wrong.txt").write_text("guessed", "utf-8")
    right = {"host": "127.0.0.1", "port": dovecot_server.port, "security": "none", "secret": "password.txt"}
    mistakes = {
        "guessed": ({"secret": "wrong.txt"}, "refused the user name", "account.imap.username or the password"),
        "unnamed": ({"mailbox": '"Offers"'}, "has no mailbox 'Offers'", "correct account.mailboxes (there are: "),
        "unknown": ({"host": "imap.invalid", "security": "tls"}, "is not found", "correct account.imap.host"),
        "forged": ({"port": dovecot_server.tls_port, "security": "tls"}, "certificate", "account.imap.ca_file"),
        "refused": ({"port": free_port()}, "connection is refused", "check account.imap.host and account.imap.port"),
    }
    own = deployment.config.read_text("utf-8")
    wrong, mended = {}, {}
    for number, (name, (change, _, _)) in enumerate(mistakes.items(), start=2):
        account = dovecot_server.fresh_account()
        account.deliver_many([wrote(number=number, sender=f"amina@haven{number}.example")])
        values = {"name": name, "mailbox": '"INBOX"', "user": account.user, "smtp_port": smtp_sink.port} | right
        wrong[name] = _ACCOUNT.format(**(values | change))
        mended[name] = _ACCOUNT.format(**values)

    deployment.config.write_text(own + "".join(wrong.values()), "utf-8")
    done = deployment.run("once")
    assert done.returncode == 2
    sentences = said(done)
    assert len(sentences) == len(mistakes)
    found = reds(checked := mailbot("check", "--json", "-c", deployment.config))
    assert (checked.code, len(found)) == (2, len(mistakes))
    for (name, (_, what, remedy)), sentence, red in zip(mistakes.items(), sentences, found, strict=True):
        assert sentence.startswith(f"account {name}: ")
        assert what in sentence and remedy in sentence, sentence
        assert red == f"IMAP of {name}: {sentence}"
    (record,) = deployment.records()
    assert record.reply_state is OutgoingState.SENT
    preview = mailbot("digest", "--preview", "-c", deployment.config).out
    assert all(f"account {name}: " in " ".join(preview.split()) for name in mistakes)

    # Waiting may mend the last three.
    deployment.config.write_text(own + "".join(list(wrong.values())[2:]), "utf-8")
    done = deployment.run("once")
    assert (done.returncode, len(said(done))) == (1, 3)
    assert mailbot("check", "-c", deployment.config).code == 1

    deployment.config.write_text(own + "".join(mended.values()), "utf-8")
    deployment.once()
    assert_all_done(deployment, smtp_sink, 1 + len(mistakes))
    assert "account refused: " not in mailbot("digest", "--preview", "-c", deployment.config).out


def test_smtp_is_down(deployment: Deployment, smtp_sink: SmtpSink) -> None:
    smtp_sink.stop()
    done = deployment.run("once")
    assert done.returncode == 1
    (sentence,) = said(done)
    where = f"account pledges: 127.0.0.1:{smtp_sink.port}"
    assert sentence == f"{where}: the connection is refused; check account.smtp.host and account.smtp.port"
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert (checked.code, reds(checked)) == (1, [f"SMTP of pledges: {sentence}"])
    (record,) = deployment.records()
    assert (record.reply_state, record.reply_error) == (OutgoingState.DEFERRED, sentence)
    smtp_sink.start()
    a_pass(deployment, hours=2)
    assert_all_done(deployment, smtp_sink)


def test_smtp_refuses_the_password(dovecot_account: DovecotAccount, tmp_path: Path) -> None:
    dovecot_account.deliver_many([wrote()])
    (tmp_path / "smtp.txt").write_text("guessed", "utf-8")
    with SmtpSink(sign_in=("sarah", "right")) as sink:
        deployment = Deployment.on(dovecot_account, sink, tmp_path)
        with deployment.config.open("a") as config:
            config.write('username = "sarah"\npassword_file = "smtp.txt"\n')
        done = deployment.run("once")
        assert done.returncode == 2
        (sentence,) = said(done)
        assert sentence.startswith("account pledges: 127.0.0.1 refused the user name 'sarah' or its password")
        assert sentence.endswith("correct account.smtp.username or the password")
        assert "guessed" not in done.stderr.decode()
        checked = mailbot("check", "--json", "-c", deployment.config)
        assert (checked.code, reds(checked)) == (2, [f"SMTP of pledges: {sentence}"])
        (record,) = deployment.records()
        assert record.reply_state is OutgoingState.DEFERRED
        (tmp_path / "smtp.txt").write_text("right", "utf-8")
        a_pass(deployment, hours=2)
        assert_all_done(deployment, sink)


# --- the store ---


def _missing_folder(folder: Path) -> Callable[[], object]:
    replace(folder / "config.toml", ("sqlite:///mailbot.db", "sqlite:///nowhere/mailbot.db"))
    return lambda: replace(folder / "config.toml", ("sqlite:///nowhere/mailbot.db", "sqlite:///mailbot.db"))


def _no_file(folder: Path) -> Callable[[], object]:
    (folder / "mailbot.db").mkdir()
    return (folder / "mailbot.db").rmdir


def _no_database(folder: Path) -> Callable[[], object]:
    (folder / "mailbot.db").write_text("A list of pledges. " * 500, "utf-8")
    return (folder / "mailbot.db").unlink


def _read_only(folder: Path) -> Callable[[], object]:
    if AS_ROOT:
        pytest.skip("root may write everywhere")
    folder.chmod(0o500)
    return lambda: folder.chmod(0o700)


@pytest.mark.parametrize(
    ("spoil", "what", "remedy"),
    [
        (_missing_folder, "cannot write", "make its folder exist and writable, or change store.url"),
        (_no_file, "cannot write", "make its folder exist and writable, or change store.url"),
        (_read_only, "cannot write", "make its folder exist and writable, or change store.url"),
        (_no_database, "is damaged or not a database", "restore a backup"),
    ],
)
def test_a_store_that_cannot_be_used(
    spoil: Callable[[Path], Callable[[], object]],
    what: str,
    remedy: str,
    deployment: Deployment,
    smtp_sink: SmtpSink,
) -> None:
    mend = spoil(deployment.folder)
    try:
        done = deployment.run("once")
        assert done.returncode == 2
        (sentence,) = said(done)
        assert sentence.startswith("store: ") and what in sentence and sentence.endswith(remedy), sentence
        checked = mailbot("check", "--json", "-c", deployment.config)
        assert (checked.code, reds(checked)) == (2, [f"store: {sentence}"])
        listed = mailbot("list", "-c", deployment.config)
        assert (listed.code, listed.err) == (2, f"{sentence}\n")
    finally:
        mend()
    deployment.once()
    assert_all_done(deployment, smtp_sink)


def test_a_full_disk(deployment: Deployment, dovecot_account: DovecotAccount, smtp_sink: SmtpSink) -> None:
    """No file may grow beyond the empty store: SQLite cannot keep the mail, and nothing is half kept."""
    large = wrote(number=2, sender="joe@other.example") + b"\r\n> What was written before.\r\n" * 20_000
    dovecot_account.deliver_many([large])
    deployment.store().close()
    size = (deployment.folder / "mailbot.db").stat().st_size
    program = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        f"from mailbot import cli; sys.argv = ['mailbot', 'once', '-c', {str(deployment.config)!r}]; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE_S, cwd=ROOT)
    assert done.returncode == 1
    (sentence,) = said(done)
    assert sentence.startswith("store: ") and "is not to be had at present" in sentence
    deployment.once()
    assert_all_done(deployment, smtp_sink, 2)


# --- what the operator wrote ---


def test_every_mistake_in_the_configuration_at_once(deployment: Deployment, smtp_sink: SmtpSink) -> None:
    before = replace(
        deployment.config,
        ("[intake]", '[intake]\nsinse = "today"\npassword = "hunter2"'),
        ("since = 2020-01-01", 'since = "yesterday"'),
        ("poll_interval_s = 0.2", "poll_interval_s = -1"),
        ('cron = "0 7 1 1 *"', 'cron = "seven"'),
    )
    lines = deployment.config.read_text("utf-8").splitlines()
    expected = {
        "intake.since": 'must be "today" or a date such as 2026-11-01',
        "intake.sinse": "unknown key; correct its spelling or remove it",
        "intake.password": "unknown key; correct its spelling or remove it",
        "digest.cron": "must be five cron fields such as '0 7 * * mon-fri'",
        "account.1.poll_interval_s": "greater than 0",
    }
    for command in ("once", "run", "list", "digest"):
        done = mailbot(command, "-c", deployment.config)
        assert (done.code, done.out) == (2, "")
        assert "hunter2" not in done.err
        found = done.err.splitlines()
        assert len(found) == len(expected)
        for sentence in found:
            place, key, words = sentence.split(": ", 2)
            path, _, line = place.rpartition(":")
            assert path == str(deployment.config)
            assert expected[key] in words
            assert lines[int(line) - 1].startswith(f"{key.rpartition('.')[2]} =")
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert (checked.code, len(reds(checked))) == (2, len(expected))
    deployment.config.write_text(before, "utf-8")
    deployment.once()
    assert_all_done(deployment, smtp_sink)


def test_broken_toml_names_the_line(deployment: Deployment) -> None:
    replace(deployment.config, ("[digest]", "[digest"))
    line = deployment.config.read_text("utf-8").splitlines().index("[digest") + 1
    done = mailbot("once", "-c", deployment.config)
    assert done.code == 2
    (sentence,) = done.err.splitlines()
    assert sentence.startswith(f"{deployment.config}: not valid TOML: ") and f"line {line}" in sentence
    assert reds(mailbot("check", "--json", "-c", deployment.config)) == [f"configuration: {sentence}"]


def test_an_editor_that_puts_a_byte_order_mark_first(deployment: Deployment) -> None:
    for path in (deployment.config, deployment.folder / "password.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert (checked.code, reds(checked)) == (0, [])


def test_paths_are_relative_to_the_configuration(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(deployment.config, (json.dumps(str(deployment.folder / "password.txt")), '"password.txt"'))
    monkeypatch.chdir(deployment.folder.parent)
    checked = mailbot("check", "--json", "-c", deployment.config.relative_to(deployment.folder.parent))
    assert (checked.code, reds(checked)) == (0, [])


def test_a_missing_password(deployment: Deployment, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = json.dumps(str(deployment.folder / "password.txt"))
    replace(deployment.config, (f"password_file = {secret}", 'password_env = "MAILBOT_TEST_PASSWORD"'))
    monkeypatch.delenv("MAILBOT_TEST_PASSWORD", raising=False)
    done = deployment.run("once")
    assert done.returncode == 2
    (sentence,) = said(done)
    assert sentence.startswith("password_env: the environment variable MAILBOT_TEST_PASSWORD is not set; set it to ")
    assert reds(mailbot("check", "--json", "-c", deployment.config)) == [f"IMAP of pledges: {sentence}"]
    monkeypatch.setenv("MAILBOT_TEST_PASSWORD", (deployment.folder / "password.txt").read_text("utf-8"))
    deployment.once()
    assert_all_done(deployment, smtp_sink)


def test_a_broken_template(deployment: Deployment, smtp_sink: SmtpSink) -> None:
    own = deployment.folder / "templates"
    own.mkdir()
    text = (SHIPPED / "templates" / "contribution.txt").read_text("utf-8")
    (own / "contribution.txt").write_text(text + "\n{% if name %}\n", "utf-8")
    (own / "enquiry.html").write_text("{% include 'nowhere.html' %}", "utf-8")
    for command in ("once", "run"):
        done = deployment.run(command)
        assert done.returncode == 2
        first, second = said(done)
        assert first.startswith(f"{own / 'contribution.txt'}, line {text.count(chr(10)) + 2}: ")
        assert second == f"{own / 'enquiry.html'}, line 1: the template nowhere.html is missing."
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert (checked.code, reds(checked)) == (2, [f"templates: {first}", f"templates: {second}"])
    # What loads may still use a name that is not there: it would fail at the first mail that needs it.
    (own / "contribution.txt").write_text(text.replace("{{ reference }}", "{{ refrence }}"), "utf-8")
    (own / "enquiry.html").unlink()
    line = next(number for number, line in enumerate(text.splitlines(), start=1) if "{{ reference }}" in line)
    sentence = f"{own / 'contribution.txt'}, line {line}: 'refrence' is undefined."
    assert reds(mailbot("check", "--json", "-c", deployment.config)) == [f"templates: {sentence}"]
    done = deployment.run("once")
    assert (done.returncode, said(done)) == (2, [sentence])
    shutil.rmtree(own)
    deployment.once()
    assert_all_done(deployment, smtp_sink)


def test_a_broken_campaign(deployment: Deployment, smtp_sink: SmtpSink) -> None:
    own = deployment.folder / "rules"
    own.mkdir()
    shutil.copy(SHIPPED / "rules" / "campaign.toml", own)
    replace(own / "campaign.toml", ('colour = "#b4540a"', 'colour = "orange"'), ('prefix = "BSEC"', 'prefix = "B C"'))
    lines = (own / "campaign.toml").read_text("utf-8").splitlines()
    done = mailbot("list", "-c", deployment.config)
    assert done.code == 2
    first, second = sorted(done.err.splitlines())
    for sentence, start in ((first, "colour"), (second, "reference_prefix")):
        line = next(number for number, line in enumerate(lines, start=1) if line.startswith(start))
        assert sentence.startswith(f"{own / 'campaign.toml'}:{line}: ") and start in sentence
    assert deployment.run("once").returncode == 2
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert checked.code == 2
    assert sorted(reds(checked))[:2] == [f"campaign: {first}", f"campaign: {second}"]
    shutil.rmtree(own)
    deployment.once()
    assert_all_done(deployment, smtp_sink)


def test_broken_rule_lines_are_named_and_the_rest_counts(deployment: Deployment) -> None:
    own = deployment.folder / "rules"
    (own / "examples").mkdir(parents=True)
    examples = own / "examples" / "train_1.jsonl"
    lines = (SHIPPED / "rules" / "examples" / "train_1.jsonl").read_text("utf-8").splitlines()
    examples.write_text("\n".join([*lines[:15], '{"id": "half a line']), "utf-8")
    shutil.copy(SHIPPED / "rules" / "patterns.jsonl", own)
    patterns = own / "patterns.jsonl"
    count = len(patterns.read_text("utf-8").splitlines())
    with patterns.open("a", encoding="utf-8") as file:
        file.write(
            '{"label": "type:present", "pattern": "a present"}\n{"label": "aim:support", "pattern": "zymurgy"}\n'
        )
    checked = mailbot("check", "--json", "-c", deployment.config)
    assert (checked.code, reds(checked)) == (0, [])
    amber = [each["words"] for each in checked.lines if each["light"] == "amber" and each["what"] == "rules"]
    assert len(amber) == 3
    assert any("mailbot train" in words for words in amber)
    assert any(words.startswith(f"{examples}, line 16: ") for words in amber)
    assert any(words.startswith(f"{patterns}, line {count + 1}: label 'type:present' is neither") for words in amber)
    done = mailbot("classify", "--json", "-", "-c", deployment.config, stdin=wrote(body="Our zymurgy hall is yours."))
    assert done.code == 0
    assert done.lines[0]["class"] in list(MessageClass)


# --- a mail that breaks a stage ---


def test_a_mail_that_breaks_a_stage_is_parked(
    dovecot_account: DovecotAccount, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    deployment = Deployment.on(dovecot_account, smtp_sink, tmp_path)
    subjects = ["A hall", *(f"This breaks {stage}" for stage in STAGES), "A van"]
    mails = [
        wrote(number=number, subject=subject, sender=f"amina@haven{number}.example")
        for number, subject in enumerate(subjects, start=1)
    ]
    dovecot_account.deliver_many(mails)
    command = [sys.executable, "-m", "tests.acceptance.raise_child", str(deployment.config)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    # Its words may hold words of the mail: the log has the kind of error only.
    assert b"made up" not in done.stderr and b"Traceback" not in done.stderr
    filed = deployment.records()
    assert [record.subject for record in filed] == ["A hall 1", f"A van {len(subjects)}"]
    assert len(acknowledgements(smtp_sink)) == 2

    listed = mailbot("list", "-c", deployment.config).out
    preview = " ".join(mailbot("digest", "--preview", "-c", deployment.config).out.split())
    for number, stage in enumerate(STAGES, start=2):
        assert f"ZeroDivisionError: made up for {stage}" in listed
        assert f"INBOX, UID {number}" in listed
        assert f"made up for {stage}" in preview
        if stage != "reading":
            assert f"This breaks {stage} {number}" in listed
            assert f"This breaks {stage} {number}" in preview

    again = mailbot("retry", "-c", deployment.config)
    assert (again.code, again.out) == (
        0,
        f"{len(STAGES)} parked mails will be handled again, 0 parked answers are written.\n",
    )
    deployment.once()
    assert_all_done(deployment, smtp_sink, len(mails))
    assert mailbot("retry", "-c", deployment.config).out.startswith("0 parked mails will be handled again")
