"""Intake beside django-mailbox and getmail6, on the same mails in the same run.

    python -m benchmarks.peers [--mails 1000]

Both are installed into an environment of their own (build/peers), which needs the network once. getmail6 fetches mail
and keeps it in a Maildir; what mailbot does of that is to receive and keep. django-mailbox fetches, parses and keeps it
in a database; what mailbot does of that is all but classifying, acknowledgements included.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.intake import Recalled, whole
from benchmarks.mails import mixed_mails
from mailbot.app import load_parts, load_shown
from mailbot.config import load_config
from mailbot.pipeline import Parts
from tests.acceptance.deployment import Deployment
from tests.programs import AS_ROOT
from tests.servers import DovecotAccount, dovecot

console = Console()
ENVIRONMENT = Path(__file__).parents[1] / "build" / "peers"
PEERS = ("django==5.2.19", "django-mailbox==4.10.1", "getmail6==6.20.2")

_GETMAIL = """\
[retriever]
type = SimpleIMAPRetriever
server = 127.0.0.1
port = {port}
username = {user}
password = {password}
use_peek = true

[destination]
type = Maildir
path = {folder}/maildir/
{user_line}

[options]
read_all = false
delete = false
verbose = 0
"""

_DJANGO = """\
import sys, time
from urllib.parse import quote
import django
from django.conf import settings
folder, port, user, password = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/django.db"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django_mailbox"],
    MEDIA_ROOT=f"{folder}/media",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django_mailbox.models import Mailbox
box = Mailbox.objects.create(name="x", uri=f"imap://{quote(user)}:{quote(password)}@127.0.0.1:{port}?archive=kept")
start = time.perf_counter()
count = sum(1 for _ in box.get_new_mail())
print(count, time.perf_counter() - start)
"""


def installed() -> Path:
    """The peers' environment, made when it is not there; its folder of programs."""
    programs = ENVIRONMENT / "bin"
    if not (programs / "getmail").exists():
        console.print(f"Installing {', '.join(PEERS)} into {ENVIRONMENT}, once ...", highlight=False)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(programs / "python"), "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return programs


def getmail(programs: Path, account: DovecotAccount, folder: Path, mails: int) -> float:
    """Seconds for getmail6."""
    for part in ("cur", "new", "tmp"):
        (folder / "maildir" / part).mkdir(parents=True)
    if AS_ROOT:
        # It delivers no mail as root.
        folder.parent.chmod(0o755)
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, account.server.mail_user)
    text = _GETMAIL.format(
        port=account.server.port,
        user=account.user,
        password=account.password,
        folder=folder,
        user_line=f"user = {account.server.mail_user}" if AS_ROOT else "",
    )
    (folder / "getmailrc").write_text(text, "utf-8")
    command = [str(programs / "getmail"), f"--getmaildir={folder}", f"--rcfile={folder / 'getmailrc'}"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    spent = time.perf_counter() - start
    assert len(list((folder / "maildir" / "new").iterdir())) == mails
    return spent


def django_mailbox(programs: Path, account: DovecotAccount, folder: Path, mails: int) -> float:
    """Seconds for django-mailbox, its start left out."""
    with account.connect() as client:
        client.create_folder("kept")
    command = [str(programs / "python"), "-c", _DJANGO, str(folder), str(account.server.port), account.user]
    done = subprocess.run([*command, account.password], check=True, capture_output=True, text=True)
    count, spent = done.stdout.split()
    assert int(count) == mails, done.stderr
    return float(spent)


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mails", type=int, default=1000)
    mails = arguments.parse_args().mails
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    programs, made = installed(), list(mixed_mails(mails))
    with dovecot() as server, tempfile.TemporaryDirectory() as name:
        accounts = [server.fresh_account() for _ in range(3)]
        for account in accounts:
            account.deliver_many(made)
        folder = Path(name)
        deployment = Deployment.write(
            folder, imap_port=server.port, user=accounts[0].user, password=accounts[0].password, smtp_port=1
        )
        parts = load_parts(load_shown(load_config(deployment.config)))
        parts = Parts(shown=parts.shown, policy=parts.policy, classifier=Recalled(parts.classifier))
        whole(deployment, folder / "first.db", parts, mails)
        by_getmail = getmail(programs, accounts[1], folder / "getmail", mails)
        (folder / "django").mkdir()
        by_django = django_mailbox(programs, accounts[2], folder / "django", mails)
        without, clock = whole(deployment, folder / "second.db", parts, mails)
    received = clock.spent["intake (fetch, commit)"]
    table = Table("What", "Who", "Seconds", "Mails a second", title=f"The same {mails} mails from the same Dovecot")
    for what, who, seconds in (
        ("fetched and kept", "getmail6", by_getmail),
        ("fetched and kept", "mailbot", received),
        ("fetched, parsed and filed", "django-mailbox", by_django),
        ("fetched, parsed, filed and answered", "mailbot, without classifying", without),
    ):
        table.add_row(what, who, f"{seconds:.1f}", f"{mails / seconds:.0f}")
    console.print(table)
    sys.exit(not (received < by_getmail and without < by_django))


if __name__ == "__main__":
    main()
