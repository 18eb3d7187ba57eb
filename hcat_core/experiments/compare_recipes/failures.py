"""Where recipes of a comparison fail: folds that no model could be fitted on, and those predicted worst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
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


def worst_folds(results: Sequence[FoldResult], outcome: str) -> PageTable | None:
    """The folds of one outcome with the lowest AUC, or R2 of a number, the mean over recipes.

    Folds with fewer than ``FEWEST_OF_EACH`` patients of either outcome, or of a class, are left out, and
    those with fewer than ``FEWEST_TO_RESAMPLE`` values: their score is mostly chance. None where no fold is
    left.
    """
    folds: dict[tuple[int, int], list[tuple[str, FoldScores]]] = {}
    for result in results:
        scores = result.outcomes.get(outcome)
        if result.error is None and scores is not None and scores.headline is not None and _enough(scores):
            folds.setdefault((result.repeat, result.fold), []).append((result.name, scores))
    if not folds:
        return None
    mean = {place: float(np.mean([one.headline for _, one in group])) for place, group in folds.items()}
    rows: list[TableRow] = []
    for place in sorted(mean, key=lambda one: mean[one])[:WORST]:
        group = sorted(folds[place], key=lambda one: -(one[1].headline or 0.0))
        (best, highest), (worst, lowest) = group[0], group[-1]
        repeat, fold = (_number(one) for one in place)
        cells = (figure_cell(mean[place]), _named(best, highest), _named(worst, lowest))
        rows.append([repeat, fold, _patients(highest), *cells])
    some = next(iter(folds.values()))[0][1]
    measure, counted = _measure(some), "events/patients" if "events" in some.metrics else "patients"
    columns = [
        *numbers("repeat", "fold", counted, f"mean {measure}"), *texts("best recipe", "worst recipe"),
    ]  # fmt: skip
    which = f"the worst {len(rows)} of {len(folds)} folds" if len(rows) < len(folds) else "all folds"
    caption = f"{outcome}: {which}, by the mean {measure} of the recipes; the lowest first."
    return PageTable(columns, rows, caption)


def _enough(scores: FoldScores) -> bool:
    patients = scores.number("patients") or 0
    if "r2" in scores.metrics:
        return (scores.number("units") or 0) >= FEWEST_TO_RESAMPLE
    if "rarest_class" in scores.metrics:
        return (scores.number("rarest_class") or 0) >= FEWEST_OF_EACH
    events = scores.number("events") or 0
    return min(events, patients - events) >= FEWEST_OF_EACH


def _measure(scores: FoldScores) -> str:
    of_classes = "rarest_class" in scores.metrics
    return "R²" if "r2" in scores.metrics else "macro AUC" if of_classes else "AUC"


def _patients(scores: FoldScores) -> str:
    patients, events = scores.number("patients"), scores.number("events")
    return f"{patients:.0f}" if events is None else f"{events:.0f}/{patients:.0f}"


def _named(name: str, scores: FoldScores) -> Cell:
    return Cell(name, f"{scores.headline:.3f}")


def _number(place: int) -> str:
    return str(place + 1)
