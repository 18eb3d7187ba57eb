"""Text from recipes, files and plugins made safe to print: it cannot contain terminal control codes."""

from __future__ import annotations

import json
import math

MOST_SHOWN = 60


def printable(text: str) -> str:
    """``text`` with invisible characters escaped: controls, marks of direction. Line breaks stay."""
    if text.isprintable():
        return text
    return "\n".join("".join(map(_visible, line)) for line in text.split("\n"))


def one_line(text: str, longest: int | None = None) -> str:
    """``text`` on one line, line breaks escaped too, cut after ``longest`` characters."""
    start = text[:longest]
    return "".join(map(_visible, start)) + ("" if len(start) == len(text) else " ...")


def shown(value: object) -> str:
    """A value of a recipe for a message: on one line, strings in quotes, shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan, as TOML spells them
    text = one_line(json.dumps(value, default=str, ensure_ascii=False))
    if len(text) <= MOST_SHOWN:
        return text
    return text[: MOST_SHOWN - 4] + ('..."' if isinstance(value, str) else "...")


def name_in_quotes(name: str) -> str:
    """A name that was not found, in quotes; with the code points of characters outside ASCII."""
    others = sorted({f"U+{ord(character):04X}" for character in name if ord(character) > 127})
    return shown(name) + (f" (it has {', '.join(others[:3])})" if others else "")


def is_utf8(text: str) -> bool:
    """Whether a text, such as a file's name, can be written in UTF-8; a name in another encoding cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
