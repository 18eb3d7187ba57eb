"""Curves of runs and comparisons for TensorBoard: ``tensorboard --logdir runs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_builtin.tracking.numbers import numbers_in, scores_of
from hcat_core.registry.hooks import hookimpl


class TensorBoardTracker:
    """Writes event files to a folder ``tensorboard`` in the folder of the run or the comparison.

    Raises:
        ImportError: where tensorboard is not installed.
    """

    def __init__(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter
        self._open: dict[Path, Any] = {}

    @hookimpl
    def hcat_run_started(self, run_folder: Path, recipe: Mapping[str, object]) -> None:
        """Keep the recipe beside the curves."""
        text = "\n".join(f"    {line}" for line in _lines(recipe))
        self._writer_of(run_folder).add_text("recipe", text)

    @hookimpl
    def hcat_epoch_finished(self, run_folder: Path, record: Mapping[str, Any]) -> None:
        """Losses and validation scores of one epoch; members of an ensemble after the first are named."""
        prefix = f"member_{record['member']}/" if record["member"] > 1 else ""
        for name, value in numbers_in({"train_loss": record["train_loss"], "val": record["val"]}).items():
            self._writer_of(run_folder).add_scalar(prefix + name, value, record["epoch"])

    @hookimpl
    def hcat_run_finished(self, run_folder: Path, summary: Mapping[str, Any]) -> None:
        """The scores of all sides."""
        writer = self._writer_of(run_folder)
        for name, value in numbers_in(scores_of(summary)).items():
            writer.add_scalar(name, value, 0)
        self._open.pop(run_folder).close()

    @hookimpl
    def hcat_job_finished(self, folder: Path, job: str, result: Mapping[str, Any]) -> None:
        """The scores of one job of a comparison."""
        writer = self._writer(log_dir=str(folder / "tensorboard" / job.replace(", ", "/")))
        for name, value in numbers_in(result).items():
            writer.add_scalar(name, value, 0)
        writer.close()

    def _writer_of(self, folder: Path) -> Any:
        if folder not in self._open:
            self._open[folder] = self._writer(log_dir=str(folder / "tensorboard"))
        return self._open[folder]


def _lines(recipe: Mapping[str, object]) -> list[str]:
    import tomli_w

    return tomli_w.dumps(recipe).splitlines()
