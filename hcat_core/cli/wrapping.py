"""Lines of text that fit the terminal: broken between words, never in one."""

from __future__ import annotations

import textwrap

HANGING = 2  # columns by which what follows in the same paragraph is indented
NARROWEST = 20  # columns, below which nothing is wrapped


def wrapped(text: str, width: int, hanging: int = HANGING) -> str:
    """A text whose lines have up to ``width`` columns, where no word is longer than that.

    Args:
        text: of one or more lines, each of which is a paragraph with its own indent.
        width: columns of the terminal.
        hanging: further indent of the second and the next lines of a paragraph.
    """
    if width < NARROWEST:
        return text
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, width, hanging))


def unbroken(text: str) -> str:
    """A text whose paragraphs are one line each, to be wrapped anew; indented lines stay as they are."""
    lines: list[str] = []
    for line in text.split("\n"):
        follows = bool(lines) and lines[-1] and not lines[-1].startswith(" ")
        if follows and line and not line.startswith(" "):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(lines)


def _pieces(line: str, width: int, hanging: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip(" ")) + hanging
    if width - indent < NARROWEST:
        indent = 0
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )
