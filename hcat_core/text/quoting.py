"""Text from outside (recipes, files, plugins) made safe to show: nothing in it moves a terminal."""

from __future__ import annotations

import json
import math

MOST_SHOWN = 60


def printable(text: str) -> str:
    """``text`` with what cannot be seen spelled out: controls, escapes, marks of direction. Lines stay."""
    if text.isprintable():
        return text
    return "\n".join("".join(map(_visible, line)) for line in text.split("\n"))


def one_line(text: str, longest: int | None = None) -> str:
    """``printable``, line breaks spelled out too, and no longer than ``longest`` letters of the text."""
    kept = text[:longest]
    return "".join(map(_visible, kept)) + ("" if len(kept) == len(text) else " ...")


def shown(value: object) -> str:
    """A recipe's value as a message shows it: on one line, texts in quotes, shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan, as TOML spells them
    text = one_line(json.dumps(value, default=str, ensure_ascii=False))
    if len(text) <= MOST_SHOWN:
        return text
    return text[: MOST_SHOWN - 4] + ('..."' if isinstance(value, str) else "...")


def name_in_quotes(name: str) -> str:
    """A name that was not found; letters that may only look like the right ones are named."""
    strange = sorted({f"U+{ord(letter):04X}" for letter in name if ord(letter) > 127})
    return shown(name) + (f" (it has {', '.join(strange[:3])})" if strange else "")


def _visible(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
