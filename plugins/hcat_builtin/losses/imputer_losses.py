"""``kl`` and ``imputation``: losses that the imputer computes while it trains with the predictor."""

from __future__ import annotations

from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs
from hcat_core.layout import Layout


class ImputerLoss:
    """Base of the losses that are read from the imputation.

    Args:
        layout: not used; every loss receives it.
    """

    needs_second_view = False

    def __init__(self, layout: Layout) -> None:
        pass


class KLDivergence(ImputerLoss):
    """The imputer's loss ``kl``; 0 for an imputer without it.

    Args:
        layout: not used; every loss receives it.
    """

    @staticmethod
    def weighs_imputer_loss(name: str) -> bool:
        """Whether it is ``kl``."""
        return name == "kl"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar."""
        losses = outputs.imputation.losses
        return losses["kl"].value if "kl" in losses else outputs.fused.pooled.new_zeros(())


class ImputationLoss(ImputerLoss):
    """The sum of the imputer's other losses: reconstruction, hidden blocks, refinement steps.

    Args:
        layout: not used; every loss receives it.
    """

    @staticmethod
    def weighs_imputer_loss(name: str) -> bool:
        """Whether it is any but ``kl``."""
        return name != "kl"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar."""
        terms = [
            term.value for name, term in outputs.imputation.losses.items() if self.weighs_imputer_loss(name)
        ]
        return sum(terms, start=outputs.fused.pooled.new_zeros(()))
