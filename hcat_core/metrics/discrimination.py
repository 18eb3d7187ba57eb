"""AUC, average precision and decisions at a threshold; bootstrap intervals over patients.

Ranking metrics come from probabilities, never from decisions. A threshold is chosen on validation
patients and applied to others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLED_FROM = 5  # patients with each outcome; with fewer, a bootstrap interval is too narrow


@dataclass(frozen=True)
class BinaryScores:
    """Scores of one task at its horizon; None where a score needs both outcomes and one is missing.

    Attributes:
        patients: number with a known outcome.
        events: number of them with the event.
        auc: area under the ROC curve.
        average_precision: area under the precision-recall curve.
        brier: mean squared error of the probability.
        f1: of the decisions at ``threshold``, as are the next three.
        accuracy: share of right decisions.
        sensitivity: share of events that are detected.
        specificity: share of event-free patients that are recognised.
        threshold: probability from which the event is predicted; chosen on other patients.
    """

    patients: int
    events: int
    auc: float | None
    average_precision: float | None
    brier: float | None
    f1: float | None
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    threshold: float


def best_threshold(probability: np.ndarray, label: np.ndarray) -> float:
    """Choose the probability threshold with the highest F1 on these patients.

    Use validation patients, never those that are reported. The threshold lies halfway to the next lower
    probability, so that rounding one patient's probability does not change a decision. It is 0.5 where
    one outcome is missing.

    Args:
        probability: (N,) predicted.
        label: (N,) 1 or 0.
    """
    if label.min(initial=1) == label.max(initial=0) or not len(label):
        return 0.5
    from sklearn import metrics  # takes a second to import, which predicting does not need

    precision, recall, cuts = metrics.precision_recall_curve(label, probability)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(f1[:-1].argmax())
    below = probability[probability < cuts[best]]
    return float((cuts[best] + below.max()) / 2) if len(below) else float(cuts[best])


def binary_metrics(
    probability: np.ndarray, label: np.ndarray, threshold: float, weights: np.ndarray | None = None
) -> BinaryScores:
    """Score the probabilities of one task, and the decisions at a threshold.

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
        threshold: chosen on other patients.
        weights: (N,) of ``survival.known_weights``, for the Brier score.
    """
    known = label >= 0
    p, y = probability[known], label[known]
    w = None if weights is None else weights[known]
    patients, events = len(y), int(y.sum())
    both = 0 < events < patients
    auc, average_precision = _ranking_scores(p, y) if both else (None, None)
    positive = p >= threshold
    return BinaryScores(
        patients=patients,
        events=events,
        auc=auc,
        average_precision=average_precision,
        brier=float(np.average((p - y) ** 2, weights=w)) if patients else None,
        f1=float(2 * (positive & (y == 1)).sum() / (positive.sum() + events)) if both else None,
        accuracy=float((positive == y).mean()) if patients else None,
        sensitivity=float(positive[y == 1].mean()) if events else None,
        specificity=float((~positive[y == 0]).mean()) if events < patients else None,
        threshold=threshold,
    )


def _ranking_scores(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """AUC and average precision of patients with both outcomes: scikit-learn's, in a tenth of its time.

    A run scores some hundred subsets of patients and modalities, each of few patients.
    """
    _, place = np.unique(-probability, return_inverse=True)  # patients of one probability are at one place
    events, free = (np.bincount(place[label == outcome], minlength=place.max() + 1) for outcome in (1, 0))
    detected, alarms = events.cumsum(), free.cumsum()
    later = alarms[-1] - alarms + free / 2  # event-free patients with a lower probability; ties count half
    auc = (events * later).sum() / (detected[-1] * alarms[-1])
    average_precision = (events * detected / (detected + alarms)).sum() / detected[-1]
    return float(auc), float(average_precision)


def auc_interval(
    probability: np.ndarray, label: np.ndarray, *, resamples: int, seed: int, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the AUC over patients, resampled within each outcome.

    None with fewer than ``RESAMPLED_FROM`` patients of either outcome: resampling a single event gives the
    same event each time, and an interval without width.

    All resamples are computed at once. A resample is a vector of patient weights, and its AUC is the
    weighted share of (event, event-free) pairs in the right order, where ties count half.
    """
    known = label >= 0
    p, y = probability[known], label[known].astype(bool)
    events, free = int(y.sum()), int((~y).sum())
    if not resamples or min(events, free) < RESAMPLED_FROM:
        return None
    rng = np.random.default_rng(seed)
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    starts = np.flatnonzero(np.r_[True, p[1:] > p[:-1]])
    aucs = []
    step = max(1, 4_000_000 // len(p))
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        weight = np.zeros((count, len(p)))
        weight[:, y] = rng.multinomial(events, np.full(events, 1 / events), size=count)
        weight[:, ~y] = rng.multinomial(free, np.full(free, 1 / free), size=count)
        up = np.add.reduceat(weight * y, starts, axis=1)
        down = np.add.reduceat(weight * ~y, starts, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        aucs.append((up * below).sum(axis=1) / (events * free))
    low, high = np.quantile(np.concatenate(aucs), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_auc_difference(
    model: np.ndarray, other: np.ndarray, label: np.ndarray, *, resamples: int, seed: int
) -> list[float] | None:
    """Difference of two models' AUC on the same patients: mean, and the bootstrap 95 % interval's ends.

    None with fewer than ``RESAMPLED_FROM`` patients of either outcome.

    Args:
        model: (N,) probabilities.
        other: (N,) probabilities of the model to compare with; its AUC is subtracted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
        resamples: how many times patients are resampled, within each outcome.
        seed: of the resamples.
    """
    known = label >= 0
    a, b, y = model[known], other[known], label[known] == 1
    events, free = int(y.sum()), int((~y).sum())
    if not resamples or min(events, free) < RESAMPLED_FROM:
        return None

    def in_right_order(p: np.ndarray) -> np.ndarray:
        """(events, free) 1 where the event has the higher probability, 0.5 where they are equal."""
        pairs = np.sign(p[y][:, None] - p[~y][None, :])
        return np.asarray((pairs + 1) / 2)

    difference = in_right_order(a) - in_right_order(b)
    rng = np.random.default_rng(seed)
    up = rng.multinomial(events, np.full(events, 1 / events), size=resamples)
    down = rng.multinomial(free, np.full(free, 1 / free), size=resamples)
    resampled = ((up @ difference) * down).sum(axis=1) / (events * free)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return [float(difference.mean()), float(low), float(high)]
