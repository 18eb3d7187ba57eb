"""Figures of outcomes that are no events: classes and their confusion, predicted and observed numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hcat_core.metrics.values import KnownValues
from hcat_core.report.svg import BLUE, GREY, HEIGHT, RED, WIDTH, draw, shortened
from hcat_core.text.numbers import percent

MOST_POINTS = 400  # patients that are drawn; more would cover each other
SHORT = 8  # characters of a class, up to which its name fits below its column
DARK = 0.55  # share of a row from which on its text is white


def confusion_figure(
    name: str, outcome: str, classes: Sequence[str], confusion: Sequence[Sequence[int]]
) -> str:
    """Draw numbers of patients by their class and the likeliest one, shaded by the share of the row.

    Args:
        name: of the figure, for its inner ids.
        outcome: its name.
        classes: K names.
        confusion: (K, K) own class in rows, likeliest class in columns.
    """
    counts = np.asarray(confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [shortened(one, 14) for one in classes]

    def paint(axes: Axes) -> None:
        axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1, edgecolor="white")  # imshow is no vector
        for row, column in np.ndindex(counts.shape):
            colour = "white" if share[row, column] > DARK else "black"
            text = f"{counts[row, column]}\n{percent(share[row, column])}"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=8)
        middles = np.arange(len(names)) + 0.5
        if max(map(len, names)) > SHORT:
            axes.set_xticks(middles, names, rotation=35, ha="right")
        else:
            axes.set_xticks(middles, names)
        axes.set_yticks(middles, names)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.set(
            ylim=(len(names), 0),
            xlabel="likeliest class",
            ylabel="own class",
            title=f"Classes: {shortened(outcome)}",
        )

    height = max(HEIGHT, 1.6 + 0.5 * len(names))
    return draw(f"confusion-{name}", paint, label=f"confusion matrix of {outcome}", height=height)


def predicted_observed_figure(name: str, outcome: str, unit: str, known: KnownValues, seed: int) -> str:
    """Draw each patient's value against its prediction, with 90 % intervals where there are any.

    Args:
        name: of the figure, for its inner ids.
        outcome: its name.
        unit: of the value; empty where it has none.
        known: n patients; ``MOST_POINTS`` of them are drawn at random.
        seed: of that draw.
    """
    n = len(known.observed)
    rows = np.random.default_rng(seed).choice(n, min(n, MOST_POINTS), replace=False)
    x, y, inside = known.predicted[rows], known.observed[rows], known.inside[rows]
    ends = np.stack([known.low[rows], known.high[rows]])
    in_unit = f" ({unit})" if unit else ""

    def paint(axes: Axes) -> None:
        if known.with_interval:
            axes.vlines(x, *ends, color=GREY, alpha=0.25, linewidth=1.2, label="90 % interval")
            axes.plot(x[inside], y[inside], "o", color=BLUE, markersize=3, label="value in it")
            axes.plot(x[~inside], y[~inside], "o", color=RED, markersize=3, label="value outside")
        else:
            axes.plot(x, y, "o", color=BLUE, markersize=3, label="value")
        both = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        axes.plot(both, both, color=GREY, linewidth=1, linestyle="--", label="equal")
        axes.set(xlabel=f"predicted{in_unit}", ylabel=f"observed{in_unit}")
        axes.set(title=f"Predicted and observed: {shortened(outcome)}")
        axes.figure.legend(loc="outside lower center", ncols=2)

    label = f"observed against predicted values of {outcome}"
    return draw(f"values-{name}", paint, label=label, width=WIDTH, height=HEIGHT + 0.5)
