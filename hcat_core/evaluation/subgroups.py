"""Groups of patients to score apart: a column of the outcomes file, or a feature, cut into a few groups."""

from __future__ import annotations

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.columns import column_by_patient
from hcat_core.data.patient_ids import normalize_pid
from hcat_core.errors import DataError, UsageError
from hcat_core.reading import Reader

MOST_GROUPS = 8  # distinct numbers beyond which a column is cut at its thirds
MOST_TEXTS = 50  # distinct texts beyond which a column holds no groups, but perhaps names
UNKNOWN = "unknown"


def subgroups(cohort: Cohort, name: str, targets: Reader | None) -> dict[str, np.ndarray]:
    """Row numbers of each group of patients by ``name``: sex, age, site, or whatever the files hold.

    Numbers with more than eight values are cut into thirds. Numbers go upwards, texts come behind them, and
    patients of whom it is not known last.

    Raises:
        UsageError: for a name that is neither a column of the outcomes file nor a feature, or that of a
            column which tells single patients apart.
    """
    found = _from_features(cohort, name)
    if found is None and targets is not None:
        found = _from_column(cohort, name, targets)
    if found is None:
        known = [feature for m in cohort.layout.modalities for feature in m.features][:12]
        raise UsageError(
            f"--by {name}: no feature and no column of the outcomes file has this name"
            + (f"; there are {', '.join(known)} ..." if known else ".")
        )
    _refuse_identifiers(cohort, name, found)
    return _grouped(found)


def _refuse_identifiers(cohort: Cohort, name: str, values: np.ndarray) -> None:
    """Names of groups are printed and written down; ids of patients, or a text a patient, must not be."""
    texts = [str(value).strip() for value in values if value is not None]
    own = sum(_as_id(v) == patient for v, patient in zip(values, cohort.patient_ids, strict=True))
    if own > len(texts) / 2:
        raise UsageError(f"--by {name}: these are the patients' ids, not groups of patients.")
    if len({text for text in texts if not _is_number(text)}) > MOST_TEXTS:
        raise UsageError(f"--by {name}: more than {MOST_TEXTS} different texts: groups are few.")


def _as_id(value: object) -> str:
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
    for column, modality in enumerate(cohort.layout.modalities):
        if name in modality.features:
            place = modality.features.index(name)
            values = cohort.emb[:, column, place].numpy().astype(object)
            values[~cohort.measured[:, column, place].numpy()] = None
            return np.asarray(values)
    return None


def _from_column(cohort: Cohort, name: str, reader: Reader) -> np.ndarray | None:
    try:
        return np.array(column_by_patient(reader, name, cohort.patient_ids), dtype=object)
    except DataError:
        return None


def _grouped(values: np.ndarray) -> dict[str, np.ndarray]:
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError):
            continue
    missing = np.array([v is None or v == "" or v != v for v in values], dtype=bool)
    distinct = np.unique(numbers[~missing])  # NaN of a text
    groups: dict[str, np.ndarray] = {}
    if np.isfinite(distinct).all() and len(distinct) > MOST_GROUPS:
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
