"""Hands mail to an SMTP server; the only importer of smtplib. Every answer of the server becomes one of our errors."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager

from mailbot import network, oauth
from mailbot.config import Account, password
from mailbot.errors import DeliveryDeferred, DeliveryRejected, SignInRefused, SignInUnavailable
from mailbot.model import Outgoing


class SmtpSession:
    """One signed-in connection to an account's SMTP server. Use `SmtpSession.open`."""

    def __init__(self, client: smtplib.SMTP, account: Account) -> None:
        self._client = client
        self._account = account

    @classmethod
    @contextmanager
    def open(cls, account: Account) -> Iterator[SmtpSession]:
        """Connects and signs in; says QUIT at the end of the block.

        Raises:
            DeliveryDeferred: no connection, no trusted TLS, or no answer within `timeout_s`.
            SignInRefused: the server refused the user name or password.
            ConfigError: the password is not where the configuration says.
        """
        server = account.smtp
        by_oauth = account.oauth is not None and server.username != "" and not server.has_password
        secret = password(server) if server.username and not by_oauth else ""
        with _translated(account):
            client = _connect(account)
            client.ehlo_or_helo_if_needed()
        try:
            if server.username:
                with _translated(account):
                    if by_oauth:
                        _sign_in_by_oauth(client, account)
                    else:
                        _sign_in(client, account, secret)
            yield cls(client, account)
        finally:
            try:
                client.quit()
            except (smtplib.SMTPException, OSError):
                client.close()

    def send(self, mail: Outgoing) -> None:
        """Sends one mail to its one recipient; returns when the server has taken it (250).

        Raises:
            DeliveryDeferred: the server said 4yz, broke off, or was silent: it may be sent again.
            DeliveryRejected: the server said 5yz.
        """
        limit = self._client.esmtp_features.get("size", "").strip()
        if limit.isdecimal() and 0 < int(limit) < len(mail.octets):
            # RFC 1870 section 6.3: what it would refuse need not be sent; 0 is no limit.
            raise DeliveryRejected(
                f"{self._account.smtp.host} takes at most {int(limit):,} octets, this mail has {len(mail.octets):,}"
            )
        options = []
        if not (mail.to + mail.envelope_from).isascii():
            if not self._client.has_extn("smtputf8"):
                raise DeliveryRejected(
                    f"{self._account.smtp.host} cannot send to an address with such letters (no SMTPUTF8)"
                )
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        try:
            self._client.sendmail(mail.envelope_from, [mail.to], mail.octets, mail_options=options)
        except smtplib.SMTPRecipientsRefused as problem:
            code, words = next(iter(problem.recipients.values()))
            raise _answer(code, words) from problem
        except smtplib.SMTPResponseException as problem:
            raise _answer(problem.smtp_code, problem.smtp_error) from problem
        except (smtplib.SMTPException, OSError) as problem:
            raise DeliveryDeferred(f"{self._account.smtp.host}: the connection broke off ({problem})") from problem

    def alive(self) -> bool:
        """Whether the connection can be used for a further mail."""
        return self._client.sock is not None


def _connect(account: Account) -> smtplib.SMTP:
    server = account.smtp
    context = network.tls_context(server)
    # The account's domain, not this machine's name: that is nobody's business, and looking it up can hang.
    own_name = account.address.rpartition("@")[2]
    if server.security == "tls":
        return smtplib.SMTP_SSL(
            server.host, server.port, local_hostname=own_name, timeout=server.timeout_s, context=context
        )
    client = smtplib.SMTP(server.host, server.port, local_hostname=own_name, timeout=server.timeout_s)
    if server.security == "starttls":
        try:
            # Raises when the server does not offer it: clear text is never the fallback.
            client.starttls(context=context)
        except BaseException:
            client.close()
            raise
    return client


def _sign_in(client: smtplib.SMTP, account: Account, secret: str) -> None:
    try:
        client.login(account.smtp.username, secret)
    except smtplib.SMTPAuthenticationError as problem:
        words = _refusal(problem, account)
        raise SignInRefused(
            f"account {account.name}: {account.smtp.host} refused the user name {account.smtp.username!r} or its "
            f"password ({words}); correct account.smtp.username or the password"
        ) from problem


def _refusal(problem: smtplib.SMTPAuthenticationError, account: Account) -> str:
    """The server's words for a sign-in that it refuses for good.

    Raises:
        DeliveryDeferred: it does so only at present (4yz).
    """
    words = _text(problem.smtp_error)
    if 400 <= problem.smtp_code < 500:
        raise DeliveryDeferred(f"{account.smtp.host} takes no sign-in at present ({words})") from problem
    return words


def _sign_in_by_oauth(client: smtplib.SMTP, account: Account) -> None:
    offered = client.esmtp_features.get("auth", "").upper().split()
    mechanism = next((each for each in oauth.MECHANISMS if each in offered), None)
    if mechanism is None:
        raise SignInRefused(
            f"account {account.name}: {account.smtp.host} offers no sign-in by OAuth; use a password, or correct "
            "account.smtp.host or account.smtp.security"
        )
    for attempt in (1, 2):
        try:
            # A token that has not ended may be refused all the same: it was revoked, or a clock is wrong.
            token = oauth.access_token(account, renew=attempt == 2)
            client.auth(mechanism, oauth.sasl(mechanism, account.smtp.username, token))  # type: ignore[arg-type]
        except smtplib.SMTPAuthenticationError as problem:
            words = _refusal(problem, account)
            if attempt == 2:
                raise SignInRefused(
                    f"account {account.name}: {account.smtp.host} refused the token for {account.smtp.username!r} "
                    f"({words}); correct account.smtp.username, or run `mailbot login {account.name}`"
                ) from problem
        except SignInUnavailable as problem:
            raise DeliveryDeferred(str(problem)) from problem
        else:
            return


def _answer(code: int, words: bytes | str) -> DeliveryDeferred | DeliveryRejected:
    said = f"{code} {_text(words)}"
    return DeliveryRejected(said) if 500 <= code < 600 else DeliveryDeferred(said)


def _text(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:500]


@contextmanager
def _translated(account: Account) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPNotSupportedError as problem:
        raise DeliveryDeferred(
            f"account {account.name}: {account.smtp.host}: {problem} check account.smtp.security"
        ) from problem
    except smtplib.SMTPResponseException as problem:
        said = f"{problem.smtp_code} {_text(problem.smtp_error)}"
        raise DeliveryDeferred(f"account {account.name}: {account.smtp.host} is not ready: {said}") from problem
    except (smtplib.SMTPException, OSError) as problem:
        raise DeliveryDeferred(network.sentence(problem, account, account.smtp)) from problem
