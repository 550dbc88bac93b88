"""The reliability curve as an SVG picture: what was claimed against what was right. Knows no file and no classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailbot.classifying.evaluate import Bin

#: side of the square in which the curves lie, and what is left of, above, right of and below it, in px
_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 440, 92, 56, 28, 112
_WIDTH, _HEIGHT = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
_INK, _QUIET, _GRID = "#1a1a1a", "#595959", "#e3e3e3"
#: the first row of counts, from the foot of the square, and the distance to the second, in px
_COUNTS, _ROW = 72, 22


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How one curve is told from the other, with and without colours."""

    colour: str
    #: of the line (SVG stroke-dasharray)
    dashes: str
    #: path of the mark around its point
    mark: str


# Blue and vermilion stay apart for every kind of colour vision.
_LOOKS = (
    _Look(colour="#0072b2", dashes="none", mark="m-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0"),
    _Look(colour="#d55e00", dashes="7 4", mark="m0 -6.5l6.5 6.5l-6.5 6.5l-6.5 -6.5z"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Claimed and true shares of one kind of answer."""

    #: for the legend, such as "class"
    name: str
    #: by what was claimed, rising; may be empty
    bins: Sequence[Bin]


def reliability_picture(first: Curve, second: Curve, *, title: str) -> str:
    """Two reliability curves over the diagonal on which an honest classifier lies, and the answers in each tenth.

    Args:
        first, second: such as class and contributions.
        title: what is measured, on one line.

    Returns:
        An SVG document, 560 by 608 px, with the figures in words for who cannot see it.

    Source:
        DeGroot, Fienberg, "The Comparison and Evaluation of Forecasters", The Statistician 32 (1983).
        Okabe, Ito, "Color Universal Design" (2008), for the colours.
    """
    curves = tuple(zip((first, second), _LOOKS, strict=True))
    words = " ".join(_in_words(curve) for curve, _ in curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13" '
        f'fill="{_INK}">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(words)}</desc>',
        # Without it a dark page shines through.
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 30, title, 'font-size="16" font-weight="bold"'),
        *_axes(),
        *(part for curve, look in curves for part in _line(curve, look)),
        *_legend([(curve.name, look) for curve, look in curves]),
        *(part for row, (curve, look) in enumerate(curves) for part in _counts(curve, look, row)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _in_words(curve: Curve) -> str:
    points = "; ".join(f"claimed {bin.claimed:.0%}, right {bin.right:.0%}, of {bin.count}" for bin in curve.bins)
    return f"{curve.name}: {points or 'no answers'}."


def _x(share: float) -> str:
    return f"{_LEFT + share * _SIDE:.1f}"


def _y(share: float) -> str:
    return f"{_TOP + (1 - share) * _SIDE:.1f}"


def _text(x: float | str, y: float | str, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}"{" " + more if more else ""}>{escape(words)}</text>'


def _axes() -> list[str]:
    parts = []
    for tick in range(0, 11, 2):
        share = tick / 10
        parts += [
            f'<path d="M{_x(share)} {_y(0)}V{_y(1)}M{_x(0)} {_y(share)}H{_x(1)}" stroke="{_GRID}"/>',
            _text(_x(share), _TOP + _SIDE + 20, f"{share:.0%}", 'text-anchor="middle"'),
            _text(_LEFT - 10, float(_y(share)) + 4.5, f"{share:.0%}", 'text-anchor="end"'),
        ]
    middle = _TOP + _SIDE // 2
    return [
        *parts,
        f'<path d="M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}" fill="none" stroke="{_QUIET}"/>',
        f'<path d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}" stroke="{_QUIET}" stroke-width="1.5" stroke-dasharray="2 4"/>',
        _text(_LEFT + _SIDE // 2, _TOP + _SIDE + 44, "how sure it said it was", 'text-anchor="middle"'),
        _text(34, middle, "how often it was right", f'text-anchor="middle" transform="rotate(-90 34 {middle})"'),
    ]


def _line(curve: Curve, look: _Look) -> list[str]:
    points = [f"{_x(bin.claimed)} {_y(bin.right)}" for bin in curve.bins]
    if not points:
        return []
    return [
        f'<path d="M{"L".join(points)}" fill="none" stroke="{look.colour}" stroke-width="2.5" '
        f'stroke-dasharray="{look.dashes}"/>',
        *(f'<path d="M{point}{look.mark}" fill="{look.colour}" stroke="#ffffff"/>' for point in points),
    ]


def _counts(curve: Curve, look: _Look, row: int) -> list[str]:
    # Beside their points they would strike each other out.
    y = _TOP + _SIDE + _COUNTS + row * _ROW
    return [
        f'<path d="M{_LEFT - 18} {y - 4.5}{look.mark}" fill="{look.colour}"/>',
        _text(_LEFT - 32, y, "answers", 'text-anchor="end"'),
        *(_text(_x(_tenth(bin) / 10 + 0.05), y, str(bin.count), 'text-anchor="middle"') for bin in curve.bins),
    ]


def _tenth(bin: Bin) -> int:
    return min(int(bin.claimed * 10), 9)


def _legend(names: Sequence[tuple[str, _Look]]) -> list[str]:
    x, y = _LEFT + 14, _TOP + 20
    parts = []
    for name, look in names:
        stroke = f'stroke="{look.colour}" stroke-width="2.5" stroke-dasharray="{look.dashes}"'
        parts += [
            f'<path d="M{x} {y}h34" {stroke}/>',
            f'<path d="M{x + 17} {y}{look.mark}" fill="{look.colour}" stroke="#ffffff"/>',
            _text(x + 44, y + 4.5, name),
        ]
        y += 22
    parts.append(f'<path d="M{x} {y}h34" stroke="{_QUIET}" stroke-width="1.5" stroke-dasharray="2 4"/>')
    return [*parts, _text(x + 44, y + 4.5, "as right as it was sure")]
