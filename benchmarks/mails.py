"""Mails to measure with: no two alike, mixed as facts of life are: 15% HTML, 8% with attachments, 1% of some MB."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "rules" / "examples"


def mixed_mails(count: int, *, large: bool = True) -> Iterator[bytes]:
    """`count` mails, the same at every call.

    Args:
        count: how many.
        large: whether 1% have an attachment of 3 to 8 MB; else they are small too.
    """
    rows = [
        json.loads(line)
        for file in sorted(EXAMPLES.glob("*.jsonl"))
        if not file.name.startswith("sentences")
        for line in file.read_text("utf-8").splitlines()
    ]
    chance = random.Random(7)
    for number in range(count):
        row = rows[number % len(rows)]
        mail = EmailMessage()
        mail["Return-Path"] = f"<writer{number}@{chance.randrange(10**6)}.example>"
        for hop in range(4):
            mail["Received"] = (
                f"from relay{hop}.example ([192.0.2.{hop}]) by mx{hop}.example with ESMTPS "
                f"id {chance.getrandbits(64):x}; Mon, 02 Mar 2026 09:3{hop}:00 +0000"
            )
        mail["From"] = f"{row['from_name'].replace(chr(34), '')} <writer{number}@{chance.randrange(10**6)}.example>"
        mail["To"] = "Sarah Crawley <sarah.crawley@bsec.example>"
        mail["Subject"] = " ".join(row["subject"].split())
        mail["Message-ID"] = f"<{number}.{chance.getrandbits(64):x}@bench.example>"
        mail["Date"] = "Mon, 02 Mar 2026 09:30:00 +0000"
        mail.set_content(f"{row['body']}\n\nNo. {number}\n")
        if chance.random() < 0.15:
            paragraphs = "".join(f"<p style='margin:0 0 1em'>{line}</p>" for line in row["body"].splitlines())
            mail.add_alternative(f"<html><body>{paragraphs}</body></html>", subtype="html")
        if chance.random() < 0.08:
            mail.add_attachment(chance.randbytes(60_000), maintype="application", subtype="pdf", filename="plan.pdf")
        if large and chance.random() < 0.01:
            size = chance.randrange(3_000_000, 8_000_000)
            mail.add_attachment(chance.randbytes(size), maintype="image", subtype="jpeg", filename="photo.jpg")
        yield mail.as_bytes()
