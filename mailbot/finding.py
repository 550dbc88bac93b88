"""Where the servers of a mail address are, as far as that can be found out: `mailbot init` proposes them.

In this order: the common providers by the address's domain, or by who takes its mail (MX); the names that the domain
publishes for mail programs (SRV); and the usual names, when something answers there.

Source:
    RFC 6186 (SRV for IMAP and submission), RFC 8314 (their TLS)
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dns.resolver import Resolver

#: seconds for one question to the DNS, and for one try at a server
_DNS_S, _TRY_S = 3.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The two servers of an address, and how they were found."""

    imap_host: str
    smtp_host: str
    imap_security: Literal["tls", "starttls"] = "tls"
    imap_port: int = 993
    smtp_security: Literal["tls", "starttls"] = "starttls"
    smtp_port: int = 587
    #: for people, such as "Gmail" or "published by example.org"
    how: str = ""
    #: the provider takes no passwords, or an app password only: its name for account.oauth
    oauth: Literal["microsoft", "google", ""] = ""


_GOOGLE = Servers(imap_host="imap.gmail.com", smtp_host="smtp.gmail.com", how="Gmail", oauth="google")
_MICROSOFT = Servers(
    imap_host="outlook.office365.com", smtp_host="smtp.office365.com", how="Microsoft 365", oauth="microsoft"
)
_ICLOUD = Servers(imap_host="imap.mail.me.com", smtp_host="smtp.mail.me.com", how="iCloud")
_FASTMAIL = Servers(imap_host="imap.fastmail.com", smtp_host="smtp.fastmail.com", how="Fastmail")
_YAHOO = Servers(imap_host="imap.mail.yahoo.com", smtp_host="smtp.mail.yahoo.com", how="Yahoo")
_ZOHO = Servers(imap_host="imap.zoho.eu", smtp_host="smtp.zoho.eu", how="Zoho")
_BT = Servers(
    imap_host="mail.btinternet.com", smtp_host="mail.btinternet.com", smtp_security="tls", smtp_port=465, how="BT"
)
_IONOS = Servers(imap_host="imap.ionos.co.uk", smtp_host="smtp.ionos.co.uk", how="IONOS")
_GMX = Servers(imap_host="imap.gmx.net", smtp_host="mail.gmx.net", how="GMX")

_BY_DOMAIN = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), _GOOGLE),
    **dict.fromkeys(("outlook.com", "hotmail.com", "hotmail.co.uk", "live.com", "live.co.uk", "msn.com"), _MICROSOFT),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), _ICLOUD),
    **dict.fromkeys(("fastmail.com", "fastmail.fm"), _FASTMAIL),
    **dict.fromkeys(("yahoo.com", "yahoo.co.uk", "ymail.com"), _YAHOO),
    **dict.fromkeys(("btinternet.com",), _BT),
    **dict.fromkeys(("gmx.net", "gmx.de", "gmx.com", "gmx.co.uk"), _GMX),
}
#: who takes the mail of a domain that is the customer's own
_BY_MX = {
    "google.com": _GOOGLE,
    "googlemail.com": _GOOGLE,
    "protection.outlook.com": _MICROSOFT,
    "mx.microsoft": _MICROSOFT,
    "messagingengine.com": _FASTMAIL,
    "icloud.com": _ICLOUD,
    "zoho.eu": _ZOHO,
    "ionos.co.uk": _IONOS,
}
_GUESSES = ("mail.{0}", "imap.{0}", "smtp.{0}", "{0}")

#: whether something answers at a host and port, by TLS at once or in clear text first
Try = Callable[[str, int, bool], bool]


def find_servers(address: str, *, resolver: Resolver | None = None, answers: Try | None = None) -> Servers | None:
    """The servers of an address; None when nothing is found out.

    Args:
        address: addr-spec.
        resolver: asks the DNS; the system's by default.
        answers: tries a server; by default over the network.
    """
    domain = address.rpartition("@")[2].lower()
    if known := _BY_DOMAIN.get(domain):
        return known
    if resolver is None:
        with suppress(Exception):  # a machine without any name server
            from dns.resolver import Resolver

            resolver = Resolver()
    if resolver is not None:
        resolver.lifetime = _DNS_S
        for exchange in _mail_exchanges(resolver, domain):
            for suffix, known in _BY_MX.items():
                if exchange == suffix or exchange.endswith(f".{suffix}"):
                    return replace(known, how=f"{known.how}, which takes the mail of {domain}")
        if published := _published(resolver, domain):
            return published
    return _guessed(domain, answers or _answers)


def _mail_exchanges(resolver: Resolver, domain: str) -> list[str]:
    with suppress(Exception):  # no such name, no answer, no network: then nothing is known
        return [str(each.exchange).rstrip(".").lower() for each in resolver.resolve(domain, "MX")]
    return []


def _service(resolver: Resolver, service: str, domain: str) -> tuple[str, int] | None:
    """The host and port that a domain publishes for a service; None when it has none."""
    with suppress(Exception):
        found = sorted(
            resolver.resolve(f"_{service}._tcp.{domain}", "SRV"), key=lambda each: (each.priority, -each.weight)
        )
        host = str(found[0].target).rstrip(".").lower()
        # RFC 6186 section 3.4: a target of "." says that there is no such service.
        return (host, int(found[0].port)) if host else None
    return None


def _published(resolver: Resolver, domain: str) -> Servers | None:
    imaps, imap = _service(resolver, "imaps", domain), _service(resolver, "imap", domain)
    submissions, submission = _service(resolver, "submissions", domain), _service(resolver, "submission", domain)
    incoming, outgoing = imaps or imap, submissions or submission
    if incoming is None or outgoing is None:
        return None
    return Servers(
        imap_host=incoming[0],
        imap_port=incoming[1],
        imap_security="tls" if imaps else "starttls",
        smtp_host=outgoing[0],
        smtp_port=outgoing[1],
        smtp_security="tls" if submissions else "starttls",
        how=f"published by {domain}",
    )


def _guessed(domain: str, answers: Try) -> Servers | None:
    hosts = [guess.format(domain) for guess in _GUESSES]
    imap = next((host for host in hosts if answers(host, 993, True)), None)
    if imap is None:
        return None
    for host in dict.fromkeys([imap, *hosts]):
        for port, by_tls in ((587, False), (465, True)):
            if answers(host, port, by_tls):
                return Servers(
                    imap_host=imap,
                    smtp_host=host,
                    smtp_port=port,
                    smtp_security="tls" if by_tls else "starttls",
                    how="usual names, and something answers there",
                )
    return None


def _answers(host: str, port: int, by_tls: bool) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_TRY_S) as connection:
            if not by_tls:
                return True
            with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
                return True
    except OSError:
        return False
