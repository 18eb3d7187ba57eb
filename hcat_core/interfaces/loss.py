"""The contract of losses, and what they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces.fusion import Fused
from hcat_core.interfaces.head import Head
from hcat_core.interfaces.imputer import Imputation


@dataclass(frozen=True)
class Outputs:
    """Everything a loss may look at, for one batch.

    ``raw`` and ``heads`` are keyed by head name. ``second_view`` is the same patients fused under
    another modality mask and other noise; it is computed only when a loss asks for it.
    """

    raw: Mapping[str, Tensor]
    heads: Mapping[str, Head]
    fused: Fused
    imputation: Imputation
    second_view: Fused | None = None


@runtime_checkable
class Loss(Protocol):
    """One term of the weighted sum; ``needs_second_view`` asks for another view of each patient.

    One that needs a particular head component is a ``HeadSpecificLoss`` as well.
    """

    needs_second_view: bool

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no usable target."""
        ...


@runtime_checkable
class HeadCheckingLoss(Protocol):
    """A loss of any head that gives what it needs: it says, before data is read, which head does not."""

    def refuse_head(self, head: Head, /) -> str | None:
        """Why the loss cannot train this head, as the end of a sentence about the loss; None if it can."""
        ...


@runtime_checkable
class HeadSpecificLoss(Protocol):
    """A loss that trains one head component alone: a class attribute names that component."""

    made_for: str
