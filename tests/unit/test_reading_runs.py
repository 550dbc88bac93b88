"""Long runs of base64 are set aside while a mail is parsed, and nobody can tell afterwards."""

from __future__ import annotations

import email
from base64 import encodebytes
from email.message import EmailMessage
from email.message import Message as Part

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.reading import read, runs


def with_attachments(*sizes: int, line_end: bytes = b"\n") -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ann <ann@example.org>"
    mail.set_content("Two plans.\n")
    for size in sizes:
        mail.add_attachment(
            bytes(index * index % 251 for index in range(size)),
            maintype="application",
            subtype="pdf",
            filename="plan.pdf",
        )
    return mail.as_bytes().replace(b"\n", line_end)


def contents(root: Part) -> list[bytes]:
    return [part.get_payload(decode=True) for part in root.walk() if not part.is_multipart()]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_attachments_come_back_whole(line_end: bytes) -> None:
    octets = with_attachments(60_000, 100, 57 * 300, line_end=line_end)
    within, long_runs = runs.set_aside(octets)
    assert len(long_runs) == 2
    assert len(within) < 4_000
    root = email.message_from_bytes(within)
    runs.put_back(root, long_runs)
    assert contents(root) == contents(email.message_from_bytes(octets))
    assert [each.size_octets for each in read(octets).attachments] == [60_000, 100, 57 * 300]


def test_a_boundary_is_never_set_aside() -> None:
    lines = [b"A" * 40] * 150
    lines[70] = b"--" + b"B" * 38
    octets = b"Subject: x\n\n" + b"\n".join(lines) + b"\n"
    assert runs.set_aside(octets) == (octets, {})


def test_a_mail_that_spells_places_out_does_not_grow() -> None:
    octets = with_attachments(60_000).replace(b"Two plans.", b"=_run-0_= =_run-0_= =_run-7_=")
    within, long_runs = runs.set_aside(octets)
    root = email.message_from_bytes(within)
    runs.put_back(root, long_runs)
    assert len(root.as_bytes()) < len(octets) + 100


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"A" * 76, b"-", b"=", encodebytes(b"x" * 9_000)]), max_size=12)
)
def test_whatever_it_is_no_letter_is_lost(pieces: list[bytes]) -> None:
    octets = b"Subject: x\n\n" + b"".join(pieces)
    within, long_runs = runs.set_aside(octets)
    root = email.message_from_bytes(within)
    runs.put_back(root, long_runs)
    whole = email.message_from_bytes(octets).get_payload()
    assert root.get_payload().replace("\n", "").replace("\r", "") == whole.replace("\n", "").replace("\r", "")
