"""One training of a recipe's neural parts: for a run, a fold, an ensemble's member, a torchrun process."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hcat_core.cohort import Cohort, concatenate
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import DataError
from hcat_core.interfaces import (
    AdditiveEstimator,
    Estimator,
    FitContext,
    PreparedFusion,
)
from hcat_core.layout import Layout
from hcat_core.storage.atomic_files import make_folder
from hcat_core.storage.checkpoint import TRAIN_AGAIN, read_checkpoint
from hcat_core.storage.tensor_names import with_prefix, without_prefix
from hcat_core.training.checkpoints import LAST, Checkpoints, Progress
from hcat_core.training.context import CheckpointFolder, TrainingContext, parts_of
from hcat_core.training.evidence_start import fit_evidence, start_at_evidence
from hcat_core.training.loop import TrainingPatients, fit_baselines, train
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


@dataclass(frozen=True)
class FittedImputer:
    """A standardiser, and the state of an imputer fitted after it, which several members share."""

    standardiser: Standardiser
    state: Mapping[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Both, by name, for a file."""
        statistics = with_prefix("standardiser.", self.standardiser.state_dict())
        return {**statistics, **with_prefix("imputer.", self.state)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> FittedImputer:
        """Restore what ``tensors`` gave."""
        standardiser = Standardiser.from_state(tensors, "standardiser.")
        return cls(standardiser, without_prefix("imputer.", tensors))


@dataclass(frozen=True)
class MemberPlan:
    """What is trained, on whichever patients.

    Attributes:
        layout: modalities and tasks.
        evidence: not yet fitted; None for heads that predict alone.
        imputer: fitted on more patients than one member's; None where a member fits its own.
    """

    layout: Layout
    evidence: Estimator | None = None
    imputer: FittedImputer | None = None


def train_member(
    plan: MemberPlan, training: Cohort, validation: Cohort, context: TrainingContext
) -> TrainedMember:
    """Train from ``context.seed`` to the best validation epoch, or to the last where none is the best.

    With ``context.folder`` every epoch is kept there, and a training that was interrupted goes on from its
    last whole epoch.

    Args:
        plan: layout, evidence and imputer.
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
        evidence = additive(copy.deepcopy(plan.evidence))
        model = parts.build_model(plan.layout, evidence)
        losses = parts.build_losses(plan.layout)
        context.observer.model_built()
        # The main process decides: it may write its first checkpoint while another still looks for one.
        resume = processes.broadcast((folder.path / LAST).is_file())
        if resume:
            tensors, _ = read_checkpoint(folder.path / LAST, folder.recipe)
            standardiser = Standardiser.from_state(tensors, "standardiser.")
            model.load(tensors)
        else:
            if processes.is_main:
                make_folder(folder.path)
            standardiser = plan.imputer.standardiser if plan.imputer else Standardiser.fit(training)
        standard, held_out = standardiser.apply(training), standardiser.apply(validation)
        if not resume:
            fit_imputer_and_heads(model, standard, held_out, context, plan.imputer)
        contributions = None
        if model.evidence is not None:
            which = f" of member {context.member} of {context.members}" if context.members > 1 else ""
            context.progress(f"fitting the evidence{which}")
            fit = fit_evidence if resume else start_at_evidence
            contributions = fit(model, standard, context)
        checkpoints = Checkpoints(
            folder.path,
            with_prefix("standardiser.", standardiser.state_dict()),
            {"layout": plan.layout.as_json(), "recipe": folder.recipe} if context.folder else {},
            folder.recipe,
            writes=processes.is_main,
            resumable=context.folder is not None,
        )
        progress = train(
            model,
            losses,
            TrainingPatients(standard, held_out, contributions),
            parts.training,
            checkpoints,
            context,
            resume=resume,
        )
        processes.barrier()  # the main process has written the checkpoints that all load
        chosen = checkpoints.chosen(progress)
        model.load(read_checkpoint(chosen, folder.recipe)[0])
    return TrainedMember(standardiser, model, progress, chosen if context.folder else None)


def refit_baselines(
    member: TrainedMember, training: Cohort, held_out: Cohort, context: TrainingContext
) -> None:
    """Fit the baseline hazards of a member again, whose correction has got another weight.

    Args:
        member: with evidence that was fitted on ``training``.
        training: its training patients, in the units of their files.
        held_out: the patients who stopped it.
        context: device and processes.
    """
    evidence = member.model.evidence
    patients = TrainingPatients(
        member.standardiser.apply(training),
        member.standardiser.apply(held_out),
        None if evidence is None else evidence.out_of_fold_contributions(),
    )
    fit_baselines(member.model, patients, context)


def load_member(
    path: Path, plan: MemberPlan, context: TrainingContext, recipe: str | None = None
) -> TrainedMember:
    """The trained member in a checkpoint; with ``recipe``, one that was written under this text.

    Raises:
        DataError: for a checkpoint that is damaged or does not fit the context's neural parts.
    """
    model = parts_of(context).build_model(plan.layout, additive(copy.deepcopy(plan.evidence)))
    tensors, _ = read_checkpoint(path, recipe)
    try:
        model.load(tensors)
        standardiser = Standardiser.from_state(tensors, "standardiser.")
        standardiser.refuse_another_layout(plan.layout)
    except (KeyError, RuntimeError, ValueError, IndexError, TypeError) as error:
        raise DataError(f"{path}: does not fit this run's recipe ({error}). {TRAIN_AGAIN}") from None
    model.to(context.device)
    return TrainedMember(standardiser, model)


def additive(evidence: Estimator | None) -> AdditiveEstimator | None:
    """The estimator as evidence.

    Raises:
        ValueError: for one that is not a sum over modalities.
    """
    if evidence is not None and not isinstance(evidence, AdditiveEstimator):
        raise ValueError(
            f"{type(evidence).__name__} cannot be evidence: it has no contributions of modalities "
            "(hcat_core.interfaces.AdditiveEstimator)"
        )
    return evidence


def fit_imputer(
    plan: MemberPlan, training: Cohort, validation: Cohort, context: TrainingContext
) -> FittedImputer:
    """Fit standardiser and imputer, which see no targets, for all members of an ensemble.

    Args:
        plan: its layout is used.
        training: patients to fit the imputer on.
        validation: patients to choose and calibrate it by; the standardiser is fitted on both.
        context: seed, device and neural parts.
    """
    both = concatenate(training, validation).without_targets()
    standardiser = Standardiser.fit(both)
    devices = [] if context.device.type == "cpu" else [context.device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(context.seed)
        model = parts_of(context).build_model(plan.layout)
        standard, held_out = standardiser.apply(training), standardiser.apply(validation)
        model.imputer.fit(standard.without_targets(), held_out.without_targets(), context)
    state = {name: tensor.detach().cpu() for name, tensor in model.imputer.state_dict().items()}
    return FittedImputer(standardiser, state)


def fit_imputer_and_heads(
    model: HcatModel,
    training: Cohort,
    validation: Cohort,
    context: FitContext,
    imputer: FittedImputer | None = None,
) -> None:
    """Fit what is fitted before the first step; imputer and fusion never see a target.

    Args:
        model: to fit.
        training: standardised patients.
        validation: standardised patients to choose and calibrate the imputer by.
        context: seed, device, progress.
        imputer: fitted on more patients; None to fit it on these.
    """
    if imputer is None:
        model.imputer.fit(training.without_targets(), validation.without_targets(), context)
    else:
        model.imputer.load_state_dict(imputer.state)
    if isinstance(model.fusion, PreparedFusion):
        model.fusion.prepare(training.without_targets())
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
