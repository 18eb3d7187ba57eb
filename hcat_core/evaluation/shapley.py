"""Shapley values of modalities."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
import torch

from hcat_core.cohort import Cohort

Predict = Callable[[Cohort], np.ndarray]
ROWS = 4096  # patients x subsets predicted at once; bounds memory
MOST_MODALITIES = 12


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


def _repeated(cohort: Cohort, rows: torch.Tensor) -> Cohort:
    """The patients of these rows, which may repeat, without targets."""
    return cohort.without_targets()[rows]
