"""Pre-training of a neural imputer on hidden blocks, before the predictor is trained or without one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.data.splits import random_part
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.imputation.scores import gaussian_crps
from hcat_core.interfaces import FitContext, Imputer, ImputerEpoch

BATCH = 128
WEIGHT_DECAY = 1e-2
WARM_UP = 0.05  # share of all steps in which the learning rate rises
EVALUATIONS = 20  # on hidden blocks, at most
PATIENCE = 5  # evaluations without improvement after which training stops
LEAST_IMPROVEMENT = 5e-4  # share of the best score; less does not count as one
FEWEST_TO_CHOOSE_BY = 30  # validation patients; with fewer, a fifth of the training patients is used


@dataclass(frozen=True)
class Pretraining:
    """How a neural imputer is fitted before the predictor.

    Attributes:
        epochs: passes over the training patients; 0 leaves all training to the joint one.
        lr: highest learning rate.
        frozen: keep the fitted weights as they are while the predictor trains.
    """

    epochs: int
    lr: float
    frozen: bool


@dataclass(frozen=True)
class Objective:
    """What is minimised, and what the best state is chosen by.

    Attributes:
        patients: to learn from.
        loss: of the patients with these row numbers, a scalar with a gradient.
        score: of the current state on patients that are not learned from; the lowest is best.
    """

    patients: int
    loss: Callable[[Tensor], Tensor]
    score: Callable[[], float]


@runtime_checkable
class PretrainedImputer(Protocol):
    """A neural imputer that keeps the settings of its pre-training."""

    pretraining: Pretraining


def pretrain(
    imputer: nn.Module, train: Cohort, validation: Cohort, context: FitContext, settings: Pretraining
) -> None:
    """Minimise the sum of the imputer's own losses, and restore the state that imputes hidden blocks best.

    States are compared by CRPS on blocks hidden from validation patients; without such patients the last
    state stays. The state before the first step takes part, so that training that does not help is undone.

    Args:
        imputer: in training mode, ``Imputation.losses`` holds the terms to minimise.
        train: patients to learn from.
        validation: patients to choose by; may be empty.
        context: seed, device and progress.
        settings: number of epochs, learning rate, whether to freeze the imputer afterwards.
    """
    if not settings.epochs:
        return
    parameters = trainable_parameters(imputer)
    for parameter in parameters:
        parameter.requires_grad_(True)
    devices = [] if context.device.type == "cpu" else [context.device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(context.seed)
        imputer.to(context.device)
        objective = _own_losses(imputer, train, validation, context)
        report = epoch_reporter(type(imputer).__name__, settings, context)
        best = minimise(imputer, parameters, objective, settings, report)
    imputer.eval()
    for parameter in parameters:
        parameter.requires_grad_(not settings.frozen)
    context.progress(f"{type(imputer).__name__}: CRPS {best:.4f} on hidden blocks")


def trainable_parameters(imputer: nn.Module) -> list[nn.Parameter]:
    """Parameters of a neural imputer, without those of a frozen imputer nested in it."""
    frozen = {
        id(parameter)
        for module in imputer.modules()
        if module is not imputer and isinstance(module, PretrainedImputer) and module.pretraining.frozen
        for parameter in module.parameters()
    }
    return [parameter for parameter in imputer.parameters() if id(parameter) not in frozen]


@torch.no_grad()
def hidden_block_crps(imputer: Imputer | nn.Module, cohort: Cohort) -> float:
    """Mean CRPS on blocks hidden one at a time, blocks and patients weighted equally.

    NaN where no patient has two modalities.
    """
    if isinstance(imputer, nn.Module):
        imputer.eval()
    scores = []
    for hidden in leave_one_block_out(cohort):
        imputation = imputer(hidden.cohort)
        cells = gaussian_crps(
            hidden.truth, imputation.emb[:, hidden.column], imputation.std[:, hidden.column]
        )
        count = hidden.measured.sum(dim=1).clamp_min(1)
        scores.append(float(((cells * hidden.measured).sum(dim=1) / count).mean()))
    return sum(scores) / len(scores) if scores else math.nan


def _own_losses(imputer: nn.Module, train: Cohort, validation: Cohort, context: FitContext) -> Objective:
    """The sum of the imputer's losses, and its CRPS on blocks hidden from validation patients."""
    judges = validation.to(context.device)

    def loss(rows: Tensor) -> Tensor:
        losses = imputer(train[rows].to(context.device)).losses
        return torch.stack([term.value for term in losses.values()]).sum()

    return Objective(len(train), loss, lambda: hidden_block_crps(imputer, judges))


def patients_to_choose_by(train: Cohort, validation: Cohort, seed: int) -> tuple[Cohort, Cohort]:
    """Patients to learn from and to choose by: a fifth of ``train`` where validation has too few."""
    if len(validation) >= FEWEST_TO_CHOOSE_BY:
        return train, validation
    fifth, rest = random_part(train, max(1, len(train) // 5), seed)
    return train[rest], train[fifth]


def epoch_reporter(
    imputer: str, settings: Pretraining, context: FitContext
) -> Callable[[int, float], None]:
    """What ``minimise`` calls, so that the context shows how far the fitting of an imputer is."""
    return lambda epoch, crps: context.imputer_epoch(ImputerEpoch(imputer, epoch, settings.epochs, crps))


def minimise(
    module: nn.Module,
    parameters: Iterable[nn.Parameter],
    objective: Objective,
    settings: Pretraining,
    report: Callable[[int, float], None] = lambda epoch, best: None,
) -> float:
    """Minimise the loss until no evaluation improves the score; the score of the state that is kept.

    The state before the first step takes part. While the score is NaN, the last state is kept.

    Args:
        module: whose state is kept.
        parameters: to train.
        objective: loss and score.
        settings: number of epochs and learning rate.
        report: is called after each evaluation, with the number of epochs done and the best score.
    """
    optimiser = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=WEIGHT_DECAY)
    steps = settings.epochs * math.ceil(objective.patients / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / steps))
    best = objective.score()
    state = copy.deepcopy(module.state_dict())
    interval = max(1, settings.epochs // EVALUATIONS)
    without_improvement = 0
    for epoch in range(1, settings.epochs + 1):
        module.train()
        for rows in torch.randperm(objective.patients).split(BATCH):
            optimiser.zero_grad()
            objective.loss(rows).backward()
            nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 1.0)
            optimiser.step()
            schedule.step()
        if epoch % interval:
            continue
        score = objective.score()
        without_improvement = 0 if score < (1 - LEAST_IMPROVEMENT) * best else without_improvement + 1
        if score < best or math.isnan(best):  # NaN where there is nothing to compare by
            best, state = score, copy.deepcopy(module.state_dict())
        report(epoch, best)
        if without_improvement == PATIENCE and not math.isnan(best):
            break
    module.load_state_dict(state)
    return best


def _rate(done: float) -> float:
    """The learning rate as a share of its highest: a linear warm-up, then a cosine down to 0.

    Args:
        done: share of all steps.
    """
    if done < WARM_UP:
        return 0.05 + 0.95 * done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))
