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
#: a letter of 2 KB with two contributions in it
LETTER = """\
Dear Sarah,

Thank you for your letter of last week, which I read to the others at our meeting on Tuesday evening. Most of us had not
heard of half of the things that you do, and there were questions that I could not answer. Our treasurer wanted to know
who pays for the office, and Mrs Lacey asked whether the council had been told, since it usually has not been told until
it reads of it in the Mail, and then there are letters. I said that I would ask you.

For those of us who remember the place before the ring road it is strange to hear it called a city of anything. When I
started at the works there were four hundred of us on the shop floor and a canteen, and a band at Christmas. The band
went first. What there is now is six units round a yard, a nursery, a man who mends guitars and the young woman with the
bicycles, who is the only one of them that ever makes a profit, or so she says. She is very good with the boys who hang
about there and we have not had a window broken since she came.

Our hall stands empty on Mondays, and any new social enterprise could work there without paying rent until the summer.
There is a kitchen of sorts, and the heating comes on at eight whatever one does to it. The roof was done two years ago
with money from the lottery, after three tries at the form, and I would not wish that form on anybody.

The other matter is the fair in June. We have held it for thirty years on the green behind the church, with the dog show
and the vintage tractors, and last year some four thousand people came in spite of the rain. Put us down for a double
pitch by the gate for your people, paid for by the committee, so that everybody who comes in sees what a social
enterprise is before they see the tractors.

I hope that your cold is better and that you have had an answer about the trains. My regards to your mother, whom I
remember from the choir.

Yours sincerely
Walter Pym, for the Committee of the Friends of Sandhurst Green
"""


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

    imported = time.perf_counter() - begun
    from mailbot.classifying.analysis import texts_of
    from mailbot.classifying.encoder import load_encoder
    from mailbot.classifying.evaluate import load_corpus
    from mailbot.classifying.examples import mail_octets
    from mailbot.classifying.language import foreign_language
    from mailbot.classifying.sentences import split
    from mailbot.reading import read

    _, classifier = load_understanding(None)
    loaded = time.perf_counter() - begun - imported
    row = {"id": "m", "from_email": "ann@lock.example", "subject": "Your letter", "body": LETTER}
    one = read(mail_octets(row))
    sentences = [sentence.text for text in texts_of(one) for sentence in split(text)]
    classifier.classify(one)
    foreign_language("Chciałbym bardzo pomóc waszej organizacji.")  # the first foreign mail loads the identifier
    settled = memory()
    encoder = load_encoder()
    whole = _seconds(lambda: classifier.classify(one), 30)
    floor = _seconds(lambda: encoder.encode(one.subject, "", sentences), 30)
    mails = [mail.message for mail in load_corpus(UNSEEN, read)]
    bulk = _seconds(lambda: [classifier.classify(mail) for mail in mails], 3) / len(mails)
    table = Table("Classifier", f"{cores} core{'s' if cores > 1 else ''}", title="Speed and memory")
    table.add_row("to import mailbot", f"{imported:.1f} s")
    table.add_row("to load the classifier", f"{loaded:.1f} s")
    table.add_row("a mail of 2 KB", f"{whole * 1000:.0f} ms")
    table.add_row("its encoding alone (floor)", f"{floor * 1000:.0f} ms")
    table.add_row("in bulk, mails of tests/corpus", f"{1 / bulk:.0f} a second")
    table.add_row("memory of the process", f"{settled} MB")
    Console().print(table)


if __name__ == "__main__":
    main()
