"""Shares and quantities as text, the same on the terminal, in pages and in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float) -> str:
    """A share as whole per cent: ``13 %``."""
    return f"{_whole(share)} %"


def percent_range(pair: Sequence[float]) -> str:
    """The two ends of an interval of a share: ``9 to 17 %``."""
    return f"{_whole(pair[0])} to {_whole(pair[1])} %"


def quantity(value: float, digits: int = 3) -> str:
    """A number in a unit of its own, with three significant digits: ``0.0123``, ``12.0``, ``1234``."""
    text = f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}".rstrip(".")
    return "0" if float(text) == 0 else text


def _whole(share: float) -> str:
    text = f"{100 * share:.0f}"
    return "0" if text == "-0" else text
