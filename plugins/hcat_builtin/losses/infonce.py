"""``infonce``: contrastive loss, which makes two views of a patient more similar than other patients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Positive


class InfoNCE:
    """Symmetric InfoNCE over a batch (van den Oord et al. 2018, eq. 4; mean of both directions).

    The positive of a patient is the same patient under another modality mask and other noise, never the
    same vector (``docs/explanation/failure-modes.md``); the training loop makes this second view.

    Args:
        layout: not used; every loss receives it.
        temperature: divides the cosine similarities.
    """

    needs_second_view = True

    def __init__(self, layout: Layout, *, temperature: Positive = 0.1) -> None:
        self.temperature = temperature

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 for a batch of one patient.

        Raises:
            ValueError: without a second view, or where the fusion gives no projection.
        """
        second = outputs.second_view
        if second is None or second.projection is None or outputs.fused.projection is None:
            raise ValueError("infonce needs two views and a fusion with a projection")
        first = outputs.fused.projection
        if len(first) < 2:
            return first.sum() * 0
        similarity = first @ second.projection.T / self.temperature
        positive = torch.arange(len(first), device=first.device)
        forward = nn.functional.cross_entropy(similarity, positive)
        backward = nn.functional.cross_entropy(similarity.T, positive)
        return (forward + backward) / 2
