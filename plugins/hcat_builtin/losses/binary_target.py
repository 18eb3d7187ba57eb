"""Which patients of a batch a binary loss may learn from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs


@runtime_checkable
class BinaryLogitHead(Protocol):
    """A head whose raw output is one logit a patient: which task, and the event's class weight."""

    column: int
    pos_weight: Tensor


def known_labels(outputs: Outputs, batch: Cohort, head: str) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (K,), labels (K,) float and the class weight, of the K patients with a known outcome.

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
    return outputs.raw[head][known], labels[known].float(), module.pos_weight
