"""``knn``: scikit-learn's nearest neighbours, with the spread that hidden blocks show."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from sklearn.impute import KNNImputer
from torch import Tensor

from hcat_builtin.imputers.residual_spread import asked_and_kept, residual_std
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.registry.parameter_types import Count


class NearestNeighbourImputer:
    """A missing cell is the mean of the nearest training patients who have it (Troyanskaya et al. 2001).

    Distances are over cells that both have, as scikit-learn's ``KNNImputer`` takes them; its state is the
    training patients themselves. ``std`` is the error it makes on blocks hidden from training patients,
    feature by feature.

    Args:
        layout: modalities and widths.
        n_neighbors: how many.
        weights: ``uniform``, or ``distance`` for the nearer to count more.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        n_neighbors: Count = 10,
        weights: str = "distance",
    ) -> None:
        if weights not in ("uniform", "distance"):
            raise ValueError(f'weights: "uniform" or "distance", got "{weights}"')
        self.layout = layout
        self.cells = layout.cells
        self.index = layout.cells.flatten().nonzero().squeeze(1)
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.patients = torch.full((1, len(self.index)), float("nan"))
        self.spread = torch.ones(layout.cells.shape)
        self.imputer: KNNImputer | None = None

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Keep the training patients, and learn the errors from blocks hidden from some of them."""
        asked, kept = asked_and_kept(train, context.seed)
        self._keep(kept)
        self.spread = residual_std(self, asked)
        self._keep(train)

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap; a feature that no training patient has is 0 at std 1."""
        device = batch.emb.device
        filled_rows = torch.zeros((len(batch), batch.emb[0].numel()))
        values = self._neighbours().transform(self._with_nan(batch).numpy())
        filled_rows[:, self.index] = torch.from_numpy(np.nan_to_num(values)).float()
        filled = ~batch.measured & self.cells.to(device)
        cells = filled_rows.reshape(batch.emb.shape).to(device)
        return Imputation(
            emb=torch.where(filled, cells, batch.emb),
            std=torch.where(filled, self.spread.to(device), 0.0),
            filled=filled,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The training patients (P, cells), NaN where not measured, and the spread."""
        return {"patients": self.patients, "spread": self.spread}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave."""
        self.patients, self.spread = state["patients"].cpu(), state["spread"].cpu()
        self.imputer = None

    def _keep(self, patients: Cohort) -> None:
        self.patients = self._with_nan(patients)
        self.imputer = None

    def _with_nan(self, cohort: Cohort) -> Tensor:
        rows = torch.where(cohort.measured, cohort.emb, float("nan")).flatten(1).cpu()
        return rows[:, self.index]

    def _neighbours(self) -> KNNImputer:
        if self.imputer is None:
            imputer = KNNImputer(
                n_neighbors=self.n_neighbors, weights=self.weights, keep_empty_features=True
            )
            self.imputer = imputer.fit(self.patients.numpy())
        return self.imputer
