"""Figures of a search: its history, and which keys moved the score."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hcat_core.experiments.tune.results import Trial, TuningResult
from hcat_core.experiments.tune.space import short_names
from hcat_core.report.svg import BLUE, GREY, draw, shortened


def history_figure(result: TuningResult) -> str:
    """Scores by trial, and the best so far, as inline SVG."""

    def paint(axes: Axes) -> None:
        for search in result.searches:
            axes.step(*_best_so_far(search.trials), where="post", color=GREY, linewidth=0.8, alpha=0.6)
        axes.plot(*_scored(result.final.trials), "o", color=BLUE, markersize=4)
        axes.step(*_best_so_far(result.final.trials), where="post", color=BLUE)
        axes.set(xlabel="trial", ylabel=result.score, title="Scores on inner folds")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return draw("history", paint, label=f"{result.score} of each trial on inner folds")


def importance_figure(result: TuningResult) -> str:
    """Bars of importance, as inline SVG; an empty string where it is not known."""
    shares, names = result.final.importance, short_names(result.keys)
    if not shares:
        return ""

    def paint(axes: Axes) -> None:
        axes.barh(range(len(shares)), list(shares.values()), color=BLUE, height=0.6)
        axes.set_yticks(range(len(shares)), [shortened(names[key], 24) for key in shares])
        axes.set(xlabel="share of the variance of scores", xlim=(0, 1), title="Which keys moved the score")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")

    return draw("importance", paint, label="Importance of each key", height=1.2 + 0.3 * len(shares))


def _best_so_far(trials: Sequence[Trial]) -> tuple[list[int], list[float]]:
    numbers, scores = _scored(trials)
    return numbers, list(itertools.accumulate(scores, max))


def _scored(trials: Sequence[Trial]) -> tuple[list[int], list[float]]:
    """Numbers and scores of the trials that have one."""
    scores = {one.number: one.score for one in trials if one.score is not None}
    return list(scores), list(scores.values())
