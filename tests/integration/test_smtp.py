"""Sending's contract over real SMTP: every way to connect, every answer of the server, and the outbox's rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailbot.config import Account, Imap, Smtp
from mailbot.demo.servers import SmtpSink
from mailbot.errors import DeliveryDeferred, DeliveryRejected, SignInRefused
from mailbot.model import Outgoing, OutgoingKind, OutgoingState, QueuedOutgoing
from mailbot.replying.outbox import AFTER_REFUSAL, deliver, wait_after
from mailbot.replying.smtp import SmtpSession
from tests.servers import Certificates, free_port

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
RETRY = timedelta(days=3)


def account_for(sink: SmtpSink, **changes: Any) -> Account:
    server: dict[str, Any] = {"host": "127.0.0.1", "port": sink.port, "security": "none", "timeout_s": 5}
    imap = Imap(host="127.0.0.1", security="none", username="u", password_env="UNUSED")
    return Account(name="a", address="sarah@bsec.example", imap=imap, smtp=Smtp(**(server | changes)))


def outgoing(number: int = 1, **changes: Any) -> Outgoing:
    values: dict[str, Any] = {
        "kind": OutgoingKind.ACKNOWLEDGEMENT,
        "purpose": f"acknowledgement:{number}",
        "state": OutgoingState.QUEUED,
        "message_id": f"<ack.{number}@bsec.example>",
        "account": "a",
        "envelope_from": "sarah+b.1@bsec.example",
        "to": f"amina{number}@haven.example",
        "octets": b"Message-ID: <ack.%d@bsec.example>\r\nSubject: hello\r\n\r\n.a line with a dot\r\n" % number,
        "template": "contribution",
    }
    return Outgoing(**(values | changes))


def queued(number: int = 1, *, attempts: int = 0, created_at: datetime = NOW, **changes: Any) -> QueuedOutgoing:
    return QueuedOutgoing(
        outgoing_id=number, attempts=attempts, created_at=created_at, outgoing=outgoing(number, **changes)
    )


@dataclass
class Ledger:
    """Keeps what is reported, in order."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)

    def sending(self, mail: QueuedOutgoing) -> bool:
        self.lines.append(("sending", mail.outgoing_id))
        return True

    def sent(self, mail: QueuedOutgoing) -> None:
        self.lines.append(("sent", mail.outgoing_id))

    def deferred(self, mail: QueuedOutgoing, *, reason: str, next_attempt_at: datetime) -> None:
        self.lines.append(("deferred", mail.outgoing_id, reason, next_attempt_at - NOW))

    def failed(self, mail: QueuedOutgoing, *, reason: str) -> None:
        self.lines.append(("failed", mail.outgoing_id, reason))


def send(sink: SmtpSink, mail: Outgoing, **changes: Any) -> None:
    with SmtpSession.open(account_for(sink, **changes)) as session:
        session.send(mail)


def delivered(sink: SmtpSink, *mails: QueuedOutgoing, **changes: Any) -> list[tuple[Any, ...]]:
    ledger = Ledger()
    deliver(mails, account_for(sink, **changes), ledger, retry=RETRY, now=lambda: NOW)
    return ledger.lines


def test_a_mail_arrives_as_it_is(smtp_sink: SmtpSink) -> None:
    send(smtp_sink, outgoing())
    (taken,) = smtp_sink.messages
    assert (taken.envelope_from, taken.recipients) == ("sarah+b.1@bsec.example", ("amina1@haven.example",))
    assert taken.octets == outgoing().octets


def test_the_null_path(smtp_sink: SmtpSink) -> None:
    send(smtp_sink, outgoing(envelope_from=""))
    assert smtp_sink.messages[0].envelope_from == ""


def test_an_address_beyond_ascii(smtp_sink: SmtpSink) -> None:
    send(smtp_sink, outgoing(to="zoë@bücher.example"))
    assert smtp_sink.messages[0].recipients == ("zoë@bücher.example",)


@pytest.fixture(params=["starttls", "tls"])
def secure(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[tuple[SmtpSink, str]]:
    with SmtpSink(
        tls=certificates.server_context(), implicit_tls=request.param == "tls", sign_in=("sarah", "secret")
    ) as sink:
        yield sink, request.param


def test_tls_and_sign_in(
    secure: tuple[SmtpSink, str], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, security = secure
    monkeypatch.setenv("SMTP_SECRET", "secret")
    options = {
        "host": "localhost",
        "security": security,
        "ca_file": str(certificates.ca_file),
        "username": "sarah",
        "password_env": "SMTP_SECRET",
    }
    send(sink, outgoing(), **options)
    assert (sink.messages[0].encrypted, sink.messages[0].username) == (True, "sarah")
    monkeypatch.setenv("SMTP_SECRET", "wrong")
    with pytest.raises(SignInRefused, match=r"correct account\.smtp\.username or the password"):
        send(sink, outgoing(), **options)


def test_an_unknown_authority_is_refused(secure: tuple[SmtpSink, str]) -> None:
    sink, security = secure
    with pytest.raises(DeliveryDeferred, match=r"certificate is refused.*account\.smtp\.ca_file"):
        send(sink, outgoing(), host="localhost", security=security)
    assert sink.messages == []


def test_clear_text_is_never_the_fallback(smtp_sink: SmtpSink) -> None:
    with pytest.raises(DeliveryDeferred, match=r"account\.smtp\.security"):
        send(smtp_sink, outgoing(), security="starttls")
    assert smtp_sink.messages == []


@pytest.mark.parametrize(
    ("answer", "error"), [("451 4.7.1 come back later", DeliveryDeferred), ("550 5.1.1 nobody here", DeliveryRejected)]
)
@pytest.mark.parametrize("at", ["recipient", "data"])
def test_the_servers_words_are_kept(answer: str, error: type[Exception], at: str, smtp_sink: SmtpSink) -> None:
    if at == "recipient":
        smtp_sink.answer("amina1@haven.example", answer)
    else:
        smtp_sink.answer_data(answer)
    with pytest.raises(error, match=answer.replace(".", r"\.")):
        send(smtp_sink, outgoing())


def test_one_connection_for_a_batch_and_each_outcome_at_once(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer("amina2@haven.example", "550 5.1.1 nobody here")
    smtp_sink.answer("amina3@haven.example", "450 4.2.1 greylisted")
    lines = delivered(smtp_sink, queued(1), queued(2), queued(3, attempts=2), queued(4))
    assert lines == [
        ("sending", 1),
        ("sent", 1),
        ("sending", 2),
        ("failed", 2, "550 5.1.1 nobody here"),
        ("sending", 3),
        ("deferred", 3, "450 4.2.1 greylisted", timedelta(minutes=4)),
        ("sending", 4),
        ("sent", 4),
    ]


def test_a_lost_answer_is_tried_again_and_the_rest_goes_on(smtp_sink: SmtpSink) -> None:
    smtp_sink.drop_after_data()
    lines = delivered(smtp_sink, queued(1), queued(2))
    assert [line[:2] for line in lines] == [("sending", 1), ("deferred", 1), ("sending", 2), ("sent", 2)]
    # The first was taken all the same: it goes again under the same Message-ID, which is all that can be done.
    assert len(smtp_sink.messages) == 2


def test_a_server_that_is_down_gives_nothing_up(smtp_sink: SmtpSink) -> None:
    ledger = Ledger()
    nowhere = account_for(smtp_sink, port=free_port())
    with pytest.raises(DeliveryDeferred, match=r"refused; check account\.smtp\.host"):
        deliver([queued(1), queued(2)], nowhere, ledger, retry=RETRY, now=lambda: NOW)
    assert [(line[0], line[-1]) for line in ledger.lines] == [("deferred", timedelta(minutes=1))] * 2


def test_after_a_refused_sign_in_all_wait_an_hour(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    monkeypatch.setenv("SMTP_SECRET", "wrong")
    ledger = Ledger()
    with SmtpSink(tls=certificates.server_context(), sign_in=("sarah", "secret")) as sink:
        account = account_for(
            sink,
            host="localhost",
            security="starttls",
            ca_file=str(certificates.ca_file),
            username="sarah",
            password_env="SMTP_SECRET",
        )
        with pytest.raises(SignInRefused):
            deliver([queued(1)], account, ledger, retry=RETRY, now=lambda: NOW)
    assert [(line[0], line[-1]) for line in ledger.lines] == [("deferred", AFTER_REFUSAL)]


def test_what_is_too_old_is_given_up_but_never_a_digest(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer("amina1@haven.example", "451 later")
    old = NOW - RETRY
    assert delivered(smtp_sink, queued(1, created_at=old))[-1] == ("failed", 1, "given up after 3 days: 451 later")
    digest = queued(1, created_at=old, kind=OutgoingKind.DIGEST)
    assert delivered(smtp_sink, digest)[-1][:2] == ("deferred", 1)


def test_stopping_leaves_the_rest_in_the_queue(smtp_sink: SmtpSink) -> None:
    ledger = Ledger()
    deliver(
        [queued(1), queued(2)],
        account_for(smtp_sink),
        ledger,
        retry=RETRY,
        now=lambda: NOW,
        stopping=lambda: bool(ledger.lines),
    )
    assert ledger.lines == [("sending", 1), ("sent", 1)]


def test_waits_double_up_to_four_hours() -> None:
    waits = [wait_after(attempts) for attempts in range(1, 40)]
    assert waits[:4] == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 8)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=4)
