"""Figures of the comparison: R2 with its limits, and coverage of the intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only: no window, no display needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE
from hcat_core.experiments.compare_imputers.table import Row
from hcat_core.storage.safe_path import safe_path
from hcat_core.text.numbers import percent

NOMINAL = {"coverage_90": 0.9, "coverage_50": 0.5}


def draw_figures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write ``r2.png`` and ``coverage.png``; returns their paths."""
    return [_r2(rows, safe_path(folder, "r2.png")), _coverage(rows, safe_path(folder, "coverage.png"))]


def _panels(rows: Sequence[Row]) -> dict[str, list[Row]]:
    panels: dict[str, list[Row]] = {}
    for row in rows:
        panels.setdefault(f"{row.mechanism.upper()}, {percent(row.missing_rate)} missing", []).append(row)
    return panels


def _r2(rows: Sequence[Row], path: Path) -> Path:
    def paint(axis: Axes, group: Sequence[Row], shown: Sequence[Row]) -> None:
        for place, row in enumerate(shown):
            e = row.values["r2"]
            assert e is not None
            error = None if np.isnan(e.low) else [[e.mean - e.low], [e.high - e.mean]]
            axis.errorbar(e.mean, place, xerr=error, fmt="o", color="#1f5fa8", capsize=3)
        for name, style in ((ORACLE, "-"), (LIMIT, "--")):
            limit = next((r.values["r2"] for r in group if r.name == name), None)
            if limit is not None:
                axis.axvline(limit.mean, ls=style, color="#444444", lw=1, label=name)
        axis.axvline(0, color="#bbbbbb", lw=1)
        axis.set_xlabel("R2 of hidden cells")

    return _draw(rows, path, "r2", paint)


def _coverage(rows: Sequence[Row], path: Path) -> Path:
    def paint(axis: Axes, group: Sequence[Row], shown: Sequence[Row]) -> None:
        for column, colour in (("coverage_90", "#1f5fa8"), ("coverage_50", "#c26a1b")):
            values = [row.values[column] for row in shown]
            axis.plot(
                [np.nan if v is None else v.mean for v in values],
                range(len(values)),
                "o",
                color=colour,
                label=f"{percent(NOMINAL[column])} interval",
            )
            axis.axvline(NOMINAL[column], color=colour, lw=1, ls="--")
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of hidden cells within the interval")

    return _draw(rows, path, "coverage_90", paint)


def _draw(
    rows: Sequence[Row], path: Path, value: str, paint: Callable[[Axes, Sequence[Row], Sequence[Row]], None]
) -> Path:
    """One panel for each mechanism and share of missing blocks, with a line for each imputer.

    Args:
        rows: of the comparison.
        path: of the figure.
        value: that an imputer must have to be shown.
        paint: draws into a panel, given all its rows, and those shown from the bottom up.
    """
    panels = _panels(rows)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4 * len(panels) + 1, 3.6), sharey=True, squeeze=False
    )
    for axis, (title, group) in zip(axes[0], panels.items(), strict=True):
        shown = [r for r in group if r.name not in (ORACLE, LIMIT) and r.values[value] is not None][::-1]
        paint(axis, group, shown)
        axis.set_yticks(range(len(shown)), [row.name for row in shown])
        axis.set_title(title, fontsize=10)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
