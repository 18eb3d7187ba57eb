"""A finished run as something that predicts: ``trained.safetensors`` and the weights beside it."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import Estimator
from hcat_core.layout import Layout
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.metrics.value_intervals import ValueIntervals
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.folder import RunFolder
from hcat_core.storage.atomic_files import storage_errors, sync
from hcat_core.storage.checkpoint import TRAIN_AGAIN, read_checkpoint, write_checkpoint
from hcat_core.storage.safe_path import safe_path
from hcat_core.storage.tensor_shapes import refuse_other_shapes
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, neural_parts_of
from hcat_core.training.neural_estimator import NeuralEstimator
from hcat_core.training.neural_training import MemberPlan, load_member


@dataclass(frozen=True)
class TrainingStatistics:
    """Statistics of the training patients that predicting needs: (M, D) of each feature, no patient's row.

    Attributes:
        standardiser: mean and standard deviation of each feature.
        low: smallest measured value; infinite where there was none.
        high: largest measured value; minus infinity where there was none.
        base_rate: T mean predicted probabilities: the prediction for a patient with no measured modality.
        data: the fingerprint of the whole cohort.
    """

    standardiser: Standardiser
    low: Tensor
    high: Tensor
    base_rate: tuple[float, ...]
    data: str

    @classmethod
    def of(cls, train: Cohort, base_rate: tuple[float, ...], data: str) -> TrainingStatistics:
        """Compute the statistics of the training patients."""
        return cls(Standardiser.fit(train), *train.extremes(), base_rate, data)


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, loaded."""

    folder: RunFolder
    recipe: Recipe
    layout: Layout
    fitted: Fitted
    training: TrainingStatistics


def write_trained(
    folder: RunFolder, layout: Layout, fitted: Fitted, training: TrainingStatistics, checkpoint: Path | None
) -> None:
    """What predicting needs beside the weights, whole or not at all.

    Binds the files of ``estimator/``, or the ``checkpoint`` that predicts.
    """
    header = {
        "layout": layout.as_json(),
        "recalibration": asdict(fitted.recalibration),
        "thresholds": fitted.thresholds,
        "value_intervals": asdict(fitted.intervals),
        "took_validation": fitted.took_validation,
        "base_rate": list(training.base_rate),
        "data": training.data,
        "checkpoint": checkpoint and {"name": checkpoint.name, "sha256": _digest(checkpoint)},
        "estimator": {name: _digest(folder.estimator / name) for name in _files(folder.estimator)},
    }
    tensors = {"low": training.low, "high": training.high, **training.standardiser.state_dict()}
    write_checkpoint(folder.trained, tensors, header, folder.recipe_text())


def save_estimator(folder: RunFolder, estimator: Estimator) -> None:
    """Everything that was fitted, into a new ``estimator/``; what a killed process left there is removed.

    Raises:
        StorageError: when the disk takes no more.
    """
    with storage_errors(folder.estimator):
        if folder.estimator.exists():
            shutil.rmtree(folder.estimator)
        folder.estimator.mkdir()
        estimator.save(folder.estimator)
        for path in (*folder.estimator.rglob("*"), folder.estimator):
            sync(path)


def load_run(path: Path, catalog: Catalog, device: torch.device | None = None) -> TrainedRun:
    """A run folder alone predicts: its recipe builds the estimator, its weights are put in.

    Raises:
        UsageError: for a folder without a run, or with one that did not finish.
        DataError: for files that are damaged, or lack what this version needs.
        RecipeError: when a component of the recipe is not installed here.
    """
    folder = RunFolder.open(path)
    if not folder.trained.is_file():
        raise UsageError(
            f"{path}: this run did not finish. Go on with it: hcat run --resume {path}, or run it anew."
        )
    recipe, _ = load_recipe(folder.recipe, catalog, sets=(), options={}, inputs={}, caller=Path.cwd())
    tensors, header = read_checkpoint(folder.trained, folder.recipe_text())
    try:
        layout = Layout.from_json(header["layout"])  # type: ignore[arg-type]
        training = TrainingStatistics(
            Standardiser.from_state(tensors),
            tensors["low"],
            tensors["high"],
            tuple(header["base_rate"]),  # type: ignore[arg-type]
            str(header["data"]),
        )
        kept: Any = header["recalibration"]
        families = tuple(tuple(map(int, family)) for family in kept["families"])
        recalibration = Recalibration(tuple(kept["intercept"]), tuple(kept["slope"]), families)
        widths: Any = header["value_intervals"]
        intervals = ValueIntervals(tuple(widths["factor"]), tuple(map(int, widths["numbers"])))
        thresholds = list(header["thresholds"])  # type: ignore[call-overload]
        took_validation = bool(header["took_validation"])
        bound: Any = header["checkpoint"]
        checkpoint = None if bound is None else (str(bound["name"]), str(bound["sha256"]))
        files: dict[str, str] = dict(header["estimator"])  # type: ignore[call-overload]
        _refuse_misfit(layout, training, (*recalibration.intercept, *recalibration.slope, *thresholds))
    except KeyError as error:
        raise folder.of_another_version(folder.trained, error.args[0]) from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{folder.trained}: damaged, or of an older hcat ({error!r}). Remove it, and "
            f"hcat run --resume {path} makes it again."
        ) from None
    context = TrainingContext(
        recipe.seed, device or torch.device("cpu"), parts=neural_parts_of(recipe, catalog)
    )
    estimator: Estimator
    if checkpoint is not None:
        weights = safe_path(folder.checkpoints, checkpoint[0])
        _refuse_another_file(weights, checkpoint[1])
        estimator = NeuralEstimator.trained(
            layout, context, load_member(weights, MemberPlan(layout), context, folder.recipe_text())
        )
    else:
        for name in sorted(files.keys() | _files(folder.estimator)):
            _refuse_another_file(folder.estimator / name, files.get(name))
        estimator = build_estimator(recipe, catalog, layout)
        _load_estimator(estimator, folder.estimator, context)
    fitted = Fitted(estimator, recalibration, thresholds, took_validation, intervals)
    return TrainedRun(folder, recipe, layout, fitted, training)


def _refuse_misfit(layout: Layout, training: TrainingStatistics, numbers: Sequence[float]) -> None:
    """Refuse parts of a file that do not belong together: it can come from elsewhere.

    Args:
        layout: of the file.
        training: of the file.
        numbers: intercepts, slopes and thresholds of all tasks.

    Raises:
        ValueError: for another number of modalities, features or tasks, and numbers that are not finite.
    """
    modalities, tasks = layout.modalities, len(layout.tasks)
    if not modalities or any(type(m.width) is not int or m.width < 1 for m in modalities):
        raise ValueError("a modality's width is not a whole number above 0")
    if any(len(m.features) not in (0, m.width) for m in modalities):
        raise ValueError("a modality has more or fewer names than features")
    shape = (len(modalities), layout.widest)  # before a tensor of that size is made
    refuse_other_shapes({"low": training.low, "high": training.high}, {"low": shape, "high": shape})
    training.standardiser.refuse_another_layout(layout)
    if len(training.base_rate) != tasks or len(numbers) != 3 * tasks:
        raise ValueError("it is of another number of tasks")
    if not all(math.isfinite(number) for number in (*training.base_rate, *numbers)):
        raise ValueError("a threshold, a rate or a recalibration is not finite")


def _load_estimator(estimator: Estimator, folder: Path, context: TrainingContext) -> None:
    """Load what was fitted; what a component makes of files that are not its own is an error in words."""
    try:
        estimator.load(folder, context)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError, OSError) as error:
        raise DataError(f"{folder}: does not fit this run's recipe ({error}). {TRAIN_AGAIN}") from error


def _files(folder: Path) -> list[str]:
    """The files in a folder, by their paths there; none where there is no folder."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def _digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_another_file(path: Path, expected: str | None) -> None:
    """A file must have this sha256; with None it must not be there."""
    if (_digest(path) if path.is_file() else None) != expected:
        raise DataError(
            f"{path}: not the file that this run wrote: missing, damaged, edited or of another run. "
            "Put the one that belongs here back, or run the recipe anew."
        )
