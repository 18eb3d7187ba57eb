"""Progress of a comparison: a bar with ETA on a terminal, a line a job elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from hcat_core.cli.console import Output
from hcat_core.text.quoting import printable


class ComparisonProgress:
    """Shows each finished job; a context manager, so that the bar goes away whatever happens.

    Args:
        output: where to.
        jobs: how many there are, those done before among them.
        kept: the folder that finished jobs are kept in.
    """

    def __init__(self, output: Output, jobs: int, kept: Path) -> None:
        self.output = output
        self.jobs = jobs
        self.kept = kept
        self.done = 0
        self.bar: Progress | None = None
        if output.words.is_terminal and not output.quiet:
            self.bar = Progress(
                MofNCompleteColumn(),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                Remaining(),
                TextColumn("{task.description}", markup=False),
                console=output.words,
                transient=True,
            )
            self.bar.add_task("", total=jobs)

    def __enter__(self) -> ComparisonProgress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
        if isinstance(error, KeyboardInterrupt):
            self.output.warn(
                f"{self.done} of {self.jobs} jobs are done and kept in {self.kept}/: "
                "the same command goes on."
            )

    def finished(self, record: dict[str, Any], done: int, jobs: int) -> None:
        """A job is done, or was done before."""
        self.done = done
        label = _label(record)
        if record["error"] is not None:
            self.output.warn(f"{label}: {record['error']}")
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, description=printable(label))
            return
        self.output.say(f"{done:>4}/{jobs}  {label}{_score(record)}")


def _label(record: dict[str, Any]) -> str:
    if "setting" in record:
        return f"{record['name']}, {record['setting']['mechanism']}, seed {record['setting']['seed']}"
    return f"{record['name']}, repeat {record['repeat'] + 1}, fold {record['fold'] + 1}"


def _score(record: dict[str, Any]) -> str:
    if "tasks" in record:
        found = {task: values["auc"] for task, values in record["tasks"].items()}
        return "".join(f"  {task} AUC {auc:.3f}" for task, auc in found.items() if auc is not None)
    r2 = record.get("r2")
    return "" if r2 is None else f"  R2 {r2:.3f}"
