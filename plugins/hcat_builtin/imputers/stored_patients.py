"""Base of the imputers that wrap one of scikit-learn's and keep the training patients as their state."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.splits import random_part
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.interfaces import FitContext, Imputation, Imputer
from hcat_core.layout import Layout
from hcat_core.storage.tensor_shapes import refuse_other_shapes

ERROR_PRIOR = 20.0  # number of patients that the prior counts for: all features of a block err alike
ERROR_SHARE = 5  # one patient in five is left out to measure errors on
MOST_ERROR_PATIENTS = 200


class StoredPatientsImputer(ABC):
    """Imputes with a scikit-learn imputer fitted on the stored training patients.

    ``std`` is the error on blocks hidden from patients left out of a first fit, feature by feature. A
    subclass defines the table that scikit-learn works on.

    Args:
        layout: modalities and widths.
        columns: F, the width of the table.
    """

    def __init__(self, layout: Layout, columns: int) -> None:
        self.layout = layout
        self.cells = layout.cells
        self.patients = torch.full((1, columns), float("nan"))
        self.spread = torch.ones(layout.cells.shape)
        self.imputer: Any = None

    @abstractmethod
    def to_table(self, cohort: Cohort) -> Tensor:
        """(N, F) values of the patients, NaN where missing, on the CPU."""

    @abstractmethod
    def to_cells(self, table: Tensor) -> Tensor:
        """(N, M, D) cells of a filled table (N, F)."""

    @abstractmethod
    def make_imputer(self) -> Any:
        """A fresh scikit-learn imputer."""

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Measure the errors on patients left out of a first fit, then store all training patients."""
        left_out, rest = _split(train, context.seed)
        self._store(rest)
        self.spread = residual_std(self, left_out)
        self._store(train)

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap."""
        device = batch.emb.device
        table = self._fitted().transform(self.to_table(batch).numpy())
        cells = self.to_cells(torch.from_numpy(np.nan_to_num(table)).float()).to(device)
        filled = ~batch.measured & self.cells.to(device)
        return Imputation(
            emb=torch.where(filled, cells, batch.emb),
            std=torch.where(filled, self.spread.to(device), 0.0),
            filled=filled,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The stored patients (P, F), NaN where missing, and the standard deviation of each feature."""
        return {"patients": self.patients, "spread": self.spread}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: for tensors of other shapes.
        """
        table = (None, self.patients.shape[1])
        refuse_other_shapes(state, {"patients": table, "spread": tuple(self.cells.shape)})
        self.patients, self.spread = state["patients"].cpu(), state["spread"].cpu()
        self.imputer = None

    def _store(self, patients: Cohort) -> None:
        self.patients = self.to_table(patients)
        self.imputer = None

    def _fitted(self) -> Any:
        """The scikit-learn imputer, fitted on the stored patients at its first use."""
        if self.imputer is None:
            with warnings.catch_warnings():
                # A fixed number of rounds is intended; convergence is not required.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self.imputer = self.make_imputer().fit(self.patients.numpy())
        return self.imputer


def residual_std(imputer: Imputer, patients: Cohort) -> Tensor:
    """(M, D) root mean squared error on blocks hidden from patients that the imputer was not fitted on.

    Each feature's mean square is shrunk towards that of its block.
    """
    spread = torch.ones(patients.emb.shape[1:])
    for hidden in leave_one_block_out(patients):
        error = hidden.truth - imputer(hidden.cohort).emb[:, hidden.column]
        squares = (error.square() * hidden.measured).sum(dim=0)
        count = hidden.measured.sum(dim=0)
        block = squares.sum() / count.sum().clamp_min(1)
        spread[hidden.column] = ((squares + ERROR_PRIOR * block) / (count + ERROR_PRIOR)).sqrt()
    return spread.clamp_min(1e-3)


def _split(train: Cohort, seed: int) -> tuple[Cohort, Cohort]:
    """A random fifth of the patients, 200 at most, and the others."""
    left_out, rest = random_part(train, min(MOST_ERROR_PATIENTS, max(1, len(train) // ERROR_SHARE)), seed)
    return train[left_out], train[rest]
