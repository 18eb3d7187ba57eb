"""One feature for each category of a column of text, of the file or of a trained run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from hcat_core.text.quoting import shown

_DOUBTFUL = ("na", "n/a", "#n/a", "<na>", "nan", "null", "?", ".")
"""Words that often mean "not measured". Not "none", "unknown" and "-": those are findings of their own."""

SHOWN = 5
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Categories:
    """The categories of a column.

    Attributes:
        column: its name.
        names: of the categories, in the order of their features.
        category_of: the category of each spelling in the file, None for one that a trained run lacks.
        counts: of the spellings.
    """

    column: str
    names: tuple[str, ...]
    category_of: Mapping[str, str | None]
    counts: Mapping[str, int]

    @classmethod
    def of_file(cls, column: str, counts: Mapping[str, int]) -> Categories:
        """All that occur in a file; where all of them are numbers, 1 and 1.0 are one category."""
        category_of = _by_number(counts) or {text: text for text in counts}
        return cls(column, tuple(sorted(set(category_of.values()))), category_of, counts)

    @classmethod
    def of_run(cls, column: str, names: Sequence[str], counts: Mapping[str, int]) -> Categories:
        """Those of a trained run; where all of them are numbers, 1 is the category 1.0, too."""
        numbers = {_number(name): name for name in names} if _by_number(names) else {}
        category_of = {
            text: text if text in names else numbers.get(_number(text)) if numbers else None
            for text in counts
        }
        return cls(column, tuple(names), category_of, counts)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(f"{self.column}={name}" for name in self.names)

    def encoded(self, texts: np.ndarray) -> np.ndarray:
        """(R, C) 0 and 1; a row of NaN where the cell is empty or has no category."""
        known = pd.Series(texts, dtype=object).map(self.category_of)
        codes = pd.Categorical(known, categories=list(self.names)).codes
        encoded = np.zeros((len(texts), len(self.names)))
        filled = codes >= 0
        encoded[np.flatnonzero(filled), codes[filled]] = 1
        encoded[~filled] = np.nan
        return encoded

    def unknown(self) -> str | None:
        """The categories that a trained run does not have, with their counts."""
        unknown = {text: self.counts[text] for text, name in self.category_of.items() if name is None}
        return f"{self.column}: {_counted(unknown)}" if unknown else None

    def twins(self) -> str | None:
        """The categories that differ only in case, with their counts."""
        alike: dict[str, dict[str, int]] = {}
        for text, count in sorted(self.counts.items()):
            alike.setdefault(text.casefold(), {})[text] = count
        twins = [_counted(texts) for texts in alike.values() if len(texts) > 1]
        return f"{self.column}: {'; '.join(twins[:SHOWN])}" if twins else None

    def spellings(self) -> str | None:
        """The numbers that are spelled in several ways, such as 1 and 01, with their counts."""
        alike: dict[str, dict[str, int]] = {}
        for text, name in self.category_of.items():
            if name is not None:
                alike.setdefault(name, {})[text] = self.counts[text]
        several = [_counted(texts) for texts in alike.values() if len(texts) > 1]
        return f"{self.column}: {'; '.join(several[:SHOWN])}" if several else None

    def doubtful(self) -> dict[str, int]:
        """The categories whose names often mean "not measured", with their counts."""
        return {text: count for text, count in self.counts.items() if text.lower() in _DOUBTFUL}


def category_findings(columns: Iterable[Categories], file: str) -> list[str]:
    """What a user should know about the categories of a file, one sentence for each kind."""
    columns = list(columns)
    findings = []
    twins = [text for text in (one.twins() for one in columns) if text]
    if twins:
        findings.append(
            f"{file}: categories that differ only in upper and lower case are two: {'; '.join(twins)}. "
            "Spell one category one way."
        )
    spellings = [text for text in (one.spellings() for one in columns) if text]
    if spellings:
        findings.append(
            f"{file}: categories that are the same number are one: {'; '.join(spellings)}. If they are "
            "codes of several things, write a letter before each."
        )
    unknown = [text for text in (one.unknown() for one in columns) if text]
    if unknown:
        findings.append(
            f"{file}: categories that the trained run does not have are not measured: {'; '.join(unknown)}."
        )
    doubtful = {one.column: one.doubtful() for one in columns if one.doubtful()}
    if doubtful:
        words = ", ".join(dict.fromkeys(f'"{text}"' for texts in doubtful.values() for text in texts))
        where = "; ".join(f"{column}: {_counted(texts)}" for column, texts in doubtful.items())
        findings.append(
            f"{file}: words that are categories of their own: {where}. If they mean not measured: "
            f"missing = [{words}]."
        )
    return findings


def _counted(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{shown(text)} ({count})" for text, count in list(counts.items())[:SHOWN])
    return listed + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def _by_number(spellings: Iterable[str]) -> dict[str, str]:
    """The category of each spelling, the shortest one of the same number; {} where not all are numbers."""
    numbers = {text: _number(text) for text in spellings}
    if not numbers or None in numbers.values():
        return {}
    shortest: dict[Decimal | None, str] = {}
    for text in sorted(numbers, key=lambda text: (len(text), text)):
        shortest.setdefault(numbers[text], text)
    return {text: shortest[number] for text, number in numbers.items()}


def _number(text: str) -> Decimal | None:
    """The number that a category is; None for a code such as 1E2 or 1_1, which is neither 100 nor 11."""
    return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else None
