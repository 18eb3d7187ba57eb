"""Numbers, intervals and lists as text."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from hcat_core.text.counted import counted as counted


def number(value: object, digits: int = 3) -> str:
    """A number for a table, where 0 has no sign; a dash for None."""
    return _unsigned_zero(f"{value:.{digits}f}") if isinstance(value, (int, float)) else "–"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, which 0 does not have."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def _unsigned_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text


def interval(pair: Sequence[float] | None, digits: int = 2) -> str:
    """An interval in brackets; an empty string for None."""
    return f"({number(pair[0], digits)} to {number(pair[1], digits)})" if pair else ""


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names with commas, and a word before the last one: ``a, b and c``."""
    *first, end = names or ("",)
    return f"{', '.join(first)} {last} {end}" if first else end


def today() -> str:
    """The date in words: ``1 December 2026``."""
    date = datetime.date.today()
    return f"{date.day} {date:%B %Y}"
