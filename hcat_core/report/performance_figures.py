"""Figures of one task's performance: ROC, precision-recall, calibration and decision curve.

All are weighted for censoring, as the scores in the tables are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from sklearn import metrics

from hcat_core.metrics.fewest import FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.metrics.resampling import CELLS, resampled_counts, sums_by_group
from hcat_core.report.inputs import KnownOutcomes
from hcat_core.report.svg import BLUE, GREY, HEIGHT, RED, draw, shortened

RESAMPLES = 300  # of a band, at most
GRID = np.linspace(0, 1, 101)
Z_95 = 1.96


def roc_figure(name: str, task: str, known: KnownOutcomes, resampling: Resampling) -> str:
    """Draw the ROC curve, with its pointwise 95 % bootstrap band where ``band_resamples`` are drawn."""
    fpr, tpr = roc_curve(known)
    band = _band(resampled_roc(known, resampling))

    def paint(axes: Axes) -> None:
        if band is not None:
            axes.fill_between(GRID, *band, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(fpr, tpr, color=BLUE)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), title="ROC", aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")

    return draw(f"roc-{name}", paint, label=f"ROC curve of {task}")


def precision_recall_figure(name: str, task: str, known: KnownOutcomes, resampling: Resampling) -> str:
    """Draw precision against recall with its band; the dashed line is the share of events."""
    recall, precision = precision_recall_curve(known)
    band = _band(resampled_precision(known, resampling))

    def paint(axes: Axes) -> None:
        if band is not None:
            axes.fill_between(GRID, *band, color=BLUE, alpha=0.18, linewidth=0)
        axes.step(recall, precision, color=BLUE, where="post")
        axes.axhline(share_of_events(known), color=GREY, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), title="Precision and recall", aspect="equal")
        axes.set(xlabel="recall (sensitivity)", ylabel="precision")

    return draw(f"pr-{name}", paint, label=f"precision-recall curve of {task}")


def roc_curve(known: KnownOutcomes) -> tuple[np.ndarray, np.ndarray]:
    """1 - specificity and sensitivity, rising, (C,) each; the area below them is ``TaskScores.auc``."""
    fpr, tpr, _ = metrics.roc_curve(known.label, known.probability, sample_weight=known.weights)
    return fpr, tpr


def precision_recall_curve(known: KnownOutcomes) -> tuple[np.ndarray, np.ndarray]:
    """Recall, falling, and precision, (C,) each; their steps enclose ``TaskScores.average_precision``."""
    precision, recall, _ = metrics.precision_recall_curve(
        known.label, known.probability, sample_weight=known.weights
    )
    return recall, precision


def share_of_events(known: KnownOutcomes) -> float:
    """The precision of a model that ranks patients at random: ``TaskScores.observed``."""
    return float(np.average(known.label, weights=known.weights))


def calibration_figure(name: str, task: str, known: KnownOutcomes) -> str:
    """Draw the observed share of events by predicted probability: bins with 95 % intervals, smooth line."""
    bins = calibration_bins(known)
    below, above = bins.observed - bins.low, bins.high - bins.observed
    smooth = _smooth(known.probability, known.label, known.weights)
    low, high = calibration_limits(known, bins)

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="ideal")
        axes.plot(*smooth, color=RED, label="smooth")
        axes.errorbar(
            bins.predicted, bins.observed, yerr=[np.maximum(below, 0), np.maximum(above, 0)],
            fmt="o", color=BLUE, markersize=4, linewidth=1.2, label="bins, 95 %",
        )  # fmt: skip
        rug, edges = np.histogram(known.probability, bins=40, range=(low, high))
        heights = 0.1 * (high - low) * rug / max(rug.max(), 1)
        axes.bar(edges[:-1], heights, width=(high - low) / 40, bottom=low, align="edge", color="#c9d6df")
        axes.set(
            xlim=(low, high), ylim=(low, high), title=f"Calibration: {shortened(task)}", aspect="equal"
        )
        axes.set(xlabel="predicted probability", ylabel="observed share")
        axes.figure.legend(loc="outside lower center", ncols=3)  # inside, it would cover intervals

    return draw(f"calibration-{name}", paint, label=f"calibration of {task}", height=HEIGHT + 0.2)


@dataclass(frozen=True)
class CalibrationBins:
    """Bins of patients with similar predictions, (B,) each.

    Attributes:
        predicted: mean predicted probability, weighted.
        observed: share of events, weighted likewise.
        low: lower end of Wilson's 95 % interval of the share.
        high: its upper end.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def calibration_bins(known: KnownOutcomes) -> CalibrationBins:
    """Divide patients into two to eight bins by their predicted probability.

    Wilson's interval (1927) is valid also for bins without any event, or with events only. Its number of
    patients is Kish's effective one, in which all records of a group count as one: they may say no more.
    """
    order = np.argsort(known.probability, kind="stable")
    parts = np.array_split(order, max(2, min(8, len(order) // 12)))
    predicted, share, n = (np.zeros(len(parts)) for _ in range(3))
    for place, rows in enumerate(parts):
        w = known.weights[rows]
        predicted[place] = np.average(known.probability[rows], weights=w)
        share[place] = np.average(known.label[rows], weights=w)
        units = sums_by_group(w, None if known.groups is None else known.groups[rows])
        n[place] = w.sum() ** 2 / (units**2).sum()
    return CalibrationBins(predicted, share, *wilson(share, n))


def wilson(share: np.ndarray | float, n: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's 95 % interval (1927) of shares of ``n`` patients each."""
    middle = (n * share + Z_95**2 / 2) / (n + Z_95**2)
    half = Z_95 / (n + Z_95**2) * np.sqrt(n * share * (1 - share) + Z_95**2 / 4)
    return np.asarray(middle - half), np.asarray(middle + half)


def calibration_limits(known: KnownOutcomes, bins: CalibrationBins) -> tuple[float, float]:
    """Where the axes of a calibration figure begin and end: around predictions, bins and intervals."""
    low, high = np.quantile(known.probability, [0.005, 0.995])
    low = min(float(low), float(bins.low.min()))
    high = max(float(high), float(bins.high.max()))
    margin = max(0.02, 0.04 * (high - low))
    return max(0.0, low - margin), min(1.0, high + margin)


def decision_figure(name: str, task: str, known: KnownOutcomes) -> str:
    """Draw the net benefit of treating by the model, everyone, or no one (Vickers and Elkin 2006)."""
    probability, label, weights = known.probability, known.label, known.weights
    cuts = np.linspace(0.01, min(0.9, max(0.3, float(probability.max()))), 90)
    model = net_benefit(probability, label, weights, cuts)
    everyone = net_benefit(np.ones_like(probability), label, weights, cuts)
    error = net_benefit_error(known, cuts)

    def paint(axes: Axes) -> None:
        axes.fill_between(
            cuts, model - Z_95 * error, model + Z_95 * error, color=BLUE, alpha=0.15, linewidth=0
        )
        axes.plot(cuts, model, color=BLUE, label="the model")
        axes.plot(cuts, everyone, color=RED, linestyle="--", label="treat everyone")
        axes.axhline(0, color=GREY, label="treat no one")
        top = max(float(model.max()), float(np.average(label, weights=weights)), 0.01)
        axes.set(
            xlim=(0, cuts[-1]), ylim=(-0.25 * top, 1.15 * top), title=f"Decision curve: {shortened(task)}"
        )
        axes.set(xlabel="threshold probability for treatment", ylabel="net benefit")
        axes.legend(loc="upper right")

    return draw(f"decision-{name}", paint, label=f"decision curve of {task}")


def net_benefit(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray, cuts: np.ndarray
) -> np.ndarray:
    """(C,) true positives minus false positives, weighted by the odds of the cut, per patient."""
    treated = probability[:, None] >= cuts
    true = np.average(treated & (label == 1)[:, None], axis=0, weights=weights)
    false = np.average(treated & (label == 0)[:, None], axis=0, weights=weights)
    return np.asarray(true - false * cuts / (1 - cuts))


def net_benefit_error(known: KnownOutcomes, cuts: np.ndarray) -> np.ndarray:
    """(C,) standard error of the net benefit; records of one group count together."""
    gain = np.where((known.label == 1)[:, None], 1.0, -cuts / (1 - cuts))
    each = np.where(known.probability[:, None] >= cuts, gain, 0.0)
    w = known.weights / known.weights.sum()
    deviations = w[:, None] * (each - w @ each)
    return np.asarray(np.sqrt((sums_by_group(deviations.T, known.groups) ** 2).sum(axis=1)))


def band_resamples(known: KnownOutcomes, resampling: Resampling) -> int:
    """How many resamples a band is drawn from; 0, and no band, with few patients of either outcome."""
    return min(RESAMPLES, resampling.resamples) if known.rarer >= FEWEST_TO_RESAMPLE else 0


def _band(curves: np.ndarray) -> np.ndarray | None:
    """(2, 101) ends of the pointwise 95 % interval of resampled curves (R, 101); None without any."""
    return np.nanquantile(curves, [0.025, 0.975], axis=0) if len(curves) else None


def resampled_roc(known: KnownOutcomes, resampling: Resampling) -> np.ndarray:
    """(R, 101) sensitivity along ``GRID`` of bootstrap samples; NaN for one that lacks an outcome."""
    curves = np.full((band_resamples(known, resampling), len(GRID)), np.nan)
    for row, (events, free) in enumerate(_resampled(known, resampling)):
        if events[-1] > 0 and free[-1] > 0:
            curves[row] = np.interp(GRID, free / free[-1], events / events[-1])
    return curves


def resampled_precision(known: KnownOutcomes, resampling: Resampling) -> np.ndarray:
    """(R, 101) precision by recall along ``GRID`` of bootstrap samples; NaN for one without events."""
    curves = np.full((band_resamples(known, resampling), len(GRID)), np.nan)
    for row, (events, free) in enumerate(_resampled(known, resampling)):
        predicted = events + free
        precision = np.divide(events, predicted, out=np.ones_like(predicted), where=predicted > 0)
        if events[-1] > 0:
            curves[row] = np.interp(GRID, events / events[-1], precision)
    return curves


def _resampled(known: KnownOutcomes, resampling: Resampling) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each resample, the weights of events and of event-free patients from each probability upwards.

    (C + 1,) each, from none to all; patients are drawn within each outcome, or groups as wholes.
    """
    order = np.argsort(-known.probability, kind="stable")
    p, event = known.probability[order], known.label[order] == 1
    starts = np.flatnonzero(np.r_[True, p[1:] < p[:-1]])
    groups = None if known.groups is None else known.groups[order]
    rng, left = np.random.default_rng(resampling.seed), band_resamples(known, resampling)
    while left:
        number = min(left, max(1, CELLS // len(p)))
        left -= number
        drawn = resampled_counts(rng, event, groups, number) * known.weights[order]
        parts = [np.add.reduceat(drawn * rows, starts, axis=1).cumsum(axis=1) for rows in (event, ~event)]
        events, free = (np.pad(part, ((0, 0), (1, 0))) for part in parts)
        yield from zip(events, free, strict=True)


def _smooth(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth calibration curve: logistic regression of the outcome on the logit and its square."""
    from sklearn.linear_model import LogisticRegression

    z = logit(probability)
    middle, scale = z.mean(), max(float(z.std()), 1e-6)

    def design(values: np.ndarray) -> np.ndarray:
        u = (values - middle) / scale
        return np.stack([u, u**2], axis=1)

    model = LogisticRegression(C=10.0).fit(design(z), label, weights / weights.mean())
    x = np.linspace(z.min(), z.max(), 60)
    y = design(x) @ model.coef_[0] + model.intercept_[0]
    return sigmoid(x), sigmoid(y)
