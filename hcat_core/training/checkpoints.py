"""What a training keeps after each epoch: progress, and checkpoints to predict with and to resume from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from hcat_core.errors import DataError
from hcat_core.recipe.names import AVERAGE
from hcat_core.storage.checkpoint import (
    optimiser_tensors,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from hcat_core.storage.safe_path import safe_path
from hcat_core.training.model import HcatModel

LAST = "last.safetensors"
FINAL = "final.safetensors"
BEST_AVERAGE = AVERAGE

TaskMetrics = Mapping[str, float | int | None]
"""Metrics of one task by name, as ``binary_metrics`` gives them."""


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training; its fields are a line of ``metrics.jsonl``.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there are at most.
        lr: the learning rate of its last step.
        train_loss: the weighted total, a mean over training patients.
        losses: each unweighted term by name.
        val: metrics of the validation patients by task.
        best: whether the validation score, averaged over tasks, is the best so far.
        member: number of the training, from 1, among those of an ensemble.
    """

    epoch: int
    epochs: int
    lr: float
    train_loss: float
    losses: Mapping[str, float]
    val: Mapping[str, TaskMetrics]
    best: bool
    member: int = 1


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: epochs done.
        best: the best validation score by task, and of their average.
        best_epoch: the epoch of each.
        stale: epochs since the average was best.
        finished: whether it was stopped early.
        history: every epoch so far.
    """

    epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    finished: bool = False
    history: list[Epoch] = field(default_factory=list)

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Progress:
        """The progress in the header of a ``last`` checkpoint."""
        kept = dict(header["progress"])
        return cls(**{**kept, "history": [Epoch(**epoch) for epoch in kept["history"]]})

    def scored(self, val: Mapping[str, TaskMetrics], monitor: str) -> list[str]:
        """Take in an epoch's validation metrics; the names (of tasks, ``average``) it is the best for."""
        self.epoch += 1
        better = self.scored_start(val, monitor)
        self.stale = 0 if BEST_AVERAGE in better else self.stale + 1
        return better

    def scored_start(self, val: Mapping[str, TaskMetrics], monitor: str) -> list[str]:
        """Take in the metrics of the present state, which is no further epoch."""
        scores = {task: metrics[monitor] for task, metrics in val.items() if metrics[monitor] is not None}
        if scores:
            scores[BEST_AVERAGE] = float(np.mean(list(scores.values())))
        better = {
            name: float(score)
            for name, score in scores.items()
            if score is not None and score > self.best.get(name, -math.inf)
        }
        self.best |= better
        self.best_epoch |= dict.fromkeys(better, self.epoch)
        return list(better)


@dataclass(frozen=True)
class Checkpoints:
    """The folder of a training's checkpoints, and what each holds beside the model.

    Attributes:
        folder: where they are written.
        constants: tensors that do not change, such as the standardiser's.
        header: values for the JSON header.
        recipe: the text of the recipe that they are bound to, where they belong to a run folder.
        writes: False in all but the main one of several processes.
        resumable: False for a training that ends in this process: it needs no more than the weights to
            predict with.
    """

    folder: Path
    constants: Mapping[str, Tensor]
    header: Mapping[str, object]
    recipe: str = ""
    writes: bool = True
    resumable: bool = True

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / LAST

    def best(self, name: str) -> Path:
        """The checkpoint of the best validation epoch for a task, or for their average."""
        return safe_path(self.folder, f"best_{name}.safetensors")

    def chosen(self, progress: Progress) -> Path:
        """The one to predict with: of the best validation epoch, or the last where none is the best."""
        if BEST_AVERAGE in progress.best:
            return self.best(BEST_AVERAGE)
        return self.last if self.resumable else self.folder / FINAL

    def restore(self, model: HcatModel, optimiser: Optimizer) -> Progress:
        """Put the last whole epoch's state into a model and its optimiser.

        Raises:
            DataError: for checkpoints that are damaged or not those of this training.
        """
        tensors, header = read_checkpoint(self.last, self.recipe)
        model.load(tensors)
        restore_optimiser(optimiser, tensors)
        progress = Progress.from_header(header)
        self._refuse_another_best(progress)
        return progress

    def _refuse_another_best(self, progress: Progress) -> None:
        """Raise DataError unless the best epochs' weights are there, which are not made again.

        A killed process may have left those of the epoch that comes next; that one is done again.
        """
        for name, score in progress.best.items():
            path, epoch = self.best(name), progress.best_epoch[name]
            header = read_checkpoint(path, self.recipe)[1] if path.is_file() else {}
            if (header.get("epoch"), header.get("score")) == (epoch, score):
                continue
            if header.get("epoch") == progress.epoch + 1:
                continue
            raise DataError(
                f"{path}: not the checkpoint of epoch {epoch}, the best so far: missing, or another is in "
                f"its place. Put it back, or remove {LAST} there, and --resume trains from the beginning."
            )

    def write_start(self, model: HcatModel, progress: Progress) -> None:
        """The state before the first epoch."""
        if self.resumable:
            self._write(self.last, model, {}, progress=asdict(progress))

    def write_best(self, model: HcatModel, progress: Progress, better: list[str]) -> None:
        """The state that is the best so far for some names."""
        for name in better if self.resumable else [n for n in better if n == BEST_AVERAGE]:
            self._write(self.best(name), model, {}, epoch=progress.epoch, score=progress.best[name])

    def write_epoch(
        self, model: HcatModel, optimiser: Optimizer, progress: Progress, better: list[str]
    ) -> None:
        """Write the best ones first: an epoch that ``last`` counts as done has left all its files."""
        self.write_best(model, progress, better)
        if self.resumable:
            self._write(self.last, model, optimiser_tensors(optimiser), progress=asdict(progress))

    def write_final(self, model: HcatModel, progress: Progress) -> None:
        """The state after the last epoch, with the whole history."""
        history = [asdict(epoch) for epoch in progress.history]
        self._write(self.folder / FINAL, model, {}, epoch=progress.epoch, history=history)

    def _write(self, path: Path, model: HcatModel, extra: Mapping[str, Tensor], **header: object) -> None:
        if not self.writes:
            return
        tensors = {**model.state(), **self.constants, **extra}
        write_checkpoint(path, tensors, {**self.header, **header}, self.recipe)
