"""Certificates for servers in tests, made by the openssl command."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import HOST, find_program


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """An authority of our own and a server's certificate for localhost and 127.0.0.1, as PEM files."""

    ca_file: Path
    cert_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server needs, such as `SmtpSink(tls=...)`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client needs that trusts only this authority."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def make_certificates(folder: Path) -> Certificates:
    """Makes an authority and a server certificate that are valid for two days.

    Raises:
        ServerMissing: the openssl command (3.0 or later) is not installed.
    """
    openssl = find_program("openssl", install="apt-get install openssl")
    made = Certificates(ca_file=folder / "ca.pem", cert_file=folder / "server.pem", key_file=folder / "server.key")
    new = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    new += ["-days", "2", "-addext", "subjectKeyIdentifier=hash"]
    authority = ["-subj", "/CN=mailbot test authority", "-keyout", str(folder / "ca.key")]
    authority += ["-out", str(made.ca_file), "-addext", "keyUsage=critical,keyCertSign"]
    server = ["-subj", "/CN=localhost", "-keyout", str(made.key_file), "-out", str(made.cert_file)]
    server += ["-CA", str(made.ca_file), "-CAkey", str(folder / "ca.key")]
    server += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "authorityKeyIdentifier=keyid"]
    server += ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}"]
    for options in (authority, server):
        subprocess.run([*new, *options], check=True, capture_output=True)
    return made
