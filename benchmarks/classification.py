"""How good the classifier is: python -m benchmarks.classification

On the training mails by five-fold cross-validation, and on tests/corpus/dev.jsonl, which is taught to nobody.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from mailbot.app import load_understanding
from mailbot.campaign import load_campaign
from mailbot.classifying.evaluate import Metrics, evaluate, held_out_answers, load_corpus, measure
from mailbot.config import SHIPPED
from mailbot.reading import read

DEV = Path(__file__).parents[1] / "tests" / "corpus" / "dev.jsonl"


def figures(metrics: Metrics) -> dict[str, str]:
    """What the table says of one set of mails."""
    classes = {f"class {name}, F1": f"{score.f1:.2f}" for name, score in metrics.per_class}
    aims = {f"aim {name}, F1": f"{score.f1:.2f}" for name, score in metrics.per_aim}
    return {
        "mails": str(metrics.mails),
        "class, macro F1": f"{metrics.class_macro_f1:.2f}",
        **classes,
        "contributions with the right quote, F1": f"{metrics.quotes.f1:.2f}",
        "types, micro F1": f"{metrics.types_micro.f1:.2f}",
        "aims, micro F1": f"{metrics.aims_micro.f1:.2f}",
        **aims,
        "share of mails that ask for a look": f"{metrics.review_share:.2f}",
        "of the mails with any mistake, the share that ask for a look": f"{metrics.wrong_in_review:.2f}",
    }


def main() -> None:
    """Measures and prints."""
    rules = (SHIPPED / "rules",)
    held_out = figures(measure(held_out_answers(campaign=load_campaign(rules), rules_folders=rules)))
    _, classifier = load_understanding(None)
    dev = figures(evaluate(classifier, load_corpus(DEV, read)))
    table = Table("Shipped rules", "Training mails, five-fold", "dev.jsonl", title="How good the classifier is")
    for name, value in held_out.items():
        table.add_row(name, value, dev[name])
    Console().print(table)


if __name__ == "__main__":
    main()
