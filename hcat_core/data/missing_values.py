"""The values that a recipe says mean "not measured" or "not known", beside the empty cell."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
"""A number as text: decimal digits with a sign, a decimal point and an exponent, nothing else."""

_INFINITE = {"inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Missing:
    """What stands for an empty cell: texts, and numbers in whatever spelling.

    Attributes:
        texts: compared with cells without their surrounding blanks.
        numbers: of the texts that are numbers. A number with decimals is there as float32 holds it, too:
            in a file of that type -9.9 is -9.8999996.
    """

    texts: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Sequence[str | float], decimal: str = ".") -> Missing:
        """Of the values that a recipe names.

        Args:
            values: texts and numbers.
            decimal: the decimal mark of the file; a number can be given with a point or with this mark.
        """
        texts = frozenset(f"{value}".strip() for value in values)
        found = (_number(text, decimal) for text in texts)
        numbers = {number for number in found if number is not None}
        narrow = {float(np.float32(n)) for n in numbers if abs(n) < 1e30 and not n.is_integer()}
        return cls(texts, tuple(sorted(numbers | narrow)))

    def with_decimal(self, decimal: str) -> Missing:
        """The same values for a file with this decimal mark."""
        return Missing.of(sorted(self.texts), decimal)

    def among(self, numbers: np.ndarray) -> np.ndarray:
        """Bool, of the shape of ``numbers``: which of them mean "not measured"."""
        return np.isin(numbers, self.numbers)

    def blank(self, numbers: np.ndarray) -> None:
        """Set the numbers that mean "not measured" to NaN, in place."""
        for number in self.numbers:
            numbers[numbers == number] = np.nan


def _number(text: str, decimal: str) -> float | None:
    if text in _INFINITE:
        return _INFINITE[text]
    if decimal == "," and "." not in text:
        text = text.replace(",", ".")
    return float(text) if NUMBER.fullmatch(text) else None
