"""``knn``: scikit-learn's nearest neighbours."""

from __future__ import annotations

import torch
from sklearn.impute import KNNImputer
from torch import Tensor

from hcat_builtin.imputers.stored_patients import StoredPatientsImputer
from hcat_core.cohort import Cohort
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count


class NearestNeighbourImputer(StoredPatientsImputer):
    """Fills a missing cell with the mean over the nearest training patients who have it.

    The method is that of Troyanskaya et al. (2001). Distances are those of scikit-learn's ``KNNImputer``,
    over the cells that both patients have; the state is the training patients themselves. ``std`` is the
    error on blocks hidden from training patients, feature by feature. A feature that no training patient
    has is 0 at std 1.

    Args:
        layout: modalities and widths.
        n_neighbors: number of nearest patients.
        weights: ``uniform``, or ``distance`` to weigh nearer patients more.
    """

    def __init__(self, layout: Layout, *, n_neighbors: Count = 10, weights: str = "distance") -> None:
        if weights not in ("uniform", "distance"):
            raise ValueError(f'weights: "uniform" or "distance", got "{weights}"')
        self.index = layout.cells.flatten().nonzero().squeeze(1)
        super().__init__(layout, len(self.index))
        self.n_neighbors = n_neighbors
        self.weights = weights

    def to_table(self, cohort: Cohort) -> Tensor:
        """(N, F) all cells without padding."""
        rows = torch.where(cohort.measured, cohort.emb, float("nan")).flatten(1).cpu()
        return rows[:, self.index]

    def to_cells(self, table: Tensor) -> Tensor:
        """(N, M, D) cells, 0 on padding."""
        cells = torch.zeros((len(table), self.cells.numel()))
        cells[:, self.index] = table
        return cells.reshape(len(table), *self.cells.shape)

    def make_imputer(self) -> KNNImputer:
        """scikit-learn's imputer; a feature that no training patient has stays, as 0."""
        return KNNImputer(n_neighbors=self.n_neighbors, weights=self.weights, keep_empty_features=True)
