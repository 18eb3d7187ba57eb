"""``discrete_hazard``: the probability of the event in each time interval, given survival until then."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hcat_builtin.heads.event_times import refuse_without_times
from hcat_builtin.heads.mlp import HeadNetwork, most_likely_bias
from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.survival import aalen_johansen, causes, timed
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction


class DiscreteHazardHead(nn.Module):
    """Logistic hazards (Gensheimer and Narasimhan 2019), one per time bin and cause.

    The edges of the bins are quantiles of the training patients' event times up to the horizon, so that
    every bin has about the same number of events; one more bin follows the horizon. Output biases start at
    the hazards of all patients (Kaplan and Meier). Within a bin the hazard is constant.

    Where the task has a ``competing`` one, there are two causes: the event, and the competing event if it
    is first. Their hazards of a bin are a multinomial logit with survival as its reference (Tutz and Schmid
    2016, chapter 8), and the probability is the cumulative incidence of the event. Evidence of the task
    moves the hazards of the event alone.

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
        task_of = layout.tasks[self.column]
        self.horizon = task_of.horizon
        self.causes = 1 if task_of.competing is None else 2
        self.mlp = HeadNetwork(width, hidden, (bins + 1) * self.causes, dropout)
        # Right ends of the bins; the last bin, after the horizon, has none.
        self.register_buffer("edges", torch.linspace(0, self.horizon, bins + 1)[1:])

    def prepare(self, train: Cohort) -> None:
        """Compute the bins' edges and first hazards from training patients whose time is known.

        Raises:
            DataError: for a task without times.
        """
        if train.targets is None:
            return
        refuse_without_times(train.targets, train.layout, self.column, "discrete_hazard")
        _, time, cause = causes(train.targets, self.column)
        times = time[(cause == 1) & (time <= self.horizon)]
        if len(times) > len(self.edges):
            inner = np.quantile(times, np.linspace(0, 1, len(self.edges) + 1)[1:-1])
            edges = np.unique(np.r_[inner, self.horizon])
            # Ties may leave fewer edges; the remaining bins lie after every time and stay empty.
            padding = self.horizon + 1e6 * np.arange(1, len(self.edges) - len(edges) + 1)
            self.edges.copy_(torch.from_numpy(np.r_[edges, padding]))
        ends = np.r_[self.edges.double().numpy(), np.inf]
        self.mlp.set_bias(torch.from_numpy(_logits_of_all(time, cause, ends, self.causes)))

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence (N,), with the most likely hazards of a patient of evidence 0."""
        bias = most_likely_bias(
            self.mlp.bias,
            lambda b: self.log_likelihood(
                self.add_evidence(b.expand(len(evidence), -1), evidence), targets
            ),
        )
        self.mlp.start_at(bias)

    def add_evidence(self, raw: Tensor, evidence: Tensor) -> Tensor:
        """Add the evidence (N,) to the event's hazard logits; a competing event's stay as they are."""
        bins = len(self.edges) + 1
        return torch.cat([raw[:, :bins] + evidence.unsqueeze(1), raw[:, bins:]], dim=1)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight; the hazards of a patient at average risk stay."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log likelihood of each patient's follow-up; NaN where no time is known.

        A bin counts for a patient who was at risk at its start and survived it, or whose event is in it. A
        patient who was censored within a bin counts as having survived it if censored in its second half.

        Args:
            raw: (N, outputs) of N patients.
            targets: of N patients.
        """
        known = timed(targets, self.column)
        time = torch.where(known, targets.time[:, self.column], 0.0).unsqueeze(1)
        cause = targets.event[:, self.column].unsqueeze(1)
        ends_by = [cause == number for number in range(1, self.causes + 1)]
        ended = torch.stack(ends_by).any(dim=0)
        endless = torch.full_like(self.edges[:1], torch.inf)
        starts = torch.cat([torch.zeros_like(self.edges[:1]), self.edges])
        ends = torch.cat([self.edges, endless])
        middle = torch.cat([(starts[:-1] + self.edges) / 2, endless])
        within = (time > starts) & (time <= ends)
        counts = (time > ends) | (within & ended) | (within & (time > middle))
        logits = self._logits(raw)
        terms = -_log_sum(logits)  # of surviving the bin
        for by_cause, logit in zip(ends_by, logits.unbind(dim=1), strict=True):
            terms = terms + torch.where(within & by_cause, logit, 0.0)
        return torch.where(known, (terms * counts).sum(dim=1), torch.nan)

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Do nothing: hazards are absolute."""

    def forward(self, fused: Fused) -> Tensor:
        """(N, bins + 1) hazard logits; (N, 2 * (bins + 1)) of two causes, the event's first."""
        logits: Tensor = self.mlp(fused.pooled)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Event probability (N, H) by each horizon: the cumulative incidence of the event.

        After the last edge, the last hazard applies to an interval as wide as the last bin.
        """
        logits = self._logits(raw).double()
        log_survival = -_log_sum(logits)  # (N, bins + 1) of surviving each bin
        ends = torch.cat([torch.zeros_like(self.edges[:1]), self.edges]).double()
        widths = ends.diff()
        widths = torch.cat([widths, widths[-1:]])
        days = torch.tensor(horizons, dtype=torch.float64, device=raw.device)
        # (H, bins + 1): elapsed share of each bin
        share = ((days.unsqueeze(1) - ends) / widths).clamp(0, 1)
        if self.causes == 1:
            return Prediction(1 - (log_survival @ share.T).exp())
        at_start = (log_survival.cumsum(dim=1) - log_survival).exp()
        of_event = torch.sigmoid(logits[:, 0] - logits[:, 1])  # of those whose follow-up a cause ends
        ended = 1 - (log_survival.unsqueeze(1) * share).exp()  # (N, H, bins + 1), of those at risk
        return Prediction((ended * (at_start * of_event).unsqueeze(1)).sum(dim=2))

    def _logits(self, raw: Tensor) -> Tensor:
        """(N, causes, bins + 1) hazard logits."""
        return raw.reshape(raw.shape[0], self.causes, len(self.edges) + 1)


def _log_sum(logits: Tensor) -> Tensor:
    """(N, B) the logarithm of 1 plus the sum of exp(logits) over causes, for (N, causes, B) logits."""
    return nn.functional.softplus(torch.logsumexp(logits, dim=1))


def _logits_of_all(time: np.ndarray, cause: np.ndarray, ends: np.ndarray, number: int) -> np.ndarray:
    """(causes * B,) hazard logits of the bins that end at (B,) days, the same for all patients.

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 the competing event.
        ends: (B,) days.
        number: of causes.
    """
    incidence = [aalen_johansen(time, np.where(cause == one, 1, 2 * (cause > 0)), ends) for one in (1, 2)]
    at_risk = 1 - np.r_[0.0, (incidence[0] + incidence[1])[:-1]]
    hazards = [np.diff(one, prepend=0.0) / np.maximum(at_risk, 1e-9) for one in incidence[:number]]
    bounded = np.clip(hazards, 1e-3, 0.5 / number)
    return np.asarray(np.log(bounded / (1 - bounded.sum(axis=0)))).ravel()
