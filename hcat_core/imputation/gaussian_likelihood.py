"""The Gaussian likelihood that neural imputers are trained with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hcat_core.interfaces import Average


def negative_log_likelihood(truth: Tensor, mean: Tensor, log_std: Tensor, where: Tensor) -> Average:
    """Mean of -log N(truth; mean, std) over the cells that ``where`` marks, in nats per cell.

    Args:
        truth: (N, M, D) measured cells.
        mean: (N, M, D) predicted means.
        log_std: (N, M, D), or (M, D) for all patients: predicted log standard deviations.
        where: (N, M, D) bool.
    """
    z = (truth - mean) * torch.exp(-log_std)
    cells = 0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)
    return Average((cells * where).sum(), where.sum())


def block_loss(error: Tensor, variance: Tensor, count: Tensor) -> Average:
    """Mean of -log N(truth; mean, variance) over cells, from the mean squared error of each block.

    Args:
        error: (N, M) mean squared error of the cells that count.
        variance: (N, M) predicted variance.
        count: (N, M) number of cells that count.
    """
    cells = 0.5 * (error / variance + variance.log() + math.log(2 * math.pi))
    return Average((cells * count).sum(), count.sum())
