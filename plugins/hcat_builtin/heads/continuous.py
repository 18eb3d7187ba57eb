"""``continuous``: the expected value of a number, and how uncertain it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.heads.mlp import HeadNetwork, most_likely_bias
from hcat_core.cohort import Cohort, Targets
from hcat_core.errors import DataError
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.value_intervals import HALF_WIDTH
from hcat_core.registry.parameter_types import CountOrZero, Fraction

FARTHEST = 7.0  # of the logarithm of the variance from that of the training patients, either way


class ContinuousHead(nn.Module):
    """Mean and log variance of a normal distribution, in units of the training patients' spread.

    Raw outputs are (N, 2): the mean less that of the training patients, divided by their standard
    deviation, and the logarithm of the variance in the same unit. The interval that is predicted with the
    value is the model's own; held-out patients make it hold, whatever loss has trained the head.

    Args:
        layout: where the outcome is looked up.
        task: the outcome's name.
        width: H of the fused vector.
        hidden: width of the hidden layer; 0 for none.
        dropout: before the last layer.
    """

    outcome_kinds = frozenset({"continuous"})
    location: Tensor
    scale: Tensor

    def __init__(
        self,
        layout: Layout,
        task: str,
        width: int,
        *,
        hidden: CountOrZero = 64,
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        self.task = task
        (self.column,) = layout.outcome(task).columns
        self.mlp = HeadNetwork(width, hidden, 2, dropout)
        self.register_buffer("location", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def prepare(self, train: Cohort) -> None:
        """Take the mean and the standard deviation of the training patients' values.

        Raises:
            DataError: where all known values are the same.
        """
        if train.targets is None or train.targets.values is None:
            return
        values = train.targets.values[:, self.column].double()
        values = values[values.isfinite()]
        if not len(values):
            return
        if len(values) < 2 or not values.std() > 0:
            raise DataError(
                f"{self.task}: the training patients have {len(values)} values that do not differ"
            )
        self.location.copy_(values.mean())
        self.scale.copy_(values.std())
        self.mlp.set_bias(torch.zeros(2))

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence (N,), in the values' unit, with the most likely variance around it."""
        start = torch.zeros(2, device=evidence.device)
        n = len(evidence)
        bias = most_likely_bias(
            start, lambda b: self.log_likelihood(self.add_evidence(b.expand(n, 2), evidence), targets)
        )
        self.mlp.start_at(bias)

    def add_evidence(self, raw: Tensor, evidence: Tensor) -> Tensor:
        """Add the evidence (N,), in the values' unit, to the means; variances stay as they are."""
        return torch.stack([raw[:, 0] + evidence / self.scale, raw[:, 1]], dim=1)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight."""
        self.mlp.scale(weight)

    def standardised(self, targets: Targets) -> Tensor:
        """(N,) values in the unit of the means; NaN where unknown."""
        if targets.values is None:
            return torch.full_like(targets.time[:, self.column], float("nan"))
        return (targets.values[:, self.column] - self.location) / self.scale

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log density of each patient's standardised value, without its constant; NaN if unknown."""
        value = self.standardised(targets)
        known = value.isfinite()
        log_variance = raw[:, 1].clamp(-FARTHEST, FARTHEST)
        error = torch.where(known, value, 0.0) - raw[:, 0]
        density = -0.5 * (error.square() * (-log_variance).exp() + log_variance)
        return torch.where(known, density, torch.nan)

    def forward(self, fused: Fused) -> Tensor:
        """(N, 2) standardised means and log variances."""
        raw: Tensor = self.mlp(fused.pooled)
        return raw

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Values (N, 1) with their 90 % intervals (N, 1, 2); probabilities are NaN.

        Raises:
            ValueError: for horizons, which a number does not have.
        """
        if horizons:
            raise ValueError(f"a number has no horizon, asked for {horizons}")
        value = self.location + self.scale * raw[:, :1]
        half = HALF_WIDTH * self.scale * (0.5 * raw[:, 1:].clamp(-FARTHEST, FARTHEST)).exp()
        interval = torch.stack([value - half, value + half], dim=-1)
        return Prediction(torch.full_like(value, float("nan")), interval=interval, value=value)
