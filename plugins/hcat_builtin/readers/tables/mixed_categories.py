"""Patients whose rows are of different categories, which become shares when rows are averaged."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from hcat_builtin.readers.tables.cells import Cells


class MixedCategories:
    """Collects the categories of each patient, chunk by chunk."""

    def __init__(self) -> None:
        self._pairs: dict[str, list[pd.DataFrame]] = {}

    def look(self, cells: Cells) -> None:
        """Take in a chunk."""
        for name, texts in cells.texts.items():
            pairs = pd.DataFrame({"patient": cells.ids, "category": texts}, dtype=object).dropna()
            self._pairs.setdefault(name, []).append(pairs.drop_duplicates())

    def finding(self, file: str) -> list[str]:
        """One sentence that names columns and how many patients have rows of several categories.

        Args:
            file: the file's name.
        """
        found = {name: count for name, count in self._counts().items() if count}
        if not found:
            return []
        listed = ", ".join(f"{name} ({count})" for name, count in found.items())
        return [
            f"{file}: patients with rows of different categories: {listed}. Their rows are averaged: half "
            "of each, for two. If that is not meant, keep one row per patient."
        ]

    def _counts(self) -> Mapping[str, int]:
        """Patients with several categories, by column."""
        whole = {name: pd.concat(pairs).drop_duplicates() for name, pairs in self._pairs.items()}
        return {name: int((pairs["patient"].value_counts() > 1).sum()) for name, pairs in whole.items()}
