"""Combine the predictions of cross-fitted members into a probability and its 90 % interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hcat_core.imputation.scores import Z90
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.training.inference import SampledPredictions


def combine_members(members: Sequence[SampledPredictions]) -> Prediction:
    """The mean of K members' predictions, with an interval from their spread and that of their draws.

    On the logit, the variance is Rubin's (1987, eq. 3.1.5) T = W + (1 + 1 / S) B. B is the variance over S
    imputations, the same draws for each member. W is the variance of the members' mean as an estimate of
    the model: the jackknife over groups of patients (Quenouille 1956; Shao and Tu 1995, section 2.3), as
    each member was trained without another group.

    Args:
        members: predictions of the same patients; without an interval for one sample a member.
    """
    probability = np.stack([member.probability for member in members])  # (K, S, N, T)
    mean = torch.from_numpy(probability.mean(axis=(0, 1)))
    curve = torch.from_numpy(np.stack([member.curve for member in members]).mean(axis=0))
    draws = probability.shape[1]
    if draws < 2:
        return Prediction(mean, curve)
    z = logit(probability)
    variance = jackknife_variance(z.mean(axis=1)) + (1 + 1 / draws) * z.mean(axis=0).var(axis=0, ddof=1)
    half = Z90 * np.sqrt(variance)
    middle = logit(mean.numpy())
    ends = np.stack([sigmoid(middle - half), sigmoid(middle + half)], axis=-1)
    return Prediction(mean, curve, torch.from_numpy(ends))


def jackknife_variance(estimates: np.ndarray) -> np.ndarray:
    """The variance of the mean of estimates (K, ...), each made without another of K groups of patients."""
    k = len(estimates)
    deviation = estimates - estimates.mean(axis=0)
    return np.asarray((k - 1) / k * (deviation**2).sum(axis=0))
