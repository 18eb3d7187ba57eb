"""The tables that ``hcat compare`` prints: scores by task, differences, and what was chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from hcat_core.cli.other_outcome_tables import (
    MULTICLASS,
    print_class_comparison,
    print_number_comparison,
)
from hcat_core.cli.score_cells import NEEDS_BOTH
from hcat_core.cli.tables import print_table

SCORES = (
    ("AUC", "auc"),
    ("AP", "average_precision"),
    ("Uno C", "c_index"),
    ("Brier", "brier"),
    ("IBS", "integrated_brier"),
    ("F1", "f1"),
)
CALIBRATION = ("CITL", "slope (95 %)", "two hidden")


def print_comparison(console: Console, document: dict[str, Any]) -> None:
    """Print means over folds, with the standard deviation of the AUC, differences, and what was chosen.

    Calibration is that of all folds' predictions together: CITL (calibration in the large, the intercept
    at slope 1) and the slope with its interval. A console too narrow for all columns gets two tables.
    """
    recipes, width = document["recipes"], console.width  # print_table makes the console wider
    for task in dict.fromkeys(t for r in recipes.values() for t in r if t != "errors"):
        if any(one.get(task, {}).get("kind") == MULTICLASS for one in recipes.values()):
            print_class_comparison(console, task, recipes, few=task in document["too_few"])
            continue
        title = f"{task}: means over {_folds(recipes, task)} folds"
        if task in document["weighted_for_censoring"]:
            title += ", weighted for censoring"
        ordered = sorted(recipes.items(), key=lambda item: -_auc(item[1], task))
        hidden = NEEDS_BOTH if task in document["too_few"] else ()
        scores = {name: _scores(result.get(task), hidden) for name, result in ordered}
        rest = {name: _calibration(result.get(task), hidden) for name, result in ordered}
        headings = [heading for heading, _ in SCORES]
        wide = _table(
            title, [*headings, *CALIBRATION], {name: scores[name] + rest[name] for name in scores}
        )
        if _width_of(wide, console) <= width:
            print_table(console, wide)
        else:
            print_table(console, _table(title, headings, scores))
            print_table(console, _table(f"{task}: calibration of all folds together", CALIBRATION, rest))
    _print_differences(console, document["differences"], "AUC")
    for outcome, found in document.get("numbers", {}).items():
        print_number_comparison(console, outcome, found)
        _print_differences(console, found["differences"], "R2")
    for note in document["notes"]:
        console.print(note)
    for name, result in recipes.items():
        for error in result["errors"]:
            console.print(f"{name}: {error}", markup=False)


def _print_differences(console: Console, differences: Sequence[dict[str, Any]], score: str) -> None:
    """One block of recipes for each task, with all modalities and with two hidden."""
    if not differences:
        return
    other = differences[0]["other"]
    how = " (Nadeau-Bengio 95 % interval)" if any(d["low"] is not None for d in differences) else ""
    console.print(f"{score} minus that of {other} on the same folds{how}", markup=False)
    for task, what in dict.fromkeys((d["task"], d["what"]) for d in differences):
        block = [d for d in differences if (d["task"], d["what"]) == (task, what)]
        rows = {d["name"]: [_difference(d), d["verdict"]] for d in block}
        print_table(console, _table(f"{task}, {what}", ("difference", "verdict"), rows))


def _table(title: str, headings: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    """A table with a row for each recipe; a recipe without cells failed."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("recipe", overflow="fold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for name, cells in rows.items():
        table.add_row(name, *(cells or ["failed"]))
    return table


def _width_of(table: Table, console: Console) -> int:
    """The columns that a table fills where there is room."""
    return Measurement.get(console, console.options.update(width=10_000), table).maximum


def _scores(values: dict[str, Any] | None, hidden: Collection[str]) -> list[str]:
    if values is None:
        return []
    return ["-" if key in hidden else _number(values[key], key == "auc") for _, key in SCORES]


def _calibration(values: dict[str, Any] | None, hidden: Collection[str]) -> list[str]:
    if values is None:
        return []
    pooled, two = values["pooled_calibration"], values["auc_two_hidden"]
    intercept = "-" if pooled["intercept"] is None else f"{pooled['intercept']:+.2f}"
    return [intercept, _slope(pooled), "-" if two is None or "auc" in hidden else f"{two:.3f}"]


def _difference(difference: dict[str, Any]) -> str:
    if difference["low"] is None:
        return f"{difference['mean']:+.3f}" if difference["verdict"] != "not tested" else "-"
    return f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"


def _folds(recipes: dict[str, Any], task: str) -> int:
    return max(
        (r[task]["auc"]["folds"] for r in recipes.values() if task in r and r[task]["auc"]), default=0
    )


def _auc(result: dict[str, Any], task: str) -> float:
    found = result.get(task, {}).get("auc")
    return float(found["mean"]) if found else -1.0


def _number(value: dict[str, Any] | None, with_sd: bool) -> str:
    if value is None:
        return "-"
    text = f"{value['mean']:.3f}"
    return f"{text} ±{value['sd']:.3f}" if with_sd and value["sd"] is not None else text


def _slope(pooled: dict[str, Any]) -> str:
    if pooled["slope"] is None or pooled["slope_95"] is None:
        return "-"
    low, high = pooled["slope_95"]
    return f"{pooled['slope']:.2f} ({low:.2f} to {high:.2f})"
