"""A cohort as plain files: a folder of HDF5 (``patient_id`` and ``embedding``) or of CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcat_core.conversion.content import Content
from hcat_core.errors import DataError
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN
from hcat_core.storage.h5_file import fill_h5, new_h5


def write_h5_folder(folder: Path, content: Content) -> None:
    """``NAME.h5`` (``patient_id``, ``embedding``, ``quality``) for each modality, and ``outcomes.h5``."""
    for rows in content.modalities:
        data = {
            "patient_id": content.ids[rows.patients],
            "embedding": rows.values,
            "quality": rows.quality,
            COUNT_COLUMN: rows.n_rows,
        }
        if rows.named:
            data["feature_names"] = np.array(rows.features, dtype=object)
        _write_h5(folder / f"{rows.name}.h5", data)
    if content.outcomes:
        _write_h5(folder / "outcomes.h5", {"patient_id": content.ids, **content.outcomes})


def write_csv_folder(folder: Path, content: Content) -> None:
    """``NAME.csv`` for each modality, one column per feature, and ``outcomes.csv``.

    Raises:
        DataError: for two features with the same name.
    """
    for rows in content.modalities:
        header = ["patient_id", *rows.features, QUALITY_COLUMN, COUNT_COLUMN]
        if len(set(header)) < len(header):
            twice = next(name for place, name in enumerate(header) if name in header[:place])
            raise DataError(
                f"{rows.name}: two columns would be called {twice!r}. Convert to another layout."
            )
        frame = pd.DataFrame(rows.values, columns=list(rows.features))
        frame.insert(0, "patient_id", content.ids[rows.patients])
        frame = frame.assign(**{QUALITY_COLUMN: rows.quality, COUNT_COLUMN: rows.n_rows})
        _write_csv(folder / f"{rows.name}.csv", frame)
    if content.outcomes:
        _write_csv(folder / "outcomes.csv", pd.DataFrame({"patient_id": content.ids, **content.outcomes}))


def _write_h5(path: Path, data: Mapping[str, np.ndarray]) -> None:
    with new_h5(path) as file:
        fill_h5(file, data)


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, float_format=_digits, lineterminator="\n")


def _digits(value: Any) -> str:
    """Nine digits, which distinguish all float32; ``-0.0`` keeps its sign in a column of whole numbers."""
    text = f"{value:.9g}"
    return "-0.0" if text == "-0" else text
