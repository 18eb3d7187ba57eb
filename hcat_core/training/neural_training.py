"""One training of a recipe's neural parts: for a run, a fold, an ensemble's member, a torchrun process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hcat_core.cohort import Cohort, Layout
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext
from hcat_core.storage.atomic_files import make_folder
from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.training.checkpoints import LAST, Checkpoints, Progress
from hcat_core.training.context import CheckpointFolder, TrainingContext, parts_of
from hcat_core.training.loop import RunContext, train
from hcat_core.training.model import HcatModel


@dataclass(frozen=True)
class TrainedMember:
    """A trained model with the standardiser of its training patients.

    ``progress`` and ``checkpoint`` (the file that holds its weights) are known of a training that was kept.
    """

    standardiser: Standardiser
    model: HcatModel
    progress: Progress | None = None
    checkpoint: Path | None = None


def train_member(
    layout: Layout, training: Cohort, validation: Cohort, context: TrainingContext
) -> TrainedMember:
    """Train from ``context.seed`` to the best validation epoch, or to the last where none is the best.

    With ``context.folder`` every epoch is kept there, and a training that was interrupted goes on from its
    last whole epoch.

    Args:
        layout: modalities and tasks.
        training: patients to learn from, in the units of their files.
        validation: patients who decide when to stop, likewise.
        context: seed, device, neural parts, and where to keep what.

    Raises:
        DataError: for kept checkpoints that are not those of this training.
        TrainingError: for a training that cannot go on.
    """
    parts, processes = parts_of(context), context.processes
    devices = [] if context.device.type == "cpu" else [context.device]
    with torch.random.fork_rng(devices=devices), _checkpoint_folder(context) as folder:
        torch.manual_seed(context.seed)
        model = parts.build_model(layout)
        losses = parts.build_losses(layout)
        context.observer.model_built()
        # The main process decides: it may write its first checkpoint while another still looks for one.
        resume = processes.broadcast((folder.path / LAST).is_file())
        if resume:
            tensors, _ = read_checkpoint(folder.path / LAST, folder.recipe)
            standardiser = Standardiser.from_state(tensors, "standardiser.")
        else:
            if processes.is_main:
                make_folder(folder.path)
            standardiser = Standardiser.fit(training)
        standard, held_out = standardiser.apply(training), standardiser.apply(validation)
        if not resume:
            fit_imputer_and_heads(model, standard, held_out, context)
        checkpoints = Checkpoints(
            folder.path,
            {f"standardiser.{name}": tensor for name, tensor in standardiser.state_dict().items()},
            {"layout": layout.as_json(), "recipe": folder.recipe} if context.folder else {},
            folder.recipe,
            writes=processes.is_main,
        )
        run = RunContext(
            context.seed,
            context.device,
            checkpoints,
            resume=resume,
            observer=context.observer,
            say=context.progress,
            processes=processes,
        )
        progress = train(model, losses, standard, held_out, parts.training, run)
        processes.barrier()  # the main process has written the checkpoints that all load
        chosen = checkpoints.chosen(progress)
        model.load(read_checkpoint(chosen, folder.recipe)[0])
    return TrainedMember(standardiser, model, progress, chosen if context.folder else None)


def load_member(
    path: Path, layout: Layout, context: TrainingContext, recipe: str | None = None
) -> TrainedMember:
    """The trained member in a checkpoint; with ``recipe``, one that was written under this text.

    Raises:
        DataError: for a checkpoint that is damaged or does not fit the context's neural parts.
    """
    model = parts_of(context).build_model(layout)
    tensors, _ = read_checkpoint(path, recipe)
    try:
        model.load(tensors)
        standardiser = Standardiser.from_state(tensors, "standardiser.")
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{path}: does not fit this run's recipe ({error}).") from None
    model.to(context.device)
    return TrainedMember(standardiser, model)


def fit_imputer_and_heads(
    model: HcatModel, training: Cohort, validation: Cohort, context: FitContext
) -> None:
    """Fit what is fitted before the first step; the imputer never sees a target."""
    model.imputer.fit(training.without_targets(), validation.without_targets(), context)
    for head in model.heads.values():
        head.prepare(training)


@contextmanager
def _checkpoint_folder(context: TrainingContext) -> Iterator[CheckpointFolder]:
    """The context's folder, or a temporary one for a training that is not kept."""
    if context.folder is not None:
        yield context.folder
        return
    with tempfile.TemporaryDirectory() as path:
        yield CheckpointFolder(Path(path), "")
