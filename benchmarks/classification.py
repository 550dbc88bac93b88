"""How good the shipped classifier is: python -m benchmarks.classification [--write]

Measured on four sets of labelled mails: those that the encoder was not taught and the heads are fitted on, each
answered by heads that were not taught it; tests/corpus/unseen_*.jsonl, whose writers saw no training mail, meant to
defeat a classifier, and whose mails nothing was ever tuned to; tests/corpus/ordinary.jsonl, the same but written as
most people write; and tests/corpus/dev.jsonl, which some who wrote training mails had read.

--write puts the figures into docs/classification.md and, as metrics.json, beside the model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from mailbot.campaign import load_campaign
from mailbot.classifying.encoder import SHIPPED_MODEL
from mailbot.classifying.evaluate import Answer, Metrics, answer_all, load_corpus, measure
from mailbot.classifying.models import load_classifier, open_workshop, try_training
from mailbot.config import SHIPPED
from mailbot.reading import read

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "corpus"
DOCS = ROOT / "docs" / "classification.md"
METRICS = SHIPPED_MODEL / "metrics.json"
#: the figures stand between these lines
BEGIN, END = "<!-- figures: python -m benchmarks.classification --write -->", "<!-- end of figures -->"


def figures(metrics: Metrics) -> dict[str, float]:
    """What is told of one set of mails, by name."""
    return {
        "mails": metrics.mails,
        "class, macro F1": round(metrics.class_macro_f1, 3),
        **{f"class {name}, F1": round(score.f1, 3) for name, score in metrics.per_class},
        "aims, micro F1": round(metrics.aims_micro.f1, 3),
        **{f"aim {name}, F1": round(score.f1, 3) for name, score in metrics.per_aim},
        "types, micro F1": round(metrics.types_micro.f1, 3),
        "contributions with the right quote, F1": round(metrics.quotes.f1, 3),
        "contributions with the right quote, type and aims, F1": round(metrics.wholly_right.f1, 3),
        "share of mails that ask for a look": round(metrics.review_share, 3),
        "mails with a wrong class or wrong aims": metrics.wrong,
        "of those, the share that ask for a look": round(metrics.wrong_in_review, 3),
    }


def table(sets: dict[str, dict[str, float]]) -> str:
    """The figures of several sets as a table in Markdown."""
    lines = [f"| | {' | '.join(sets)} |", f"| --- |{' --- |' * len(sets)}"]
    first = next(iter(sets.values()))
    for name in first:
        cells = [str(one[name]) if isinstance(one[name], int) else f"{one[name]:.2f}" for one in sets.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measured() -> tuple[str, dict[str, dict[str, float]]]:
    """The model's version, and its figures on each set."""
    rules = (SHIPPED / "rules",)
    campaign = load_campaign(rules)
    scratch = ROOT / "build" / "no-model-of-ours"
    classifier = load_classifier(campaign=campaign, rules_folders=rules, cache_folder=scratch, read=read)
    workshop = open_workshop(campaign=campaign, rules_folders=rules, cache_folder=scratch)
    unseen: list[Answer] = []
    for path in sorted(CORPUS.glob("unseen_*.jsonl")):
        unseen += answer_all(classifier, load_corpus(path, read))
    return classifier.version, {
        "held back": figures(measure(try_training(workshop, read).answers)),
        "unseen": figures(measure(unseen)),
        **{
            name: figures(measure(answer_all(classifier, load_corpus(CORPUS / f"{name}.jsonl", read))))
            for name in ("ordinary", "dev")
        },
    }


def main() -> None:
    """Measures, prints, and with --write keeps the figures."""
    version, sets = measured()
    Console().print(f"{version}\n{table(sets)}", highlight=False, soft_wrap=True)
    if "--write" in sys.argv[1:]:
        METRICS.write_text(json.dumps({"model": version, "sets": sets}, indent=1) + "\n", encoding="utf-8")
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCS.write_text(f"{before}{BEGIN}\n\n{table(sets)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
