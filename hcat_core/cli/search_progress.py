"""Progress of a search: a bar on a terminal that counts trainings, and one line for each trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import Output
from hcat_core.text.quoting import printable

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Result
    from hcat_core.experiments.tune.results import Trial
    from hcat_core.experiments.tune.search import PlannedSearch


class SearchProgress(ComparisonProgress):
    """Shows each finished trial; a context manager, so that the bar is removed whatever happens.

    Args:
        output: the console.
        planned: what is searched.
        folder: where finished jobs are kept.
    """

    def __init__(self, output: Output, planned: PlannedSearch, folder: Path) -> None:
        from hcat_core.experiments.tune.space import short_names

        super().__init__(output, planned.jobs, folder)
        self.trials = planned.plan.trials
        self.names = short_names([one.key for one in planned.space.dimensions])
        self.widest = max(len(search.name) for search in planned.folds)

    def finished(self, result: Result, done: int, jobs: int) -> None:
        """Count a result; show those of outer folds, which belong to no trial."""
        self.done = done
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, description=printable(result.label))
        elif ", trial " not in result.label:
            self.output.say(f"{result.label}{result.score}")
        if result.error is not None:
            self.output.warn(f"{result.label}: {result.error}")

    def trial(self, search: str, trial: Trial, best: Trial) -> None:
        """Show a trial, its score, the best of its search so far, and its values, on one line."""
        from hcat_core.experiments.tune.space import on_one_line

        values = on_one_line(trial.settings, self.names) or "the recipe as it is"
        place = f"{search:<{self.widest}}  {trial.number + 1:>3}/{self.trials}"
        line = f"{place}  {_number(trial.score)}  best {_number(best.score)}  {values}"
        if self.output.words.is_terminal and len(line) > self.output.words.width:
            line = f"{line[: self.output.words.width - 1]}…"
        self.output.say(line)


def _number(score: float | None) -> str:
    return "failed" if score is None else f"{score:<6.3f}"
