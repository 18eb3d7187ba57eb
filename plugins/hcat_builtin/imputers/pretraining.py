"""Fitting a neural imputer on its own, before (or without) a predictor."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.imputation.scores import gaussian_crps
from hcat_core.interfaces import FitContext, Imputer

BATCH = 64
PATIENCE = 5  # looks at the validation patients without a better one
WARM_UP = 0.1
LOOKS = 40  # over the whole fitting


def pretrain(
    imputer: nn.Module,
    train: Cohort,
    validation: Cohort,
    context: FitContext,
    *,
    epochs: int,
    lr: float,
) -> None:
    """Minimise the sum of the imputer's own losses; keep the state that best predicts hidden blocks.

    Judged by CRPS on blocks hidden from validation patients; without such patients the last state stays.
    The state it starts from is a candidate too, so that a refinement that does not help is undone.
    """
    if not epochs:
        return
    trainable = own_parameters(imputer)
    for parameter in trainable:
        parameter.requires_grad_(True)
    devices = [] if context.device.type == "cpu" else [context.device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(context.seed)
        imputer.to(context.device)
        optimiser = torch.optim.AdamW(trainable, lr=lr, weight_decay=1e-3)
        steps = epochs * math.ceil(len(train) / BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step / steps))
        best = hidden_block_crps(imputer, validation.to(context.device))
        state = copy.deepcopy(imputer.state_dict())
        stale = 0
        every = max(1, epochs // LOOKS)
        for epoch in range(epochs):
            imputer.train()
            for rows in torch.randperm(len(train)).split(BATCH):
                losses = imputer(train[rows].to(context.device)).losses
                total = torch.stack([term.value for term in losses.values()]).sum()
                optimiser.zero_grad()
                total.backward()
                nn.utils.clip_grad_norm_(trainable, 1.0)
                optimiser.step()
                schedule.step()
            if (epoch + 1) % every:
                continue
            score = hidden_block_crps(imputer, validation.to(context.device))
            if not score >= best:  # also where there is nothing to judge by
                best, state, stale = score, copy.deepcopy(imputer.state_dict()), 0
            else:
                stale += 1
            if stale == PATIENCE:
                break
        imputer.load_state_dict(state)
        imputer.eval()
        for parameter in trainable:
            parameter.requires_grad_(not imputer.frozen)
        context.progress(f"{type(imputer).__name__}: CRPS {best:.4f} on hidden blocks")


def _share(done: float) -> float:
    """Of the learning rate: a tenth of the way up, then down along a cosine."""
    if done < WARM_UP:
        return 0.05 + 0.95 * done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))


def own_parameters(imputer: nn.Module) -> list[nn.Parameter]:
    """Parameters of a neural imputer, without those of a frozen one inside it."""
    inside = [
        {id(p) for p in module.parameters()}
        for module in imputer.modules()
        if module is not imputer and getattr(module, "frozen", False)
    ]
    return [p for p in imputer.parameters() if not any(id(p) in ids for ids in inside)]


@torch.no_grad()
def hidden_block_crps(imputer: Imputer | nn.Module, cohort: Cohort) -> float:
    """Mean CRPS over blocks hidden one at a time; NaN when no patient has two."""
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
