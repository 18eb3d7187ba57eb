"""The tables that ``hcat compare`` prints: one per task, then the differences."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from hcat_core.cli.console import print_table

COLUMNS = (
    ("AUC", "auc"),
    ("AP", "average_precision"),
    ("Uno C", "c_index"),
    ("Brier", "brier"),
    ("IBS", "integrated_brier"),
    ("F1", "f1"),
)


def print_comparison(console: Console, document: dict[str, Any]) -> None:
    """Print means over folds, with the standard deviation of the AUC, and differences between recipes.

    Calibration is that of all folds' predictions together: CITL (calibration in the large, the intercept
    at slope 1) and the slope with its interval.
    """
    recipes = document["recipes"]
    tasks = list(dict.fromkeys(t for r in recipes.values() for t in r if t != "errors"))
    for task in tasks:
        table = Table(title=f"{task}: means over {_folds(recipes, task)} folds", box=None, pad_edge=False)
        table.title_justify = "left"
        for heading in ("recipe", *(name for name, _ in COLUMNS), "CITL", "slope (95 %)", "two hidden"):
            table.add_column(heading, no_wrap=True)
        for name, result in sorted(recipes.items(), key=lambda item: -_auc(item[1], task)):
            if task not in result:
                table.add_row(name, "failed")
                continue
            values = result[task]
            cells = [_number(values[key], key == "auc") for _, key in COLUMNS]
            pooled = values["pooled_calibration"]
            two = values["auc_two_hidden"]
            intercept = "-" if pooled["intercept"] is None else f"{pooled['intercept']:+.2f}"
            table.add_row(name, *cells, intercept, _slope(pooled), "-" if two is None else f"{two:.3f}")
        print_table(console, table)
    differences = document["differences"]
    if differences:
        table = Table(
            title=f"AUC minus that of {differences[0]['other']} on the same folds "
            "(Nadeau-Bengio 95 % interval)",
            box=None,
            pad_edge=False,
        )
        table.title_justify = "left"
        for heading in ("recipe", "task", "", "difference", ""):
            table.add_column(heading, no_wrap=True)
        for d in differences:
            text = f"{d['mean']:+.3f}"
            if d["low"] is not None:
                text += f" [{d['low']:+.3f}, {d['high']:+.3f}]"
            table.add_row(d["name"], d["task"], d["what"], text, d["verdict"])
        print_table(console, table)
    for name, result in recipes.items():
        for error in result["errors"]:
            console.print(f"{name}: {error}", markup=False)


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
