"""How fast and how heavy the classifier is: python -m benchmarks.speed

Prints the time to load it, the time for one mail of 2 KB on one core, mails a second in bulk on two, and the memory of
the whole process. Times swing with the machine, so each stands beside the encoder alone, which is its floor.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
UNSEEN = ROOT / "tests" / "corpus" / "unseen_1.jsonl"
PARAGRAPH = (
    "Thank you for your letter of last week, which I read to the others at our meeting on Tuesday evening. Most of us "
    "had not heard of half of the things that you do, and there were questions that I could not answer. Our hall "
    "stands empty on Mondays, and any new social enterprise could work there without paying rent until the summer. "
)


def _seconds(work: Callable[[], object], times: int) -> float:
    """The median time of one run, in seconds."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def memory() -> int:
    """The resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def main() -> None:
    """Measures on the given cores, then prints; without --cores starts itself on one and on two."""
    if "--cores" not in sys.argv:
        for cores in (1, 2):
            subprocess.run([sys.executable, "-m", "benchmarks.speed", "--cores", str(cores)], check=True)
        return
    cores = int(sys.argv[sys.argv.index("--cores") + 1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    begun = time.perf_counter()
    from mailbot.app import load_understanding
    from mailbot.classifying.analysis import texts_of
    from mailbot.classifying.encoder import load_encoder
    from mailbot.classifying.evaluate import load_corpus
    from mailbot.classifying.examples import mail_octets
    from mailbot.classifying.sentences import split
    from mailbot.reading import read

    _, classifier = load_understanding(None)
    loaded = time.perf_counter() - begun
    row = {"id": "m", "from_email": "ann@lock.example", "subject": "Your letter", "body": (PARAGRAPH * 6)[:2048]}
    one = read(mail_octets(row))
    sentences = [sentence.text for text in texts_of(one) for sentence in split(text)]
    encoder = load_encoder()
    classifier.classify(one)
    whole = _seconds(lambda: classifier.classify(one), 30)
    floor = _seconds(lambda: encoder.encode(one.subject, "", sentences), 30)
    mails = [mail.message for mail in load_corpus(UNSEEN, read)]
    bulk = _seconds(lambda: [classifier.classify(mail) for mail in mails], 3) / len(mails)
    table = Table("Classifier", f"{cores} core{'s' if cores > 1 else ''}", title="Speed and memory")
    table.add_row("import and load", f"{loaded:.1f} s")
    table.add_row("a mail of 2 KB", f"{whole * 1000:.0f} ms")
    table.add_row("its encoding alone (floor)", f"{floor * 1000:.0f} ms")
    table.add_row("in bulk, mails of tests/corpus", f"{1 / bulk:.0f} a second")
    table.add_row("memory of the process", f"{memory()} MB")
    Console().print(table)


if __name__ == "__main__":
    main()
