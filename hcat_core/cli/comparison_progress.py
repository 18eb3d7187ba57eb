"""Progress of a comparison: a bar on a terminal, one line per job elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from hcat_core.cli.console import Output
from hcat_core.text.quoting import printable

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Result


class ComparisonProgress:
    """Shows each finished job; a context manager, so that the bar is removed whatever happens.

    Args:
        output: the console.
        jobs: how many there are, earlier ones included.
        folder: where finished jobs are kept.
    """

    def __init__(self, output: Output, jobs: int, folder: Path) -> None:
        self.output = output
        self.jobs = jobs
        self.folder = folder
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
                redirect_stdout=False,  # as in Waiting: it would never return
                redirect_stderr=False,
            )
            self.bar.add_task("", total=jobs)

    def __enter__(self) -> Self:
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
                f"{self.done} of {self.jobs} jobs are done and kept in {self.folder}/. "
                "Run the same command again to go on."
            )

    def finished(self, result: Result, done: int, jobs: int) -> None:
        """Show a result, new or of an earlier call."""
        self.done = done
        if result.error is not None:
            self.output.warn(f"{result.label}: {result.error}")
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, description=printable(result.label))
            return
        self.output.say(f"{done:>4}/{jobs}  {result.label}{result.score}")
