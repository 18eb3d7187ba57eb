"""Which patients of a batch a binary loss may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs


@runtime_checkable
class BinaryLogitHead(Protocol):
    """A head whose raw output is one logit a patient: which task, and the event's class weight.

    One with ``weights(targets) -> (N,)`` says how much each patient with a known outcome counts.
    """

    column: int
    pos_weight: Tensor


@dataclass(frozen=True)
class Known:
    """Logits, labels and weights (K,) of the patients with a known outcome, and the class weight."""

    logits: Tensor
    labels: Tensor
    weights: Tensor
    pos_weight: Tensor


def known_labels(outputs: Outputs, batch: Cohort, head: str) -> Known:
    """What a binary loss may learn from.

    Raises:
        ValueError: for a batch without targets, or a head that gives no binary logit.
    """
    module = outputs.heads[head]
    if not isinstance(module, BinaryLogitHead):
        raise ValueError(f'head "{head}" gives no binary logit: use a loss made for it')
    if batch.targets is None:
        raise ValueError("a supervised loss needs a batch with targets")
    labels = batch.targets.labels[:, module.column]
    known = labels >= 0
    logits = outputs.raw[head][known]
    weights = torch.ones_like(logits)
    if hasattr(module, "weights"):
        weights = module.weights(batch.targets[known])
    return Known(logits, labels[known].float(), weights, module.pos_weight)
