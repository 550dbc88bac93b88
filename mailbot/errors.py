"""The error tree. Foreign exceptions are translated into it in one place, the adapter.

::

    MailbotError
      ConfigError(problems)      the operator's mistake: no traceback, every problem at once, exit code 2
      TransientError             goes away by waiting: retried with back-off
        MailboxUnavailable         the IMAP server cannot be reached, or broke off
          FetchRefused               it does not give some mails that it has
        StoreUnavailable           the database cannot be reached, is locked, or its disk is full
        SignInUnavailable          the OAuth server cannot be asked for a token at present
        DeliveryDeferred           the SMTP server said 4yz, or could not be reached (RFC 5321 section 4.2.1)
      PermanentError             waiting does not help: parked and shown to the coordinator
        SignInRefused              the server refused the name or password; retrying could lock the account
        MailboxMissing             the server has no mailbox of the configured name
        UnreadableMail             no message can be made out of the bytes
        DeliveryRejected           the SMTP server said 5yz
        TemplateProblem            a template is missing or broken; names its file and line
        StoreProblem               the database refuses for good: no permission, not a database, wrong schema
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class MailbotError(Exception):
    """Root of every error that mailbot raises on purpose; `str()` is one sentence for people."""


class ConfigError(MailbotError):
    """What the operator wrote cannot be used.

    Args:
        problems: one sentence each, with the file, the key's path and the line where known.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


class TransientError(MailbotError):
    """Goes away by waiting; retried with back-off."""


class MailboxUnavailable(TransientError):
    """The IMAP server cannot be reached, refused TLS, or broke off."""


class FetchRefused(MailboxUnavailable):
    """The IMAP server does not give some mails that it has: it says no, or breaks off with an error of its own.

    Args:
        words: one sentence.
        uids: the mails that were asked for together.
    """

    def __init__(self, words: str, uids: Sequence[int]) -> None:
        super().__init__(words)
        self.uids = tuple(uids)


class StoreUnavailable(TransientError):
    """The database cannot be reached, is locked, or its disk is full."""


class DeliveryDeferred(TransientError):
    """The SMTP server answered 4yz or could not be reached."""


class SignInUnavailable(TransientError):
    """The OAuth server cannot be asked, or is busy."""


class PermanentError(MailbotError):
    """Waiting does not help; what failed is parked and shown."""


class SignInRefused(PermanentError):
    """The server refused the user name or password."""


class MailboxMissing(PermanentError):
    """The server has no mailbox (folder) of the configured name."""


class UnreadableMail(PermanentError):
    """No message can be made out of the bytes."""


class DeliveryRejected(PermanentError):
    """The SMTP server answered 5yz; `str()` carries its own words."""


class TemplateProblem(PermanentError):
    """A template is missing or broken; the message names its file and line."""


class StoreProblem(PermanentError):
    """The database refuses for good: unwritable file, not a database, unknown schema."""
