"""What the losses share that train one head by the outcomes of patients."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Outputs
from hcat_core.layout import Layout


class HeadLoss(ABC):
    """Base of the losses of one head.

    Args:
        layout: not used; every loss receives it.
        head: name of the head that is trained.
    """

    needs_second_view = False

    def __init__(self, layout: Layout, *, head: str) -> None:
        self.head = head

    @abstractmethod
    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where nothing that the loss needs is known of any patient of the batch."""


def targets_of(batch: Cohort) -> Targets:
    """What happened to the patients of a batch.

    Raises:
        ValueError: for a batch without targets.
    """
    if batch.targets is None:
        raise ValueError("a supervised loss needs a batch with targets")
    return batch.targets
