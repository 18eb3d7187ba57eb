"""``binary``: the probability of the event within the task's horizon."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hcat_builtin.heads.mlp import HeadNetwork, most_likely_bias
from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.censoring import censoring_survival
from hcat_core.metrics.survival import causes, timed
from hcat_core.registry.parameter_types import Count, Fraction

STEPS = 365  # of the stored distribution of censoring: with a horizon of five years, one every five days


class BinaryHead(nn.Module):
    """One logit per patient for one task: ``head_surv`` and ``head_rec`` of Enhanced-HCAT.

    Args:
        layout: where the task is looked up.
        task: the task's name.
        width: H of the fused vector.
        hidden: width of the hidden layer.
        dropout: before the last layer.
        balance: weight events in the loss by the odds of the training patients against the event. The
            probability is corrected for it: odds learned under weight w are w times the odds
            (King and Zeng 2001), so ``predict`` subtracts log w from the logit.
        ipcw: weight each known outcome by the inverse probability of not having been censored before it was
            known (Robins and Rotnitzky 1992), so that patients with a known outcome also represent those
            censored earlier. Without times, every known outcome has the weight 1.
    """

    pos_weight: Tensor
    usual: Tensor
    uncensored: Tensor

    def __init__(
        self,
        layout: Layout,
        task: str,
        width: int,
        *,
        hidden: Count = 128,
        dropout: Fraction = 0.2,
        balance: bool = True,
        ipcw: bool = True,
    ) -> None:
        super().__init__()
        self.column = layout.task_names.index(task)
        self.horizons = layout.tasks[self.column].horizons
        self.balance = balance
        self.ipcw = ipcw
        self.mlp = HeadNetwork(width, hidden, 1, dropout)
        self.register_buffer("pos_weight", torch.ones(()))
        self.register_buffer("usual", torch.zeros(()))  # log odds of the training patients
        # P(not censored before) at equal steps from 0 to the horizon.
        self.register_buffer("uncensored", torch.ones(STEPS + 1))

    def prepare(self, train: Cohort) -> None:
        """Compute the distribution of censoring, and the class weight: 1 where one class is missing."""
        if train.targets is None:
            return
        if self.ipcw:
            self._fit_censoring(train.targets)
        labels, weights = train.targets.labels[:, self.column], self.weights(train.targets)
        events, free = weights[labels == 1].sum(), weights[labels == 0].sum()
        if events > 0 and free > 0:
            self.usual.copy_((events / free).log())
            if self.balance:
                self.pos_weight.copy_(free / events)

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence (N,), with the most likely log odds of a patient of evidence 0."""
        under_weight = self.pos_weight.log()
        bias = most_likely_bias(
            (self.usual + under_weight).reshape(1), lambda b: self.log_likelihood(b + evidence, targets)
        )
        self.mlp.start_at(bias)

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log likelihood of known labels, times their weights; NaN elsewhere."""
        labels = targets.labels[:, self.column]
        logits = raw - self.pos_weight.log()
        likelihood = nn.functional.logsigmoid(torch.where(labels == 1, logits, -logits))
        return torch.where(labels >= 0, likelihood * self.weights(targets), torch.nan)

    def forward(self, fused: Fused) -> Tensor:
        """Logits (N,), as learned under the class weight."""
        logits: Tensor = self.mlp(fused.pooled).squeeze(-1)
        return logits

    def weights(self, targets: Targets) -> Tensor:
        """(N,) weights of patients with a known outcome: 1, or with ``ipcw`` 1 / P(outcome is known)."""
        if not self.ipcw:
            return torch.ones(len(targets.labels), device=targets.labels.device)
        known = timed(targets, self.column)  # a label without a time is known for another reason
        until = torch.where(known, targets.time[:, self.column], 0.0)
        if not self.horizons:
            return torch.ones(len(until), device=until.device)
        (horizon,) = self.horizons
        place = (until.clamp(0, horizon) / horizon * STEPS).floor().long()
        return torch.where(known, 1 / self.uncensored[place], 1.0)

    def _fit_censoring(self, targets: Targets) -> None:
        known, time, cause = causes(targets, self.column)
        if self.horizons and known.any():
            days = np.linspace(0, self.horizons[0], STEPS + 1)
            self.uncensored.copy_(torch.from_numpy(censoring_survival(time, cause, days)))

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Probability (N, 1) at the task's horizon, or of what the label says where it has none.

        Raises:
            ValueError: for any other horizon.
        """
        if horizons != self.horizons:
            own = f"at {self.horizons[0]:g} days only" if self.horizons else "a label without a horizon"
            raise ValueError(f"a binary head predicts {own}, asked for {horizons}")
        return Prediction(torch.sigmoid(raw - self.pos_weight.log()).unsqueeze(-1))
