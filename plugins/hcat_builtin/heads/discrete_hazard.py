"""``discrete_hazard``: the probability of the event in each time interval, given survival until then."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hcat_builtin.heads.event_times import patients_with_times
from hcat_builtin.heads.mlp import HeadNetwork, most_likely_bias
from hcat_core.cohort import Cohort, Layout, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.metrics.survival import kaplan_meier, timed
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction


class DiscreteHazardHead(nn.Module):
    """Logistic hazards (Gensheimer and Narasimhan 2019), one per time bin.

    The edges of the bins are quantiles of the training patients' event times up to the horizon, so that
    every bin has about the same number of events; one more bin follows the horizon. Output biases start at
    the Kaplan-Meier hazards. Within a bin the hazard is constant.

    Args:
        layout: where the task is looked up.
        task: the task's name.
        width: H of the fused vector.
        bins: number of bins up to the horizon.
        hidden: width of the hidden layer; 0 for none.
        dropout: before the last layer.
    """

    needs_baseline = False
    edges: Tensor

    def __init__(
        self,
        layout: Layout,
        task: str,
        width: int,
        *,
        bins: Count = 8,
        hidden: CountOrZero = 64,
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        self.column = layout.task_names.index(task)
        self.horizon = layout.tasks[self.column].horizon_days
        self.mlp = HeadNetwork(width, hidden, bins + 1, dropout)
        # Right ends of the bins; the last bin, after the horizon, has none.
        self.register_buffer("edges", torch.linspace(0, self.horizon, bins + 1)[1:])

    def prepare(self, train: Cohort) -> None:
        """Compute the bins' edges and first hazards from training patients whose time is known.

        Raises:
            DataError: for a task without times.
        """
        if train.targets is None:
            return
        known = patients_with_times(train.targets, train.layout, self.column, "discrete_hazard")
        time = train.targets.time[known, self.column].double().numpy()
        event = (train.targets.event[known, self.column] == 1).numpy()
        times = time[event & (time <= self.horizon)]
        if len(times) > len(self.edges):
            inner = np.quantile(times, np.linspace(0, 1, len(self.edges) + 1)[1:-1])
            edges = np.unique(np.r_[inner, self.horizon])
            # Ties may leave fewer edges; the remaining bins lie after every time and stay empty.
            padding = self.horizon + 1e6 * np.arange(1, len(self.edges) - len(edges) + 1)
            self.edges.copy_(torch.from_numpy(np.r_[edges, padding]))
        ends = np.r_[self.edges.double().numpy(), np.inf]
        survival = np.r_[1.0, kaplan_meier(time, event, ends)]
        hazard = np.clip(1 - survival[1:] / np.maximum(survival[:-1], 1e-9), 1e-3, 0.5)
        self.mlp.set_bias(torch.from_numpy(np.log(hazard / (1 - hazard))))

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence (N,), with the most likely hazards of a patient of evidence 0."""
        bias = most_likely_bias(
            self.mlp.bias, lambda b: self.log_likelihood(b + evidence.unsqueeze(1), targets)
        )
        self.mlp.start_at(bias)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight; the hazards of a patient at average risk stay."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log likelihood of each patient's follow-up; NaN where no time is known.

        A bin counts for a patient who was at risk at its start and survived it, or whose event is in it. A
        patient who was censored within a bin counts as having survived it if censored in its second half.

        Args:
            raw: (N, bins + 1) hazard logits.
            targets: of N patients.
        """
        known = timed(targets, self.column)
        time = torch.where(known, targets.time[:, self.column], 0.0).unsqueeze(1)
        event = (targets.event[:, self.column] == 1).unsqueeze(1)
        endless = torch.full_like(self.edges[:1], torch.inf)
        starts = torch.cat([torch.zeros_like(self.edges[:1]), self.edges])
        ends = torch.cat([self.edges, endless])
        middle = torch.cat([(starts[:-1] + self.edges) / 2, endless])
        within = (time > starts) & (time <= ends)
        counts = (time > ends) | (within & event) | (within & (time > middle))
        terms = nn.functional.binary_cross_entropy_with_logits(
            raw, (within & event).to(raw.dtype), reduction="none"
        )
        return torch.where(known, -(terms * counts).sum(dim=1), torch.nan)

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Do nothing: hazards are absolute."""

    def forward(self, fused: Fused) -> Tensor:
        """Hazard logits (N, bins + 1)."""
        logits: Tensor = self.mlp(fused.pooled)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Event probability (N, H) by each horizon.

        After the last edge, the last hazard applies to an interval as wide as the last bin.
        """
        log_survival = nn.functional.logsigmoid(-raw).double()
        ends = torch.cat([torch.zeros_like(self.edges[:1]), self.edges]).double()
        widths = ends.diff()
        widths = torch.cat([widths, widths[-1:]])
        days = torch.tensor(horizons, dtype=torch.float64, device=raw.device)
        share = ((days.unsqueeze(1) - ends) / widths).clamp(
            0, 1
        )  # (H, bins + 1): elapsed share of each bin
        return Prediction(1 - (log_survival @ share.T).exp())
