"""The training loop, and the state it can be picked up from.

All randomness (order, modality dropout, noise, dropout) follows from (seed, epoch, step): an epoch that is
begun again after an interruption is the same epoch. Each of several processes has its own random stream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.errors import TrainingError
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import TimedHead
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.schema import TrainingTable
from hcat_core.training.checkpoints import Checkpoints, Epoch, Progress, TaskMetrics
from hcat_core.training.context import TrainingContext
from hcat_core.training.device import refuse_precision
from hcat_core.training.inference import MC_ROWS
from hcat_core.training.model import HcatModel
from hcat_core.training.step import TotalLoss, build_optimiser, training_step
from hcat_core.training.validation import validate

TOLD_EVERY = 1.0  # seconds between reports of steps within an epoch


@dataclass(frozen=True)
class TrainingPatients:
    """The standardised patients of one training.

    Attributes:
        training: to learn from.
        validation: who decide which epoch is the best.
        contributions: (N, M, T) of the model's evidence to the training patients, by models fitted without
            them, so that the network learns what is left for new patients; None without evidence.
    """

    training: Cohort
    validation: Cohort
    contributions: Tensor | None = None


def train(
    model: HcatModel,
    losses: list[WeightedLoss],
    patients: TrainingPatients,
    settings: TrainingTable,
    checkpoints: Checkpoints,
    context: TrainingContext,
    *,
    resume: bool = False,
) -> Progress:
    """Train until the last epoch or until ``early_stop_patience`` epochs bring nothing better.

    Every epoch ends with a complete ``last`` checkpoint; a better one for a task, or for the average
    over tasks, is kept as ``best_<name>``. Where ``likelihood`` decides, the start can be the best one.

    Args:
        model: with fitted imputer, evidence and heads.
        losses: to minimise.
        patients: to learn from, and to stop by.
        settings: of the recipe.
        checkpoints: where each epoch is kept.
        context: seed, device, observer, processes.
        resume: go on from the last checkpoint.

    Raises:
        DataError: for checkpoints to go on from that are not those of this training.
        TrainingError: when a loss is not finite (the last good checkpoint stays), or when a contrastive
            loss would compare each patient with itself.
        UsageError: for a precision that the processor does not have.
    """
    _refuse_equal_views(losses, settings)
    refuse_precision(settings.precision, context.device)
    model.to(context.device)
    step = _build_step(model, losses, settings, context)
    progress = checkpoints.restore(model, step.optimiser) if resume else Progress()
    if not resume:
        _score_start(model, patients, settings, checkpoints, context, progress)
    if context.processes.is_main:
        steps = math.ceil(len(patients.training) / settings.batch)
        context.observer.training_started(steps, progress.history, context.member, context.members)
    while progress.epoch < settings.epochs and not progress.finished:
        epoch = _one_epoch(model, step, patients, checkpoints, context, progress)
        if context.processes.is_main:
            context.observer.epoch_finished(epoch)
        if progress.epoch == 1:
            _report_idle_losses(losses, epoch.losses, context.progress)
    checkpoints.write_final(model, progress)
    return progress


@dataclass(frozen=True)
class Step:
    """What takes one step of a training: the total loss, its optimiser, schedule and settings."""

    total_loss: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts
    settings: TrainingTable


def _build_step(
    model: HcatModel, losses: list[WeightedLoss], settings: TrainingTable, context: TrainingContext
) -> Step:
    optimiser = build_optimiser(model, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimiser, T_0=settings.restart_epochs, T_mult=settings.restart_factor
    )
    total_loss = TotalLoss(model, losses, settings, context.processes)
    return Step(context.processes.wrap(total_loss), optimiser, scheduler, settings)


def _score_start(
    model: HcatModel,
    patients: TrainingPatients,
    settings: TrainingTable,
    checkpoints: Checkpoints,
    context: TrainingContext,
    progress: Progress,
) -> None:
    """Keep the state before the first step, with its score where the likelihood decides."""
    if settings.monitor == "likelihood":
        val = _scores(model, patients, context)
        checkpoints.write_best(model, progress, progress.scored_start(val, settings.monitor))
    checkpoints.write_start(model, progress)


def _one_epoch(
    model: HcatModel,
    step: Step,
    patients: TrainingPatients,
    checkpoints: Checkpoints,
    context: TrainingContext,
    progress: Progress,
) -> Epoch:
    """One pass over the training patients, scored and kept."""
    settings = step.settings
    model.train()
    train_loss, terms = _take_steps(step, patients, checkpoints, context, progress.epoch)
    if isinstance(model.imputer, Calibrated) and model.imputer_trains():
        model.imputer.calibrate(patients.training, patients.validation.to(context.device))
    val = _scores(model, patients, context)
    better = progress.scored(val, settings.monitor)
    progress.finished = progress.stale >= settings.early_stop_patience
    epoch = Epoch(
        epoch=progress.epoch,
        epochs=settings.epochs,
        lr=step.optimiser.param_groups[0]["lr"],
        train_loss=train_loss,
        losses=terms,
        val=val,
        best=progress.stale == 0,
        member=context.member,
    )
    progress.history.append(epoch)
    checkpoints.write_epoch(model, step.optimiser, progress, better)
    return epoch


def _scores(
    model: HcatModel, patients: TrainingPatients, context: TrainingContext
) -> Mapping[str, TaskMetrics]:
    """Metrics by outcome on the validation patients, after the heads' baselines are fitted."""
    fit_baselines(model, patients, context)
    scores = validate(model, patients.training, patients.validation, context)
    return context.processes.broadcast(scores)


def _take_steps(
    step: Step, patients: TrainingPatients, checkpoints: Checkpoints, context: TrainingContext, epoch: int
) -> tuple[float, dict[str, float]]:
    """One step per batch of training patients; the mean total and the mean of each unweighted term.

    Raises:
        TrainingError: when a loss or the gradient is not finite.
    """
    settings, processes = step.settings, context.processes
    training, contributions = patients.training, patients.contributions
    torch.manual_seed(epoch_seed(context.seed, epoch))
    batches = torch.randperm(len(training)).split(settings.batch)
    sums: dict[str, float] = {}
    total_sum = 0.0
    told = time.monotonic()
    for number, rows in enumerate(batches):
        step.scheduler.step(epoch + number / len(batches))
        stream = () if processes.is_main else (processes.rank,)
        torch.manual_seed(epoch_seed(context.seed, epoch, 1 + number, *stream))
        batch = training[rows].to(context.device)
        evidence = None if contributions is None else contributions[rows].to(context.device)
        with processes.peer_errors():
            total, terms = training_step(
                step.total_loss, batch, step.optimiser, settings.grad_clip, evidence
            )
        if not math.isfinite(total):
            bad = [
                f"the loss {name} is {value}" for name, value in terms.items() if not math.isfinite(value)
            ]
            raise TrainingError(
                f"epoch {epoch + 1}, batch {number + 1} of {len(batches)}: "
                f"{', '.join(bad) or 'the gradient is not finite'}. The last good checkpoint, of epoch "
                f"{epoch}, is {checkpoints.last}; going on from it would end here again. Start a "
                "new run with a smaller training.lr, or look for extreme values with hcat inspect."
            )
        total_sum += total * len(rows)
        if processes.is_main and time.monotonic() - told >= TOLD_EVERY:
            told, seen = time.monotonic(), min((number + 1) * settings.batch, len(training))
            context.observer.steps_taken(epoch + 1, number + 1, len(batches), total_sum / seen)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value * len(rows)
    return total_sum / len(training), {name: value / len(training) for name, value in sums.items()}


@torch.no_grad()
def fit_baselines(model: HcatModel, patients: TrainingPatients, context: TrainingContext) -> None:
    """Fit the baseline hazard of heads that need one, from their outputs for all training patients."""
    heads = {n: h for n, h in model.heads.items() if isinstance(h, TimedHead) and h.needs_baseline}
    if not heads:
        return
    training, contributions = patients.training, patients.contributions
    model.eval()
    raw: dict[str, list[Tensor]] = {name: [] for name in heads}
    share = torch.arange(len(training))[context.processes.rows(len(training))]
    for rows in share.split(MC_ROWS):
        evidence = None if contributions is None else contributions[rows].to(context.device)
        outputs = model(training[rows].to(context.device), None, evidence)
        for name, parts in raw.items():
            parts.append(outputs.raw[name])
    on_device = training.to(context.device)
    for name, head in heads.items():
        head.fit_baseline(context.processes.all_gather(torch.cat(raw[name]), len(training)), on_device)


def epoch_seed(seed: int, *place: int) -> int:
    """One well-mixed 62-bit seed for each (seed, epoch), each step of it, and each process of that."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0] >> 2)


def _refuse_equal_views(losses: Sequence[WeightedLoss], settings: TrainingTable) -> None:
    contrastive = [term.name for term in losses if term.loss.needs_second_view and term.weight > 0]
    if contrastive and settings.moddrop == 0 and settings.emb_noise == 0:
        raise TrainingError(
            f"{contrastive[0]} compares two views of a patient, and without training.moddrop and "
            "training.emb_noise they are the same. Set one of them above 0, or leave the loss out."
        )


def _report_idle_losses(
    losses: Sequence[WeightedLoss], terms: Mapping[str, float], say: Callable[[str], None]
) -> None:
    for loss in losses:
        if loss.weight > 0 and terms[loss.name] == 0:
            say(
                f"loss {loss.name} is zero for every patient: no component of this recipe "
                "computes it, and its weight has no effect"
            )
