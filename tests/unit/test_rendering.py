"""Templates, the making of mail, and what becomes of words that a stranger wrote."""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbot.errors import PermanentError, TemplateProblem
from mailbot.model import Address
from mailbot.rendering import Templates, build_mail, one_line, short_sentence, without_links
from mailbot.replying import compose
from mailbot.reviewing import digest
from tests.unit.mail_factories import SENDER, SHIPPED_TEMPLATES, shipped_templates

#: what mail programs turn into a link by themselves
AUTOLINK = re.compile(r"[a-z]://\S|\bwww\.\w|\b(?:mailto|tel):\w|\w\.[^\W\d_]{2}|\w@\w", re.I)
#: what a stranger may put anywhere: line ends, NUL, markup, bidi controls, links, template marks
NASTY = st.sampled_from(
    [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "=?utf-8?q?=0D=0ABcc=3A_x=40evil.example?=",
        " =?utf-8?b?aHR0cDovL2V2aWwuZXhhbXBsZQ==?= ",
        "\u2028",
        "\x85",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ud800",
        "<b>",
        "</td>",
        '"',
        "'",
        "&",
        "<script>",
        "<!--",
        "]]>",
        "{{ 7*7 }}",
        "{% raw %}",
        "http://evil.example/x",
        "www.evil.example",
        "a@b.example",
        "\r\nBcc: x@evil.example",
        "\n\n--=_",
        "=_",
        "evil.example",
        "--",
        " ",
        ".",
        "javascript:alert(1)",
    ]
)
HOSTILE = st.lists(st.one_of(NASTY, st.text(max_size=12)), max_size=12).map("".join)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf-8")
    return folder


def built(**changes: object) -> email.message.EmailMessage:
    values: dict[str, object] = {
        "sender": SENDER,
        "to": "amina@haven.example",
        "subject": "Re: Desks",
        "message_id": "<a@brumcity.example>",
        "date": datetime(2026, 3, 2, 9, 30, tzinfo=ZoneInfo("Europe/London")),
        "headers": [("Auto-Submitted", "auto-replied")],
        "text": "Hello",
        "html": "<p>Hello</p>",
    }
    return build_mail(**(values | changes))  # type: ignore[arg-type]


def test_the_first_folder_wins_file_by_file(tmp_path: Path) -> None:
    own = write(tmp_path / "own", a__txt="own")
    shipped = write(tmp_path / "shipped", a__txt="shipped a", b__txt="shipped b")
    templates = Templates([own, tmp_path / "absent", shipped])
    assert templates.render("a.txt") == "own\n"
    assert templates.render("b.txt") == "shipped b\n"
    assert templates.has("b.txt") and not templates.has("c.txt")


def test_html_is_escaped_and_styled_in_place_and_text_is_left_alone(tmp_path: Path) -> None:
    style = "<style>p { color: #123456 } @media (max-width: 9px) { p { color: red } }</style>"
    folder = write(
        tmp_path, a__html=f"<html><head>{style}</head><body><p>{{{{ x }}}}</p></body></html>", a__txt="{{ x }}"
    )
    page = Templates([folder]).render("a.html", x="<b>&")
    assert '<p style="color: #123456;">&lt;b&gt;&amp;</p>' in page
    assert "@media" in page
    assert Templates([folder]).render("a.txt", x="<b>&") == "<b>&\n"


def test_long_lines_of_text_are_wrapped_under_their_indent_and_blank_lines_do_not_pile_up(tmp_path: Path) -> None:
    folder = write(tmp_path, a__txt="\n\n- " + "word " * 30 + "\n\n\n\nend\n\n")
    lines = Templates([folder]).render("a.txt").splitlines()
    assert max(map(len, lines)) <= 74
    assert lines[0].startswith("- word") and lines[1].startswith("  word")
    assert lines[-2:] == ["", "end"] and lines[-3] != ""


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a\nb\n{% if x %}", 3, "Unexpected end of template"),
        ("a\n{{ x | nosuch }}", 2, "nosuch"),
        ("a\n\n\n{{ missing_value }}", 4, "missing_value"),
        ("a\n{{ 1 / 0 }}", 2, "division by zero"),
        ("a\n{% include 'gone.txt' %}", 2, "gone.txt is missing"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
    ],
)
def test_a_broken_template_names_its_file_and_line(tmp_path: Path, source: str, line: int, words: str) -> None:
    write(tmp_path, broken__txt=source)
    with pytest.raises(TemplateProblem) as problem:
        Templates([tmp_path]).render("broken.txt")
    sentence = str(problem.value)
    assert f"{tmp_path / 'broken.txt'}, line {line}: " in sentence
    assert words in sentence and "\n" not in sentence


def test_a_problem_in_an_included_template_names_that_template(tmp_path: Path) -> None:
    write(tmp_path, a__txt="{% include 'b.txt' %}", b__txt="\n{{ nothing }}")
    with pytest.raises(TemplateProblem, match=re.escape(f"{tmp_path / 'b.txt'}, line 2")):
        Templates([tmp_path]).render("a.txt")


def test_a_missing_template_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(TemplateProblem, match=r"nowhere\.txt is missing"):
        Templates([tmp_path]).render("nowhere.txt")


def test_check_names_every_problem_at_once(tmp_path: Path) -> None:
    write(tmp_path, a__txt="{% if %}", b__txt="fine", c__html="\n{% include 'gone.css' %}", backup__bak="{% if %}")
    (tmp_path / "d.txt").write_bytes(b"fine\nGr\xfc\xdfe")
    problems = Templates([tmp_path]).check(["b.txt", "digest.txt"])
    assert [re.search(r"(\w+\.\w+), line (\d+)", each).groups() for each in problems] == [  # type: ignore[union-attr]
        ("a.txt", "1"),
        ("c.html", "2"),
        ("d.txt", "2"),
        ("digest.txt", "1"),
    ]
    assert "gone.css is missing" in problems[1] and "not UTF-8" in problems[2]


def test_the_shipped_templates_are_whole_and_know_no_campaign() -> None:
    assert shipped_templates().check([*compose.TEMPLATES, *digest.TEMPLATES]) == ()
    folder = Path(__file__).parents[2] / "templates"
    for path in folder.rglob("*.*"):
        assert "birmingham" not in path.read_text("utf-8").lower(), path


def test_a_mail_has_both_parts_and_ascii_octets_with_short_lines() -> None:
    mail = built(text="Grüße " * 300, html=f"<p>{'Grüße ' * 300}</p>", subject="Grüße " * 30)
    octets = mail.as_bytes()
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) < 998 and b"\n" not in octets.replace(b"\r\n", b"")
    read = email.message_from_bytes(octets, policy=policy.default)
    assert [part.get_content_type() for part in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert read.get_body(("plain",)).get_content().strip() == ("Grüße " * 300).strip()
    assert read["subject"] == "Grüße " * 30
    assert read["date"].datetime.utcoffset() is not None
    assert read["from"].addresses[0].display_name == SENDER.display_name


def test_the_same_values_make_the_same_octets() -> None:
    assert built().as_bytes() == built().as_bytes()
    assert built(message_id="<b@brumcity.example>").as_bytes() != built().as_bytes()


def test_a_long_message_id_is_not_torn() -> None:
    long = f"<{'a' * 200}@brumcity.example>"
    octets = built(message_id=long, headers=[("References", f"<x@y> {long}"), ("In-Reply-To", long)]).as_bytes()
    assert octets.count(long.encode()) == 3
    assert b"References: <x@y>\r\n <aaa" in octets


@pytest.mark.parametrize(
    "subject",
    [
        "Desks",
        "Re: Desks " * 12 + "end",
        "Re: " + "x" * 110,
        "Re: Ä " + "y" * 90,
        "Grüße " * 14 + "!",
        "=?utf-8?q?a=0Ab?=",
    ],
)
def test_a_subject_arrives_as_it_was_and_begins_on_its_line(subject: str) -> None:
    octets = built(subject=subject).as_bytes()
    assert email.message_from_bytes(octets, policy=policy.default)["subject"] == subject
    assert re.search(rb"^Subject: \S", octets, re.M)


@pytest.mark.parametrize(
    "name", ["", "Sarah", 'Grüße, "Team"', "Ä" * 15, "Sarah, X", "=?utf-8?q?=0D=0ABcc=3A_x=40e.example?="]
)
def test_a_display_name_arrives_as_it_was(name: str) -> None:
    sender = Address(display_name=name, addr_spec="p@brumcity.example")
    read = email.message_from_bytes(built(sender=sender).as_bytes(), policy=policy.default)
    (author,) = read["from"].addresses
    assert (author.display_name, author.addr_spec) == (name, "p@brumcity.example")


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@evil.example", "a\n", "a\r", "a\0b", "a\u2028b", "a\x85"])
def test_a_control_character_never_reaches_a_header(bad: str) -> None:
    for changes in ({"subject": bad}, {"message_id": bad}, {"headers": [("X-Mailbot-Reference", bad)]}):
        with pytest.raises(ValueError, match="control character"):
            built(**changes)
    with pytest.raises(PermanentError):
        built(to=bad)


@pytest.mark.parametrize(
    "good", ["a..b@post.example", '"a b"@post.example', "o'neil+x@post.example", "x@[192.0.2.1]", "grüße@post.example"]
)
def test_unusual_addresses_are_written_as_they_are(good: str) -> None:
    assert f"To: <{good}>\r\n".encode() in built(to=good).as_bytes()


@pytest.mark.parametrize("bad", ["", "a", "a@b, c@d", "a@b> <c@d", "a@b c", "a b@c", f"{'a' * 320}@b", "@b", "a@"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(PermanentError):
        built(to=bad)


@settings(deadline=None)
@given(to=HOSTILE, subject=HOSTILE, name=HOSTILE)
def test_no_value_adds_a_header_or_a_recipient(to: str, subject: str, name: str) -> None:
    try:
        mail = built(
            to=f"{to}@haven.example",
            subject=one_line(subject),
            sender=Address(display_name=name, addr_spec="p@b.example"),
        )
    except PermanentError:
        return
    read = email.message_from_bytes(mail.as_bytes())
    assert sorted(read.keys()) == sorted(
        ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )


@given(HOSTILE)
def test_a_line_is_one_line_without_characters_that_mislead(text: str) -> None:
    line = one_line(text)
    assert line == " ".join(line.split())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]", line)


@given(HOSTILE)
def test_nothing_that_a_mail_program_would_link_is_left(text: str) -> None:
    assert not AUTOLINK.search(without_links(one_line(text)))
    assert not AUTOLINK.search(short_sentence(text))


@given(HOSTILE, st.integers(20, 300))
def test_a_quote_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(short_sentence(text * 9, limit)) <= limit
    assert len(one_line(text * 9, limit)) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See https://loomworks.example/desks?x=1.", "See [link]."),
        ("(www.loomworks.example)", "([link])"),
        ("Write to me, tom@loomworks.example.", "Write to me, [address]."),
        ("loomworks.example.Then more", "loomworks. example. Then more"),
        ("It costs £3.50, e.g. at 10.30 a.m., at St. Oswin's", "It costs £3.50, e.g. at 10.30 a.m., at St. Oswin's"),
    ],
)
def test_links_are_cut_and_ordinary_words_stay(text: str, shown: str) -> None:
    assert without_links(text) == shown


def test_an_address_stays_for_a_reader_who_needs_it() -> None:
    assert without_links("tom@loom.example, loom.example", keep_addresses=True) == "tom@loom.example, loom. example"


def test_a_quote_is_its_first_sentence() -> None:
    assert short_sentence("You could use\nour hall on every Friday evening. It is warm.") == (
        "You could use our hall on every Friday evening."
    )
    assert short_sentence("St. Oswin's has a hall, and it is yours on Fridays. Ring me.").endswith("Fridays.")
    assert short_sentence("word " * 90).endswith("word…")


def test_templates_in_the_campaigns_language_come_first(tmp_path: Path) -> None:
    own, polish = (
        write(tmp_path / "own", a__txt="own", b__txt="own"),
        write(tmp_path / "own" / "pl", a__txt="po polsku"),
    )
    templates = Templates([polish, own], language="pl-PL")
    assert (templates.render("a.txt"), templates.render("b.txt")) == ("po polsku\n", "own\n")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en-GB", ["one", "other", "other", "other"]),
        ("pl", ["one", "few", "many", "few"]),
        ("ar", ["one", "two", "few", "many"]),
    ],
)
def test_plurals_and_moments_are_the_languages_own(tmp_path: Path, language: str, said: list[str]) -> None:
    numbers = {"en-GB": (1, 2, 5, 22), "pl": (1, 2, 5, 22), "ar": (1, 2, 5, 22)}[language]
    folder = write(tmp_path, a__txt="{% for each in numbers %}{{ plural(each) }} {% endfor %}")
    assert Templates([folder], language=language).render("a.txt", numbers=numbers).split() == said


def test_moments_are_in_the_campaigns_zone(tmp_path: Path) -> None:
    folder = write(tmp_path, a__txt="{{ at | day }}; {{ at | moment }}")
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    paris = Templates([folder], language="fr-FR", time_zone=ZoneInfo("Europe/Paris"))
    assert paris.render("a.txt", at=at) == "2 juillet 2026; 2 juillet 2026, 00:30\n"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of "#rrggbb"."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_every_ground(scheme: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    light, _, dark = (
        (SHIPPED_TEMPLATES / "style.css").read_text("utf-8").partition("@media (prefers-color-scheme: dark)")
    )
    sheet = {"light": light, "dark": dark}[scheme]
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", sheet)
    texts = {value for _, rule in rules for value in re.findall(r"(?<![\w-])color: (#\w{6})", rule)}
    # Bars hold no text.
    grounds = {
        value
        for name, rule in rules
        for value in re.findall(r"background-color: (#\w{6})", rule)
        if ".track" not in name
    }
    assert len(texts) >= 3 and len(grounds) >= 3
    weak = {
        (text, ground): contrast(text, ground) for text in texts for ground in grounds if contrast(text, ground) < 4.5
    }
    assert weak == {}
