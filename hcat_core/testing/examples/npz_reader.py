"""A reader: arrays of ids and values in a ``.npz`` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable, ModalityTable


class NpzReader:
    """Reads a ``.npz`` file with the arrays ``ids`` (R,) and ``values`` (R, d).

    Args:
        path: the file.
    """

    def __init__(self, *, path: Path) -> None:
        self.path = path
        self.source = str(path)

    def read(self) -> Iterator[ModalityTable]:
        """All rows in one chunk; a large file is better read in several."""
        arrays = self._arrays(["ids", "values"])
        yield ModalityTable(arrays["ids"], arrays["values"])

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Outcomes that are arrays of the same file."""
        arrays = self._arrays(["ids", *names])
        return ColumnTable(arrays["ids"], {name: arrays[name] for name in names})

    def _arrays(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.path}: {error}") from None
