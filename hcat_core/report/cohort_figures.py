"""Figures of the cohort and of the training: missing modalities, learning curves, bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hcat_core.cohort import Cohort
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.evaluation.analysis import Intervals, Means
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.report.svg import BLUE, COLOURS, GREY, Captioned, draw, shortened
from hcat_core.text.numbers import percent
from hcat_core.training.checkpoints import Epoch, TaskMetrics

MOST_PATTERNS = 12


def patterns_figure(cohort: Cohort) -> str:
    """Draw the most frequent missingness patterns, one row each, with the number of patients."""
    shown = count_patterns(cohort.present)[:MOST_PATTERNS]
    names = [shortened(name, 14) for name in cohort.layout.names]
    total = max(1, len(cohort))

    def paint(axes: Axes) -> None:
        axes.grid(False)
        for row, (pattern, patients) in enumerate(shown):
            for column, has in enumerate(pattern):
                face = BLUE if has else "#ffffff"
                axes.plot(column, row, "s", markersize=11, markerfacecolor=face, markeredgecolor=GREY)
            axes.text(len(names) - 0.35, row, f"{patients} ({percent(patients / total)})", va="center")
        axes.set(xlim=(-0.6, len(names) + 1.1), ylim=(len(shown) - 0.4, -0.6), title="Missingness patterns")
        axes.set_xticks(range(len(names)), names, rotation=35, ha="left")
        axes.set_yticks([])
        axes.xaxis.tick_top()
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0)

    height = 1.5 + 0.27 * len(shown)
    return draw("patterns", paint, label="patterns of missing modalities", height=height)


def presence_figure(cohort: Cohort) -> str:
    """Draw the share of patients who have each modality."""
    share = cohort.present.double().mean(dim=0).numpy() * 100
    names = [shortened(name) for name in cohort.layout.names]

    def paint(axes: Axes) -> None:
        axes.barh(range(len(names)), share, color=BLUE, height=0.6)
        for row, value in enumerate(share):
            axes.text(min(value + 1, 101), row, f"{value:.0f} %", va="center")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(0, 115), ylim=(len(names) - 0.4, -0.6), title="Availability of each modality")
        axes.set_xlabel("% of patients")

    return draw("presence", paint, label="patients who have each modality", height=1.3 + 0.3 * len(names))


def learning_figures(history: Sequence[Epoch]) -> list[Captioned]:
    """Draw the training loss, and the AUC of each task, by epoch; one line per member.

    The AUC is that of the patients who chose the epoch, of tasks of which they have enough outcomes.
    """
    epochs = _with_gaps(history, [float(epoch.epoch) for epoch in history])
    losses = _with_gaps(history, [epoch.train_loss for epoch in history])
    figures = []
    if np.isfinite(losses).any():

        def paint_loss(axes: Axes) -> None:
            axes.plot(epochs, losses, color=BLUE)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(title="Training loss", xlabel="epoch")

        svg = draw("loss", paint_loss, label="training loss by epoch", height=2.8)
        figures.append(
            Captioned(
                svg,
                "The loss that training makes smaller, by epoch; a line for each member of an ensemble.",
            )
        )
    series = validation_series(history)
    if series:

        def paint_validation(axes: Axes) -> None:
            for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
                axes.plot(epochs, _with_gaps(history, values), color=colour, label=shortened(name))
            axes.set(title="AUC of held-out patients", xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.figure.legend(loc="outside lower center", ncols=3)  # inside, it would cover lines

        svg = draw("validation", paint_validation, label="AUC of held-out patients by epoch", height=2.8)
        caption = "The AUC of patients who were held out of training and chose the epoch that is kept."
        figures.append(Captioned(svg, caption))
    return figures


def _with_gaps(history: Sequence[Epoch], values: Sequence[float]) -> list[float]:
    """One value per epoch, with NaN, which is not drawn, between the trainings of two members."""
    result: list[float] = []
    for number, (epoch, value) in enumerate(zip(history, values, strict=True)):
        if number and epoch.member != history[number - 1].member:
            result.append(math.nan)
        result.append(value)
    return result


def validation_series(history: Sequence[Epoch]) -> dict[str, list[float]]:
    """AUC of held-out patients by task, one value per epoch; NaN where too few have either outcome."""
    tasks = dict.fromkeys(task for epoch in history for task in epoch.val)
    auc = {task: [_enough(epoch.val.get(task, {})) for epoch in history] for task in tasks}
    return {task: values for task, values in auc.items() if np.isfinite(values).any()}


def _enough(scores: TaskMetrics) -> float:
    """The AUC, or NaN with too few patients of either outcome."""
    auc, patients, events = scores.get("auc"), scores.get("patients") or 0, scores.get("events") or 0
    return math.nan if auc is None or min(events, patients - events) < FEWEST_OF_EACH else float(auc)


def bars_figure(name: str, title: str, values: Means, intervals: Intervals, label: str) -> str:
    """Draw horizontal bars by modality, in one colour per task, with lines for 95 % intervals."""
    tasks = list(values)
    names = list(dict.fromkeys(n for task in tasks for n in values[task]))
    height = 0.8 / max(1, len(tasks))

    def paint(axes: Axes) -> None:
        for place, (colour, task) in enumerate(zip(COLOURS, tasks, strict=False)):
            at = np.arange(len(names)) + (place - (len(tasks) - 1) / 2) * height
            widths = [values[task].get(n, 0.0) for n in names]
            axes.barh(at, widths, height=height * 0.9, color=colour, label=shortened(task))
            ends = {row: pair for row, n in zip(at, names, strict=True) if (pair := intervals[task].get(n))}
            if ends:
                axes.hlines(list(ends), *zip(*ends.values(), strict=True), color="black", linewidth=1)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(names)), [shortened(n) for n in names])
        axes.set(ylim=(len(names) - 0.4, -0.6), title=title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))  # more would touch each other
        axes.set_xlabel(label)
        axes.figure.legend(loc="outside lower center", ncols=3)  # inside, it would cover bars

    return draw(name, paint, label=title, height=1.7 + 0.4 * len(names))
