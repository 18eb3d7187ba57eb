"""``cross_entropy`` of classes; ``gaussian_nll`` and ``huber`` of numbers."""

from __future__ import annotations

from torch import Tensor, nn

from hcat_builtin.heads.continuous import ContinuousHead
from hcat_builtin.heads.multiclass import MulticlassHead
from hcat_builtin.losses.of_one_head import HeadLoss, targets_of
from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Positive


class CrossEntropy(HeadLoss):
    """Mean cross-entropy of patients whose class is known, with the head's weights of classes.

    Args:
        layout: not used; every loss receives it.
        head: name of the ``multiclass`` head that is trained.
    """

    made_for = "multiclass"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where no class of the batch is known.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        head, raw = outputs.heads[self.head], outputs.raw[self.head]
        if not isinstance(head, MulticlassHead):
            raise ValueError(f'head "{self.head}" has no logits of classes: use a multiclass head')
        known, place = head.places(targets_of(batch))
        if not known.any():
            return raw.sum() * 0
        return nn.functional.cross_entropy(raw[known], place[known], weight=head.class_weight)


class GaussianLoss(HeadLoss):
    """Mean negative log density of the values of patients in whom they are known, in nats.

    Args:
        layout: not used; every loss receives it.
        head: name of the ``continuous`` head that is trained.
    """

    made_for = "continuous"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where no value of the batch is known.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        head, raw = _continuous(outputs, self.head), outputs.raw[self.head]
        density = head.log_likelihood(raw, targets_of(batch))
        known = density.isfinite()
        return -density[known].mean() if known.any() else raw.sum() * 0


class HuberLoss(HeadLoss):
    """Mean Huber loss of standardised values: squared for small errors, absolute for large ones.

    It does not train the head's variance; intervals are made from held-out patients all the same.

    Args:
        layout: not used; every loss receives it.
        head: name of the ``continuous`` head that is trained.
        delta: error, in standard deviations of the training patients, from which it is absolute.
    """

    made_for = "continuous"

    def __init__(self, layout: Layout, *, head: str, delta: Positive = 1.5) -> None:
        super().__init__(layout, head=head)
        self.delta = delta

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where no value of the batch is known.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        head, raw = _continuous(outputs, self.head), outputs.raw[self.head]
        value = head.standardised(targets_of(batch))
        known = value.isfinite()
        if not known.any():
            return raw.sum() * 0
        return nn.functional.huber_loss(raw[known, 0], value[known], delta=self.delta)


def _continuous(outputs: Outputs, name: str) -> ContinuousHead:
    head = outputs.heads[name]
    if not isinstance(head, ContinuousHead):
        raise ValueError(f'head "{name}" predicts no number: use a continuous head')
    return head
