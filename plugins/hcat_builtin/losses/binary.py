"""``bce`` and ``focal``: weighted cross-entropy of patients whose outcome is known."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from hcat_builtin.losses.of_one_head import HeadLoss, targets_of
from hcat_core.cohort import Cohort
from hcat_core.interfaces import BinaryLogitHead, Head, Outputs, PatientWeightingHead
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import NonNegative


@dataclass(frozen=True)
class KnownOutcomes:
    """The K patients of a batch whose outcome is known.

    Attributes:
        logits: (K,) raw outputs of the head.
        labels: (K,) float, 1 with the event and 0 without.
        weights: (K,) of patients, as the head gives them.
        pos_weight: scalar, the weight of the event.
    """

    logits: Tensor
    labels: Tensor
    weights: Tensor
    pos_weight: Tensor


class BinaryLoss(HeadLoss):
    """A weighted mean of the patients' cross-entropies.

    Args:
        layout: not used; every loss receives it.
        head: name of the head whose logits are trained.
    """

    def refuse_head(self, head: Head) -> str | None:
        """Why the loss cannot train a head: one that does not give one logit per patient."""
        if hasattr(head, "column") and hasattr(head, "pos_weight"):
            return None
        return 'trains heads that give one logit per patient, such as those with use = "binary"'

    @abstractmethod
    def factor(self, known: KnownOutcomes) -> Tensor:
        """(K,) factors of the patients' cross-entropies."""

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where no outcome of the batch is known.

        Raises:
            ValueError: for a batch without targets, or a head that does not give one logit per patient.
        """
        known = known_outcomes(outputs, batch, self.head)
        if not len(known.labels):
            return known.logits.sum()
        entropy = nn.functional.binary_cross_entropy_with_logits(
            known.logits, known.labels, pos_weight=known.pos_weight, reduction="none"
        )
        return (self.factor(known) * entropy).sum() / known.weights.sum()


class BinaryCrossEntropy(BinaryLoss):
    """Mean cross-entropy of patients whose outcome is known, with the head's weights.

    Args:
        layout: not used; every loss receives it.
        head: name of the head whose logits are trained.
    """

    def factor(self, known: KnownOutcomes) -> Tensor:
        """(K,) the patients' weights."""
        return known.weights


class FocalLoss(BinaryLoss):
    """Weighted cross-entropy times ``(1 - p_true) ** gamma`` (Lin et al. 2017, eq. 5).

    Patients who are predicted well contribute less than with ``bce``.

    Args:
        layout: not used; every loss receives it.
        head: name of the head whose logits are trained.
        gamma: 0 gives ``bce``.
    """

    def __init__(self, layout: Layout, *, head: str, gamma: NonNegative = 2.0) -> None:
        super().__init__(layout, head=head)
        self.gamma = gamma

    def factor(self, known: KnownOutcomes) -> Tensor:
        """(K,) the patients' weights, smaller for those who are predicted well."""
        p_true = torch.sigmoid(torch.where(known.labels == 1, known.logits, -known.logits))
        return known.weights * (1 - p_true) ** self.gamma


def known_outcomes(outputs: Outputs, batch: Cohort, name: str) -> KnownOutcomes:
    """The patients that a binary loss can use.

    Raises:
        ValueError: for a batch without targets, or a head that does not give one logit per patient.
    """
    head = cast(BinaryLogitHead, outputs.heads[name])
    try:
        column, pos_weight = head.column, head.pos_weight
    except AttributeError:  # isinstance does not find torch buffers from Python 3.12 on
        raise ValueError(f'head "{name}" gives no binary logit: use a loss made for it') from None
    targets = targets_of(batch)
    labels = targets.labels[:, column]
    known = labels >= 0
    logits = outputs.raw[name][known]
    weights = torch.ones_like(logits)
    if isinstance(head, PatientWeightingHead):
        weights = head.weights(targets[known])
    return KnownOutcomes(logits, labels[known].float(), weights, pos_weight)
