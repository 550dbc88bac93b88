"""Real Dovecot and PostgreSQL in temporary folders on free loopback ports, for tests and benchmarks.

Import as ``from tests.servers import dovecot, postgresql``. Each is a context manager that yields a running
server and stops it cleanly. One server serves many tests: a clean state is a new user (`Dovecot.fresh_account`)
or a new database (`Postgresql.fresh_database`), which costs milliseconds where a start costs tenths of seconds.
The servers that need no installation are in mailbot.demo.servers.
"""

from __future__ import annotations

import getpass
import grp
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from imapclient import IMAPClient, SocketTimeout

from tests.certificates import Certificates, make_certificates
from tests.programs import (
    AS_ROOT,
    HOST,
    ServerMissing,
    find_program,
    free_port,
    listens,
    stop_process,
    temporary_folder,
    wait_until,
)

__all__ = [
    "Certificates",
    "Dovecot",
    "DovecotAccount",
    "Postgresql",
    "ServerMissing",
    "dovecot",
    "make_certificates",
    "postgresql",
]

# --------------------------------------------------------------------------------------------------- Dovecot

# Logins and internal processes may not be root; mails may not belong to uid 0 either.
_DOVECOT_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = {folder.name}
listen = 127.0.0.1
protocols = imap
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
mail_uid = {mail_user}
mail_gid = {mail_group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
mail_fsync = never
disable_plaintext_auth = no
auth_mechanisms = plain login {mechanisms}
mail_max_userip_connections = 100
ssl = {ssl}
{oauth}passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = {implicit_tls}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

_OAUTH = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""


@dataclass(frozen=True, slots=True)
class DovecotAccount:
    """One user of a Dovecot, with INBOX, Junk (\\Junk) and Sent (\\Sent)."""

    server: Dovecot
    user: str
    password: str

    @contextmanager
    def connect(self) -> Iterator[IMAPClient]:
        """A client that is signed in, without TLS, times as the server gives them."""
        timeout = SocketTimeout(connect=5, read=20)
        with IMAPClient(HOST, self.server.port, ssl=False, use_uid=True, timeout=timeout) as client:
            client.normalise_times = False
            client.login(self.user, self.password)
            yield client

    def append(self, mailbox: str, octets: bytes, internal_date: datetime | None = None) -> int:
        """Puts one mail into `mailbox` by IMAP APPEND.

        Args:
            mailbox: a folder that exists.
            octets: RFC 5322 octets.
            internal_date: when it arrived, aware; now by default.

        Returns:
            Its UID (RFC 4315 APPENDUID).
        """
        with self.connect() as client:
            client.select_folder(mailbox, readonly=True)  # gives UIDs to what deliver_many dropped first
            answer: bytes = client.append(mailbox, octets, msg_time=internal_date)
        return int(answer.partition(b"APPENDUID ")[2].partition(b"]")[0].split()[1])

    def deliver_many(
        self, mails: Sequence[bytes], mailbox: str = "INBOX", internal_date: datetime | None = None
    ) -> None:
        """Drops mails into the Maildir past the server, some thousands a second, in order.

        Args:
            mails: RFC 5322 octets, kept as they are.
            mailbox: INBOX or an existing folder.
            internal_date: when they arrived; now by default.
        """
        if not (self._folder("INBOX") / "new").is_dir():
            with self.connect() as client:
                client.select_folder("INBOX", readonly=True)  # Dovecot makes its folders at the first visit
        folder = self._folder(mailbox)
        owner = pwd.getpwnam(self.server.mail_user)
        arrived_s = time.time() if internal_date is None else internal_date.timestamp()
        for octets, number in zip(mails, self.server.numbers, strict=False):
            # Dovecot gives UIDs in the order of these names.
            name = f"{int(time.time())}.M{number:09d}P{os.getpid()}.test,S={len(octets)}"
            (folder / "tmp" / name).write_bytes(octets)
            os.utime(folder / "tmp" / name, (arrived_s, arrived_s))
            if AS_ROOT:
                os.chown(folder / "tmp" / name, owner.pw_uid, owner.pw_gid)
            (folder / "tmp" / name).rename(folder / "new" / name)

    def change_uid_validity(self, mailbox: str = "INBOX") -> None:
        """Makes the server forget the UIDs of `mailbox`, as a restored backup or a moved server does.

        Nobody may have the mailbox selected meanwhile.
        """
        folder = self._folder(mailbox)
        for path in [folder / "dovecot-uidlist", *folder.glob("dovecot.index*")]:
            path.unlink(missing_ok=True)

    def _folder(self, mailbox: str) -> Path:
        root = self.server.folder / "mail" / self.user
        return root if mailbox.upper() == "INBOX" else root / f".{mailbox.replace('/', '.')}"


@dataclass
class Dovecot:
    """A Dovecot 2.3 that runs; any user name is an account, with the same password."""

    folder: Path
    program: str
    mail_user: str
    certificates: Certificates | None
    #: where access tokens are checked (an OAuth server's tokeninfo, to which the token is appended), and the SASL
    #: mechanisms that carry them
    tokeninfo_url: str = ""
    mechanisms: str = "xoauth2 oauthbearer"
    host: str = HOST
    password: str = "correct-horse-2"
    port: int = field(default_factory=free_port)
    #: IMAP over TLS; nobody listens there without certificates, which also bring STARTTLS on `port`
    tls_port: int = field(default_factory=free_port)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def ca_file(self) -> Path | None:
        """The authority that vouches for the server; None without TLS."""
        return self.certificates.ca_file if self.certificates else None

    def account(self, user: str) -> DovecotAccount:
        """The account of `user`, made at its first visit."""
        return DovecotAccount(self, user, self.password)

    def fresh_account(self) -> DovecotAccount:
        """An account that nobody has used."""
        return self.account(f"user{next(self.numbers)}")

    def start(self) -> None:
        """Listens, on the same ports and mails as before when it was stopped."""
        log = self.folder / "log"
        self._process = subprocess.Popen([self.program, "-F", "-c", str(self.folder / "dovecot.conf")])
        wait_until(lambda: listens(self.port), self._process, log)

    def stop(self) -> None:
        """Drops every connection, as an outage does; `start` brings it back."""
        if self._process is not None:
            stop_process(self._process, signal.SIGTERM)
            self._process = None

    def write_config(self) -> None:
        """Writes dovecot.conf into the folder."""
        me = getpass.getuser()
        tls = self.certificates
        text = _DOVECOT_CONFIG.format(
            folder=self.folder,
            internal_user="dovecot" if AS_ROOT else me,
            internal_group="dovecot" if AS_ROOT else _group(me),
            login_user="dovenull" if AS_ROOT else me,
            mail_user=self.mail_user,
            mail_group=_group(self.mail_user),
            password=self.password,
            port=self.port,
            ssl="yes" if tls else "no",
            mechanisms=self.mechanisms if self.tokeninfo_url else "",
            oauth=_OAUTH.format(folder=self.folder) if self.tokeninfo_url else "",
            tls_port=self.tls_port if tls else 0,
            implicit_tls="yes" if tls else "no",
        )
        if tls:
            text += f"ssl_cert = <{tls.cert_file}\nssl_key = <{tls.key_file}\n"
        (self.folder / "dovecot.conf").write_text(text)
        if self.tokeninfo_url:
            words = f"tokeninfo_url = {self.tokeninfo_url}\nusername_attribute = email\n"
            (self.folder / "oauth2.conf").write_text(words)


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


@contextmanager
def dovecot(
    *, tls: bool = False, tokeninfo_url: str = "", mechanisms: str = "xoauth2 oauthbearer"
) -> Iterator[Dovecot]:
    """A Dovecot for as long as the block runs.

    Args:
        tls: with IMAPS and STARTTLS under an authority of its own (`ca_file`).
        tokeninfo_url, mechanisms: with sign-in by OAuth, as in `Dovecot`.

    Raises:
        ServerMissing: it is not installed, or its version is not 2.3.
    """
    install = "apt-get install dovecot-imapd (version 2.3)"
    program = find_program("dovecot", install=install)
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    if not version.startswith("2.3."):
        raise ServerMissing(f"dovecot {version.strip()} reads another configuration: {install}")
    mail_user = "mail" if AS_ROOT else getpass.getuser()
    with temporary_folder("dovecot", mail_user) as folder:
        (folder / "mail").mkdir()
        if AS_ROOT:
            shutil.chown(folder / "mail", mail_user, _group(mail_user))
        server = Dovecot(
            folder, program, mail_user, make_certificates(folder) if tls else None, tokeninfo_url, mechanisms
        )
        server.write_config()
        try:
            server.start()
            yield server
        finally:
            server.stop()


# ------------------------------------------------------------------------------------------------ PostgreSQL


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A PostgreSQL that runs, reached over a socket in its folder and over TCP."""

    folder: Path
    port: int
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of `database`, with psycopg as the driver."""
        return f"postgresql+psycopg://postgres@{HOST}:{self.port}/{database}"

    def fresh_database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"test{next(self.numbers)}"
        with psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL for as long as the block runs; careless with its files, because they are thrown away.

    Raises:
        ServerMissing: it is not installed.
    """
    install = "apt-get install postgresql"
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -_number(path.parent.name))
    initdb = find_program("initdb", *newest_first, install=install)
    program = find_program("postgres", *newest_first, install=install)
    # PostgreSQL refuses to run as root.
    owner = "postgres" if AS_ROOT else None
    with temporary_folder("postgresql", owner or getpass.getuser()) as folder:
        data, log = folder / "data", folder / "log"
        make = [initdb, "--pgdata", str(data), "--username=postgres", "--auth=trust", "--encoding=UTF8"]
        made = subprocess.run(
            [*make, "--locale=C", "--no-sync"], user=owner, group=owner, cwd=folder, capture_output=True
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stderr.decode(errors='replace')}")
        server = Postgresql(folder, free_port())
        settings = {
            "listen_addresses": HOST,
            "port": server.port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "-D", str(data), *options],
                user=owner,
                group=owner,
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: _answers(server), process, log)
            yield server
        finally:
            stop_process(process, signal.SIGINT)  # fast shutdown: open connections are dropped


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0


def _answers(server: Postgresql) -> bool:
    """It listens before it takes connections, so a connection is the only proof."""
    import psycopg

    try:
        psycopg.connect(server.url().replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
