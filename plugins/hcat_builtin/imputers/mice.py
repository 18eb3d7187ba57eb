"""``mice``: scikit-learn's chained equations, on principal components of wide modalities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes the next import work)
from sklearn.impute import IterativeImputer
from torch import Tensor

from hcat_builtin.imputers.stored_patients import StoredPatientsImputer
from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class ChainedEquationsImputer(StoredPatientsImputer):
    """Regresses each feature on all others in turn (van Buuren and Groothuis-Oudshoorn 2011).

    With hundreds of features per modality, one regression per feature and round takes hours. A modality
    wider than ``basis`` is therefore reduced to that many principal components of its training patients,
    imputed there, and mapped back; a message says so. What is imputed lies within the range of the training
    patients, of each feature or component: among few patients, regressions on one another would otherwise
    grow from round to round without bound. The state is the training patients in that basis,
    from which the regressions are fitted again. ``std`` is the error on hidden blocks.

    Args:
        layout: modalities and widths.
        basis: width up to which a modality is used as it is, and number of components of a wider one.
        rounds: passes over all features.
    """

    def __init__(self, layout: Layout, *, basis: Count = 10, rounds: Count = 5) -> None:
        self.columns = [min(width, basis) for width in layout.widths]  # of the table, by modality
        super().__init__(layout, sum(self.columns))
        self.basis = basis
        self.rounds = rounds
        self.directions = torch.zeros((*layout.cells.shape, max(self.columns)))
        self.mean = torch.zeros(layout.cells.shape)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the basis, measure the errors on hidden blocks, and store the training patients."""
        wide = [m.name for m in self.layout.modalities if m.width > self.basis]
        if wide:
            context.progress(
                f"mice: {', '.join(wide)} reduced to {self.basis} principal components each, because "
                "chained equations over every raw feature would take hours"
            )
        self._fit_basis(train)
        super().fit(train, validation, context)

    def to_table(self, cohort: Cohort) -> Tensor:
        """(N, F) cells of narrow modalities and components of wide ones.

        Components are missing where the whole block is; gaps within a block count as its mean.
        """
        parts = []
        emb, measured = cohort.emb.cpu(), cohort.measured.cpu()
        for column, (width, columns) in enumerate(zip(self.layout.widths, self.columns, strict=True)):
            if width <= self.basis:
                part = torch.where(measured[:, column, :width], emb[:, column, :width], float("nan"))
            else:
                centred = (emb[:, column] - self.mean[column]) * measured[:, column]
                part = centred @ self.directions[column, :, :columns]
                part = torch.where(cohort.present[:, column, None].cpu(), part, float("nan"))
            parts.append(part)
        return torch.cat(parts, dim=1)

    def to_cells(self, table: Tensor) -> Tensor:
        """(N, M, D) cells, mapped back from the components."""
        cells = torch.zeros((len(table), *self.cells.shape))
        for column, part in enumerate(table.split(self.columns, dim=1)):
            directions = self.directions[column, :, : self.columns[column]]
            cells[:, column] = self.mean[column] + part @ directions.T
        return cells

    def make_imputer(self) -> IterativeImputer:
        """scikit-learn's imputer, with all features as predictors."""
        lowest, highest = _limits(self.patients.numpy())
        return IterativeImputer(
            max_iter=self.rounds,
            n_nearest_features=None,
            keep_empty_features=True,
            random_state=0,
            min_value=lowest,
            max_value=highest,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The basis, the training patients in it (NaN where missing), and the standard deviations."""
        return {"directions": self.directions, "mean": self.mean, **super().state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: for tensors of other shapes.
        """
        basis = {"directions": tuple(self.directions.shape), "mean": tuple(self.mean.shape)}
        refuse_other_shapes({name: state[name] for name in basis}, basis)
        self.directions, self.mean = state["directions"].cpu(), state["mean"].cpu()
        super().load_state_dict({name: state[name] for name in state if name not in basis})

    def _fit_basis(self, train: Cohort) -> None:
        """Principal directions and mean of wide modalities; narrow ones stay as they are."""
        count = train.measured.sum(dim=0).clamp_min(1)
        self.mean = train.emb.sum(dim=0) / count
        for column, width in enumerate(self.layout.widths):
            if width <= self.basis:
                self.directions[column, :width, :width] = torch.eye(width)
                self.mean[column] = 0
                continue
            rows = train.present[:, column]
            centred = ((train.emb - self.mean) * train.measured)[rows, column, :width]
            _, _, v = torch.linalg.svd(centred, full_matrices=False)
            directions = min(self.basis, len(v))
            self.directions[column, :width, :directions] = v[:directions].T


def _limits(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F,) lowest and highest value of each column of (P, F) patients; none where all are missing.

    scikit-learn wants them to differ: those of a column of one value are 1 apart from it.
    """
    missing = np.isnan(table)
    lowest = np.where(missing, np.inf, table).min(axis=0)
    highest = np.where(missing, -np.inf, table).max(axis=0)
    one, none = lowest == highest, missing.all(axis=0)
    lowest, highest = lowest - one, highest + one
    return np.where(none, -np.inf, lowest), np.where(none, np.inf, highest)
