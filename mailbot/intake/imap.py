"""Reads mailboxes over IMAP; the only importer of imapclient. Changes nothing on the server: EXAMINE and BODY.PEEK."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from imaplib import IMAP4

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError

from mailbot import network, oauth
from mailbot.config import Account, Imap, password
from mailbot.errors import FetchRefused, MailboxMissing, MailboxUnavailable, SignInRefused, SignInUnavailable
from mailbot.intake.cursor import MailboxStatus, Start, start_of
from mailbot.model import Cursor, Landmark, Location, RawMail

#: UIDs asked for at once, so that no answer of the server exceeds imaplib's limit on a line (1,000,000 octets)
_UID_WINDOW = 50_000
#: sizes asked for at once
_SIZE_CHUNK = 500
#: seconds in IDLE at a time: servers end it after 30 minutes, routers and firewalls forget a silent connection earlier
_IDLE_S = 540.0
#: seconds between two looks at whether to stop
_IDLE_SLICE_S = 1.0
#: mails fetched at once, however small they are
_BATCH_COUNT = 100
#: words of imaplib when the connection is gone, and not the server's own
_BROKEN_OFF = ("socket error", "EOF", "unterminated", "timed out")
#: answers to LOGIN that say nothing about the password (RFC 5530)
_NOT_THE_PASSWORD = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]", "[CONTACTADMIN]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some mail, and the cursor that is right once it is saved."""

    mails: tuple[RawMail, ...]
    cursor: Cursor


class ImapSession:
    """One signed-in connection to an account's IMAP server. Use `ImapSession.open`."""

    def __init__(self, client: IMAPClient, account: Account) -> None:
        self._client = client
        self._account = account
        #: UIDNEXT of each mailbox when it was last read
        self._uid_next: dict[str, int] = {}

    @classmethod
    @contextmanager
    def open(cls, account: Account) -> Iterator[ImapSession]:
        """Connects and signs in; signs out at the end of the block.

        Raises:
            MailboxUnavailable: no connection, no trusted TLS, or no answer within `timeout_s`.
            SignInRefused: the server refused the user name, the password or the token, or nobody has signed in.
            ConfigError: the password is not where the configuration says.
        """
        by_oauth = account.oauth is not None and not account.imap.has_password
        secret = "" if by_oauth else password(account.imap)
        with _translated(account):
            client = _connect(account.imap)
            try:
                client.normalise_times = False
                if by_oauth:
                    _sign_in_by_oauth(client, account)
                else:
                    _sign_in(client, account, secret)
                yield cls(client, account)
            finally:
                # A clean LOGOUT where possible; on a broken connection just close the socket.
                try:
                    client.logout()
                except (OSError, IMAP4.error):
                    _close(client)

    def capabilities(self) -> tuple[str, ...]:
        """What the server can do (RFC 3501 section 7.2.1), upper case."""
        with _translated(self._account):
            return tuple(sorted(name.decode("ascii", "replace").upper() for name in self._client.capabilities()))

    def mailboxes(self) -> tuple[str, ...]:
        """The names of every mailbox (folder)."""
        with _translated(self._account):
            return tuple(sorted(str(name) for _, _, name in self._client.list_folders()))

    def junk(self) -> str | None:
        """The mailbox with the \\Junk attribute (RFC 6154), or, without attributes, one of a usual name."""
        with _translated(self._account):
            found = self._client.find_special_folder(b"\\Junk")
            return None if found is None else str(found)

    def examine(self, mailbox: str) -> MailboxStatus:
        """Opens a mailbox for reading only.

        Raises:
            MailboxMissing: there is no such mailbox.
            MailboxUnavailable: the server broke off.
        """
        with _translated(self._account):
            try:
                answer = self._client.select_folder(mailbox, readonly=True)
            except IMAPClientAbortError:
                raise
            except IMAPClientError as problem:
                if any(sign in str(problem) for sign in _NOT_THE_PASSWORD):
                    raise
                names = ", ".join(str(name) for _, _, name in self._client.list_folders())
                raise MailboxMissing(
                    f"account {self._account.name}: {self._account.imap.host} has no mailbox {mailbox!r}; "
                    f"correct account.mailboxes (there are: {names})"
                ) from problem
            # A server without UIDNEXT (RFC 3501 makes it optional) is asked for the highest UID instead.
            uid_next = answer.get(b"UIDNEXT") or max(self._client.search("ALL"), default=0) + 1
            return MailboxStatus(uid_validity=int(answer[b"UIDVALIDITY"]), uid_next=int(uid_next))

    def head_of(self, mailbox: str, message_id: str) -> bytes | None:
        """The headers of the mail with this Message-ID; None when the mailbox has none.

        Raises:
            MailboxMissing, MailboxUnavailable: as `examine`.
        """
        self.examine(mailbox)
        with _translated(self._account):
            uids = self._client.search(["HEADER", "Message-ID", message_id])
        return next(iter(self._heads(uids[-1:])), None)

    def recent_heads(self, mailbox: str, count: int) -> tuple[bytes, ...]:
        """The headers of the last mails in a mailbox.

        Raises:
            MailboxMissing, MailboxUnavailable: as `examine`.
        """
        status = self.examine(mailbox)
        return self._heads(self._uids(max(status.uid_next - count, 1), status)[-count:])

    def _heads(self, uids: Sequence[int]) -> tuple[bytes, ...]:
        with _translated(self._account):
            answer = self._client.fetch(uids, ["BODY.PEEK[HEADER]"]) if uids else {}
        return tuple(items.get(b"BODY[HEADER]", b"") for items in answer.values())

    @property
    def can_idle(self) -> bool:
        """The server tells of new mail by itself (RFC 2177)."""
        with _translated(self._account):
            return bool(self._client.has_capability("IDLE"))

    def idle(self, mailbox: str, seconds: float, stopping: Callable[[], bool]) -> None:
        """Waits until something new lies in a mailbox, or the time is over, or it is to stop.

        Args:
            mailbox: one that `receive` has just read.
            seconds: at most so long; bounded by what servers and the machines on the way bear.
            stopping: looked at every second.

        Raises:
            MailboxMissing, MailboxUnavailable: as `examine`.
        """
        if self.examine(mailbox).uid_next != self._uid_next.get(mailbox):
            return
        end = time.monotonic() + min(seconds, _IDLE_S)
        with _translated(self._account):
            self._client.idle()
            # What came with the server's word that it idles lies in a buffer already, where no waiting sees it.
            news = bool(self._client.idle_check(timeout=0))
            while not news and not stopping() and (left := end - time.monotonic()) > 0:
                # Only waits: imapclient's own idle_check fails when half a line has arrived.
                news = _readable(self._client.socket(), min(left, _IDLE_SLICE_S))
            # The server has `timeout_s` to answer: what is silent now has been silent for long.
            self._client.idle_done()

    def receive(
        self,
        mailbox: str,
        cursor: Cursor | None,
        *,
        since: datetime,
        read_older: bool = False,
        batch_octets: int,
        max_size_octets: int,
        one_by_one: bool = False,
        leave_out: int | None = None,
    ) -> Iterator[Batch]:
        """Fetches what is new in a mailbox, in batches, oldest first.

        Args:
            mailbox: the folder's name.
            cursor: how far it was read; None before the first time.
            since: where the work begins in a mailbox that was never read.
            read_older: begin at the mailbox's first mail all the same.
            batch_octets: bound on one batch, in octets as the server counts them.
            max_size_octets: of a larger mail only the beginning is fetched.
            one_by_one: a batch for each mail, so that one which the server does not give is found.
            leave_out: UID of a mail that the server does not give; it comes without octets. Only with `one_by_one`.

        Yields:
            Batches, each with the cursor to save with it; at least one when the cursor has to move.

        Raises:
            MailboxMissing, MailboxUnavailable: as `examine`.
            FetchRefused: the server does not give the mails of a batch.
        """
        status = self.examine(mailbox)
        self._uid_next[mailbox] = status.uid_next
        begin = cursor.since if cursor is not None else since
        start = start_of(cursor, status, self._seen_at(cursor.landmark if cursor is not None else None))
        if start is Start.CURSOR and cursor is not None:
            first, landmark = cursor.next_uid, cursor.landmark
        else:
            first, landmark = 1 if read_older else self._first_since(begin, status), None
        leave_older = start is not Start.CURSOR and not read_older
        uids = self._uids(first, status)
        in_junk = bool(uids) and mailbox == self.junk()

        def moved(next_uid: int) -> Cursor:
            return Cursor(
                account=self._account.name,
                mailbox=mailbox,
                uid_validity=status.uid_validity,
                next_uid=next_uid,
                since=begin,
                landmark=landmark,
            )

        for chunk in self._chunks(uids, batch_octets, max_size_octets, leave_out, one_by_one=one_by_one):
            location = (mailbox, status.uid_validity, in_junk)
            if leave_out in chunk:
                where = Location(
                    account=self._account.name, mailbox=mailbox, uid_validity=status.uid_validity, uid=leave_out
                )
                words = "the server does not give it; look at it in the mailbox"
                refused = RawMail(location=where, octets=b"", internal_date=datetime.now(UTC), refused=words)
                cursor = moved(leave_out + 1)
                yield Batch(mails=(refused,), cursor=cursor)
                continue
            fetched = tuple(self._fetch(chunk, location, max_size_octets))
            if fetched:
                last = fetched[-1]
                landmark = Landmark(
                    uid=last.location.uid, size_octets=chunk[last.location.uid], internal_date=last.internal_date
                )
            # Only here: an old mail that somebody moves into the mailbox later is meant to be read.
            mails = tuple(raw for raw in fetched if not leave_older or raw.internal_date >= begin)
            cursor = moved(max(chunk) + 1)
            yield Batch(mails=mails, cursor=cursor)
        if cursor != moved(status.uid_next):
            yield Batch(mails=(), cursor=moved(status.uid_next))

    def _seen_at(self, landmark: Landmark | None) -> Landmark | None:
        """The mail that lies under the landmark's UID now."""
        if landmark is None:
            return None
        with _translated(self._account):
            items = self._client.fetch([landmark.uid], ["RFC822.SIZE", "INTERNALDATE"]).get(landmark.uid, {})
        if b"RFC822.SIZE" not in items or not items.get(b"INTERNALDATE"):
            return None
        return Landmark(
            uid=landmark.uid,
            size_octets=int(items[b"RFC822.SIZE"]),
            internal_date=items[b"INTERNALDATE"].astimezone(UTC),
        )

    def _first_since(self, since: datetime, status: MailboxStatus) -> int:
        # SINCE compares days in the server's own zone: a day earlier is right everywhere, and what is too old is
        # told by its INTERNALDATE afterwards.
        with _translated(self._account):
            return min(self._client.search(["SINCE", since.date() - timedelta(days=1)]), default=status.uid_next)

    def _uids(self, first: int, status: MailboxStatus) -> list[int]:
        found: list[int] = []
        with _translated(self._account):
            for low in range(first, status.uid_next, _UID_WINDOW):
                high = low + _UID_WINDOW - 1
                answer = self._client.search(["UID", f"{low}:{high}"])
                # "n:*" and some servers' ranges always return the last mail, even below n.
                found += [uid for uid in answer if low <= uid <= high]
        return sorted(set(found))

    def _chunks(
        self, uids: Sequence[int], batch_octets: int, max_size_octets: int, leave_out: int | None, *, one_by_one: bool
    ) -> Iterator[dict[int, int]]:
        """UIDs with the sizes of their mails, in batches; a mail to be left out has a batch of its own."""
        at_once, count = (1, 1) if one_by_one else (_SIZE_CHUNK, _BATCH_COUNT)
        chunk: dict[int, int] = {}
        for start in range(0, len(uids), at_once):
            asked = uids[start : start + at_once]
            with self._refusals(asked):
                answer = self._client.fetch(asked, ["RFC822.SIZE"]) if asked != [leave_out] else {}
            for uid in asked:
                # A UID that vanished since SEARCH is no error: its mail was deleted or moved away.
                size = min(int(answer.get(uid, {}).get(b"RFC822.SIZE", 0)), max_size_octets)
                if chunk and (sum(chunk.values()) + size > batch_octets or len(chunk) >= count):
                    yield chunk
                    chunk = {}
                chunk[uid] = int(answer.get(uid, {}).get(b"RFC822.SIZE", 0))
        if chunk:
            yield chunk

    @contextmanager
    def _refusals(self, uids: Sequence[int]) -> Iterator[None]:
        """What the server itself says against giving these mails becomes FetchRefused."""
        with _translated(self._account):
            try:
                yield
            except IMAP4.error as problem:
                # imaplib tells of a broken connection by an error of the same kind.
                if any(sign in str(problem) for sign in _BROKEN_OFF):
                    raise
                words = f"account {self._account.name}: {self._account.imap.host} does not give a mail ({problem})"
                raise FetchRefused(words, uids) from problem

    def _fetch(self, sizes: dict[int, int], location: tuple[str, int, bool], max_size_octets: int) -> Iterator[RawMail]:
        mailbox, uid_validity, in_junk = location
        large = [uid for uid, size in sizes.items() if size > max_size_octets]
        whole = [uid for uid in sizes if uid not in large]
        with self._refusals(tuple(sizes)):
            answer = self._client.fetch(whole, ["BODY.PEEK[]", "INTERNALDATE"]) if whole else {}
            if large:
                answer.update(self._client.fetch(large, [f"BODY.PEEK[]<0.{max_size_octets}>", "INTERNALDATE"]))
        for uid in sizes:
            items = answer.get(uid, {})
            octets = items.get(b"BODY[]", items.get(b"BODY[]<0>"))
            if octets is None:
                continue
            internal_date = items.get(b"INTERNALDATE")
            yield RawMail(
                location=Location(account=self._account.name, mailbox=mailbox, uid_validity=uid_validity, uid=uid),
                octets=octets,
                internal_date=internal_date.astimezone(UTC) if internal_date else datetime.now(UTC),
                in_junk=in_junk,
                partial=uid in large,
            )


def _readable(connection: socket.socket, seconds: float) -> bool:
    """Whether something to read, or the end of the connection, comes within so many seconds."""
    if isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _connect(server: Imap) -> IMAPClient:
    timeout = SocketTimeout(connect=server.timeout_s, read=server.timeout_s)
    if server.security == "tls":
        context = network.tls_context(server)
        return IMAPClient(server.host, port=server.port, ssl=True, ssl_context=context, timeout=timeout)
    client = IMAPClient(server.host, port=server.port, ssl=False, timeout=timeout)
    if server.security == "starttls":
        try:
            client.starttls(network.tls_context(server))
        except BaseException:
            _close(client)
            raise
    return client


def _sign_in(client: IMAPClient, account: Account, secret: str) -> None:
    try:
        client.login(account.imap.username, secret)
    except LoginError as problem:
        _raise_broken(problem)
        words = str(problem)
        if any(sign in words for sign in _NOT_THE_PASSWORD):
            raise MailboxUnavailable(
                f"account {account.name}: {account.imap.host} takes no sign-in at present ({words})"
            ) from problem
        raise SignInRefused(
            f"account {account.name}: {account.imap.host} refused the user name {account.imap.username!r} or its "
            f"password ({words}); correct account.imap.username or the password"
        ) from problem


def _sign_in_by_oauth(client: IMAPClient, account: Account) -> None:
    offered = {name.decode("ascii", "replace").upper() for name in client.capabilities()}
    mechanism = next((each for each in oauth.MECHANISMS if f"AUTH={each}" in offered), None)
    if mechanism is None:
        raise SignInRefused(
            f"account {account.name}: {account.imap.host} offers no sign-in by OAuth; use a password, or correct "
            "account.imap.host"
        )
    for attempt in (1, 2):
        try:
            # A token that has not ended may be refused all the same: it was revoked, or a clock is wrong.
            token = oauth.access_token(account, renew=attempt == 2)
            client.sasl_login(mechanism, oauth.sasl(mechanism, account.imap.username, token))
        except LoginError as problem:
            _raise_broken(problem)
            words = str(problem)
            if any(sign in words for sign in _NOT_THE_PASSWORD):
                raise MailboxUnavailable(
                    f"account {account.name}: {account.imap.host} takes no sign-in at present ({words})"
                ) from problem
            if attempt == 2:
                raise SignInRefused(
                    f"account {account.name}: {account.imap.host} refused the token for "
                    f"{account.imap.username!r} ({words}); correct account.imap.username, or run "
                    f"`mailbot login {account.name}`"
                ) from problem
        except SignInUnavailable as problem:
            raise MailboxUnavailable(str(problem)) from problem
        else:
            return


def _raise_broken(problem: LoginError) -> None:
    """imapclient says LoginError also when the connection broke off meanwhile."""
    cause = problem.__context__
    if isinstance(cause, IMAPClientAbortError | OSError):
        raise cause from None


def _close(client: IMAPClient) -> None:
    try:
        client.shutdown()
    except (OSError, IMAP4.error):
        return


@contextmanager
def _translated(account: Account) -> Iterator[None]:
    try:
        yield
    except CapabilityError as problem:
        raise MailboxUnavailable(
            f"account {account.name}: {account.imap.host} cannot do what is asked ({problem}); "
            "check account.imap.security"
        ) from problem
    except (OSError, IMAP4.error) as problem:
        raise MailboxUnavailable(network.sentence(problem, account, account.imap)) from problem
