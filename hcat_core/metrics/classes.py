"""Scores of an outcome of several classes: ranking, probabilities, and decisions for the likeliest class.

Each class is ranked against all others together (one versus rest). The macro AUC is the mean of these
AUCs over the classes that occur, so that a rare class counts as much as a frequent one. Its interval is
DeLong's, from the mean of the influences that each patient has on the AUCs; that of the accuracy is
Wilson's. Intervals of the other scores are percentiles of a bootstrap in which patients are drawn within
each class, or groups as wholes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.metrics.calibration import LEAST_SPREAD
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import (
    AucInfluence,
    Resampling,
    auc_influence,
    aucs,
    half_pair,
    half_width,
    on_logit_scale,
    percentile_interval,
    resampled_weights,
    share_interval,
)
from hcat_core.metrics.resampling import sums_by_group, units_of_each

SMALLEST = 1e-4  # probability, to which smaller ones are raised where a logarithm is taken of them

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class KnownClasses:
    """n patients whose class is known, of K classes.

    Attributes:
        probability: (n, K) predicted; rows add up to 1.
        label: (n,) number of each patient's class.
        groups: (n,) numbers of groups, whose records are not independent; None without.
    """

    probability: np.ndarray
    label: np.ndarray
    groups: np.ndarray | None = None

    @property
    def rarest(self) -> int:
        """Patients, or groups, of the rarest class that occurs; 0 where fewer than two classes do."""
        units = units_of_each(self.label, self.groups)
        return min(units.values()) if len(units) > 1 else 0

    @property
    def units(self) -> int:
        """Number of patients; with groups, of groups."""
        return len(self.label) if self.groups is None else len(np.unique(self.groups))

    @property
    def predicted(self) -> np.ndarray:
        """(n,) number of the likeliest class."""
        return np.asarray(self.probability.argmax(axis=1))


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """(N,) number of each patient's class, -1 where unknown, from (N, K) labels of one versus rest."""
    return np.where((labels == 1).any(axis=1), labels.argmax(axis=1), -1)


def known_classes(probability: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> KnownClasses:
    """The patients whose class is known.

    Args:
        probability: (N, K) predicted.
        labels: (N, K) 1, 0 or -1 of one versus rest.
        groups: (N,) numbers of groups, or None.
    """
    label = class_numbers(labels)
    known = label >= 0
    return KnownClasses(probability[known], label[known], None if groups is None else groups[known])


@dataclass(frozen=True)
class ClassMetrics:
    """Scores of an outcome of K classes; None where a score is not defined.

    Attributes:
        auc: macro AUC, the mean over the classes that occur of the AUC of one versus rest.
        auc_95: DeLong's 95 % interval of it; None with fewer than ten patients of a class that occurs.
        log_loss: mean of -log of the probability of the patient's own class.
        log_loss_95: 95 % interval, as of the others; None with fewer than twenty patients.
        brier: mean over patients of the sum over classes of the squared error of the probability, 0 to 2.
        accuracy: share of patients whose likeliest class is their own.
        balanced_accuracy: mean over the classes that occur of the share that is recognised.
        confusion: K rows of numbers of patients: own class in rows, likeliest class in columns.
    """

    auc: float | None
    auc_95: Interval
    log_loss: float | None
    log_loss_95: Interval
    brier: float | None
    brier_95: Interval
    accuracy: float | None
    accuracy_95: Interval
    balanced_accuracy: float | None
    balanced_accuracy_95: Interval
    confusion: tuple[tuple[int, ...], ...]


def class_metrics(known: KnownClasses, resampling: Resampling) -> ClassMetrics:
    """Score predictions of patients whose class is known.

    Args:
        known: n patients.
        resampling: of these n patients.
    """
    y, k = known.label, known.probability.shape[1]
    confusion = np.bincount(y * k + known.predicted, minlength=k * k).reshape(k, k)
    table = tuple(tuple(int(count) for count in row) for row in confusion)
    if not len(y):
        return ClassMetrics(None, None, None, None, None, None, None, None, None, None, table)
    losses, right = np.stack([log_losses(known), _squared_errors(known)], axis=1), known.predicted == y
    log_loss, brier = (float(value) for value in losses.mean(axis=0))
    intervals: list[Interval] = [None] * 3
    of_accuracy: Interval = None
    if resampling.resamples and known.units >= FEWEST_TO_RESAMPLE:
        of_accuracy = share_interval(right, known.groups)
        parts = [
            np.column_stack([w @ losses / w.sum(axis=1, keepdims=True), _balanced_accuracies(known, w)])
            for w in resampled_weights(y, np.ones(len(y)), resampling)
        ]
        intervals = [percentile_interval(values) for values in np.concatenate(parts).T]
    balanced = float(_balanced_accuracies(known, np.ones((1, len(y))))[0])
    found = macro_auc(known)
    return ClassMetrics(
        None if found is None else found.auc,
        macro_auc_interval(known, resampling),
        log_loss,
        intervals[0],
        brier,
        intervals[1],
        float(right.mean()),
        of_accuracy,
        balanced,
        intervals[2],
        table,
    )


def macro_auc(known: KnownClasses) -> AucInfluence | None:
    """The macro AUC, and by how much each of n patients moves it; None where fewer than two classes occur.

    Influences sum to 0 within each class.
    """
    y, n = known.label, len(known.label)
    there = np.unique(y)
    if len(there) < 2:
        return None
    found = [auc_influence(known.probability[:, k], y == k, np.ones(n)) for k in there]
    influence = np.mean([one.influence for one in found], axis=0)
    for k in there:
        influence[y == k] -= influence[y == k].mean()
    return AucInfluence(float(np.mean([one.auc for one in found])), influence)


def macro_auc_interval(known: KnownClasses, resampling: Resampling) -> Interval:
    """The 95 % interval of the macro AUC; None with fewer than ten patients of a class that occurs."""
    found = macro_auc(known)
    if found is None or not resampling.resamples or known.rarest < FEWEST_OF_EACH:
        return None
    nearest = _half_pairs(known)
    half = half_width(found.influence, known.label, known.groups, nearest)
    return on_logit_scale(found.auc, half, nearest)


def paired_macro_auc_difference(
    model: KnownClasses, other: KnownClasses, resampling: Resampling
) -> list[float] | None:
    """The macro AUC of one model minus that of another on the same patients, and the interval's ends.

    None with fewer than ten patients of a class that occurs.
    """
    first, second = macro_auc(model), macro_auc(other)
    if first is None or second is None or not resampling.resamples or model.rarest < FEWEST_OF_EACH:
        return None
    half = half_width(first.influence - second.influence, model.label, model.groups, _half_pairs(model))
    difference = first.auc - second.auc
    return [difference, difference - half, difference + half]


def macro_aucs(known: KnownClasses, weights: np.ndarray) -> np.ndarray:
    """(R,) macro AUC under each of R rows of weights (R, n), over the classes that a row holds."""
    each = [
        aucs(known.probability[:, k], known.label == k, weights) for k in range(known.probability.shape[1])
    ]
    values = np.stack(each)
    number = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    return np.asarray(np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0))


def class_calibration_slope(known: KnownClasses) -> tuple[float, tuple[float, float]] | None:
    """The slope of calibration of all classes together, and its 95 % interval.

    It is the power to which probabilities have to be raised, and then made to add up to 1, for the highest
    likelihood of the classes: 1 is ideal, below 1 the probabilities are too extreme, above 1 too moderate
    (the inverse of the temperature of Guo et al. 2017; with two classes it is the slope of Cox 1958 without
    an intercept). The interval is Wald's, from the sandwich estimator of variance.

    None with fewer than ten patients of a class that occurs, for the same probabilities for everyone, and
    where the likeliest class is always the patient's own.
    """
    if known.rarest < FEWEST_OF_EACH:
        return None
    z = np.log(np.maximum(known.probability, SMALLEST))
    own = z[np.arange(len(z)), known.label]
    spread = z.max(axis=1) - z.min(axis=1)
    if spread.max() < LEAST_SPREAD or (own == z.max(axis=1)).all() or (own == z.min(axis=1)).all():
        return None
    from scipy.optimize import minimize
    from scipy.special import logsumexp, softmax

    def loss(b: np.ndarray) -> float:
        return float((logsumexp(b[0] * z, axis=1) - b[0] * own).mean())

    slope = float(minimize(loss, np.array([1.0]), method="BFGS").x[0])
    fitted = softmax(slope * z, axis=1)
    mean = (fitted * z).sum(axis=1)
    information = float(((fitted * z**2).sum(axis=1) - mean**2).sum())
    if information < LEAST_SPREAD:
        return None
    scores = sums_by_group(own - mean, known.groups)
    half = 1.96 * float(np.sqrt((scores**2).sum())) / information
    return slope, (slope - half, slope + half)


def log_losses(known: KnownClasses) -> np.ndarray:
    """(n,) -log of the probability of each patient's own class."""
    own = known.probability[np.arange(len(known.label)), known.label]
    return np.asarray(-np.log(np.maximum(own, np.finfo(float).eps)))


def _squared_errors(known: KnownClasses) -> np.ndarray:
    """(n,) sums over classes of the squared error of the probability."""
    observed = np.eye(known.probability.shape[1])[known.label]
    return np.asarray(((known.probability - observed) ** 2).sum(axis=1))


def _balanced_accuracies(known: KnownClasses, weights: np.ndarray) -> np.ndarray:
    """(R,) mean share that is recognised of each class that occurs, under R rows of weights (R, n)."""
    right = known.predicted == known.label
    shares = []
    for k in np.unique(known.label):
        of_class = known.label == k
        total = weights[:, of_class].sum(axis=1)
        recognised = weights[:, of_class & right].sum(axis=1)
        shares.append(np.divide(recognised, total, out=np.full(len(total), np.nan), where=total > 0))
    return np.asarray(np.nanmean(shares, axis=0))


def _half_pairs(known: KnownClasses) -> float:
    """The share of half a pair of a patient of a class and another, on average over the classes."""
    classes = np.unique(known.label)
    return float(np.mean([half_pair(known.label == k, known.groups) for k in classes]))
