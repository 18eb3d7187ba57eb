"""Percentile intervals of ratios of sums over patients: means of some of the patients, R2, coverage."""

from __future__ import annotations

import numpy as np

from hcat_core.metrics.fewest import FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import ENDS, Resampling, resampled_weights
from hcat_core.metrics.resampling import sums_by_group


def ratio_intervals(
    above: np.ndarray, below: np.ndarray, resampling: Resampling
) -> list[tuple[float, float] | None]:
    """95 % intervals of K ratios ``above.sum(axis=0) / below.sum(axis=0)`` over resampled patients.

    Patients, or groups as wholes, are drawn with replacement; the draws are the same for all ratios.

    Args:
        above: (n, K) what each patient adds to the numerators.
        below: (n, K) likewise to the denominators; 0 for a patient who has no part in a ratio.
        resampling: of the n patients.

    Returns:
        K percentile intervals; None without resamples, and for a ratio in which fewer than
        ``FEWEST_TO_RESAMPLE`` patients, or groups, have a part.
    """
    enough = (sums_by_group(below.T, resampling.groups) > 0).sum(axis=1) >= FEWEST_TO_RESAMPLE
    intervals: list[tuple[float, float] | None] = [None] * len(enough)
    if not resampling.resamples or not enough.any():
        return intervals
    ratios = []
    for drawn in resampled_weights(np.zeros(len(below), int), np.ones(len(below)), resampling):
        total = drawn @ below[:, enough]
        nothing = np.full(total.shape, np.nan)
        ratios.append(np.divide(drawn @ above[:, enough], total, out=nothing, where=total > 0))
    ends = np.nanquantile(np.concatenate(ratios), ENDS, axis=0)
    for place, low, high in zip(np.flatnonzero(enough), *ends, strict=True):
        intervals[place] = float(low), float(high)
    return intervals
