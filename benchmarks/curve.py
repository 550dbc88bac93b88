"""More material or another model? .venv-encoder/bin/python -m benchmarks.curve

Builds the encoder on an eighth, a quarter, a half and all of the material (hours on two cores; what is there in
build/curve is taken as it is), measures each on tests/corpus/unseen_*.jsonl, prints the table and draws docs/curve.svg.
A curve that still rises at its end asks for more material, a flat one for another model.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.classification import CORPUS, ROOT, figures, table
from mailbot.campaign import load_campaign
from mailbot.classifying.encoder import ENCODER_FILE, SHIPPED_MODEL
from mailbot.classifying.evaluate import answer_all, load_corpus, measure
from mailbot.classifying.models import load_classifier
from mailbot.config import SHIPPED
from mailbot.reading import read

SHARES = {"1/8": 0.125, "1/4": 0.25, "1/2": 0.5, "all": 1.0}
FOLDER = ROOT / "build" / "curve"
PICTURE = ROOT / "docs" / "curve.svg"
#: what is drawn, and in which colour
DRAWN = {
    "class, macro F1": "#0072b2",
    "aims, micro F1": "#d55e00",
    "types, micro F1": "#009e73",
    "contributions with the right quote, F1": "#7a5195",
}
WIDTH, HEIGHT, LEFT, TOP, SIDE_X, SIDE_Y = 640, 400, 60, 50, 360, 290
LOWEST = 0.4


def build(share: float, folder: Path) -> Path:
    """The folder of a model that was taught a share of the material; built when it is not there."""
    if share == 1.0:
        return SHIPPED_MODEL
    if not (folder / ENCODER_FILE).is_file():
        command = [sys.executable, "-m", "mailbot.build_encoder", "--seeds", "1", "--share", str(share)]
        command += ["--out", str(folder)]
        subprocess.run(command, check=True)
    return folder


def measured(model: Path) -> dict[str, float]:
    """A model's figures on the unseen mails."""
    rules = (SHIPPED / "rules",)
    classifier = load_classifier(
        campaign=load_campaign(rules), rules_folders=rules, cache_folder=FOLDER / "none", read=read, model_folder=model
    )
    mails = [mail for path in sorted(CORPUS.glob("unseen_*.jsonl")) for mail in load_corpus(path, read)]
    return figures(measure(answer_all(classifier, mails)))


def picture(sets: dict[str, dict[str, float]]) -> str:
    """The curve as an SVG document."""
    xs = [LEFT + SIDE_X * number / (len(sets) - 1) for number in range(len(sets))]

    def y(score: float) -> float:
        return TOP + SIDE_Y * (1 - (score - LOWEST) / (1 - LOWEST))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-labelledby="title" font-family="sans-serif" font-size="13" fill="#1a1a1a">',
        '<title id="title">Scores on unseen mails by the share of the material that was taught</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" font-size="16" font-weight="bold">Unseen writers, by the material taught</text>',
    ]
    for tick in range(4, 11):
        at = y(tick / 10)
        parts.append(f'<path d="M{LEFT} {at:.1f}h{SIDE_X}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{at + 4.5:.1f}" text-anchor="end">{tick / 10:.1f}</text>')
    for x, name in zip(xs, sets, strict=True):
        parts.append(f'<text x="{x:.1f}" y="{TOP + SIDE_Y + 22}" text-anchor="middle">{name}</text>')
    ends = sorted(DRAWN, key=lambda name: -list(sets.values())[-1][name])
    for row, name in enumerate(ends):
        points = [f"{x:.1f} {y(one[name]):.1f}" for x, one in zip(xs, sets.values(), strict=True)]
        parts.append(f'<path d="M{"L".join(points)}" fill="none" stroke="{DRAWN[name]}" stroke-width="2.5"/>')
        at = TOP + 14 + row * 22
        parts.append(f'<path d="M{LEFT + SIDE_X + 18} {at - 4}h22" stroke="{DRAWN[name]}" stroke-width="2.5"/>')
        parts.append(f'<text x="{LEFT + SIDE_X + 46}" y="{at}">{name.partition(",")[0].partition(" with")[0]}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Builds what is missing, measures, prints and draws."""
    sets = {name: measured(build(share, FOLDER / name.replace("/", "-"))) for name, share in SHARES.items()}
    Console().print(table(sets), highlight=False, soft_wrap=True)
    PICTURE.write_text(picture(sets), encoding="utf-8")


if __name__ == "__main__":
    main()
