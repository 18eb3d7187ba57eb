"""Figures of one task's performance: ROC, precision-recall, calibration and decision curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from sklearn import metrics

from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.report.svg import BLUE, GREY, HEIGHT, RED, draw, shortened

RESAMPLES = 300
GRID = np.linspace(0, 1, 101)
Z_95 = 1.96


def roc_figure(name: str, task: str, probability: np.ndarray, label: np.ndarray) -> str:
    """Draw the ROC curve with its pointwise 95 % bootstrap band."""
    fpr, tpr, _ = metrics.roc_curve(label, probability)
    low, high = _band(_resampled_roc(probability, label))

    def paint(axes: Axes) -> None:
        axes.fill_between(GRID, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(fpr, tpr, color=BLUE)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), title="ROC", aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")

    return draw(f"roc-{name}", paint, label=f"ROC curve of {task}")


def precision_recall_figure(name: str, task: str, probability: np.ndarray, label: np.ndarray) -> str:
    """Draw precision against recall with its band; the dashed line is the share of events."""
    low, high = _band(_resampled_precision(probability, label))
    precision, recall, _ = metrics.precision_recall_curve(label, probability)

    def paint(axes: Axes) -> None:
        axes.fill_between(GRID, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.step(recall, precision, color=BLUE, where="post")
        axes.axhline(label.mean(), color=GREY, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), title="Precision and recall", aspect="equal")
        axes.set(xlabel="recall (sensitivity)", ylabel="precision")

    return draw(f"pr-{name}", paint, label=f"precision-recall curve of {task}")


def calibration_figure(
    name: str, task: str, probability: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> str:
    """Draw the observed share of events by predicted probability: groups with 95 % intervals, smooth line.

    ``weights`` are those of ``survival.known_weights``: patients with a known outcome represent those
    censored before the horizon.
    """
    order = np.argsort(probability, kind="stable")
    groups = np.array_split(order, max(2, min(8, len(order) // 12)))
    x = np.array([np.average(probability[g], weights=weights[g]) for g in groups])
    # Kish's effective number of patients.
    n = np.array([weights[g].sum() ** 2 / (weights[g] ** 2).sum() for g in groups])
    k = n * np.array([np.average(label[g], weights=weights[g]) for g in groups])
    # Wilson's interval is valid also for groups without any event, or with events only.
    middle = (k + Z_95**2 / 2) / (n + Z_95**2)
    half = Z_95 / (n + Z_95**2) * np.sqrt(k * (n - k) / n + Z_95**2 / 4)
    smooth = _smooth(probability, label, weights)

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="ideal")
        if smooth is not None:
            axes.plot(*smooth, color=RED, label="smooth")
        axes.errorbar(
            x, k / n, yerr=[np.maximum(k / n - (middle - half), 0), np.maximum(middle + half - k / n, 0)],
            fmt="o", color=BLUE, markersize=4, linewidth=1.2, label="groups, 95 %",
        )  # fmt: skip
        rug = np.histogram(probability, bins=40, range=(0, 1))[0]
        axes.bar(
            np.arange(40) / 40, 0.1 * rug / max(rug.max(), 1), width=1 / 40, align="edge", color="#c9d6df"
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.01), title=f"Calibration: {shortened(task)}", aspect="equal")
        axes.set(xlabel="predicted probability", ylabel="observed share")
        axes.figure.legend(loc="outside lower center", ncols=3)  # inside, it would cover intervals

    return draw(f"calibration-{name}", paint, label=f"calibration of {task}", height=HEIGHT + 0.2)


def decision_figure(
    name: str, task: str, probability: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> str:
    """Draw the net benefit of treating by the model, everyone, or no one (Vickers and Elkin 2006)."""
    cuts = np.linspace(0.01, min(0.9, max(0.3, float(probability.max()))), 90)
    model = net_benefit(probability, label, weights, cuts)
    everyone = net_benefit(np.ones_like(probability), label, weights, cuts)

    def paint(axes: Axes) -> None:
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


def _band(curves: np.ndarray) -> np.ndarray:
    """(2, 101) ends of the pointwise 95 % interval of resampled curves (R, 101)."""
    return np.asarray(np.quantile(curves, [0.025, 0.975], axis=0))


def _resampled_roc(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(R, 101) sensitivity along ``GRID`` of bootstrap samples."""
    events, free = _resampled_counts(probability, label)
    rates = [count / count[:, -1:] for count in (free, events)]
    return np.stack([np.interp(GRID, fpr, tpr) for fpr, tpr in zip(*rates, strict=True)])


def _resampled_precision(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(R, 101) precision by recall along ``GRID`` of bootstrap samples."""
    events, free = _resampled_counts(probability, label)
    predicted = events + free
    precision = np.divide(events, predicted, out=np.ones_like(predicted), where=predicted > 0)
    recall = events / events[:, -1:]
    return np.stack([np.interp(GRID, r, p) for r, p in zip(recall, precision, strict=True)])


def _resampled_counts(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, C) events and event-free patients from each probability upwards, from none to all.

    R bootstrap samples of patients, drawn within each outcome.
    """
    rng = np.random.default_rng(0)
    _, place = np.unique(-probability, return_inverse=True)
    result = []
    for outcome in (1, 0):
        patients = np.bincount(place[label == outcome], minlength=place.max() + 1)
        number = patients.sum()
        drawn = rng.multinomial(number, patients / number, size=RESAMPLES)
        result.append(np.pad(drawn.cumsum(axis=1), ((0, 0), (1, 0))).astype(float))
    return result[0], result[1]


def _smooth(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Smooth calibration curve: logistic regression of the outcome on the logit and its square.

    None with fewer than 20 patients.
    """
    if len(label) < 20:
        return None
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
