"""What ``hcat tune`` prints: what the choice is worth, and the best trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hcat_core.cli.score_cells import print_answer
from hcat_core.cli.tables import print_table

if TYPE_CHECKING:
    from hcat_core.experiments.tune.results import Trial, TuningResult

MOST_TRIALS = 10


def print_tuning(console: Console, result: TuningResult) -> None:
    """Print scores on outer folds, the best trials of the search on all patients, and the sentences."""
    from hcat_core.experiments.tune.sentences import sentences, verdict

    _print_outer(console, result)
    _print_trials(console, result)
    for note in result.comparison["notes"]:
        console.print(note, markup=False)
    for name, scores in result.comparison["recipes"].items():
        for error in scores["errors"]:
            console.print(f"{name}: {error}", markup=False)
    print_answer(console, verdict(result), sentences(result))


def _print_outer(console: Console, result: TuningResult) -> None:
    """One line for each recipe that was scored on the outer folds."""
    from hcat_core.experiments.tune.sentences import with_interval

    table = Table(title="on outer folds", title_justify="left", box=None, pad_edge=False)
    for heading in ("recipe", f"{result.score} (95 %)", "folds"):
        table.add_column(heading, no_wrap=True)
    for name, score in result.outer.items():
        table.add_row(name, with_interval(score), str(len(score.by_fold)))
    print_table(console, table)


def _print_trials(console: Console, result: TuningResult) -> None:
    """One line for each of the best trials, with the last parts of the keys that were searched."""
    from hcat_core.experiments.tune.results import best_first
    from hcat_core.experiments.tune.space import short_names

    trials = best_first(result.final.trials)[:MOST_TRIALS]
    title = f"best trials on all patients, {result.score} on the folds that chose"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("trial", "score", *short_names(result.keys).values()):
        table.add_column(heading, no_wrap=True)
    for trial in trials:
        table.add_row(*_cells(trial, result.keys))
    print_table(console, table, keys=2)


def _cells(trial: Trial, keys: tuple[str, ...]) -> list[str]:
    from hcat_core.experiments.tune.space import as_text

    score = "failed" if trial.score is None else f"{trial.score:.3f}"
    return [str(trial.number), score, *(as_text(trial.settings.get(key, "")) for key in keys)]
