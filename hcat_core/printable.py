"""Text from a file as a terminal may show it."""

from __future__ import annotations


def printable(text: str, longest: int = 2_000) -> str:
    r"""One line: control characters, escapes and direction marks spelt out (``\x1b``), the rest as it is.

    Names in a file are the file's author's words, who may not write to the user's terminal.
    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:longest]
    )
    return shown if len(text) <= longest else shown + " ..."
