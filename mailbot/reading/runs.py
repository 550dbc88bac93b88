"""Sets the long runs of base64 in a mail aside while it is bounded and parsed.

Owns what counts as such a run. Parsers and patterns go line by line, and nearly all lines of a large mail are the
base64 of its attachments, in which nothing can be found. Must not know MIME, nor what an attachment is.
"""

from __future__ import annotations

import re
from email.message import Message as Part

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: equally long lines in a row, from which on they are set aside
_MANY_LINES = 100
#: what stands in a run's place
_PLACE = re.compile(r"=_run-(\d{1,6})_=")


def set_aside(octets: bytes) -> tuple[bytes, dict[int, str]]:
    """Take the runs out.

    A run follows a blank line. Its lines are equally long and hold nothing but letters of base64, so that
    neither a MIME boundary nor a header nor a sentence is among them.

    Args:
        octets: a raw mail.

    Returns:
        The mail with one line in the place of each run, and the runs by number, each as one line: base64
        takes no notice of line ends.
    """
    line_end = b"\r\n" if b"\r\n" in octets[:2_000] else b"\n"
    blank_line = 2 * line_end
    runs: dict[int, str] = {}
    kept: list[bytes] = []
    position = 0
    start = octets.find(blank_line)
    while start != -1:
        start += len(blank_line)
        end = _equal_lines(octets, start, line_end)
        if end:
            letters = octets[start:end].translate(None, line_end)
            if not letters.translate(None, _LETTERS):
                kept += (octets[position:start], b"=_run-%d_=" % len(runs), line_end)
                runs[len(runs)] = letters.decode("ascii")
                position = end
        # What was looked at is passed over, whatever it holds: this ends in linear time.
        start = octets.find(blank_line, (end or start) - len(line_end))
    return (b"".join((*kept, octets[position:])), runs) if runs else (octets, runs)


def put_back(root: Part, runs: dict[int, str]) -> None:
    """Put each run back in its place in the parsed mail.

    Args:
        root: changed in place.
        runs: as `set_aside` gave them; each is put back once, so that a mail that spells places out does not grow.
    """
    if not runs:
        return
    waiting = dict(runs)
    for part in root.walk():
        payload = part.get_payload()
        if isinstance(payload, str) and "=_run-" in payload:
            part.set_payload(_PLACE.sub(lambda place: waiting.pop(int(place[1]), place[0]), payload))


def _equal_lines(octets: bytes, start: int, line_end: bytes) -> int:
    """Where the run of many equally long lines ends that begins at `start`; 0 when none does."""
    first = octets.find(line_end, start, start + 1_000)
    step = first - start + len(line_end)
    many = first + _MANY_LINES * step
    # Every step-th octet ends a line. A slice finds that out at the speed of C, where a loop would take as long as
    # the parser that is to be spared.
    if first <= start or many > len(octets) or octets[first:many:step].strip(line_end[:1]):
        return 0
    ends = octets[first::step]
    return min(start + step * (len(ends) - len(ends.lstrip(line_end[:1]))), len(octets))
