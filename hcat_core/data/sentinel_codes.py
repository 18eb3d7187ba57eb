"""Codes for "not measured" among numbers, such as -999, by their value and their distance to the rest.

Profilers of data look for values that are outliers and occur again and again (FAHES: Qahtan et al., KDD
2018; Pearson, SIGKDD Explorations 8, 2006). Alone that flags dose 0 beside 60 Gy, or the cap of an assay.
So a value must also be one that people write as a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CODES = np.array(
    [
        *(sign * int(digit * length) for digit in "789" for length in range(2, 7) for sign in (-1, 1)),
        *(-1, -7, -8, -9),
        *(-32768, 32767, 65535, -2147483648, 2147483647, 4294967295),  # the ends of whole numbers in files
    ],
    dtype=np.float64,
)
"""-1, -7, -8, -9, repeated digits 7, 8 and 9 (77, -999, 99999), and the ends of integer types."""

FEWEST_OTHERS = 3


class SentinelSearch:
    """Looks for codes in the columns of a table, chunk by chunk.

    A code is found in a column if it occurs twice, and the distance to the nearest of the other values
    (those that are no code) is larger than all the distance between these: 99 among ages from 40 to 95 is
    an age; among ages from 20 to 45 it is a code. A negative code where no other value is negative need
    only be more than 1 away, and from -99 on occur once.

    Args:
        columns: how many there are.
    """

    def __init__(self, columns: int) -> None:
        self.low = np.full(columns, np.inf)  # of the values that are no code
        self.high = np.full(columns, -np.inf)
        self.counts: dict[int, np.ndarray] = {}  # of each code, by column

    def look(self, numbers: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Take in a chunk.

        Args:
            numbers: (R, k), NaN for empty cells.
            low: (k,) the smallest number of each column.
            high: (k,) the largest.
        """
        low, high = low.copy(), high.copy()
        suspects = np.isin(low, CODES) | np.isin(high, CODES)
        for column in np.flatnonzero(suspects).tolist():
            cells = numbers[:, column]
            is_code = np.isin(cells, CODES)
            found = self.counts.setdefault(column, np.zeros(len(CODES), np.int64))
            found += (cells[is_code, None] == CODES).sum(axis=0)
            rest = cells[~is_code]
            low[column] = np.fmin.reduce(rest, initial=np.inf)
            high[column] = np.fmax.reduce(rest, initial=-np.inf)
        self.low = np.fmin(self.low, low)
        self.high = np.fmax(self.high, high)

    def codes(self, column: int, measured: int) -> list[tuple[float, int]]:
        """The codes of one column, with how often each occurs.

        Args:
            column: its place.
            measured: how many of its cells are numbers.
        """
        counts = self.counts.get(column)
        low, high = self.low[column], self.high[column]
        if counts is None or measured - counts.sum() < FEWEST_OTHERS or not high > low:
            return []
        found = []
        for code, count in zip(CODES.tolist(), counts.tolist(), strict=True):
            distance = low - code if code < low else code - high
            often = count > 1 or (count == 1 and code <= -99 and low >= 0)
            alone = code < 0 <= low and distance > 1  # -1 below 0 and 1 is a level
            if often and (alone or distance > high - low):
                found.append((code, count))
        return found

    def finding(self, names: Sequence[str], measured: np.ndarray, file: str) -> str | None:
        """One sentence that names columns, codes and counts, and the key of the recipe.

        Args:
            names: of the columns.
            measured: (k,) how many cells of each column are numbers.
            file: the file's name.
        """
        found: list[str] = []
        codes: dict[str, None] = {}
        for column in self.counts:
            low, high = self.low[column], self.high[column]
            for code, count in self.codes(column, int(measured[column])):
                found.append(f"{names[column]}: {count} times {code:.0f} (others {low:g} to {high:g})")
                codes[f'"{code:.0f}"'] = None
        if not found:
            return None
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        return (
            f"{file}: values that look like codes for not measured: {'; '.join(found[:10])}{more}. If they "
            f"are: missing = [{', '.join(codes)}]."
        )


def codes_of(numbers: np.ndarray) -> list[float]:
    """The codes in one column (R,), NaN for empty cells."""
    search = SentinelSearch(1)
    column = numbers.reshape(-1, 1)
    low = np.fmin.reduce(column, axis=0, initial=np.inf)
    high = np.fmax.reduce(column, axis=0, initial=-np.inf)
    search.look(column, low, high)
    return [code for code, _ in search.codes(0, int(np.isfinite(numbers).sum()))]
