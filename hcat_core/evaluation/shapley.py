"""Shapley values of modalities, and the expected effect of measuring a missing modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import factorial

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.interfaces import CommonNumbers, Imputation

Predict = Callable[[Cohort], np.ndarray]
ROWS = 4096  # patients x subsets predicted at once; bounds memory
MOST_MODALITIES = 12
DRAWS = 8  # of a missing modality


def shapley_values(
    predict: Predict, cohort: Cohort, base_rate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley values of the modalities that each patient has (Shapley 1953; Lundberg and Lee 2017).

    The value of a subset of modalities is the probability predicted with the others hidden; the value of
    the empty subset is the mean prediction of training patients. Subsets that differ only in modalities
    that a patient lacks are predicted once.

    Args:
        predict: cohort -> (N, T) probabilities.
        cohort: N patients.
        base_rate: (T,) mean predictions of training patients.

    Returns:
        (N, T, M) values, 0 for a missing modality, and the (N, T) predictions that they explain: values and
        base rate sum to the prediction.

    Raises:
        ValueError: for more than ``MOST_MODALITIES`` modalities.
    """
    m = len(cohort.layout.modalities)
    if m > MOST_MODALITIES:
        raise ValueError(f"{m} modalities have too many subsets; at most {MOST_MODALITIES} are enumerated")
    values = value_of_subsets(predict, cohort, base_rate)
    return shapley_of(values), values[:, -1]


def shapley_of(values: np.ndarray) -> np.ndarray:
    """(N, T, M) Shapley values from the (N, 2^M, T) values of all subsets, as of ``value_of_subsets``."""
    n, subsets, tasks = values.shape
    m = subsets.bit_length() - 1
    weight = [factorial(size) * factorial(m - size - 1) / factorial(m) for size in range(m)]
    result = np.zeros((n, tasks, m))
    for modality in range(m):
        for subset in range(subsets):
            if not subset >> modality & 1:
                gain = values[:, subset | 1 << modality] - values[:, subset]
                result[:, :, modality] += weight[subset.bit_count()] * gain
    return result


def value_of_subsets(predict: Predict, cohort: Cohort, base_rate: np.ndarray) -> np.ndarray:
    """(N, 2^M, T) predictions from every subset of modalities; bit m of a subset's number is modality m."""
    n, m = cohort.present.shape
    present = cohort.present.numpy().astype(np.int64) @ (1 << np.arange(m))
    # A missing modality cannot be hidden: only subsets of the present ones are predicted.
    reached = present[:, None] & np.arange(2**m)
    patients, inverse = np.unique(np.arange(n)[:, None] << m | reached, return_inverse=True)
    rows, kept = patients >> m, patients & (1 << m) - 1
    values = np.tile(np.asarray(base_rate, float), (len(patients), 1))
    not_empty = np.flatnonzero(kept)
    for start in range(0, len(not_empty), ROWS):
        part = not_empty[start : start + ROWS]
        keep = torch.from_numpy((kept[part, None] >> np.arange(m)) & 1 == 1)
        hidden = _repeated(cohort, torch.from_numpy(rows[part])).hide(~keep)
        values[part] = predict(hidden)
    return np.asarray(values[inverse.reshape(n, 2**m)])


def width_if_measured(width: Predict, cohort: Cohort, imputation: Imputation, seed: int) -> np.ndarray:
    """Expected width of a prediction's interval if a missing modality were measured.

    The mean, over draws of the imputer that are treated as measured values, of the width of the interval:
    a preposterior analysis (Raiffa and Schlaifer 1961).

    Args:
        width: cohort -> (N, T) widths of intervals, with the same random numbers for every patient, so that
            widths differ by what was measured and not by chance.
        cohort: N patients.
        imputation: of these patients, in the cohort's units.
        seed: of the draws.

    Returns:
        (N, T, M) widths, NaN for a modality that is present, or that the imputer does not fill.
    """
    n, m = cohort.present.shape
    result = np.full((n, len(cohort.layout.tasks), m), np.nan)
    generator = CommonNumbers()
    generator.manual_seed(seed)
    drawn = imputation.draw(DRAWS, generator)
    for column in range(m):
        cells = cohort.layout.cells[column]
        # Only modalities that are missing entirely and filled entirely.
        lacking = ~cohort.present[:, column] & imputation.filled[:, column][:, cells].all(dim=1)
        rows = lacking.nonzero().squeeze(1)
        for part in rows.split(ROWS // DRAWS) if len(rows) else ():
            again = _repeated(cohort, part.repeat(DRAWS))
            emb, measured, present = again.emb.clone(), again.measured.clone(), again.present.clone()
            emb[:, column] = drawn[:, part, column].flatten(0, 1) * cells
            measured[:, column] = cells
            present[:, column] = True
            quality, n_rows = again.quality.clone(), again.n_rows.clone()
            quality[:, column], n_rows[:, column] = 1.0, 1
            completed = replace(
                again, emb=emb, measured=measured, present=present, quality=quality, n_rows=n_rows
            )
            result[part.numpy(), :, column] = width(completed).reshape(DRAWS, len(part), -1).mean(axis=0)
    return result


def _repeated(cohort: Cohort, rows: torch.Tensor) -> Cohort:
    """The patients of these rows, which may repeat, without targets."""
    return cohort.without_targets()[rows]
