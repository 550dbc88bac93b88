"""What every connection to a server shares: verified TLS, and one clear sentence when it fails."""

from __future__ import annotations

import socket
import ssl

from mailbot.config import Account, Imap, Smtp


def tls_context(server: Imap | Smtp) -> ssl.SSLContext:
    """A context that verifies certificate and host name, against `ca_file` or the system's authorities.

    Raises:
        OSError: `ca_file` cannot be read.
    """
    return ssl.create_default_context(cafile=server.ca_file or None)


def sentence(problem: Exception, account: Account, server: Imap | Smtp) -> str:
    """What went wrong with the connection, and which key of the configuration to look at."""
    section = "account.imap" if isinstance(server, Imap) else "account.smtp"
    where = f"account {account.name}: {server.host}:{server.port}"
    match problem:
        case ssl.SSLCertVerificationError():
            return (
                f"{where}: its TLS certificate is refused ({problem.verify_message}); correct {section}.host, "
                f"or name your own authority's file in {section}.ca_file"
            )
        case ssl.SSLError():
            return f"{where}: TLS failed ({problem.reason or problem}); check {section}.port and {section}.security"
        case socket.gaierror():
            return f"{where}: the host name is not found ({problem.strerror}); correct {section}.host"
        case TimeoutError():
            return f"{where}: no answer within {server.timeout_s:g} s; check {section}.host and {section}.port"
        case ConnectionRefusedError():
            return f"{where}: the connection is refused; check {section}.host and {section}.port"
        case FileNotFoundError() | PermissionError() if server.ca_file:
            return f"{where}: cannot read {section}.ca_file {server.ca_file!r}; correct it"
        case _:
            return f"{where}: the connection broke off ({problem})"
