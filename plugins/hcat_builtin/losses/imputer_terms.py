"""``kl`` and ``imputation``: what a jointly trained imputer is trained on."""

from __future__ import annotations

from torch import Tensor

from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Outputs


class KLDivergence:
    """The imputer's ``kl`` term; 0 for an imputer that has none."""

    needs_second_view = False

    def __init__(self, layout: Layout) -> None:
        pass

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar."""
        found = outputs.imputation.losses
        return found["kl"].value if "kl" in found else outputs.fused.pooled.new_zeros(())


class ImputationLoss:
    """The sum of the imputer's other terms: reconstruction, hidden blocks, refinement steps."""

    needs_second_view = False

    def __init__(self, layout: Layout) -> None:
        pass

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar."""
        terms = [term.value for name, term in outputs.imputation.losses.items() if name != "kl"]
        return sum(terms, start=outputs.fused.pooled.new_zeros(()))
