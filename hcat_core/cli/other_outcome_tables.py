"""Tables on the terminal of outcomes that are no events: classes, and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hcat_core.cli.score_cells import number, with_interval
from hcat_core.cli.tables import print_table
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.text.numbers import percent, percent_range, quantity

MULTICLASS = "multiclass"

OfRows = Sequence[tuple[Sequence[str], Mapping[str, Any]]]
"""First cells of a row, and one outcome's scores from a JSON document."""


def print_others(console: Console, title: str, keys: Sequence[str], rows: OfRows) -> None:
    """Print a table of the outcomes of classes and one of the numbers, each where there are any.

    Args:
        console: where to.
        title: of both tables; empty for none.
        keys: headings of the first cells.
        rows: of the tables; those without patients are left out.
    """
    there = [(first, scores) for first, scores in rows if scores["patients"]]
    classes = [(first, scores) for first, scores in there if scores["kind"] == MULTICLASS]
    values = [(first, scores) for first, scores in there if scores["kind"] != MULTICLASS]
    if classes:
        headings = ("n", "macro AUC (95 %)", "log loss", "accuracy", "balanced", "slope (95 %)")
        table = _table(title, *keys, *headings)
        for first, scores in classes:
            table.add_row(*first, *_class_cells(scores))
        print_table(console, table, keys=len(keys))
    if values:
        numbers = ("n", "R2 (95 %)", "MAE", "RMSE", "Spearman", "in 90 % interval", "its width")
        table = _table(title, *keys, *numbers)
        for first, scores in values:
            table.add_row(*first, *_value_cells(scores))
        print_table(console, table, keys=len(keys))
    if why := _why_left_out(classes, values):
        console.print(why, markup=False)


def print_other_results(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the scores of validation and test patients of a run."""
    sides = summary.get("other_outcomes", {})
    rows = [
        ((side, outcome), scores)
        for side in ("validation", "test")
        for outcome, scores in sides.get(side, {}).items()
    ]
    print_others(console, "", ("split", "outcome"), rows)


def print_other_baselines(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the simple models beside the run's own, on the same test patients."""
    found = summary["analysis"].get("other_baselines", {})
    if not found:
        return
    table = _table("", "simple model", "outcome", "score", "of it", "this model's less it", "95 %")
    for name, scored in found.items():
        for outcome, scores in scored.items():
            classes, difference = scores["kind"] == MULTICLASS, scores["difference"]
            table.add_row(
                name,
                outcome,
                "macro AUC" if classes else "R2",
                "-" if too_few(scores) else number(scores["auc" if classes else "r2"]),
                f"{difference[0]:+.3f}" if difference else "-",
                f"{difference[1]:+.3f} to {difference[2]:+.3f}" if difference else "-",
            )
    print_table(console, table, keys=2)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def too_few(scores: Mapping[str, Any]) -> bool:
    """Whether there are too few patients, or groups, for a macro AUC, or for R2."""
    if scores["kind"] == MULTICLASS:
        return bool(scores["rarest_class"] < FEWEST_OF_EACH)
    return bool(scores["units"] < FEWEST_TO_RESAMPLE)


def _why_left_out(classes: OfRows, values: OfRows) -> str:
    """A sentence if a macro AUC or R2 is not shown; empty otherwise."""
    needed = []
    if any(too_few(scores) for _, scores in classes):
        needed.append(f"macro AUCs with fewer than {FEWEST_OF_EACH} patients of a class")
    if any(too_few(scores) for _, scores in values):
        needed.append(f"R2 of fewer than {FEWEST_TO_RESAMPLE} patients")
    text = " and ".join(needed)
    return f"{text[0].upper()}{text[1:]} are not shown." if text else ""


def _class_cells(scores: Mapping[str, Any]) -> list[str]:
    return [
        str(scores["patients"]),
        "-" if too_few(scores) else with_interval(scores["auc"], scores["auc_95"]),
        number(scores["log_loss"]),
        share(scores["accuracy"], None),
        share(scores["balanced_accuracy"], None),
        with_interval(scores["calibration_slope"], scores["calibration_slope_95"], 2),
    ]


def _value_cells(scores: Mapping[str, Any]) -> list[str]:
    return [
        str(scores["patients"]),
        "-" if too_few(scores) else with_interval(scores["r2"], scores["r2_95"]),
        with_unit(scores["mae"], scores["unit"]),
        with_unit(scores["rmse"], scores["unit"]),
        number(scores["spearman"], 2),
        share(scores["coverage_90"], scores["coverage_90_95"]),
        with_unit(scores["width_90"], scores["unit"]),
    ]


def with_unit(value: float | None, unit: str) -> str:
    """A number of three significant digits with its unit, or a dash for None."""
    return "-" if value is None else f"{quantity(value)}{' ' + unit if unit else ''}"


def share(value: float | None, pair: Sequence[float] | None) -> str:
    """A share in per cent with its interval, or a dash for None."""
    if value is None:
        return "-"
    return percent(value) + (f" ({percent_range(pair)})" if pair else "")


def print_class_comparison(
    console: Console, outcome: str, recipes: Mapping[str, Any], *, few: bool
) -> None:
    """Print means over folds of an outcome of classes, the best macro AUC first.

    Args:
        console: where to.
        outcome: its name.
        recipes: scores by recipe and outcome, as of ``comparison.json``.
        few: a class has too few patients for an AUC.
    """
    scored = {name: one.get(outcome) for name, one in recipes.items()}
    headings = ("macro AUC", "log loss", "Brier", "accuracy", "balanced", "slope (95 %)", "two hidden")
    table = _table(f"{outcome}: means over {_folds(scored, 'auc')} folds", "recipe", *headings)
    for name, one in _best_first(scored, "auc"):
        if one is None:
            table.add_row(name, "no scores")
            continue
        pooled = one["pooled_calibration"]
        cells = [mean(one["auc"], 3, with_sd=True)] if not few else ["-"]
        cells += [mean(one[key], 3) for key in ("log_loss", "brier")]
        cells += [mean_share(one[key]) for key in ("accuracy", "balanced_accuracy")]
        cells += [with_interval(pooled["slope"], pooled["slope_95"], 2)]
        table.add_row(name, *cells, "-" if few else number(one["auc_two_hidden"]))
    print_table(console, table, keys=1)


def print_number_comparison(console: Console, outcome: str, found: Mapping[str, Any]) -> None:
    """Print means over folds of a number, the best R2 first; ``found`` is as of ``comparison.json``."""
    headings = ("R2", "MAE", "RMSE", "Spearman", "in 90 % interval", "its width", "two hidden")
    unit = f" ({found['unit']})" if found["unit"] else ""
    title = f"{outcome}{unit}: means over {_folds(found['recipes'], 'r2')} folds"
    table = _table(title, "recipe", *headings)
    for name, one in _best_first(found["recipes"], "r2"):
        if one is None:
            table.add_row(name, "no scores")
            continue
        cells = ["-" if found["too_few"] else mean(one["r2"], 3, with_sd=True)]
        cells += [with_unit(None if one[key] is None else one[key]["mean"], "") for key in ("mae", "rmse")]
        cells += [mean(one["spearman"], 2), mean_share(one["coverage_90"])]
        cells += [with_unit(None if one["width_90"] is None else one["width_90"]["mean"], "")]
        table.add_row(name, *cells, "-" if found["too_few"] else number(one["r2_two_hidden"]))
    print_table(console, table, keys=1)


def mean(spread: Mapping[str, Any] | None, digits: int, *, with_sd: bool = False) -> str:
    """A mean over folds, with its standard deviation if wanted; a dash for None."""
    if spread is None:
        return "-"
    text = number(spread["mean"], digits)
    return f"{text} ±{spread['sd']:.{digits}f}" if with_sd and spread["sd"] is not None else text


def mean_share(spread: Mapping[str, Any] | None) -> str:
    """A mean share over folds in per cent; a dash for None."""
    return "-" if spread is None else percent(spread["mean"])


def _folds(scored: Mapping[str, Any], key: str) -> int:
    return max((one[key]["folds"] for one in scored.values() if one and one[key]), default=0)


def _best_first(scored: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    def value(pair: tuple[str, Any]) -> float:
        one = pair[1]
        return -float(one[key]["mean"]) if one and one[key] else float("inf")

    return sorted(scored.items(), key=value)
