"""95 % intervals of AUC and average precision, and of the difference of two models' AUC.

Those of the AUC are DeLong's (1988): weighted, of groups as wholes (Obuchowski 1997), on the logit scale,
with the quantile of Student's t. They hold the truth more often than percentiles of a bootstrap do, above
all where the AUC is high or the events are few (``benchmarks/metric_intervals.py``). There is none from
fewer than ``FEWEST_OF_EACH`` patients, or groups, of either outcome: an interval from so few would say too
much. That of the average precision is a bootstrap's, from ``FEWEST_TO_RESAMPLE`` on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hcat_core.metrics.discrimination import known_outcomes
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.resampling import CELLS, rarer_outcome, resampled_counts, sums_by_group

ENDS = [0.025, 0.975]


@dataclass(frozen=True)
class Resampling:
    """How intervals are computed.

    Attributes:
        resamples: of patients or groups; 0 for no intervals at all.
        seed: of the resamples.
        groups: (N,) numbers of the patients' groups (``resampling.group_numbers``), or None.
    """

    resamples: int
    seed: int
    groups: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> Resampling:
        """The same of some of the patients: (N,) bool, or row numbers."""
        groups = None if self.groups is None else self.groups[rows]
        return Resampling(self.resamples, self.seed, groups)


def auc_interval(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray | None, resampling: Resampling
) -> tuple[float, float] | None:
    """The interval of ``weighted_auc``.

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
        weights: (N,) of ``censoring.known_weights``; 1 where None.
        resampling: of the N patients.
    """
    p, y, w = known_outcomes(probability, label, weights)
    known = resampling.of(label >= 0)
    if not known.resamples or rarer_outcome(y, known.groups) < FEWEST_OF_EACH:
        return None
    found = auc_influence(p, y == 1, w)
    nearest = half_pair(y == 1, known.groups)
    return on_logit_scale(found.auc, half_width(found.influence, y == 1, known.groups, nearest), nearest)


def on_logit_scale(auc: float, half: float, nearest: float) -> tuple[float, float]:
    """The interval of an AUC on the logit scale.

    Args:
        auc: the estimate.
        half: half of its interval's width on the scale of the AUC.
        nearest: how far from 0 and 1 an AUC is kept: half a pair, where all pairs are in the right order.
    """
    kept = float(np.clip(auc, nearest, 1 - nearest))
    middle, half = float(np.log(kept / (1 - kept))), half / (kept * (1 - kept))
    low, high = sigmoid(np.array([middle - half, middle + half]))
    return float(low), float(high)


def average_precision_interval(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray | None, resampling: Resampling
) -> tuple[float, float] | None:
    """The bootstrap interval of the average precision; None with few patients of either outcome.

    Arguments are those of ``auc_interval``.
    """
    p, y, w = known_outcomes(probability, label, weights)
    known = resampling.of(label >= 0)
    if not known.resamples or rarer_outcome(y, known.groups) < FEWEST_TO_RESAMPLE:
        return None
    parts = [_average_precisions(p, y == 1, part) for part in resampled_weights(y == 1, w, known)]
    return percentile_interval(np.concatenate(parts))


def paired_auc_difference(
    model: np.ndarray,
    other: np.ndarray,
    label: np.ndarray,
    weights: np.ndarray | None,
    resampling: Resampling,
) -> list[float] | None:
    """The AUC of one model minus that of another on the same patients, and the interval's ends.

    None with fewer than ``FEWEST_OF_EACH`` patients of either outcome.

    Args:
        model: (N,) probabilities.
        other: (N,) probabilities of the model to compare with.
        label: (N,) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
        weights: (N,) of ``censoring.known_weights``; 1 where None.
        resampling: of the N patients.
    """
    a, y, w = known_outcomes(model, label, weights)
    b, event = other[label >= 0], y == 1
    known = resampling.of(label >= 0)
    if not known.resamples or rarer_outcome(y, known.groups) < FEWEST_OF_EACH:
        return None
    first, second = auc_influence(a, event, w), auc_influence(b, event, w)
    difference = first.auc - second.auc
    nearest = half_pair(event, known.groups)
    half = half_width(first.influence - second.influence, event, known.groups, nearest)
    return [difference, difference - half, difference + half]


@dataclass(frozen=True)
class AucInfluence:
    """An AUC, and by how much each of n patients moves it: (n,), which sum to 0 within each outcome."""

    auc: float
    influence: np.ndarray


def auc_influence(probability: np.ndarray, event: np.ndarray, weights: np.ndarray) -> AucInfluence:
    """Structural components of the weighted AUC (DeLong, DeLong and Clarke-Pearson 1988).

    Args:
        probability: (n,) predicted.
        event: (n,) bool, with both outcomes.
        weights: (n,) positive.
    """
    values, place = np.unique(probability, return_inverse=True)
    of_event, of_free = (np.bincount(place[rows], weights[rows], len(values)) for rows in (event, ~event))
    # Share of the other outcome that the patient is ranked rightly against; ties count half.
    below = ((of_free.cumsum() - of_free / 2) / of_free.sum())[place]
    above = 1 - ((of_event.cumsum() - of_event / 2) / of_event.sum())[place]
    right = np.where(event, below, above)
    auc = float(np.average(below[event], weights=weights[event]))
    total = np.where(event, weights[event].sum(), weights[~event].sum())
    return AucInfluence(auc, weights * (right - auc) / total)


def half_width(
    influence: np.ndarray, strata: np.ndarray, groups: np.ndarray | None, nearest: float
) -> float:
    """Half of a 95 % interval from influences (n,), of which those of a group go together.

    The standard error is at least that of half a pair (``nearest``): influences of patients who are all in
    the right order are 0. The degrees of freedom are Satterthwaite's (1946), of the variance's parts by
    stratum: the outcomes or classes (n,), within each of which influences sum to 0.
    """
    scaled, parts, freedom = influence.copy(), [], []
    for stratum in np.unique(strata):
        rows = strata == stratum
        of_stratum = None if groups is None else groups[rows]
        units = int(rows.sum()) if of_stratum is None else len(np.unique(of_stratum))
        scaled[rows] *= np.sqrt(units / (units - 1))
        parts.append(float((sums_by_group(scaled[rows], of_stratum) ** 2).sum()))
        freedom.append(units - 1)
    error = max(float(np.sqrt((sums_by_group(scaled, groups) ** 2).sum())), 2**0.5 * nearest)
    total = sum(part**2 / number for part, number in zip(parts, freedom, strict=True))
    degrees = sum(parts) ** 2 / total if total > 0 else min(freedom)
    return float(stats.t.ppf(ENDS[1], degrees)) * error


def half_pair(event: np.ndarray, groups: np.ndarray | None) -> float:
    """The share of half a pair of an event and an event-free patient, or of groups with them."""
    units = np.arange(len(event)) if groups is None else groups
    return 0.5 / (len(np.unique(units[event])) * len(np.unique(units[~event])))


def aucs(probability: np.ndarray, event: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) AUC of the same predictions under each of R rows of weights; NaN where one outcome has none.

    Args:
        probability: (n,) predicted.
        event: (n,) bool.
        weights: (R, n) how often each patient is drawn, times the weight for censoring.
    """
    events, free = _sums_by_probability(probability, event, weights)
    below = np.cumsum(free, axis=1) - free / 2  # ties count half
    pairs = events.sum(axis=1) * free.sum(axis=1)
    right = (events * below).sum(axis=1)
    return np.asarray(np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _average_precisions(probability: np.ndarray, event: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) average precision likewise; NaN without an event."""
    sums = _sums_by_probability(probability, event, weights)
    events, free = (one[:, ::-1] for one in sums)  # the highest probability first
    detected = np.cumsum(events, axis=1)
    predicted = detected + np.cumsum(free, axis=1)
    precision = np.divide(detected, predicted, out=np.zeros_like(detected), where=predicted > 0)
    area, total = (events * precision).sum(axis=1), detected[:, -1]
    return np.asarray(np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0))


def _sums_by_probability(
    probability: np.ndarray, event: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(R, V) weights of events, and of event-free patients, at each distinct probability, rising."""
    order = np.argsort(probability, kind="stable")
    p = probability[order]
    starts = np.flatnonzero(np.r_[True, p[1:] > p[:-1]])
    ordered = weights[:, order]
    of_event = np.add.reduceat(ordered * event[order], starts, axis=1)
    return of_event, np.add.reduceat(ordered * ~event[order], starts, axis=1)


def resampled_weights(
    strata: np.ndarray, weights: np.ndarray, resampling: Resampling
) -> Iterator[np.ndarray]:
    """(R, n) weights of patients in resamples, in parts that fit into memory.

    A resample is a vector of how often patients are drawn, so that all of a part are scored at once.

    Args:
        strata: (n,) outcomes or classes; patients are drawn within each, or groups as wholes.
        weights: (n,) of patients.
        resampling: of these patients.
    """
    rng = np.random.default_rng(resampling.seed)
    step = max(1, CELLS // len(strata))
    for first in range(0, resampling.resamples, step):
        number = min(step, resampling.resamples - first)
        yield resampled_counts(rng, strata, resampling.groups, number) * weights


def share_interval(inside: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Wilson's (1927) 95 % interval of a share, which is valid also where it is 0 or 1.

    Args:
        inside: (n,) bool, of at least one patient.
        groups: (n,) numbers of groups; all records of a group count as one patient (Kish's effective
            number), as they may say no more.
    """
    units = sums_by_group(np.ones(len(inside)), groups)
    n, share, z = float(len(inside) ** 2 / (units**2).sum()), float(np.mean(inside)), 1.96
    middle = (n * share + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * float(np.sqrt(n * share * (1 - share) + z**2 / 4))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def side_of(pair: Sequence[float] | None, value: float) -> int:
    """1 where an interval lies wholly above a value, -1 wholly below, 0 where it holds it or is missing."""
    if pair is None:
        return 0
    return 1 if pair[0] > value else -1 if pair[1] < value else 0


def percentile_interval(values: np.ndarray) -> tuple[float, float] | None:
    """The ends of the percentile interval of resampled values; NaN are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, ENDS)
    return float(low), float(high)
