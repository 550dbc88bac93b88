"""Whatever a stranger writes, from octets to our answer: no header, recipient or markup of theirs gets into ours."""

from __future__ import annotations

import email
from dataclasses import replace
from email import policy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailbot.errors import UnreadableMail
from mailbot.model import Classification, Decision, History, Message
from mailbot.reading import read
from mailbot.replying.compose import compose
from mailbot.screening import Policy, acknowledge, screen
from tests.unit.factories import NOW, OUR_ADDRESS, make_classification, make_contribution
from tests.unit.mail_factories import CAMPAIGN, COORDINATOR, SENDER, shipped_templates
from tests.unit.test_compose import Page, parts
from tests.unit.test_rendering import HOSTILE

TEMPLATES = shipped_templates()
POLICY = Policy(
    own_addresses=frozenset({OUR_ADDRESS}),
    coordinator=COORDINATOR.addr_spec,
    authserv_ids={"main": "mx.brumcity.example"},
)
#: what an acknowledgement's headers are, always and sometimes
ALWAYS = [
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Mailbot-Reference",
    "MIME-Version",
    "Content-Type",
]
SOMETIMES = {"In-Reply-To", "References"}

ADDRESSES = st.one_of(
    st.sampled_from(
        [
            "amina@haven.example",
            "<amina@haven.example>",
            "Amina <amina@haven.example>",
            '"x@evil.example" <amina@haven.example>',
            "amina@haven.example, victim@evil.example",
            "a@haven.example>\r\n <b@evil.example",
            "=?utf-8?q?=0D=0ABcc=3A_victim=40evil.example?= <amina@haven.example>",
            "amina@haven.example\r\nBcc: victim@evil.example",
            "Group: a@evil.example, b@evil.example;",
            "<>",
        ]
    ),
    HOSTILE.map(lambda text: f"{text} <amina@haven.example>"),
    HOSTILE.map(lambda text: f"<{text}@haven.example>"),
)
IDS = st.one_of(st.just("<m1@haven.example>"), HOSTILE.map(lambda text: f"<{text}@haven.example>"), HOSTILE)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["From", "Reply-To", "Return-Path", "Sender", "Resent-To"]), ADDRESSES),
        st.tuples(st.sampled_from(["Message-ID", "In-Reply-To", "References"]), IDS),
        st.tuples(st.sampled_from(["Subject", "Content-Type", "X-Anything", "Disposition-Notification-To"]), HOSTILE),
    ),
    max_size=8,
)
MARKUP = st.one_of(
    HOSTILE,
    st.sampled_from(
        [
            "<img src=x onerror=alert(1)>",
            "</td></tr></table><script>alert(1)</script>",
            "{{ config }} {% include 'x' %}",
            "&lt;b&gt; &amp;amp; <!-- ",
            "https://evil.example/login and www.evil.example",
        ]
    ),
)


def octets_of(headers: list[tuple[str, str]], body: str) -> bytes:
    first = [
        ("Received", "from evil.example by mx.brumcity.example; Mon, 2 Mar 2026 09:30:00 +0000"),
        ("To", OUR_ADDRESS),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*first, *headers])
    return f"{head}\r\n{body}".encode("utf-8", "surrogatepass")


def understood(message: Message) -> Classification:
    """A contribution for each of the first lines, quoted whole: the worst that a classifier can pass on."""
    lines = [line for line in message.body.own_text.splitlines() if line.strip()][:3]
    quotes = lines or ["nothing"]
    return make_classification(contributions=tuple(make_contribution(quote=quote) for quote in quotes))


def answer(message: Message, classification: Classification) -> Any:
    wanted = acknowledge(
        message,
        screen(message, in_junk=False, policy=POLICY, account="main"),
        classification,
        History(),
        POLICY,
        now=NOW,
    )
    if wanted.to is None:
        return None
    return compose(
        message,
        classification,
        wanted,
        campaign=CAMPAIGN,
        reference="BSEC-0042",
        sender=SENDER,
        coordinator=COORDINATOR,
        account="main",
        envelope_from="pledges+b.x@brumcity.example",
        message_id="<ack.1@brumcity.example>",
        now=NOW,
        templates=TEMPLATES,
    )


@settings(max_examples=150)
@given(headers=HEADERS, body=st.lists(MARKUP, max_size=4).map("\r\n".join))
def test_no_octets_add_a_header_a_recipient_or_markup(headers: list[tuple[str, str]], body: str) -> None:
    try:
        message = read(octets_of([("From", "Amina <amina@haven.example>"), *headers], body))
    except UnreadableMail:
        assume(False)
    classification = understood(message)
    sent = answer(message, classification)
    assume(sent is not None)

    mail = email.message_from_bytes(sent.octets, policy=policy.default)
    assert [name for name in mail.keys() if name not in SOMETIMES] == ALWAYS  # noqa: SIM118 - twice is what is sought
    assert len(mail.keys()) == len(set(mail.keys()))
    # One recipient, whom the sender named, and the same on the envelope and in the mail.
    to = [each.addr_spec.encode("utf-8", "surrogateescape").decode() for each in mail["To"].addresses]
    assert to == [sent.to]
    assert sent.to in message.answerable
    assert not mail.defects and all(not part.defects for part in mail.walk())

    plain = replace(message, subject="", details=replace(message.details, person=None))
    quiet = tuple(replace(each, quote="You could use our hall.") for each in classification.contributions)
    same = answer(plain, replace(classification, contributions=quiet))
    page = parts(sent)[1]
    assert Page(page).skeleton == Page(parts(same)[1]).skeleton
    assert "evil.example" not in page


RESULTS = st.sampled_from(
    [
        "dmarc=pass header.from=haven.example",
        "dmarc=pass (p=reject) header.from=haven.example; spf=pass smtp.mailfrom=haven.example; dkim=pass",
        "spf=pass smtp.mailfrom=haven.example; dkim=pass header.d=haven.example",
        "dmarc=pass",
        "none",
        "garbage ;;; = =",
    ]
)
OWN_IDS = ["mx.brumcity.example", "MX.brumcity.example", "mx.brumcity.example 1", "(x) mx.brumcity.example"]
OTHER_IDS = [
    "mx.evil.example",
    "mx.brumcity.example.evil.example",
    "",
    "mx.brumcity.example\tmx.evil.example",
    "xmx.brumcity.example",
]
VERDICTS = [
    "dmarc=fail header.from=haven.example",
    "spf=fail smtp.mailfrom=evil.example; dkim=fail header.d=haven.example",
    "spf=softfail smtp.mailfrom=evil.example; dkim=none; dmarc=fail header.from=haven.example",
    "spf=none; dkim=none; dmarc=none header.from=haven.example",
    "dmarc=pass header.from=evil.example",
]
#: forged results as they may stand in a mail: under another's name anywhere, under our server's name below its own
FORGED = st.tuples(
    st.sampled_from(["Authentication-Results", "authentication-results", "ARC-Authentication-Results"]),
    st.sampled_from(OTHER_IDS),
    RESULTS,
)
BELOW = st.one_of(FORGED, st.tuples(st.just("Authentication-Results"), st.sampled_from(OWN_IDS), RESULTS))


def written(results: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(name, f"{authserv_id}; {words}") for name, authserv_id, words in results]


@settings(max_examples=200)
@given(
    verdict=st.sampled_from(VERDICTS),
    above=st.lists(FORGED, max_size=2),
    below=st.lists(BELOW, max_size=4),
    name=HOSTILE,
    others=st.lists(
        st.tuples(st.sampled_from(["Received-SPF", "X-Spam-Status", "X-Trusted", "Subject"]), RESULTS), max_size=2
    ),
    return_path=st.sampled_from(["<amina@haven.example>", "<bounce@evil.example>", "<SRS0=x@evil.example>"]),
)
def test_no_forged_result_turns_a_hold_into_a_send(
    verdict: str,
    above: list[tuple[str, str, str]],
    below: list[tuple[str, str, str]],
    name: str,
    others: list[tuple[str, str]],
    return_path: str,
) -> None:
    ours = ("Authentication-Results", f"mx.brumcity.example; {verdict}")
    sender = [("Return-Path", return_path), ("From", "Amina <amina@haven.example>"), ("Reply-To", "x@evil.example")]
    honest = read(octets_of([ours, *sender], "You could use our hall."))
    forged = read(
        octets_of(
            [*written(above), ours, *written(below), *sender, *others, ("X-Name", name)], "You could use our hall."
        )
    )
    found = make_classification(contributions=(make_contribution(quote="You could use our hall."),))

    def decided(message: Message) -> Any:
        screening = screen(message, in_junk=False, policy=POLICY, account="main")
        return acknowledge(message, screening, found, History(), POLICY, now=NOW)

    before, after = decided(honest), decided(forged)
    if before.decision is not Decision.SEND:
        assert after.decision is not Decision.SEND
    # Nor does it send the answer to somebody else.
    assert after.to in (before.to, None)
