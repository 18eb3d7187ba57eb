"""Text from a file as a terminal may show it."""

from __future__ import annotations


def printable(text: str, longest: int | None = None) -> str:
    r"""One line: control characters, escapes and direction marks spelt out (``\x1b``), the rest as it is.

    Names in a file are its author's words, who may not write to the user's terminal.
    """
    kept = text[:longest]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in kept)
    return shown if len(kept) == len(text) else shown + " ..."


def printable_lines(text: str) -> str:
    """``printable`` of each line."""
    return "\n".join(printable(line) for line in text.split("\n"))
