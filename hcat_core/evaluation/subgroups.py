"""Divide patients into a few groups by a feature or a column of the outcomes file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.columns import column_by_patient
from hcat_core.data.group_names import refuse_two_spellings
from hcat_core.data.patient_ids import normalize_pid
from hcat_core.errors import DataError, UsageError
from hcat_core.reading import Reader

MOST_GROUPS = 8  # distinct numbers; with more, a column is divided at its thirds
MOST_TEXTS = 50  # distinct texts; with more, a column is likely to hold names and not groups
UNKNOWN = "unknown"


def subgroups(
    cohort: Cohort, name: str, targets: Reader | None, missing: Sequence[str | float] = ()
) -> dict[str, np.ndarray]:
    """Row numbers of the patients in each group: by sex, age, site or any other column or feature.

    A number with more than eight distinct values is divided into thirds. Groups are in the order of
    numbers, then texts, then patients with an unknown value.

    Args:
        cohort: N patients.
        name: of a feature, or of a column of the outcomes file.
        targets: the reader of the outcomes file, if any.
        missing: what stands for an empty cell in that file.

    Raises:
        UsageError: for a name that is neither a feature nor a column of the outcomes file, or a column
            that identifies single patients.
    """
    values = _from_features(cohort, name)
    if values is None and targets is not None:
        values = _from_column(cohort, name, targets, missing)
    if values is None:
        features = [feature for m in cohort.layout.modalities for feature in m.features][:12]
        raise UsageError(
            f"--by {name}: no feature and no column of the outcomes file has this name"
            + (f"; features are {', '.join(features)} ..." if features else ".")
        )
    _refuse_identifiers(cohort, name, values)
    return _grouped(values)


def _refuse_identifiers(cohort: Cohort, name: str, values: np.ndarray) -> None:
    """Refuse patient ids, and texts that may be names: the names of groups are printed and written."""
    texts = [str(value).strip() for value in values if value is not None]
    ids = sum(_as_id(v) == patient for v, patient in zip(values, cohort.patient_ids, strict=True))
    if ids > len(texts) / 2:
        raise UsageError(f"--by {name}: the values are patient ids, not groups of patients.")
    if len({text for text in texts if not _is_number(text)}) > MOST_TEXTS:
        raise UsageError(f"--by {name}: more than {MOST_TEXTS} different texts are too many groups.")


def _as_id(value: object) -> str:
    """The value as a normalised patient id; an empty string if it cannot be one."""
    try:
        return normalize_pid(value)
    except ValueError:
        return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_features(cohort: Cohort, name: str) -> np.ndarray | None:
    """(N,) values of a feature, None where not measured; None if no modality has the feature."""
    for column, modality in enumerate(cohort.layout.modalities):
        if name in modality.features:
            place = modality.features.index(name)
            values = cohort.emb[:, column, place].numpy().astype(object)
            values[~cohort.measured[:, column, place].numpy()] = None
            return np.asarray(values)
    return None


def _from_column(cohort: Cohort, name: str, reader: Reader, missing: Sequence[str | float]) -> np.ndarray:
    """(N,) values of a column of the outcomes file, None where empty.

    Raises:
        UsageError: for a column that is not there, or that is not one value for each patient; for one of
            few numbers of which two may be one name (01 and 1).
    """
    try:
        values = np.array(column_by_patient(reader, name, cohort.patient_ids, missing), dtype=object)
        if not _in_thirds(*_numbers(values)):
            refuse_two_spellings(reader, name, missing)
        return values
    except DataError as error:
        raise UsageError(f"--by {name}: no feature has this name, and as a column: {error}") from None


def _numbers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) values as numbers, NaN for a text, and (N,) whether there is none."""
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers, np.array([v is None or v == "" or v != v for v in values], dtype=bool)


def _in_thirds(numbers: np.ndarray, missing: np.ndarray) -> bool:
    """Whether the values are numbers, and too many of them for a group each."""
    distinct = np.unique(numbers[~missing])
    return bool(np.isfinite(distinct).all() and len(distinct) > MOST_GROUPS)


def _grouped(values: np.ndarray) -> dict[str, np.ndarray]:
    """Row numbers by group of (N,) values."""
    numbers, missing = _numbers(values)
    distinct = np.unique(numbers[~missing])
    groups: dict[str, np.ndarray] = {}
    if _in_thirds(numbers, missing):
        low, high = np.quantile(numbers[~missing], [1 / 3, 2 / 3])
        place = np.where(missing, -1, np.digitize(numbers, [low, high], right=True))
        names = (f"up to {low:.4g}", f"{low:.4g} to {high:.4g}", f"above {high:.4g}")
        groups = {name: np.flatnonzero(place == third) for third, name in enumerate(names)}
    else:
        groups = {
            f"{number:g}": np.flatnonzero(numbers == number) for number in distinct[np.isfinite(distinct)]
        }
        texts = np.array([str(value) for value in values], dtype=object)
        texts[missing | np.isfinite(numbers)] = None
        for text in sorted({text for text in texts if text is not None}):
            groups[text] = np.flatnonzero(texts == text)
    groups[UNKNOWN] = np.flatnonzero(missing)
    return {name: rows for name, rows in groups.items() if len(rows)}
