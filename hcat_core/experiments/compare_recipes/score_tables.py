"""Tables of ``compare.html``: scores, calibration and what each modality adds, by kind of outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hcat_core.layout import Layout, TaskKind
from hcat_core.report.formatting import number
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, texts
from hcat_core.text.numbers import percent, quantity

Decimals = int | None | Literal["%"]
"""Of a score; None: three significant digits, of a quantity in the unit of the number; "%": a share."""

SCORES: Mapping[TaskKind, Sequence[tuple[str, str, Decimals]]] = {
    "event": (
        ("AUC", "auc", 3),
        ("average precision", "average_precision", 3),
        ("Uno's C", "c_index", 3),
        ("Brier score", "brier", 3),
        ("integrated Brier score", "integrated_brier", 3),
        ("F1", "f1", 3),
    ),
    "class": (
        ("macro AUC", "auc", 3),
        ("log loss", "log_loss", 3),
        ("Brier score", "brier", 3),
        ("accuracy", "accuracy", "%"),
        ("balanced accuracy", "balanced_accuracy", "%"),
    ),
    "continuous": (
        ("R²", "r2", 3),
        ("mean absolute error", "mae", None),
        ("root mean squared error", "rmse", None),
        ("rank correlation", "spearman", 2),
    ),
}
WITHOUT_RANKING = ("brier", "log_loss", "mae", "rmse")  # shown of few patients, too
HEADLINE: Mapping[TaskKind, tuple[str, str]] = {
    "event": ("auc", "AUC"),
    "class": ("auc", "macro AUC"),
    "continuous": ("r2", "R²"),
}


@dataclass(frozen=True)
class ScoredOutcome:
    """One outcome of a comparison.

    Attributes:
        name: of the outcome.
        kind: of the outcome.
        unit: of a number; empty where it has none.
        few: too few patients for its headline score.
        weighted: scores are weighted for censoring.
        recipes: scores by recipe, as of ``comparison.json``, the best first.
    """

    name: str
    kind: TaskKind
    unit: str
    few: bool
    weighted: bool
    recipes: Mapping[str, Mapping[str, Any]]

    @property
    def why_few(self) -> str:
        """What there are too few of."""
        return {
            "event": "too few patients with either outcome for an AUC",
            "class": "too few patients of the rarest class for an AUC",
            "continuous": "too few patients with a known value for R²",
        }[self.kind]


def scored_outcomes(document: Mapping[str, Any], layout: Layout) -> list[ScoredOutcome]:
    """Every outcome that a recipe was scored on, in the order of the recipe.

    Args:
        document: that of ``comparison.json``.
        layout: of the cohort.
    """
    found, numbers_found = [], document.get("numbers", {})
    for outcome in layout.outcomes:
        name, kind = outcome.name, outcome.kind
        if kind == "continuous":
            entry = numbers_found.get(name, {"recipes": {}, "unit": "", "too_few": False})
            scored, unit, few = entry["recipes"], entry["unit"], entry["too_few"]
        else:
            scored = {recipe: one.get(name) for recipe, one in document["recipes"].items()}
            unit, few = "", name in document["too_few"]
        scored = {recipe: one for recipe, one in scored.items() if one is not None}
        if scored:
            weighted = name in document["weighted_for_censoring"]
            found.append(ScoredOutcome(name, kind, unit, few, weighted, _best_first(scored, kind)))
    return found


def score_table(outcome: ScoredOutcome) -> PageTable:
    """Means over folds, one row for each recipe."""
    key, measure = HEADLINE[outcome.kind]
    columns, rows = SCORES[outcome.kind], list[TableRow]()
    for name, scores in outcome.recipes.items():
        cells = [
            _spread(scores[one], outcome.few and one not in WITHOUT_RANKING, decimals)
            for _, one, decimals in columns
        ]
        hidden = None if outcome.few else scores[f"{key}_two_hidden"]
        rows.append([name, *cells, _with_sd(hidden, scores[f"{key}_two_hidden_sd"])])
    headings = (*(heading for heading, _, _ in columns), f"{measure}, two hidden")
    weighted = ", weighted for censoring" if outcome.weighted else ""
    unit = f" ({outcome.unit})" if outcome.unit else ""
    caption = f"{outcome.name}{unit}: means over test folds{weighted}, the highest {measure} first."
    return PageTable([*texts("recipe"), *numbers(*headings)], rows, caption).without_dashes()


def calibration_table(outcome: ScoredOutcome) -> PageTable:
    """Slope and intercept of probabilities; of a number how many values lie in their intervals."""
    rows: list[TableRow] = []
    for name, scores in outcome.recipes.items():
        if outcome.kind == "continuous":
            rows.append(
                [name, _spread(scores["coverage_90"], False, "%"), _spread(scores["width_90"], False, None)]
            )
            continue
        pooled = scores["pooled_calibration"]
        cells = [figure_cell(pooled["slope"], pooled["slope_95"], 2)]
        if outcome.kind == "event":
            cells.append(figure_cell(pooled["intercept"], pooled["intercept_95"], 2))
        rows.append([name, *cells])
    headings, text = {
        "event": (("slope (95 %)", "intercept (95 %)"), "predictions of all test folds together"),
        "class": (("slope (95 %)",), "predictions of all classes and test folds together"),
        "continuous": (
            ("share in the 90 % interval", f"its width{f' ({outcome.unit})' if outcome.unit else ''}"),
            "means over test folds",
        ),
    }[outcome.kind]
    return PageTable([*texts("recipe"), *numbers(*headings)], rows, f"{outcome.name}: {text}.")


def fall_table(outcome: ScoredOutcome, modalities: Sequence[str]) -> PageTable | None:
    """How much the headline score falls without each modality; None where that was not measured."""
    key, measure = HEADLINE[outcome.kind]
    fall, sd = f"{key}_fall_without", f"{key}_fall_without_sd"
    if outcome.few or not any(scores[fall] for scores in outcome.recipes.values()):
        return None
    rows: list[TableRow] = [
        [name, *(_with_sd(scores[fall].get(one), scores[sd].get(one)) for one in modalities)]
        for name, scores in outcome.recipes.items()
    ]
    caption = (
        f"{outcome.name}: by how much the {measure} falls when one modality is hidden from every patient, "
        "mean and standard deviation over test folds; below 0, it rose."
    )
    return PageTable([*texts("recipe"), *numbers(*modalities)], rows, caption)


def _best_first(scored: Mapping[str, Mapping[str, Any]], kind: TaskKind) -> dict[str, Mapping[str, Any]]:
    key, _ = HEADLINE[kind]

    def value(pair: tuple[str, Mapping[str, Any]]) -> float:
        spread = pair[1][key]
        return -float(spread["mean"]) if spread else float("inf")

    return dict(sorted(scored.items(), key=value))


def _with_sd(mean: float | None, sd: float | None) -> Cell:
    """A mean over folds, and its standard deviation where there is one."""
    return Cell(number(mean), "" if mean is None or sd is None else f"± {sd:.3f}")


def _spread(spread: Mapping[str, float] | None, hidden: bool, decimals: Decimals) -> Cell:
    if spread is None or hidden:
        return Cell("–")
    mean, sd = spread["mean"], spread["sd"]
    if decimals == "%":
        return Cell(percent(mean), "" if sd is None else f"± {percent(sd)}")
    if decimals is None:
        return Cell(quantity(mean), "" if sd is None else f"± {quantity(sd, 2)}")
    return Cell(number(mean, decimals), "" if sd is None else f"± {sd:.{decimals}f}")
