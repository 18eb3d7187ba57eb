"""``cox``: one log hazard ratio per patient, and Breslow's baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.heads.event_times import refuse_without_times
from hcat_builtin.heads.mlp import HeadNetwork
from hcat_core.cohort import CURVE_STEPS, Cohort, Layout, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.metrics.survival import breslow, timed
from hcat_core.registry.parameter_types import CountOrZero, Fraction


class CoxHead(nn.Module):
    """Proportional hazards (Katzman et al. 2018): raw outputs are log hazard ratios.

    Args:
        layout: where the task is looked up.
        task: the task's name.
        width: H of the fused vector.
        hidden: width of the hidden layer; 0 for none.
        dropout: before the last layer.
    """

    needs_baseline = True
    days: Tensor
    baseline: Tensor

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
        self.column = layout.task_names.index(task)
        self.mlp = HeadNetwork(width, hidden, 1, dropout, bias=False)
        days = torch.tensor(layout.tasks[self.column].curve_days)
        self.register_buffer("days", days)
        self.register_buffer("baseline", torch.zeros(CURVE_STEPS, dtype=torch.float64))

    def prepare(self, train: Cohort) -> None:
        """Compute the baseline under equal risks, which is used until ``fit_baseline`` is called.

        Raises:
            DataError: for a task without times.
        """
        if train.targets is None:
            return
        refuse_without_times(train.targets, train.layout, self.column, "cox")
        self.fit_baseline(torch.zeros(len(train)), train)

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Compute Breslow's cumulative baseline hazard from (N,) log hazard ratios."""
        assert train.targets is not None
        known = timed(train.targets, self.column)
        self.baseline.copy_(
            breslow(
                raw[known],
                train.targets.time[known, self.column],
                train.targets.event[known, self.column] == 1,
                self.days,
            )
        )

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence alone."""
        self.mlp.scale(0.0)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) each patient's term of the log partial likelihood among these; NaN without a known time."""
        known = timed(targets, self.column)
        time, event = targets.time[:, self.column], targets.event[:, self.column] == 1
        at_risk = known & (time >= time.unsqueeze(1))  # (N, N)
        total = torch.where(at_risk, raw.double(), -torch.inf).logsumexp(dim=1)
        terms = torch.where(event, raw.double() - total, 0.0)
        return torch.where(known, terms, torch.nan)

    def forward(self, fused: Fused) -> Tensor:
        """Log hazard ratios (N,)."""
        ratio: Tensor = self.mlp(fused.pooled).squeeze(-1)
        return ratio

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Event probability (N, H) by each horizon; the baseline is linear between the curve's days."""
        days = torch.tensor(horizons, dtype=torch.float64, device=raw.device)
        ends = torch.cat([self.days.new_zeros(1), self.days]).double()
        values = torch.cat([self.baseline.new_zeros(1), self.baseline])
        place = torch.searchsorted(ends, days).clamp(1, len(ends) - 1)
        share = ((days - ends[place - 1]) / (ends[place] - ends[place - 1])).clamp(0, 1)
        hazard = values[place - 1] + share * (values[place] - values[place - 1])
        risk = raw.double().clamp(-20, 20).exp()
        return Prediction(1 - torch.exp(-risk.unsqueeze(1) * hazard))
