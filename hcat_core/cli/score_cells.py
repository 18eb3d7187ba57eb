"""Scores as cells of printed tables; what few patients cannot say is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from hcat_core.metrics.fewest import FEWEST_OF_EACH

NEEDS_BOTH = ("auc", "auc_95", "c_index", "c_index_95", "calibration_slope", "calibration_slope_95", "f1")
"""Scores that are not shown for fewer than ``FEWEST_OF_EACH`` patients of either outcome."""


def enough_outcomes(scores: Mapping[str, Any]) -> bool:
    """Whether there are patients, or groups, enough of either outcome to show a score of both."""
    return bool(scores["rarer_outcome"] >= FEWEST_OF_EACH)


def shown(scores: Mapping[str, Any]) -> dict[str, Any]:
    """One task's scores from a JSON document, with None for those that too few patients give."""
    if enough_outcomes(scores):
        return dict(scores)
    return {name: None if name in NEEDS_BOTH else value for name, value in scores.items()}


def why_left_out(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence if any of these tasks' scores are not shown."""
    if all(enough_outcomes(scores) for scores in tables if scores["patients"]):
        return []
    return [f"Scores of fewer than {FEWEST_OF_EACH} patients of either outcome are not shown."]


def print_verdicts(console: Console, verdicts: Iterable[Mapping[str, Any]]) -> None:
    """Print whether predictions can be used, and why: a line for each task, and one for each reason."""
    for verdict in verdicts:
        because = f", because {verdict['because']}" if verdict.get("because") else ""
        print_answer(console, f"{verdict['task']}: {verdict['word']}{because}.", verdict["reasons"])


def print_answer(console: Console, title: str, sentences: Iterable[str]) -> None:
    """Print an answer in one line, and below it the sentences that explain it."""
    console.print(title, markup=False)
    for sentence in sentences:
        console.print(f"  {sentence}", markup=False)


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(pair: Sequence[float] | None, digits: int = 3) -> str:
    """The ends of an interval, or a dash for None."""
    return f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}" if pair else "-"


def with_interval(value: float | None, pair: Sequence[float] | None, digits: int = 3) -> str:
    """A number, and its interval in brackets where there is one."""
    return number(value, digits) + (f" ({interval(pair, 2)})" if pair and value is not None else "")
