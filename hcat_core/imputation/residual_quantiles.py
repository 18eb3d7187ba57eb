"""Quantiles of an imputer's standardised residuals, feature by feature, and the maps that they make.

Residuals of a right predictive distribution are standard normal. Where they are not, a piecewise linear map
from standard normal quantiles to those of the residuals makes the distribution right (quantile calibration
as in Kuleshov, Fenner and Ermon 2018). L quantiles, at ``LEVELS``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_SPREAD = 0.1  # of true quantiles between features, so that one unlike the others shows
LEAST_GAP = 0.02  # between neighbouring quantiles, so that the map can be inverted


def normal_quantiles() -> Tensor:
    """(L,) of the standard normal distribution at ``LEVELS``."""
    quantiles: Tensor = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))
    return quantiles.float()


def shrunk_quantiles(residual: Tensor, weight: Tensor, patients: Tensor) -> Tensor:
    """(D, L) quantiles of residuals by feature, shrunk to those over all features.

    They are shrunk as far as they differ no more than samples of so many patients do (empirical Bayes; the
    variance between features by moments, as in DerSimonian and Laird 1986).

    Args:
        residual: (R, D) standardised residuals of one modality.
        weight: (R, D); 0 where a cell was not measured.
        patients: (D,) how many patients each feature's residuals are of.
    """
    cells = weight > 0
    pooled, of_pooled = residual[cells].unsqueeze(1), weight[cells].unsqueeze(1)
    common = weighted_quantiles(pooled, of_pooled, patients.max()[None])
    own = weighted_quantiles(residual, weight, patients)
    some = patients > 0
    level, z = torch.tensor(LEVELS, device=own.device), normal_quantiles().to(own)
    sampling = level * (1 - level) * 2 * math.pi * z.square().exp() / patients.clamp_min(1).unsqueeze(1)
    beyond = ((own - common).square() - sampling)[some].mean(dim=0).nan_to_num()
    between = beyond.clamp_min(LEAST_SPREAD**2)
    share = torch.where(some.unsqueeze(1), between / (between + sampling), 0.0)
    return ascending(common + share * (own - common))


def weighted_quantiles(residual: Tensor, weight: Tensor, patients: Tensor) -> Tensor:
    """(D, L) weighted quantiles of the columns of (R, D), for levels that new patients are covered at.

    A quantile of n patients leaves out a share of new ones that is larger by up to 1 / 2n; levels are moved
    outwards by as much. A column without weight gets normal quantiles.
    """
    if not len(residual):
        return normal_quantiles().to(residual).expand(residual.shape[1], -1)
    ordered, order = residual.masked_fill(weight <= 0, torch.inf).sort(dim=0)
    cumulated = weight.gather(0, order).double().cumsum(dim=0)
    total = cumulated[-1]
    middle = (cumulated - weight.gather(0, order) / 2) / total.clamp_min(1e-12)
    last = ((weight > 0).sum(dim=0) - 1).clamp_min(0)
    result = []
    for level, standard in zip(LEVELS, normal_quantiles().tolist(), strict=True):
        outwards = (level + (level - 0.5) / (patients + 1)).clamp(0, 1)
        right = torch.minimum((middle < outwards).sum(dim=0), last).unsqueeze(0)
        left = (right - 1).clamp_min(0)
        (m0, m1), (z0, z1) = ((t.gather(0, left)[0], t.gather(0, right)[0]) for t in (middle, ordered))
        share = ((outwards - m0) / (m1 - m0).clamp_min(1e-12)).clamp(0, 1).to(z0.dtype)
        found = torch.where(share > 0, z0 + share * (z1 - z0), z0)
        result.append(torch.where(total > 0, found, standard))
    return torch.stack(result, dim=1)


def ascending(quantiles: Tensor) -> Tensor:
    """The (..., L) quantiles, each at least ``LEAST_GAP`` above the one before."""
    steps = LEAST_GAP * torch.arange(quantiles.shape[-1], device=quantiles.device)
    return (quantiles - steps).cummax(dim=-1).values + steps


def bend(x: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Piecewise linear map of (..., D) that takes the ascending (D, L) ``before`` to ``after``.

    Beyond the ends it goes on as the outermost pieces do.
    """
    slope = (after[..., 1:] - after[..., :-1]) / (before[..., 1:] - before[..., :-1])
    result = after[..., 0] + slope[..., 0] * (x - before[..., 0])
    for i in range(1, slope.shape[-1]):
        result = result + (slope[..., i] - slope[..., i - 1]) * (x - before[..., i]).clamp_min(0)
    return result
