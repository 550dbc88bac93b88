"""Mail out of files: every shape that `mailbot classify` and imports take, and what cannot be read."""

from __future__ import annotations

import io
import mailbox
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.intake.archive import FileMail, mails_in

FIRST = b"From: a@one.example\nSubject: one\n\nFrom our side: two desks.\n"
SECOND = b"From: b@two.example\nSubject: two\n\nA van.\n\nFrom Monday on 5 May at 10:00 it is yours.\n"
LINE = b"From a@one.example Mon Nov  5 10:00:00 2018\n"


def found(path: Path | str, standard_input: bytes = b"") -> list[FileMail]:
    return list(mails_in(str(path), io.BytesIO(standard_input)))


def test_an_eml_file_comes_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.EML"
    path.write_bytes(FIRST.replace(b"\n", b"\r\n"))
    assert found(path) == [FileMail(path=str(path), octets=FIRST.replace(b"\n", b"\r\n"))]


def test_an_eml_file_that_begins_like_an_mbox_is_one_mail(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(LINE + FIRST + LINE + SECOND)
    assert found(path) == [FileMail(path=str(path), octets=LINE + FIRST + LINE + SECOND)]


def test_a_folder_gives_its_eml_files_in_order_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.eml", "a/z.eml", "a/deeper/y.Eml", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder.eml").mkdir()
    names = ["a/deeper/y.Eml", "a/z.eml", "b.eml"]
    assert found(tmp_path) == [FileMail(path=str(tmp_path / name), octets=name.encode()) for name in names]


def test_an_unreadable_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(FIRST)
    (tmp_path / "b.eml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "c.eml").write_bytes(SECOND)
    first, broken, last = found(tmp_path)
    assert (first.octets, last.octets) == (FIRST, SECOND)
    assert broken == FileMail(
        path=str(tmp_path / "b.eml"), octets=None, error="cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "words"), [("missing.eml", "No such file or directory"), ("missing", "No such file or directory")]
)
def test_a_missing_file_has_its_sentence(name: str, words: str, tmp_path: Path) -> None:
    (only,) = found(tmp_path / name)
    assert (only.path, only.octets, only.error) == (str(tmp_path / name), None, f"cannot be read: {words}")


def test_a_folder_without_mail_says_so(tmp_path: Path) -> None:
    (only,) = found(tmp_path)
    assert only.octets is None
    assert "no .eml file" in only.error


def test_a_maildir_gives_what_is_read_and_what_is_new(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "box")
    box.add(FIRST)
    read = mailbox.MaildirMessage(SECOND)
    read.set_subdir("cur")
    read.set_flags("S")
    box.add(read)
    (tmp_path / "box" / "new" / ".hidden").write_bytes(b"an editor's")
    (tmp_path / "box" / "dovecot-uidlist").write_bytes(b"a server's")
    assert [mail.octets for mail in found(tmp_path / "box")] == [SECOND, FIRST]
    assert all(Path(mail.path).is_file() for mail in found(tmp_path / "box"))


def test_an_empty_maildir_is_no_mistake(tmp_path: Path) -> None:
    mailbox.Maildir(tmp_path / "box")
    assert found(tmp_path / "box") == []


def test_an_mbox_is_cut_at_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(LINE + FIRST + b"\n" + LINE + SECOND + b"\n")
    assert found(path) == [
        FileMail(path=f"{path}#1", octets=FIRST),
        FileMail(path=f"{path}#2", octets=SECOND),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "From a@one.example Mon Nov  5 10:00:00 2018",
        "From - Mon Nov 05 10:00:00 2018",
        "From MAILER-DAEMON Fri Jul  8 12:08:34 2011 +0200",
        "From 1600@xxx Thu Jan 01 00:00:00 +0000 1970",
        'From "two words"@one.example Mon Nov  5 10:00 2018',
    ],
)
def test_the_line_between_two_mails_in_its_spellings(line: str, tmp_path: Path) -> None:
    path = tmp_path / "archive.mbox"
    for end in (b"\n", b"\r\n"):
        between = line.encode() + end
        mails = [each.replace(b"\n", end) for each in (FIRST, SECOND)]
        path.write_bytes(between + mails[0] + end + between + mails[1])
        assert [mail.octets for mail in found(path)] == mails


@given(st.lists(st.lists(st.sampled_from([b"From me.", b">From me.", b">>From x", b"text", b""]), max_size=6)))
def test_an_mbox_gives_back_what_was_put_in(bodies: list[list[bytes]]) -> None:
    """Written as mboxrd: one ">" before each line that begins with "From ", whatever stands before it."""
    mails = [b"Subject: x\n\n" + b"".join(line + b"\n" for line in body) for body in bodies]
    escaped = [
        b"".join(b">" + line if line.lstrip(b">")[:5] == b"From " else line for line in mail.splitlines(True))
        for mail in mails
    ]
    written = b"".join(LINE + mail + b"\n" for mail in escaped)
    assert [mail.octets for mail in found("-", written)] == (mails or [b""])


def test_standard_input_is_one_mail_or_an_mbox() -> None:
    assert found("-", FIRST) == [FileMail(path="-", octets=FIRST)]
    assert [mail.path for mail in found("-", LINE + FIRST + b"\n" + LINE + SECOND)] == ["-#1", "-#2"]
