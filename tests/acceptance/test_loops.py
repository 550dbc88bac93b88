"""Loops, over real IMAP and SMTP: whatever answers our answers, at most one goes to each correspondent, and it ends.

The post office takes what a mailbot hands to its SMTP server and puts it where it belongs: into the other mailbot's
mailbox, or to a correspondent that writes back. It goes round until nobody has anything left to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from itertools import count

import pytest

from mailbot.demo.servers import SunkMail
from mailbot.model import Decision
from tests.acceptance.deployment import ADDRESS, COORDINATOR, parsed
from tests.acceptance.mailbots import Mailbot, says

OTHER = "pledges@leeds.example"
#: more rounds than any loop here may take
_ROUNDS = 60

#: a correspondent: what it writes back to a mail of ours, as octets for the mailbox of whom it answers
Correspondent = Callable[[SunkMail], list[bytes]]


@dataclass
class Simulation:
    """Mailbots and correspondents, and the post between them."""

    mailbots: list[Mailbot]
    correspondents: dict[str, Correspondent] = field(default_factory=dict)
    #: takes what a relay on the way would take from a mail
    relay: Callable[[bytes], bytes] = bytes

    def run(self) -> int:
        """Goes round until it is quiet; how many rounds that took.

        Raises:
            AssertionError: it does not end.
        """
        for number in range(_ROUNDS):
            posted = [(mailbot, mail) for mailbot in self.mailbots for mail in mailbot.once()]
            if not posted and number:
                return number
            for mailbot, mail in posted:
                self._deliver(mailbot, mail)
        raise AssertionError(f"still not quiet after {_ROUNDS} rounds")

    def _deliver(self, sender: Mailbot, mail: SunkMail) -> None:
        for recipient in mail.recipients:
            for mailbot in self.mailbots:
                if recipient == mailbot.address:
                    mailbot.receive(_trace(mail) + self.relay(mail.octets))
            for domain, answers in self.correspondents.items():
                if recipient.endswith(domain):
                    for octets in answers(mail):
                        sender.receive(octets)


def _trace(mail: SunkMail) -> bytes:
    return f"Return-Path: <{mail.envelope_from}>\r\nDelivered-To: {mail.recipients[0]}\r\n".encode()


def without(*names: str) -> Callable[[bytes], bytes]:
    """A relay that takes these headers away."""

    def strip(octets: bytes) -> bytes:
        mail = message_from_bytes(octets, policy=policy.SMTP)
        for name in names:
            del mail[name]
        return mail.as_bytes()

    return strip


PLEDGE = "We will take on two apprentices from Ladywood in our kitchen this autumn. It is settled."


@pytest.mark.parametrize("relay", [bytes, without("Auto-Submitted", "X-Auto-Response-Suppress", "X-Mailbot-Reference")])
def test_two_mailbots_facing_each_other(start: Callable[..., Mailbot], relay: Callable[[bytes], bytes]) -> None:
    one, two = start(), start(OTHER)
    one.receive(says(OTHER, "Apprentices", PLEDGE))
    two.receive(says(ADDRESS, "Apprentices", PLEDGE, To=OTHER))
    Simulation([one, two], relay=relay).run()
    assert one.acknowledged == Counter({OTHER: 1})
    assert two.acknowledged == Counter({ADDRESS: 1})


@pytest.mark.parametrize(
    ("domain", "keeps_thread", "most"),
    [("auto.example", True, 1), ("auto.example", False, 20), ("", False, 30)],
    ids=["one domain, same thread", "one domain, no thread", "any domain, no thread"],
)
def test_an_autoresponder_with_a_new_address_each_time(
    start: Callable[..., Mailbot], domain: str, keeps_thread: bool, most: int
) -> None:
    """It answers everything, says so nowhere, and sounds like a person who pledges something."""
    mailbot = start(per_hour=30)
    numbers = count(1)

    def answer(mail: SunkMail) -> list[bytes]:
        number = next(numbers)
        thread = {"In_Reply_To": str(parsed(mail)["Message-ID"])} if keeps_thread else {}
        sender = f"person{number}@{domain or f'firm{number}.example'}"
        return [
            says(
                sender,
                f"Apprentices {number}",
                f"{PLEDGE} Number {number}.",
                Message_ID=f"<{number}@x.example>",
                **thread,
            )
        ]

    mailbot.receive(says("first@auto.example", "Apprentices", PLEDGE))
    Simulation([mailbot], {".example": answer}).run()
    assert set(mailbot.acknowledged.values()) == {1}
    assert mailbot.acknowledged.total() <= most
    held = [record for record in mailbot.records if record.acknowledgement.decision is Decision.HOLD]
    assert held
    assert all(record.acknowledgement.guard == 13 for record in held)
    assert mailbot.alerts == (0 if domain else 1)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_list_that_echoes(start: Callable[..., Mailbot], says_so: bool) -> None:
    """It posts our own answers to us, under its own address, with or without the headers of a list."""
    mailbot = start()
    numbers = count(1)

    def echo(mail: SunkMail) -> list[bytes]:
        text = parsed(mail).get_body(("plain",)).get_content()  # type: ignore[union-attr]
        more = {"List_Id": "<talk.list.example>"} if says_so else {}
        number = next(numbers)
        return [
            says(
                "talk@list.example",
                f"[talk] {parsed(mail)['Subject']}",
                text,
                Message_ID=f"<e{number}@list.example>",
                **more,
            )
        ]

    mailbot.receive(says("talk@list.example", "Apprentices", PLEDGE))
    Simulation([mailbot], {"list.example": echo}).run()
    assert mailbot.acknowledged == Counter({"talk@list.example": 1})


def test_a_server_that_bounces_every_answer(start: Callable[..., Mailbot]) -> None:
    """The circuit breaker trips on the fourth: three came back within the hour."""
    mailbot = start()
    numbers = count(1)

    def bounce(mail: SunkMail) -> list[bytes]:
        number = next(numbers)
        report = (
            f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: {mail.envelope_from}\r\n"
            f"Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <b{number}@mx.example>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            "--b\r\n\r\nI could not deliver it.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            "Reporting-MTA: dns; mx.example\r\n\r\n"
            f"Final-Recipient: rfc822; {mail.recipients[0]}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n\r\n--b--\r\n"
        )
        return [report.encode()]

    simulation = Simulation([mailbot], {".example": bounce})
    for number in range(1, 8):
        mailbot.receive(says(f"p{number}@firm{number}.example", f"Apprentices {number}", f"{PLEDGE} {number}"))
        simulation.run()
    assert mailbot.acknowledged == Counter({f"p{number}@firm{number}.example": 1 for number in (1, 2, 3)})
    assert mailbot.alerts == 1
    people = [record for record in mailbot.records if record.contributions]
    assert [record.reply_state for record in people] == ["bounced"] * 3 + ["held"] * 4
    assert people[0].reply_error.endswith("550 5.1.1 nobody here")
    assert "3 answers came back" in people[3].acknowledgement.reason
    reports = [record for record in mailbot.records if not record.contributions and record.acknowledgement.guard == 1]
    assert [record.acknowledgement.reason.split("; it reports on ")[1][:18] for record in reports] == [
        *["the answer to BSEC"] * 3,
        "the alert",
    ]


@pytest.mark.parametrize("sender", [COORDINATOR, ADDRESS, ADDRESS.replace("@", "+x@"), COORDINATOR.upper()])
def test_a_sender_who_forges_the_coordinator(start: Callable[..., Mailbot], sender: str) -> None:
    mailbot = start()
    for number in range(3):
        mailbot.receive(says(sender, f"Apprentices {number}", f"{PLEDGE} {number}", Return_Path="forger@x.example"))
    Simulation([mailbot]).run()
    assert mailbot.acknowledged == Counter()
    assert len(mailbot.records) == 3
