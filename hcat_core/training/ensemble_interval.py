"""Combine the predictions of cross-fitted members into a probability and its 90 % interval.

The interval is for the probability that the event happens given all modalities of the patient, also those
that are missing: what the best possible model would predict had everything been measured. It is no interval
for the outcome, which has none, nor for P(event | what was measured), which is a single number that the
prediction estimates; for a patient with all modalities the two are the same. The variance on the logit is

    T = W + (1 + 1 / S) B + D,

Rubin's (1987, eq. 3.1.5) with a third term:

- B, between imputations: the variance over S draws of what is missing, each taken as measured, so that the
  evidence of a drawn modality counts as that of a measured one does;
- W, within: the variance of the members' mean as an estimate, by the jackknife over groups of patients
  (Quenouille 1956; Shao and Tu 1995, section 2.3), as each member was trained without another group;
- D, misfit: what all members have in common that is wrong, such as the shrinkage of weights and curves that
  the model cannot follow, as far as held-out patients show it (``model_misfit``).

W has four degrees of freedom with five members: the quantile is that of Student's t with Satterthwaite's
(1946) number of degrees of freedom, which is Rubin's (eq. 3.1.6) where W is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.metrics.value_intervals import HALF_WIDTH
from hcat_core.training.inference import MemberPredictions, own_variance
from hcat_core.training.model_misfit import Misfit

UPPER = 0.95  # quantile of the upper end of a 90 % interval


@dataclass(frozen=True)
class IntervalParts:
    """What the interval of N patients and T tasks is made of; variances (N, T) are those of the logit.

    Attributes:
        probability: (N, T) mean of the members' probabilities, and centre of the interval.
        curve: (N, T, 12) mean of the members' curves.
        within: W.
        between: B; 0 with fewer than two draws.
        misfit: D.
        members: K.
        draws: S.
        value: (N, T) mean of the members' values, where there are tasks that are numbers; None otherwise.
        spread: (N, T) the variance of such a number around its value: the mean of what the members say, and
            the variance between imputations. It is made to hold with held-out patients
            (``metrics.value_intervals``); the other terms are not of it.
    """

    probability: Tensor
    curve: Tensor
    within: np.ndarray
    between: np.ndarray
    misfit: np.ndarray
    members: int
    draws: int
    value: Tensor | None = None
    spread: Tensor | None = None

    @classmethod
    def of(cls, members: Sequence[MemberPredictions], misfit: Misfit | None = None) -> IntervalParts:
        """From K members' predictions of the same patients, and their misfit to held-out patients."""
        probability = torch.stack([one.at_mean.event_probability for one in members]).mean(dim=0)
        curve = torch.from_numpy(np.stack([one.at_mean.curves for one in members]).mean(axis=0))
        value, spread = None, None
        if all(one.at_mean.value is not None for one in members):
            value = torch.stack([one.at_mean.estimate for one in members]).mean(dim=0)
            value = torch.where(probability.isnan(), value, torch.nan)
            spread = torch.stack([own_variance(one.at_mean) for one in members]).mean(dim=0)
        completed = np.stack([one.completed for one in members])  # (K, S, N, T)
        z = logit(completed)
        if spread is not None and z.shape[1] >= 2:
            drawn = (1 + 1 / z.shape[1]) * completed.mean(axis=0).var(axis=0, ddof=1)
            spread = spread + torch.from_numpy(drawn)
        within = between = wrong = np.zeros(tuple(probability.shape))
        if z.shape[1] >= 2:
            within = jackknife_variance(z.mean(axis=1))
            between = z.mean(axis=0).var(axis=0, ddof=1)
        if z.shape[1] >= 2 and misfit is not None:
            wrong = misfit.variance(members[0].size).mean(axis=0)
        k, s = z.shape[:2]
        return cls(probability, curve, within, between, wrong, k, s, value, spread)

    def prediction(self) -> Prediction:
        """The probability with its 90 % interval, without one for fewer than two draws; of numbers both."""
        of_numbers = None
        if self.value is not None and self.spread is not None:
            half = HALF_WIDTH * self.spread.sqrt()
            of_numbers = torch.stack([self.value - half, self.value + half], dim=-1)
        if self.draws < 2:
            return Prediction(self.probability, self.curve, of_numbers, self.value)
        between = (1 + 1 / self.draws) * self.between
        total = self.within + between + self.misfit
        uncertain = self.within**2 / max(1, self.members - 1) + between**2 / (self.draws - 1)
        freedom = np.maximum(total, 1e-12) ** 2 / np.maximum(uncertain, 1e-30)
        half = _student_quantile(freedom) * np.sqrt(total)
        middle = logit(self.probability.numpy())
        ends = torch.from_numpy(np.stack([sigmoid(middle - half), sigmoid(middle + half)], axis=-1))
        if of_numbers is not None:
            ends = torch.where(self.probability.isnan().unsqueeze(-1), of_numbers, ends)
        return Prediction(self.probability, self.curve, ends, self.value)


def jackknife_variance(estimates: np.ndarray) -> np.ndarray:
    """The variance of the mean of estimates (K, ...), each made without another of K groups of patients."""
    k = len(estimates)
    deviation = estimates - estimates.mean(axis=0)
    return np.asarray((k - 1) / k * (deviation**2).sum(axis=0))


def _student_quantile(freedom: np.ndarray) -> np.ndarray:
    """The upper quantile of Student's t with these degrees of freedom."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(np.minimum(freedom, 1e6), UPPER))
