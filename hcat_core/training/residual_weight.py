"""How much of a network's correction is kept: as much as raises the likelihood of held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import ResidualHead
from hcat_core.metrics.resampling import group_numbers, sums_by_group
from hcat_core.training.inference import single_pass
from hcat_core.training.neural_training import TrainedMember
from hcat_core.training.validation import log_likelihoods

WEIGHTS = np.linspace(0.0, 1.5, 31)  # that are tried
BEYOND_NOISE = 1.645  # standard errors: one gain of nothing in twenty is as large


@dataclass(frozen=True)
class ResidualWeight:
    """The weight of a network's correction for one outcome.

    Attributes:
        weight: at least 0; 0 where the correction does not raise the likelihood by more than noise.
        gain: by how much the log likelihood of held-out patients is higher than without correction, in nats
            per patient, at the best weight.
        error: standard error of the gain over patients, or groups.
        patients: how many held-out patients it was measured on.
    """

    weight: float
    gain: float
    error: float
    patients: int


@dataclass(frozen=True)
class HeldOutOutputs:
    """Raw outputs of one member for patients that it was not fitted on, with its correction and without.

    Attributes:
        member: the trained member.
        patients: standardised, with targets.
        corrected: (N, ...) by head.
        uncorrected: the same at a correction of 0.
        device: that the member is on.
    """

    member: TrainedMember
    patients: Cohort
    corrected: Mapping[str, Tensor]
    uncorrected: Mapping[str, Tensor]
    device: torch.device

    def log_likelihoods(self, weight: float) -> dict[str, np.ndarray]:
        """By outcome, the (N,) log likelihoods at a weight of the correction; NaN where unknown."""
        raw = {
            name: base + weight * (self.corrected[name] - base) for name, base in self.uncorrected.items()
        }
        return log_likelihoods(self.member.model, raw, self.patients, self.device)


def held_out_outputs(member: TrainedMember, held_out: Cohort, device: torch.device) -> HeldOutOutputs:
    """Raw outputs for patients in the units of their files, in one pass."""
    patients = member.standardiser.apply(held_out)
    corrected = single_pass(member.model, patients, device).raw
    heads = [head for head in member.model.head_modules.values() if isinstance(head, ResidualHead)]
    states = [{k: t.clone() for k, t in head.state_dict().items()} for head in heads]
    for head in heads:
        head.scale_residual(0.0)
    uncorrected = single_pass(member.model, patients, device).raw
    for head, state in zip(heads, states, strict=True):
        head.load_state_dict(state)
    return HeldOutOutputs(member, patients, corrected, uncorrected, device)


def choose_residual_weights(outputs: Sequence[HeldOutOutputs]) -> dict[str, ResidualWeight]:
    """By outcome, the weight with the highest likelihood of all members' held-out patients.

    A correction is kept only where its gain is more than ``BEYOND_NOISE`` standard errors above 0.
    """
    tables = [[one.log_likelihoods(float(weight)) for weight in WEIGHTS] for one in outputs]
    names = [name for one in outputs for name in one.patients.groups or one.patients.patient_ids]
    groups = group_numbers(names)
    result = {}
    for task in tables[0][0]:
        terms = np.concatenate([np.stack([at[task] for at in table]) for table in tables], axis=1)
        known = np.isfinite(terms).all(axis=0)
        result[task] = choose_weight(terms[:, known], None if groups is None else groups[known])
    return result


def choose_weight(terms: np.ndarray, groups: np.ndarray | None = None) -> ResidualWeight:
    """The weight with the highest likelihood.

    Args:
        terms: (W, N) log likelihoods of N patients at each of ``WEIGHTS``, which begin with 0.
        groups: (N,) numbers of groups, whose terms are not independent; None without.
    """
    n = terms.shape[1]
    if not n:
        return ResidualWeight(0.0, 0.0, 0.0, 0)
    best = int(terms.sum(axis=1).argmax())
    difference = terms[best] - terms[0]
    gain = float(difference.mean())
    error = float(np.sqrt((sums_by_group(difference - gain, groups) ** 2).sum())) / n
    return ResidualWeight(float(WEIGHTS[best]) if gain > BEYOND_NOISE * error else 0.0, gain, error, n)


def apply_residual_weights(member: TrainedMember, weights: Mapping[str, ResidualWeight]) -> None:
    """Scale what each head of a member adds to the evidence of its task."""
    model = member.model
    for name, head in model.heads.items():
        chosen = weights.get(model.tasks[name])
        if chosen is not None and isinstance(head, ResidualHead):
            head.scale_residual(chosen.weight)
