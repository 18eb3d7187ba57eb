"""``mice``: scikit-learn's chained equations, on a reduced basis where raw width makes it impossible."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes the next import work)
from sklearn.impute import IterativeImputer
from torch import Tensor

from hcat_builtin.imputers.residual_spread import asked_and_kept, residual_std
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.registry.parameter_types import Count


class ChainedEquationsImputer:
    """Each feature regressed on the others in turn (van Buuren and Groothuis-Oudshoorn 2011).

    One regression a feature and round on all the others: at hundreds of features a modality this takes
    hours, so a modality wider than ``basis`` is first reduced to that many principal components of its
    training patients, imputed there, and mapped back; it says so. The state is the training patients in
    that basis, from which the regressions are made again. ``std`` is the error on hidden blocks.

    Args:
        layout: modalities and widths.
        basis: widest that a modality stays as it is, and number of components beyond.
        rounds: over all features.
    """

    def __init__(self, layout: Layout, *, basis: Count = 10, rounds: Count = 5) -> None:
        self.layout = layout
        self.cells = layout.cells
        self.basis = basis
        self.rounds = rounds
        self.kept = [min(width, basis) for width in layout.widths]
        m, d = layout.cells.shape
        self.directions = torch.zeros((m, d, max(self.kept)))
        self.mean = torch.zeros((m, d))
        self.patients = torch.full((1, sum(self.kept)), float("nan"))
        self.spread = torch.ones((m, d))
        self.imputer: IterativeImputer | None = None

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Reduce, keep the training patients, and learn the errors on blocks hidden from them."""
        wide = [m.name for m in self.layout.modalities if m.width > self.basis]
        if wide:
            context.progress(
                f"mice: {', '.join(wide)} reduced to {self.basis} principal components each; chained "
                "equations over every raw feature would not end"
            )
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
            found = min(self.basis, len(v))
            self.directions[column, :width, :found] = v[:found].T
        asked, kept = asked_and_kept(train, context.seed)
        self._keep(kept)
        self.spread = residual_std(self, asked)
        self._keep(train)

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap; a gap within a reduced modality comes from the modality's components."""
        device = batch.emb.device
        values = self._chain().transform(self._reduced(batch).numpy())
        values = torch.from_numpy(np.nan_to_num(values)).float()
        cells = torch.zeros(batch.emb.shape)
        start = 0
        for column, kept in enumerate(self.kept):
            part = values[:, start : start + kept]
            cells[:, column] = self.mean[column] + part @ self.directions[column, :, :kept].T
            start += kept
        filled = ~batch.measured & self.cells.to(device)
        return Imputation(
            emb=torch.where(filled, cells.to(device), batch.emb),
            std=torch.where(filled, self.spread.to(device), 0.0),
            filled=filled,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The basis, the training patients in it (NaN where not measured), and the spread."""
        return {
            "directions": self.directions,
            "mean": self.mean,
            "patients": self.patients,
            "spread": self.spread,
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave."""
        self.directions, self.mean = state["directions"].cpu(), state["mean"].cpu()
        self.patients, self.spread = state["patients"].cpu(), state["spread"].cpu()
        self.imputer = None

    def _keep(self, patients: Cohort) -> None:
        self.patients = self._reduced(patients)
        self.imputer = None

    def _reduced(self, cohort: Cohort) -> Tensor:
        """(N, sum of kept) with NaN where a block, or a cell of a narrow block, is missing."""
        parts = []
        emb, measured = cohort.emb.cpu(), cohort.measured.cpu()
        for column, (width, kept) in enumerate(zip(self.layout.widths, self.kept, strict=True)):
            if width <= self.basis:
                part = torch.where(measured[:, column, :width], emb[:, column, :width], float("nan"))
            else:
                centred = (emb[:, column] - self.mean[column]) * measured[:, column]
                part = centred @ self.directions[column, :, :kept]
                part = torch.where(cohort.present[:, column, None].cpu(), part, float("nan"))
            parts.append(part)
        return torch.cat(parts, dim=1)

    def _chain(self) -> IterativeImputer:
        if self.imputer is None:
            imputer = IterativeImputer(
                max_iter=self.rounds,
                n_nearest_features=None,
                keep_empty_features=True,
                random_state=0,
            )
            with warnings.catch_warnings():
                # Five rounds are the usual number; that a sixth would still move is no news.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self.imputer = imputer.fit(self.patients.numpy())
        return self.imputer
