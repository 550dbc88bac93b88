"""What `mailbot login` does: leads a person through the grant of an account, and proves that both servers take it.

Owns the words on the terminal. Must not know how a token is had or kept (oauth does).
"""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator

from rich.console import Console

from mailbot import oauth
from mailbot.config import Account, Config
from mailbot.errors import ConfigError
from mailbot.intake import ImapSession
from mailbot.replying.smtp import SmtpSession


def choose(config: Config, name: str | None) -> Account:
    """The account to sign in to.

    Raises:
        ConfigError: there is none of this name, none that uses OAuth, or several.
    """
    by_oauth = [account for account in config.account if account.oauth is not None]
    if name is not None:
        by_oauth = [account for account in by_oauth if account.name == name]
        if not by_oauth:
            known = ", ".join(account.name for account in config.account)
            raise ConfigError([f"{name}: no account of this name has a section oauth (accounts: {known})"])
    if not by_oauth:
        raise ConfigError(["no account has a section oauth; docs/deploying.md shows one"])
    if len(by_oauth) > 1:
        names = ", ".join(account.name for account in by_oauth)
        raise ConfigError([f"which account? `mailbot login NAME`, with one of {names}"])
    return by_oauth[0]


def sign_in(account: Account, out: Console, *, open_browser: bool) -> None:
    """Gets a token and keeps it; asks a person where the grant needs one.

    Args:
        account: with `oauth`.
        out: where it says what to do.
        open_browser: open the browser on this machine.

    Raises:
        SignInRefused, SignInUnavailable, ConfigError: as `oauth.access_token`.
    """
    match account.oauth and account.oauth.flow:
        case "client_credentials":
            oauth.access_token(account, renew=True)
        case "device":
            code = oauth.begin_device_flow(account)
            _say(out, f"Open {code.verification_uri} on any device, and type the code {code.user_code}")
            _say(out, f"Sign in there as {account.imap.username}. Waiting until you have agreed (Ctrl-C gives up) ...")
            if open_browser and code.verification_uri_complete:
                webbrowser.open(code.verification_uri_complete)
            oauth.finish_device_flow(account, code)
        case _:
            _in_browser(account, out, open_browser=open_browser)
    _say(out, f"Signed in; the token of {account.name} is kept.")


def _in_browser(account: Account, out: Console, *, open_browser: bool) -> None:
    with oauth.browser_flow(account) as flow:
        _say(out, f"Open this address, sign in as {account.imap.username}, and agree:")
        _say(out, flow.url)
        if open_browser and webbrowser.open(flow.url):
            _say(out, "Waiting until you have agreed (Ctrl-C gives up) ...")
            flow.wait()
            return
        _say(out, "The browser then ends at a page that may not open. Paste its whole address here:")
        flow.finish(input())


def prove(account: Account) -> Iterator[str]:
    """Signs in to both servers; a sentence for each.

    Raises:
        MailboxUnavailable, DeliveryDeferred, SignInRefused: a server does not take it.
    """
    with ImapSession.open(account):
        yield f"{account.imap.host} takes it: mail can be read."
    if account.smtp.username and not account.smtp.has_password:
        with SmtpSession.open(account):
            yield f"{account.smtp.host} takes it: mail can be sent."


def _say(out: Console, words: str) -> None:
    out.print(words, highlight=False, markup=False, soft_wrap=True)
