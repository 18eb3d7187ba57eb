"""Where recipes of a comparison fail: folds that no model could be fitted on, and those predicted worst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, texts

WORST = 3  # folds of a task


def failed_folds(results: Sequence[FoldResult]) -> PageTable | None:
    """Each fold on which a recipe failed, with the reason; None where none did."""
    rows: list[TableRow] = [
        [result.name, _number(result.repeat), _number(result.fold), result.error]
        for result in results
        if result.error is not None
    ]
    if not rows:
        return None
    columns = [*texts("recipe"), *numbers("repeat", "fold"), *texts("reason")]
    caption = "These folds have no scores; means of the recipe are those of its other folds."
    return PageTable(columns, rows, caption, title="Folds that failed")


def worst_folds(results: Sequence[FoldResult], task: str) -> PageTable | None:
    """The folds of one task with the lowest AUC, the mean over recipes.

    Folds with fewer than ``FEWEST_OF_EACH`` patients of either outcome are left out: their AUC is mostly
    chance. None where no fold is left.
    """
    folds: dict[tuple[int, int], list[tuple[str, FoldScores]]] = {}
    for result in results:
        scores = result.tasks.get(task)
        if result.error is None and scores is not None and scores.auc is not None and _enough(scores):
            folds.setdefault((result.repeat, result.fold), []).append((result.name, scores))
    if not folds:
        return None
    mean = {place: float(np.mean([one.auc for _, one in group])) for place, group in folds.items()}
    rows: list[TableRow] = []
    for place in sorted(mean, key=lambda one: mean[one])[:WORST]:
        group = sorted(folds[place], key=lambda one: -(one[1].auc or 0.0))
        (best, highest), (worst, lowest) = group[0], group[-1]
        events = f"{highest.number('events'):.0f}/{highest.number('patients'):.0f}"
        repeat, fold = (_number(one) for one in place)
        rows.append(
            [repeat, fold, events, figure_cell(mean[place]), _named(best, highest), _named(worst, lowest)]
        )
    columns = [
        *numbers("repeat", "fold", "events/patients", "mean AUC"), *texts("best recipe", "worst recipe"),
    ]  # fmt: skip
    which = f"the worst {len(rows)} of {len(folds)} folds" if len(rows) < len(folds) else "all folds"
    caption = f"{task}: {which}, by the mean AUC of the recipes; the lowest first."
    return PageTable(columns, rows, caption)


def _enough(scores: FoldScores) -> bool:
    patients, events = scores.number("patients") or 0, scores.number("events") or 0
    return min(events, patients - events) >= FEWEST_OF_EACH


def _named(name: str, scores: FoldScores) -> Cell:
    return Cell(name, f"{scores.auc:.3f}")


def _number(place: int) -> str:
    return str(place + 1)
