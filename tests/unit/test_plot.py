"""The reliability curve: a picture that says the same to those who see it and to those who are told it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mailbot.classifying.evaluate import Bin, reliability
from mailbot.plot import Curve, reliability_picture

SVG = "{http://www.w3.org/2000/svg}"
CLASSES = (Bin(claimed=0.5, right=0.25, count=4), Bin(claimed=0.95, right=1.0, count=1020))


def drawn(first: Curve, second: Curve, title: str = "How sure: 80 mails") -> ElementTree.Element:
    return ElementTree.fromstring(reliability_picture(first, second, title=title))  # noqa: S314 - our own picture


def words_of(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def test_it_names_itself_and_tells_its_figures_in_words() -> None:
    picture = drawn(Curve(name="class", bins=CLASSES), Curve(name="contributions", bins=()))
    assert (picture.get("role"), picture.get("aria-labelledby")) == ("img", "title desc")
    assert picture.findtext(f"{SVG}title") == "How sure: 80 mails"
    assert picture.findtext(f"{SVG}desc") == (
        "class: claimed 50%, right 25%, of 4; claimed 95%, right 100%, of 1020. contributions: no answers."
    )


def test_it_has_legend_axes_and_counts() -> None:
    bins = (Bin(claimed=0.74, right=0.7, count=31),)
    words = words_of(drawn(Curve(name="class", bins=CLASSES), Curve(name="contributions", bins=bins)))
    assert {"class", "contributions", "as right as it was sure", "how sure it said it was"} <= set(words)
    assert [word for word in words if word.isdigit()] == ["4", "1020", "31"]
    assert words.count("0%") == words.count("100%") == 2


def test_points_lie_where_their_figures_say() -> None:
    honest = Curve(name="class", bins=(Bin(claimed=0.0, right=0.0, count=1), Bin(claimed=1.0, right=1.0, count=1)))
    paths = [each.get("d", "") for each in drawn(honest, Curve(name="none", bins=())).iter(f"{SVG}path")]
    diagonal = "M92.0 496.0L532.0 56.0"
    assert paths.count(diagonal) == 2, "the curve of an honest classifier is the diagonal"


def test_two_curves_differ_without_colours_too() -> None:
    curve = Curve(name="class", bins=CLASSES)
    picture = drawn(curve, Curve(name="contributions", bins=CLASSES))
    lines = [each for each in picture.iter(f"{SVG}path") if each.get("stroke-width") == "2.5"]
    assert len({(each.get("stroke"), each.get("stroke-dasharray")) for each in lines}) == 2
    assert len({each.get("stroke-dasharray") for each in lines}) == 2


def test_a_title_is_text_and_no_markup() -> None:
    assert words_of(drawn(Curve(name="a<b", bins=()), Curve(name="c", bins=()), title="<b>&"))[0] == "<b>&"


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_every_answer_is_counted_and_lies_inside(answers: list[tuple[float, bool]]) -> None:
    picture = drawn(Curve(name="class", bins=reliability(answers)), Curve(name="none", bins=()))
    assert sum(int(word) for word in words_of(picture) if word.isdigit()) == len(answers)
    for path in picture.iter(f"{SVG}path"):
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d", "")):
            assert 0 <= float(x) <= 560 and 0 <= float(y) <= 608
