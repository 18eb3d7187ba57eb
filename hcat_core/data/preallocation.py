"""One array for the cells of all modalities, so that a large cohort is written once and not copied.

Loading is dominated by memory that is touched for the first time: a gigabyte of new pages can take longer
than copying it several times (ADR 19; ADR 32 has the measurement).
"""

from __future__ import annotations

import numpy as np


class PreallocatedCells:
    """Memory for the means of all modalities of a cohort, allocated when the first modality is begun.

    It is as wide as the first modality and has twice as many rows as that file can name patients. Pages
    that nothing is written to take no memory.

    Attributes:
        cells: (M, rows, D) float32; (M, 0, 0) as long as the number of patients is not known.
    """

    def __init__(self, modalities: int) -> None:
        self.cells = np.zeros((modalities, 0, 0), np.float32)
        self._begun = 0

    def take(self, width: int, patients: int | None) -> np.ndarray | None:
        """(rows, width) zeros for the next modality; None for a modality that is too wide."""
        if self._begun == 0 and patients is not None:
            self._allocate(patients, width)
        self._begun += 1
        return self.cells[self._begun - 1, :, :width] if self.cells.shape[2] >= width else None

    def hold(self, first: np.ndarray) -> np.ndarray:
        """The first modality's means, copied into this memory if they are not in it and memory allows."""
        if len(first) > self.cells.shape[1]:
            self._allocate(*first.shape)
            if len(first) > self.cells.shape[1]:
                return first
            self.cells[0, : len(first)] = first
        return self.cells[0, : len(first)]

    def _allocate(self, patients: int, width: int) -> None:
        try:
            self.cells = np.zeros((len(self.cells), 2 * patients, width), np.float32)
        except (MemoryError, ValueError):  # a file can claim far more patients than it has
            self.cells = np.zeros((len(self.cells), 0, 0), np.float32)
