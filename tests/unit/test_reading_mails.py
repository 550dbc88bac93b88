"""Reading whole mails: MIME, charsets, headers, hashes, and the broken ones in tests/mails/broken."""

from __future__ import annotations

import random
import time
from dataclasses import fields, is_dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot import reading
from mailbot.errors import UnreadableMail
from mailbot.model import Address, Message

BROKEN = Path(__file__).parent.parent / "mails" / "broken"
MAILS = sorted(BROKEN.glob("*.eml"))
OFFER = "You could use our bench on Fridays."
HEAD = b"From: Rosa Field <rosa@fieldworks.example>\r\nSubject: A bench\r\n"


def read(name: str) -> Message:
    return reading.read((BROKEN / f"{name}.eml").read_bytes())


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in strings(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return [text for each in fields(value) for text in strings(getattr(value, each.name))]
    return []


def assert_storable(message: Message) -> None:
    for text in strings(message):
        assert "\x00" not in text
        text.encode("utf-8")
    assert message.message_id.startswith("<") and message.message_id.endswith(">")
    assert len(message.content_hash) == 64
    assert not any("\n" in value or "\r" in value for _, value in message.headers)


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_every_broken_mail_is_read_and_can_be_stored(path: Path) -> None:
    message = reading.read(path.read_bytes())
    assert_storable(message)
    assert message.content_types


@pytest.mark.parametrize(
    "name",
    [
        "bad_base64",
        "html_in_plain_empty",
        "missing_boundary",
        "nasty_filename",
        "no_parts",
        "repeated_headers",
        "signed_pgp",
        "signed_smime",
        "text_as_attachment",
        "unclosed_multipart",
        "wrong_boundary",
        "hostile_addresses",
        "empty_message_id",
    ],
)
def test_the_words_come_out_of_broken_mime(name: str) -> None:
    assert read(name).body.own_text == OFFER


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("windows1252_as_latin1", "I\u2019d lend €500 \u2013 “gladly”."),
        ("unknown_charset", "You could use our bänch on Fridays."),
        ("utf8_as_ascii", "We pledge £500 for the café."),
        ("nul_octets", "You could use our bench."),
        ("calendar_reply", "Steering group\nYou could use our bench, free."),
        ("bad_flowed_delsp", "You could use our workbench on Fridays."),
        ("mbox_from_line", "You could use our bench.\n>From Friday on it is free."),
    ],
)
def test_the_text_is_decoded(name: str, words: str) -> None:
    assert read(name).body.own_text == words


@pytest.mark.parametrize("name", ["unlabelled_8bit_headers", "unlabelled_latin1_headers"])
def test_8bit_headers_keep_their_letters(name: str) -> None:
    message = read(name)
    assert message.subject == "Grüße aus Köln"
    assert message.from_address == Address(display_name="Jürgen Groß", addr_spec="jg@werkstatt.example")


def test_defects_say_what_was_wrong() -> None:
    assert any("boundary" in defect for defect in read("missing_boundary").defects)
    assert any("unknown charset" in defect for defect in read("unknown_charset").defects)
    assert any("Date" in defect for defect in read("empty_message_id").defects)
    assert read("signed_pgp").defects == ()


def test_the_first_of_repeated_headers_counts() -> None:
    message = read("repeated_headers")
    assert message.subject == "A bench for two days"
    assert message.from_address is not None and message.from_address.addr_spec == "rosa@fieldworks.example"
    assert message.header_all("Subject") == ("A bench for two days", "second subject")


def test_an_attached_mail_stays_out_of_the_own_text() -> None:
    message = read("attached_mail")
    assert message.body.own_text == "Please read what Asha offers."
    assert "We will run mock interviews." in message.body.forwarded_text
    assert "From: Asha" in message.body.forwarded_text
    assert message.content_types == ("multipart/mixed", "text/plain", "message/rfc822")
    assert message.calendar_method is None


def test_a_report_returns_its_parts_as_quoted_mail() -> None:
    message = read("bounce")
    assert message.report_type == "delivery-status"
    assert message.return_path == ""
    assert "final-recipient: rfc822; gone@x.example" in message.body.quoted_text
    assert "thank you for your offer" not in message.body.own_text + message.body.forwarded_text


def test_calendar_method_and_attachment_names() -> None:
    assert read("calendar_reply").calendar_method == "REPLY"
    names = [attachment.filename for attachment in read("nasty_filename").attachments]
    assert names == ["passwd", ""]


def test_encoded_words_split_within_a_letter_are_joined() -> None:
    head = b"Subject: =?utf-8?b?R3LDvMOf?=\r\n =?utf-8?b?ZQ==?= =?utf-8?q?_=C3?= =?utf-8?q?=A9?= end\r\n"
    assert reading.read(b"From: a@b.example\r\n" + head + b"\r\nx").subject == "Grüße é end"


def test_recipients_are_gathered_from_every_address_header() -> None:
    names = ("To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Delivered-To", "X-Original-To")
    head = b"".join(f"{name}: Some One <U{at}@X.Example>\r\n".encode() for at, name in enumerate(names))
    message = reading.read(HEAD + head + b"Delivered-To: u0@x.example\r\n\r\nx")
    assert message.recipients == tuple(f"u{at}@x.example" for at in range(len(names)))


@pytest.mark.parametrize(
    ("header", "expected"),
    [(b"", None), (b"Return-Path: <>\r\n", ""), (b"Return-Path: <Bo@X.example>\r\n", "Bo@x.example")],
)
def test_return_path(header: bytes, expected: str | None) -> None:
    assert reading.read(header + HEAD + b"\r\nx").return_path == expected


def test_ids_and_references() -> None:
    head = b"Message-ID: (c) <me@x.example>\r\nIn-Reply-To: <a@x.example>\r\n"
    message = reading.read(HEAD + head + b"References: <a@x.example>\r\n <b@x.example>\r\n\r\nx")
    assert message.message_id == "<me@x.example>"
    assert message.in_reply_to == "<a@x.example>"
    assert message.references == ("<a@x.example>", "<b@x.example>")


def test_copies_that_came_by_other_servers_hash_alike() -> None:
    sent = HEAD + b"Date: Mon, 05 Nov 2018 10:00:00 +0000\r\n\r\nFrom us\r\nwith love\r\n"
    other = (
        b"Return-Path: <x@y.example>\r\nReceived: from a by b; Mon, 05 Nov 2018 10:00:01 +0000\r\n"
        b"Delivered-To: c@d.example\r\nList-Id: <l.d.example>\r\n"
        b"From: Rosa Field\r\n <rosa@fieldworks.example>\r\nSubject: A bench\r\n"
        b"Date: Mon, 05 Nov 2018 10:00:00 +0000\r\n\r\n>From us\r\nwith love\r\n\r\n"
    ).replace(b"\r\n", b"\n")
    first, second = reading.read(sent), reading.read(other)
    assert first.content_hash == second.content_hash
    assert first.message_id == second.message_id
    assert first.message_id.endswith("@synthetic.mailbot.invalid>")
    assert reading.read(sent.replace(b"love", b"care")).content_hash != first.content_hash
    assert reading.read(sent.replace(b"A bench", b"A bank")).content_hash != first.content_hash


@pytest.mark.parametrize("octets", [b"", b"\r\n \t\n", b"\x00\x00"])
def test_nothing_is_unreadable(octets: bytes) -> None:
    with pytest.raises(UnreadableMail):
        reading.read(octets)


@pytest.mark.parametrize(
    "bomb",
    [
        HEAD + b"Content-Type: text/plain" + b";" * 14_000 + b"\r\n\r\nx",
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5_000,
        HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1_500)),
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 3_000 + b"x",
        HEAD + b"Content-Type: message/delivery-status\r\n\r\n" + b"a: b\r\n\r\n" * 20_000,
        HEAD + b"X-A: " + b"a" * 3_000_000 + b"\r\n\r\nx",
        b"To: " + b"," * 60_000 + b"\r\nFrom: " + b"<" * 30_000 + b"\r\nCc: " + b"((" * 15_000 + b"\r\n\r\nx",
        HEAD + b"\r\n" + b"1" * 300_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<table" * 500 + b"<script " * 20_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 30_000 + b"x",
    ],
    ids=["parameters", "parts", "nesting", "messages", "status", "header", "addresses", "digits", "tags", "depth"],
)
def test_a_bomb_ends_in_bounded_time(bomb: bytes) -> None:
    start = time.process_time()
    message = reading.read(bomb)
    # Without the bounds each takes many seconds, minutes or the recursion limit; with them 0.05 to 0.5 s.
    assert time.process_time() - start < 5
    assert_storable(message)
    assert len(message.content_types) <= 402


def _assert_read(octets: bytes) -> None:
    try:
        message = reading.read(octets)
    except UnreadableMail:
        assert not octets.strip(b"\x00\t\n\v\f\r ")
        return
    assert_storable(message)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_read(octets: bytes) -> None:
    _assert_read(octets)


_HEADER_NAMES = st.sampled_from(
    ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "Return-Path"]
)
_HEADER_VALUES = st.one_of(
    st.text(alphabet='<>@",;:=?()[]\\ \t\r\nabcé\udc80\x00', max_size=40),
    st.sampled_from(
        ["multipart/mixed; boundary=b", "text/html; charset=utf-7", "message/rfc822", "base64", "=?utf-8?q?=ff?=", "<>"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_HEADER_NAMES, _HEADER_VALUES), max_size=6), st.binary(max_size=200))
def test_any_header_is_read(header: list[tuple[str, str]], body: bytes) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in header).encode("utf-8", "surrogateescape")
    _assert_read(head + b"\r\n" + body + b"\r\n--b\r\n\r\n" + body)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MAILS), st.randoms(use_true_random=False))
def test_mutated_mails_are_read(path: Path, chance: random.Random) -> None:
    octets = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(octets))
        match chance.randrange(3):
            case 0:
                octets[at] = chance.randrange(256)
            case 1:
                del octets[at : at + chance.randint(1, 30)]
            case _:
                octets[at:at] = octets[: chance.randint(1, 30)]
        if not octets:
            break
    _assert_read(bytes(octets))


def test_html_mail_is_read_as_text_and_its_quotes_are_found() -> None:
    mail = EmailMessage()
    mail["From"] = "Rosa Field <rosa@fieldworks.example>"
    mail.set_content(
        '<html><head><style>p{}</style></head><body><p>You could use our <b>bench</b>.</p><div class="gmail_quote">'
        '<div class="gmail_attr">On Mon, 5 Nov 2018 at 10:00, Sarah &lt;s@c.example&gt; wrote:<br></div>'
        '<blockquote class="gmail_quote"><p>Who can help?</p><p>Anyone?</p></blockquote></div></body></html>',
        subtype="html",
    )
    body = reading.read(mail.as_bytes()).body
    assert body.own_text == "You could use our bench."
    assert "> Who can help?" in body.quoted_text and "> Anyone?" in body.quoted_text


def test_outlook_html_reply_is_cut_at_its_header_block() -> None:
    mail = EmailMessage()
    mail.set_content(
        "<div>You could use our bench.</div><div id='appendonsend'></div><hr><div id='divRplyFwdMsg'>"
        "<b>From:</b> Sarah<br><b>Sent:</b> 5 November 2018 10:00<br><b>To:</b> Rosa<br><b>Subject:</b> Help<br></div>"
        "<div>Who can help?</div>",
        subtype="html",
    )
    body = reading.read(b"From: r@f.example\r\nSubject: RE: Help\r\n" + mail.as_bytes()).body
    assert body.own_text == "You could use our bench."
    assert "Who can help?" in body.quoted_text
