"""``bce``: masked binary cross-entropy with the head's class weight."""

from __future__ import annotations

from torch import Tensor, nn

from hcat_builtin.losses.binary_target import known_labels
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Outputs


class BinaryCrossEntropy:
    """Mean cross-entropy over patients whose outcome is known, weighted as the head says."""

    needs_second_view = False

    def __init__(self, layout: Layout, *, head: str) -> None:
        self.head = head

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no known outcome in the batch."""
        known = known_labels(outputs, batch, self.head)
        if not len(known.labels):
            return known.logits.sum()
        entropy = nn.functional.binary_cross_entropy_with_logits(
            known.logits, known.labels, pos_weight=known.pos_weight, reduction="none"
        )
        return (known.weights * entropy).sum() / known.weights.sum()
