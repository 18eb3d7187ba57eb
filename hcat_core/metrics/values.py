"""Scores of predicted numbers: error, rank correlation, and how often intervals hold the value.

R2 compares the squared error with that of predicting the mean of the training patients for everyone: 0 is
no better than that, and below 0 is worse. Its interval, and that of a difference of two, comes from the
influence that each patient has on it (the delta method), as that of an AUC does; that of the coverage is
Wilson's; those of the other scores are percentiles of a bootstrap over patients. Records of a group go
together in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as t_distribution

from hcat_core.metrics.fewest import FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import (
    ENDS,
    Resampling,
    percentile_interval,
    resampled_weights,
    share_interval,
)
from hcat_core.metrics.resampling import sums_by_group

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class KnownValues:
    """n patients whose value is known.

    Attributes:
        observed: (n,) values, in the unit of the file.
        predicted: (n,) expected values.
        low: (n,) lower ends of the 90 % intervals; NaN where there are none.
        high: (n,) upper ends.
        training_mean: mean value of the training patients; NaN where none of theirs is known.
        groups: (n,) numbers of groups, whose records are not independent; None without.
    """

    observed: np.ndarray
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    training_mean: float
    groups: np.ndarray | None = None

    @property
    def units(self) -> int:
        """Number of patients; with groups, of groups."""
        return len(self.observed) if self.groups is None else len(np.unique(self.groups))

    @property
    def with_interval(self) -> bool:
        """Whether every patient has an interval."""
        return bool(len(self.low)) and bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def inside(self) -> np.ndarray:
        """(n,) whether the interval holds the value; False where there is no interval."""
        return np.asarray((self.low <= self.observed) & (self.observed <= self.high))

    @property
    def few(self) -> bool:
        """Whether they are too few for any score to be given an interval."""
        return self.units < FEWEST_TO_RESAMPLE


@dataclass(frozen=True)
class ValueMetrics:
    """Scores of predicted numbers; None where a score is not defined.

    Attributes:
        r2: 1 - squared error / squared error of the training mean.
        r2_95: 95 % interval of it; None with fewer than twenty patients, as are those of the others.
        mae: mean absolute error, in the unit of the value, as are the next ones.
        rmse: root of the mean squared error.
        spearman: rank correlation of predicted and observed values.
        coverage_90: share of patients whose value lies in their 90 % interval.
        width_90: mean width of these intervals.
    """

    r2: float | None
    r2_95: Interval
    mae: float | None
    mae_95: Interval
    rmse: float | None
    rmse_95: Interval
    spearman: float | None
    spearman_95: Interval
    coverage_90: float | None
    coverage_90_95: Interval
    width_90: float | None


def value_metrics(known: KnownValues, resampling: Resampling) -> ValueMetrics:
    """Score predictions of patients whose value is known.

    Args:
        known: n patients.
        resampling: of these n patients.
    """
    n = len(known.observed)
    if not n:
        return ValueMetrics(None, None, None, None, None, None, None, None, None, None, None)
    point = [float(value) if np.isfinite(value) else None for value in _scores(known, np.ones((1, n)))[0]]
    ends: list[Interval] = [None] * len(point)
    if resampling.resamples and not known.few:
        parts = resampled_weights(np.zeros(n, int), np.ones(n), resampling)
        drawn = np.concatenate([_scores(known, weights) for weights in parts])
        ends = [
            None if value is None else percentile_interval(values)
            for value, values in zip(point, drawn.T, strict=True)
        ]
    r2 = r2_influence(known)
    return ValueMetrics(
        r2=None if r2 is None else r2.r2,
        r2_95=r2_interval(known, resampling),
        mae=point[0],
        mae_95=ends[0],
        rmse=point[1],
        rmse_95=ends[1],
        spearman=point[2],
        spearman_95=ends[2],
        coverage_90=float(known.inside.mean()) if known.with_interval else None,
        coverage_90_95=(
            share_interval(known.inside, known.groups)
            if known.with_interval and resampling.resamples and not known.few
            else None
        ),
        width_90=float((known.high - known.low).mean()) if known.with_interval else None,
    )


@dataclass(frozen=True)
class R2Influence:
    """An R2, and by how much each of n patients moves it: (n,), which sum to 0."""

    r2: float
    influence: np.ndarray


def r2_influence(known: KnownValues) -> R2Influence | None:
    """R2 and its influences; None without a training mean, and where all values equal it."""
    error = (known.observed - known.predicted) ** 2
    of_mean = (known.observed - known.training_mean) ** 2
    total = float(of_mean.sum())
    if not total > 0:  # NaN, too
        return None
    r2 = 1 - float(error.sum()) / total
    return R2Influence(r2, ((1 - r2) * of_mean - error) / total)


def r2_interval(known: KnownValues, resampling: Resampling) -> Interval:
    """The 95 % interval of R2, on the scale of log(1 - R2); None with fewer than twenty patients."""
    found = r2_influence(known)
    if found is None or not resampling.resamples or known.few or found.r2 == 1:
        return None
    left = 1 - found.r2
    factor = float(np.exp(_half_width(found.influence, known) / left))
    return 1 - left * factor, 1 - left / factor


def paired_r2_difference(
    model: KnownValues, other: KnownValues, resampling: Resampling
) -> list[float] | None:
    """The R2 of one model minus that of another on the same patients, and the interval's ends.

    None with fewer than twenty patients, or groups.
    """
    first, second = r2_influence(model), r2_influence(other)
    if first is None or second is None or not resampling.resamples or model.few:
        return None
    difference = first.r2 - second.r2
    half = _half_width(first.influence - second.influence, model)
    return [difference, difference - half, difference + half]


def r2_scores(known: KnownValues, weights: np.ndarray) -> np.ndarray:
    """(R,) R2 under R rows of weights (R, n); NaN without a training mean, or where all equal it."""
    error = weights @ (known.observed - known.predicted) ** 2
    total = weights @ (known.observed - known.training_mean) ** 2
    return np.asarray(1 - np.divide(error, total, out=np.full(len(error), np.nan), where=total > 0))


def _half_width(influence: np.ndarray, known: KnownValues) -> float:
    """Half of a 95 % interval from influences (n,), of which those of a group go together."""
    by_unit, units = sums_by_group(influence, known.groups), known.units
    error = float(np.sqrt((by_unit**2).sum() * units / (units - 1)))
    return float(t_distribution.ppf(ENDS[1], units - 1)) * error


def _scores(known: KnownValues, weights: np.ndarray) -> np.ndarray:
    """(R, 3) MAE, RMSE and Spearman under each of R rows of weights (R, n)."""
    error, total = known.observed - known.predicted, weights.sum(axis=1)
    return np.column_stack(
        [
            weights @ np.abs(error) / total,
            np.sqrt(weights @ error**2 / total),
            _rank_correlations(known, weights),
        ]
    )


def _rank_correlations(known: KnownValues, weights: np.ndarray) -> np.ndarray:
    """(R,) Spearman's correlation under each of R rows of weights (R, n); NaN where a side is constant."""
    x, y = (_weighted_ranks(values, weights) for values in (known.predicted, known.observed))
    total = weights.sum(axis=1, keepdims=True)
    x, y = (ranks - (weights * ranks).sum(axis=1, keepdims=True) / total for ranks in (x, y))
    xy, xx, yy = ((weights * product).sum(axis=1) for product in (x * y, x * x, y * y))
    size = np.sqrt(xx * yy)
    return np.asarray(np.divide(xy, size, out=np.full(len(size), np.nan), where=size > 1e-9))


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R, n) mid-ranks of values (n,) of which each row of weights (R, n) holds so many."""
    order = np.argsort(values, kind="stable")
    place = rankdata(values, method="dense").astype(int) - 1
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    each = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((each.cumsum(axis=1) - each / 2)[:, place])
