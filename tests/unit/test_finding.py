"""Where an address's servers are: by provider, by MX, by SRV, by trying; the DNS is a real one on the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import dns.message
import dns.resolver
import dns.rrset
import pytest

from mailbot.finding import find_servers

Zone = dict[tuple[str, str], list[str]]


@pytest.fixture
def resolver_for() -> Iterator[Callable[[Zone], dns.resolver.Resolver]]:
    """Answers for a zone over UDP."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    zone: Zone = {}

    def serve() -> None:
        while True:
            try:
                octets, client = server.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(octets)
            if not query.question:
                return
            (asked,) = query.question
            answer = dns.message.make_response(query)
            kind = "MX" if asked.rdtype == dns.rdatatype.MX else "SRV"
            if values := zone.get((str(asked.name).rstrip("."), kind)):
                answer.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", kind, values))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            server.sendto(answer.to_wire(), client)

    thread = threading.Thread(target=serve)
    thread.start()

    def make(records: Zone) -> dns.resolver.Resolver:
        zone.update(records)
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
        return resolver

    yield make
    # A question without a question ends it.
    server.sendto(dns.message.Message().to_wire(), server.getsockname())
    thread.join()
    server.close()


def nobody(_host: str, _port: int, _by_tls: bool) -> bool:
    return False


def test_a_provider_is_known_by_its_domain_without_any_question() -> None:
    found = find_servers("Sarah@GMAIL.com", answers=nobody)
    assert found is not None
    assert (found.imap_host, found.smtp_host, found.oauth) == ("imap.gmail.com", "smtp.gmail.com", "google")


@pytest.mark.parametrize(
    ("exchange", "imap", "oauth"),
    [
        ("1 aspmx.l.google.com.", "imap.gmail.com", "google"),
        ("0 bsec-example.mail.protection.outlook.com.", "outlook.office365.com", "microsoft"),
        ("10 in1-smtp.messagingengine.com.", "imap.fastmail.com", ""),
    ],
)
def test_a_domain_of_ones_own_is_known_by_who_takes_its_mail(
    resolver_for: Callable[[Zone], dns.resolver.Resolver], exchange: str, imap: str, oauth: str
) -> None:
    found = find_servers("a@bsec.example", resolver=resolver_for({("bsec.example", "MX"): [exchange]}), answers=nobody)
    assert found is not None and (found.imap_host, found.oauth) == (imap, oauth)
    assert "takes the mail of bsec.example" in found.how


def test_what_a_domain_publishes(resolver_for: Callable[[Zone], dns.resolver.Resolver]) -> None:
    zone = {
        ("bsec.example", "MX"): ["10 mx.google.com.evil.example."],
        ("_imaps._tcp.bsec.example", "SRV"): ["20 0 993 second.example.", "10 1 1993 first.example."],
        ("_submissions._tcp.bsec.example", "SRV"): ["0 0 0 ."],
        ("_submission._tcp.bsec.example", "SRV"): ["0 0 587 out.bsec.example."],
    }
    found = find_servers("a@bsec.example", resolver=resolver_for(zone), answers=nobody)
    assert found is not None
    assert (found.imap_host, found.imap_port, found.imap_security) == ("first.example", 1993, "tls")
    assert (found.smtp_host, found.smtp_port, found.smtp_security) == ("out.bsec.example", 587, "starttls")


def test_usual_names_count_only_when_something_answers(resolver_for: Callable[[Zone], dns.resolver.Resolver]) -> None:
    there = {("mail.bsec.example", 993, True), ("mail.bsec.example", 465, True)}
    resolver = resolver_for({})
    found = find_servers("a@bsec.example", resolver=resolver, answers=lambda *place: place in there)
    assert found is not None
    assert (found.imap_host, found.smtp_host, found.smtp_port) == ("mail.bsec.example", "mail.bsec.example", 465)
    assert find_servers("a@bsec.example", resolver=resolver, answers=nobody) is None


def test_a_port_where_something_listens_is_tried_for_real() -> None:
    from mailbot.finding import _answers

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert _answers("127.0.0.1", port, False)
    assert not _answers("127.0.0.1", port, False)
