"""Patients whose rows are of different categories, which become shares when rows are averaged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.cells import Cells


class MixedCategories:
    """Collects the categories of each patient, chunk by chunk."""

    def __init__(self) -> None:
        self._ids: list[np.ndarray] = []
        self._texts: list[Mapping[str, np.ndarray]] = []

    def look(self, cells: Cells) -> None:
        """Take in a chunk."""
        if cells.texts:
            self._ids.append(cells.ids)
            self._texts.append(cells.texts)

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
        """Patients with several categories, by column; empty where every patient has one row."""
        if not self._ids:
            return {}
        patients = pd.Series(np.concatenate(self._ids), dtype=object)
        several = patients.duplicated(keep=False).to_numpy()
        if not several.any():
            return {}
        patients = patients[several]
        counts = {}
        for name in self._texts[0]:
            texts = np.concatenate([one[name] for one in self._texts])[several]
            counts[name] = int((pd.Series(texts, patients.index).groupby(patients).nunique() > 1).sum())
        return counts
