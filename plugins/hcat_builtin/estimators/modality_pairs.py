"""Products of principal components of two modalities: what no sum over modalities can say."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort, Layout

FARTHEST = 3.0  # standard deviations; scores beyond it would dominate their products


class ModalityPairs:
    """(N, F) products of the leading components of each two modalities; 0 where one of them is missing.

    Args:
        layout: of the cohort.
        components: R of each modality; a narrower one has as many as cells. 0 gives no products.
    """

    def __init__(self, layout: Layout, components: int) -> None:
        self.widths = layout.widths
        self.components = components
        self.columns = tuple(itertools.combinations(range(len(self.widths)), 2)) if components else ()
        self.state: dict[str, Tensor] = {}

    def fit(self, train: Cohort) -> np.ndarray:
        """Compute the axes of each modality, and return the training patients' products (N, F)."""
        for column, width in enumerate(self.widths):
            cells = _cells(train, column, width)[train.present[:, column].cpu()]
            mean = cells.mean(dim=0) if len(cells) else cells.new_zeros(width)
            axes = cells.new_zeros((min(self.components, width), width))
            if len(cells) > 1:
                _, scale, found = torch.linalg.svd(cells - mean, full_matrices=False)
                number = min(len(axes), int((scale > 1e-6 * scale[0]).sum()))
                spread = scale[:number, None] / (len(cells) - 1) ** 0.5
                largest = found[:number].gather(1, found[:number].abs().argmax(dim=1, keepdim=True))
                axes[:number] = found[:number] * largest.sign() / spread
            self.state |= {f"{column}.mean": mean, f"{column}.axes": axes}
        return self.transform(train)

    def transform(self, cohort: Cohort) -> np.ndarray:
        """(N, F) products, the pairs of modalities one after the other."""
        scores = []
        for column, width in enumerate(self.widths):
            mean, axes = self.state[f"{column}.mean"], self.state[f"{column}.axes"]
            score = ((_cells(cohort, column, width) - mean) @ axes.T).clamp(-FARTHEST, FARTHEST)
            scores.append(torch.where(cohort.present[:, column, None].cpu(), score, 0.0))
        parts = [(scores[a].unsqueeze(2) * scores[b].unsqueeze(1)).flatten(1) for a, b in self.columns]
        return torch.cat(parts, dim=1).numpy() if parts else np.zeros((len(cohort), 0))


def _cells(cohort: Cohort, column: int, width: int) -> Tensor:
    """(N, d) cells, 0 where nothing was measured."""
    cells = torch.where(cohort.measured[:, column, :width], cohort.emb[:, column, :width], 0.0)
    return cells.cpu().double()
