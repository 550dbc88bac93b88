"""Joins the lines of format=flowed text again.

Owns RFC 3676. Must not know where the text came from or what it says.
"""

from __future__ import annotations


def unflow(text: str, *, del_sp: bool = False) -> str:
    """The text with flowed lines joined and stuffed spaces taken away; quoting stays as ">" signs.

    Args:
        text: decoded text with "\\n" line ends.
        del_sp: the DelSp parameter: the space that marks a soft break is no part of the text.

    Source:
        RFC 3676 section 4.
    """
    joined: list[str] = []
    open_depth = -1  # quote depth of a paragraph whose last line ended softly, -1 for none
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        is_signature_mark = content == "-- "
        soft = content.endswith(" ") and not is_signature_mark
        shown = content[:-1] if soft and del_sp else content
        if open_depth == depth and not is_signature_mark:
            joined[-1] += shown
        else:
            joined.append(f"{'>' * depth} {shown}" if depth else shown)
        open_depth = depth if soft else -1
    return "\n".join(joined)
