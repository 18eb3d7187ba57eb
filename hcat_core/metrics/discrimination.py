"""Metrics from probabilities, thresholds from validation patients, intervals from resampled patients.

Nothing here thresholds before ranking, and no function chooses and scores on the same patients.
"""

from __future__ import annotations

import numpy as np

RESAMPLED_FROM = 5  # events, or patients of either outcome; fewer would make a bootstrap too sure


def best_threshold(probability: np.ndarray, label: np.ndarray) -> float:
    """The probability cut of highest F1 on these patients (validation ones, never those reported).

    Halfway to the next lower probability, so that it does not hang on one patient's last digit;
    0.5 where one outcome is missing.
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
) -> dict[str, float | int | None]:
    """Discrimination, calibration and decisions of one task; None where one outcome is missing.

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome are left out.
        threshold: chosen elsewhere.
        weights: (N,) as of ``survival.known_weights``, for the Brier score.
    """
    from sklearn import metrics

    known = label >= 0
    p, y = probability[known], label[known]
    w = None if weights is None else weights[known]
    events = int(y.sum())
    result: dict[str, float | int | None] = {"patients": len(y), "events": events}
    both = 0 < events < len(y)
    called = p >= threshold
    result["auc"] = float(metrics.roc_auc_score(y, p)) if both else None
    result["average_precision"] = float(metrics.average_precision_score(y, p)) if both else None
    result["brier"] = float(np.average((p - y) ** 2, weights=w)) if len(y) else None
    result["f1"] = float(metrics.f1_score(y, called)) if both else None
    result["accuracy"] = float((called == y).mean()) if len(y) else None
    result["sensitivity"] = float(called[y == 1].mean()) if events else None
    result["specificity"] = float((~called[y == 0]).mean()) if events < len(y) else None
    result["threshold"] = threshold
    return result


def auc_interval(
    probability: np.ndarray, label: np.ndarray, *, resamples: int, seed: int, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the AUC over patients, resampled within each outcome.

    None with fewer than ``RESAMPLED_FROM`` of either: resampled, one event is the same event again, and the
    interval of its AUC would have no width.

    All resamples at once: a resample is a vector of patient weights, and the AUC is the weighted
    share of (event, event-free) pairs in the right order, ties counting half.
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
