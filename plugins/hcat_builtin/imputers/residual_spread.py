"""How wrong an imputer without a likelihood is, feature by feature, on blocks hidden from it."""

from __future__ import annotations

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.interfaces import Imputer

PRIOR = 20.0  # patients' worth of belief that features of a block are equally hard
MOST = 200  # training patients that are asked


def asked_and_kept(train: Cohort, seed: int) -> tuple[Cohort, Cohort]:
    """A fifth of the training patients (200 at most) to measure errors on, and the others to fit on."""
    g = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(train), generator=g)
    asked = min(MOST, max(1, len(train) // 5))
    return train[order[:asked]], train[order[asked:]]


def residual_std(imputer: Imputer, asked: Cohort) -> Tensor:
    """(M, D) root mean squared error on blocks hidden from patients that the imputer has not seen.

    Each feature's is drawn a little to its block's.
    """
    spread = torch.ones(asked.emb.shape[1:])
    for hidden in leave_one_block_out(asked):
        error = hidden.truth - imputer(hidden.cohort).emb[:, hidden.column]
        squares = (error.square() * hidden.measured).sum(dim=0)
        count = hidden.measured.sum(dim=0)
        block = squares.sum() / count.sum().clamp_min(1)
        spread[hidden.column] = ((squares + PRIOR * block) / (count + PRIOR)).sqrt()
    return spread.clamp_min(1e-3)
