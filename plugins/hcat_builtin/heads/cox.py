"""``cox``: one log hazard ratio per patient and cause, and Breslow's baselines."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.heads.event_times import refuse_without_times
from hcat_builtin.heads.mlp import HeadNetwork
from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.survival import breslow, cumulative_incidence, fine_days, timed
from hcat_core.registry.parameter_types import CountOrZero, Fraction


class CoxHead(nn.Module):
    """Proportional hazards (Katzman et al. 2018): raw outputs are log hazard ratios.

    Where the task has a ``competing`` one, there are two: of the event, and of the competing event if it is
    first. The probability is then the cumulative incidence. Evidence of the task moves the event's alone.

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
        task_of = layout.tasks[self.column]
        self.causes = 1 if task_of.competing is None else 2
        self.mlp = HeadNetwork(width, hidden, self.causes, dropout, bias=False)
        days = torch.tensor(task_of.curve_days) if self.causes == 1 else fine_days(task_of.curve_days)
        self.register_buffer("days", days.double())
        self.register_buffer("baseline", torch.zeros((self.causes, len(days)), dtype=torch.float64))

    def prepare(self, train: Cohort) -> None:
        """Compute the baseline under equal risks, which is used until ``fit_baseline`` is called.

        Raises:
            DataError: for a task without times.
        """
        if train.targets is None:
            return
        refuse_without_times(train.targets, train.layout, self.column, "cox")
        self.fit_baseline(torch.zeros((len(train), self.causes)), train)

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Compute Breslow's cumulative baseline hazards from log hazard ratios of N patients."""
        assert train.targets is not None
        known = timed(train.targets, self.column)
        time, cause = train.targets.time[known, self.column], train.targets.event[known, self.column]
        for number, ratios in enumerate(self._by_cause(raw[known]).unbind(dim=1)):
            self.baseline[number] = breslow(ratios, time, cause == number + 1, self.days)

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence alone."""
        self.mlp.scale(0.0)

    def add_evidence(self, raw: Tensor, evidence: Tensor) -> Tensor:
        """Add the evidence (N,) to the event's log hazard ratios; a competing event's stay as they are."""
        if self.causes == 1:
            return raw + evidence
        return torch.stack([raw[:, 0] + evidence, raw[:, 1]], dim=1)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) each patient's term of the log partial likelihood among these; NaN without a known time."""
        known = timed(targets, self.column)
        time, cause = targets.time[:, self.column], targets.event[:, self.column]
        at_risk = known & (time >= time.unsqueeze(1))  # (N, N)
        terms = torch.zeros(len(raw), dtype=torch.float64, device=raw.device)
        for number, ratios in enumerate(self._by_cause(raw).double().unbind(dim=1)):
            total = torch.where(at_risk, ratios, -torch.inf).logsumexp(dim=1)
            terms = terms + torch.where(cause == number + 1, ratios - total, 0.0)
        return torch.where(known, terms, torch.nan)

    def forward(self, fused: Fused) -> Tensor:
        """Log hazard ratios (N,); (N, 2) of two causes, the event's first."""
        ratios: Tensor = self.mlp(fused.pooled)
        return ratios.squeeze(-1) if self.causes == 1 else ratios

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Event probability (N, H) by each horizon; baselines are linear between their days."""
        risk = self._by_cause(raw).double().clamp(-20, 20).exp()
        if self.causes == 1:
            return Prediction(1 - torch.exp(-risk * self._at(self.baseline[0], horizons)))
        event, competing = (risk[:, [number]] * self.baseline[number] for number in range(2))
        return Prediction(self._at(cumulative_incidence(event, competing), horizons))

    def _at(self, values: Tensor, horizons: tuple[float, ...]) -> Tensor:
        """(..., H) values (..., days) at other days, linear between their own, from 0 on day 0."""
        days = torch.tensor(horizons, dtype=torch.float64, device=values.device)
        ends = torch.cat([self.days.new_zeros(1), self.days])
        values = torch.cat([torch.zeros_like(values[..., :1]), values], dim=-1)
        place = torch.searchsorted(ends, days).clamp(1, len(ends) - 1)
        share = ((days - ends[place - 1]) / (ends[place] - ends[place - 1])).clamp(0, 1)
        before, after = values[..., place - 1], values[..., place]
        return before + share * (after - before)

    def _by_cause(self, raw: Tensor) -> Tensor:
        """(N, causes) raw outputs."""
        return raw.reshape(raw.shape[0], self.causes)
