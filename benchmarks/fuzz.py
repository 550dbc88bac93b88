"""Fuzzing of reading: mails of the test suite, mutated for bounded time, must be read or refused, quickly.

    python -m benchmarks.fuzz [--minutes 5] [--seed N] [--keep FOLDER]

A find is a mail on which reading fails with an error of its own, takes too long, or makes a Message that a store
cannot take. It is written to FOLDER (default: fuzz/), made smaller by hand, and put into tests/mails/broken, where the
test suite reads it for ever after. Exit code 1 when there is one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mailbot.errors import UnreadableMail
from mailbot.reading import read

console = Console()
MAILS = Path(__file__).parents[1] / "tests" / "mails"
#: seconds of processor time that a mail may take, and octets of a mutated mail at most
_TOO_LONG_S, _LONGEST = 3.0, 200_000

#: what parsers trip over
_TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\n\n",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\x1b$B",
    b"--",
    b"--b--\r\n",
    b";;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;",
    b"=?utf-8?q?",
    b"=?utf-8?b?",
    b"=?x?q?=0D=0A?=",
    b"?=",
    b"=\n",
    b"=3D",
    b'"',
    b"\\",
    b"((((((((((((((((((((((((((((((((((((((((",
    b"))))))))))))))))))))))))))))))))))))))))",
    b"<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
    b">",
    b"@",
    b",",
    b":",
    b"From ",
    b"From: ",
    b"To: ",
    b"Subject: ",
    b"Date: Mon, 99 Foo 99999 99:99:99 +99999\r\n",
    b"Date: 2026\r\n",
    b"Message-ID: <>\r\n",
    b"References: " + b"<a@b> " * 300 + b"\r\n",
    b"Content-Type: ",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: text/html; charset=utf-7\r\n",
    b"Content-Type: text/plain; charset=x-unknown; format=flowed; delsp=yes\r\n",
    b"Content-Type: text/calendar; method=\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=\"..\\\\\r\n",
    b"<html><body><table>" * 20,
    b"<!--",
    b"&#x110000;",
    b"&#0;",
    b"> " * 60,
    b"On Mon wrote:\r\n",
    b"-- \r\n",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"+44 121 496 0000 ",
    b"\xc2\xa3999999999999999999999 ",
    b"31/02/2026 ",
    b"B1 1AA ",
    b"https://" + b"a" * 300 + b" ",
]


def mutated(seed: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """A mail like `seed`, with one to eight things wrong."""
    octets = bytearray(seed)
    for _ in range(dice.randint(1, 8)):
        size = len(octets)
        at, length = dice.randrange(size + 1), min(int(dice.paretovariate(0.7)), 5000)
        end = min(at + length, size)
        match dice.randrange(9):
            case 0 if size:
                octets[min(at, size - 1)] = dice.randrange(256)
            case 1:
                del octets[at:end]
            case 2:
                octets[at:at] = dice.choice(_TOKENS)
            case 3:
                octets[at:end] = dice.choice(_TOKENS) * dice.randint(1, 5)
            case 4:
                octets[at:at] = octets[at:end] * dice.choice([1, 2, 20])
            case 5:
                other = dice.choice(others)
                start = dice.randrange(len(other) + 1)
                octets[at:at] = other[start : start + length * 10]
            case 6:
                # A line somewhere else: headers in the body, boundaries in headers.
                lines = octets.splitlines(keepends=True)
                if lines:
                    lines.insert(dice.randrange(len(lines)), lines.pop(dice.randrange(len(lines))))
                    octets = bytearray(b"".join(lines))
            case 7:
                del octets[at:]
            case _:
                octets = octets.replace(
                    b"\r\n", dice.choice([b"\n", b"\r", b"\r\r\n", b"\r\n\r\n"]), dice.randint(1, 50)
                )
        del octets[_LONGEST:]
    return bytes(octets)


def verdict(octets: bytes) -> str | None:
    """What is wrong with how a mail is read; None when nothing is."""
    start = time.process_time()
    try:
        message = read(octets)
    except UnreadableMail as problem:
        # Refusing is an answer; an error of reading's own is a bug that a person should see.
        return str(problem).partition(":")[0] if str(problem).startswith("reading failed") else None
    finally:
        spent = time.process_time() - start
    if spent > _TOO_LONG_S:
        return f"slow ({round(spent)} s)"
    try:
        text = json.dumps(asdict(message), default=str, ensure_ascii=False)
        text.encode("utf-8")
    except ValueError as problem:
        return f"cannot be stored ({type(problem).__name__})"
    return "holds NUL" if "\\u0000" in text else None


def fuzz(minutes: float, seed: int, tell: Callable[[int, float], None]) -> dict[str, bytes]:
    """Mutates until the time is over; the shortest find of each kind."""
    dice = random.Random(seed)
    seeds = [path.read_bytes() for path in sorted(MAILS.rglob("*.eml"))]
    seeds = [octets for octets in seeds if len(octets) < _LONGEST // 2]
    finds: dict[str, bytes] = {}
    start, tried = time.monotonic(), 0
    while (spent := time.monotonic() - start) < minutes * 60:
        octets = mutated(dice.choice(seeds), seeds, dice)
        wrong = verdict(octets)
        if wrong is not None and len(octets) < len(finds.get(wrong, bytes(_LONGEST + 1))):
            finds[wrong] = octets
        tried += 1
        tell(tried, spent)
    return finds


def main() -> None:
    """Fuzzes and prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--keep", type=Path, default=Path("fuzz"))
    given = arguments.parse_args()
    count: Counter[str] = Counter()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Fuzzing", total=given.minutes * 60)

        def tell(tried: int, spent: float) -> None:
            count["tried"] = tried
            bar.update(task, completed=spent, description=f"Fuzzing, {tried:,} mails")

        finds = fuzz(given.minutes, given.seed, tell)
    for wrong, octets in finds.items():
        given.keep.mkdir(exist_ok=True)
        path = given.keep / f"{sha256(octets).hexdigest()[:12]}.eml"
        path.write_bytes(octets)
        console.print(f"{wrong}: {path}", style="red", highlight=False)
    console.print(f"{count['tried']:,} mails read, {len(finds)} kinds of find (seed {given.seed})", highlight=False)
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
