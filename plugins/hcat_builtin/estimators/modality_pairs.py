"""Products of principal components of two modalities: what no sum over modalities can say."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout
from hcat_core.storage.tensor_shapes import Shape

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

    @property
    def number(self) -> int:
        """F, the number of products of a patient."""
        kept = [min(self.components, width) for width in self.widths]
        return sum(kept[a] * kept[b] for a, b in self.columns)

    def shapes(self) -> dict[str, Shape]:
        """Shapes of the fitted state by name: those that ``transform`` computes with."""
        if not self.columns:
            return {}
        shapes: dict[str, Shape] = {}
        for column, width in enumerate(self.widths):
            shapes |= {f"{column}.mean": (width,), f"{column}.scale": (width,)}
            shapes[f"{column}.axes"] = (min(self.components, width), width)
        return shapes

    def fit(self, train: Cohort) -> np.ndarray:
        """Compute the axes of each modality, and return the training patients' products (N, F)."""
        for column, width in enumerate(self.widths):
            patients = train[train.present[:, column]]
            self.state |= _mean_and_scale(patients, column, width)
            cells = self._cells(patients, column)
            axes = cells.new_zeros((min(self.components, width), width))
            if len(cells) > 1:
                _, singular, found = torch.linalg.svd(cells - cells.mean(dim=0), full_matrices=False)
                number = min(len(axes), int((singular > 1e-6 * singular[0]).sum()))
                spread = singular[:number, None] / (len(cells) - 1) ** 0.5
                largest = found[:number].gather(1, found[:number].abs().argmax(dim=1, keepdim=True))
                axes[:number] = found[:number] * largest.sign() / spread
            self.state[f"{column}.axes"] = axes
        return self.transform(train)

    def transform(self, cohort: Cohort) -> np.ndarray:
        """(N, F) products, the pairs of modalities one after the other."""
        return self.products(cohort).numpy() if self.columns else np.zeros((len(cohort), 0))

    def products(self, cohort: Cohort) -> Tensor:
        """The same as a tensor; there must be at least one pair."""
        scores = []
        for column in range(len(self.widths)):
            axes = self.state[f"{column}.axes"]
            score = (self._cells(cohort, column) @ axes.T).clamp(-FARTHEST, FARTHEST)
            scores.append(torch.where(cohort.present[:, column, None].cpu(), score, 0.0))
        parts = [(scores[a].unsqueeze(2) * scores[b].unsqueeze(1)).flatten(1) for a, b in self.columns]
        return torch.cat(parts, dim=1)

    def _cells(self, cohort: Cohort, column: int) -> Tensor:
        """(N, d) standardised cells, 0 where nothing was measured."""
        width = self.widths[column]
        cells = cohort.emb[:, column, :width].cpu().double()
        cells = (cells - self.state[f"{column}.mean"]) / self.state[f"{column}.scale"]
        return torch.where(cohort.measured[:, column, :width].cpu(), cells, 0.0)


def _mean_and_scale(patients: Cohort, column: int, width: int) -> dict[str, Tensor]:
    """Mean and standard deviation of each feature of a modality over measured cells."""
    measured = patients.measured[:, column, :width].cpu()
    cells = torch.where(measured, patients.emb[:, column, :width].cpu().double(), 0.0)
    number = measured.sum(dim=0).clamp_min(1)
    mean = cells.sum(dim=0) / number
    scale = (torch.where(measured, cells - mean, 0.0).square().sum(dim=0) / number).sqrt()
    return {f"{column}.mean": mean, f"{column}.scale": torch.where(scale > 1e-8, scale, 1.0)}
