"""``multiclass``: the probability of each class of an outcome that has several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.heads.mlp import HeadNetwork, most_likely_bias
from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import CountOrZero, Fraction


class MulticlassHead(nn.Module):
    """One logit per class, whose softmax gives probabilities that add up to 1.

    Args:
        layout: where the outcome is looked up.
        task: the outcome's name.
        width: H of the fused vector.
        hidden: width of the hidden layer; 0 for none.
        dropout: before the last layer.
        balance: weight patients in the loss so that all classes count the same. Probabilities are corrected
            for it: the logarithm of a class's weight is subtracted from its logit.
    """

    outcome_kinds = frozenset({"class"})
    class_weight: Tensor
    usual: Tensor

    def __init__(
        self,
        layout: Layout,
        task: str,
        width: int,
        *,
        hidden: CountOrZero = 64,
        dropout: Fraction = 0.2,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.columns = layout.outcome(task).columns
        self.balance = balance
        classes = len(self.columns)
        self.mlp = HeadNetwork(width, hidden, classes, dropout)
        self.register_buffer("class_weight", torch.ones(classes))
        self.register_buffer("usual", torch.zeros(classes))  # log shares of the training patients

    def prepare(self, train: Cohort) -> None:
        """Start at the classes' shares of the training patients, and compute the weights of classes."""
        if train.targets is None:
            return
        known, place = self.places(train.targets)
        number = torch.bincount(place[known], minlength=len(self.columns)).to(self.usual)
        if not number.any():
            return
        share = (number + 0.5) / (number + 0.5).sum()  # a class that no training patient has is rare
        self.usual.copy_(share.log())
        if self.balance:
            self.class_weight.copy_(1 / (len(share) * share))
        self.mlp.set_bias(self.usual + self.class_weight.log())

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Start at the evidence (N, K), with the most likely logits of a patient of evidence 0."""
        start = self.usual + self.class_weight.log()
        self.mlp.start_at(most_likely_bias(start, lambda b: self.log_likelihood(b + evidence, targets)))

    def scale_residual(self, weight: float) -> None:
        """Multiply what the network adds by a weight."""
        self.mlp.scale(weight)

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log probability of each patient's class; NaN where it is not known."""
        known, place = self.places(targets)
        log = self._log_probability(raw).gather(1, place.clamp_min(0).unsqueeze(1)).squeeze(1)
        return torch.where(known, log, torch.nan)

    def places(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """(N,) whether the class of each patient is known, and its place among the classes."""
        labels = targets.labels[:, list(self.columns)]
        return (labels == 1).any(dim=1), labels.long().argmax(dim=1)

    def forward(self, fused: Fused) -> Tensor:
        """Logits (N, K), as learned under the weights of classes."""
        logits: Tensor = self.mlp(fused.pooled)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Probabilities (N, K) of the classes.

        Raises:
            ValueError: for horizons, which classes do not have.
        """
        if horizons:
            raise ValueError(f"classes have no horizon, asked for {horizons}")
        return Prediction(self._log_probability(raw).exp())

    def _log_probability(self, raw: Tensor) -> Tensor:
        return torch.log_softmax(raw - self.class_weight.log(), dim=1)
