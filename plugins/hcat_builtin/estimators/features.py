"""A cohort as one table of numbers, for models that know nothing of modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from hcat_core.cohort import Cohort, Layout

Fill = Literal["mean", "median", "nan"]
FEW_VALUES = 10  # distinct values up to which a feature is a category or a count, and has no tails


class PatientFeatures:
    """(N, F) features: every cell of narrow modalities, principal components of wide ones.

    Cells are standardised by training patients; what is missing is the mean, the median, or NaN.
    Everything is fitted on the patients of ``fit`` alone (SCIENCE trap 7).

    Args:
        layout: of the cohort.
        modalities: names of those to use; all when None.
        components: of a modality that is wider than ``widest``.
        widest: number of cells up to which a modality is taken as it is.
        fill: what stands for a missing cell.
        absence: add a column for each modality that says whether it is missing.
        tails: share of training patients at either end of a feature whose values are drawn in to the
            quantile there (winsorised), so that a linear model does not hang on a few laboratory values.

    Raises:
        ValueError: for a modality that the cohort does not have.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        modalities: Sequence[str] | None = None,
        components: int = 16,
        widest: int = 64,
        fill: Fill = "mean",
        absence: bool = False,
        tails: float = 0.0,
    ) -> None:
        names = layout.names if modalities is None else tuple(modalities)
        strangers = [name for name in names if name not in layout.names]
        if strangers:
            raise ValueError(f"no modality is named {strangers[0]!r}; there are {', '.join(layout.names)}")
        self.columns = [layout.names.index(name) for name in names]
        self.widths = layout.widths
        self.components = components
        self.widest = widest
        self.fill = fill
        self.absence = absence
        self.tails = tails
        self.state: dict[str, torch.Tensor] = {}

    def fit(self, train: Cohort) -> np.ndarray:
        """Fit, and return the training patients' features."""
        self.state = {}
        for column in self.columns:
            cells = _cells(train, column, self.widths[column])
            if self.tails:
                low, high = _limits(cells, self.tails)
                self._keep(column, low=low, high=high)
                cells = np.clip(cells, low, high)
            known = np.isfinite(cells)
            count = np.maximum(known.sum(axis=0), 1)
            filled = np.where(known, cells, 0)
            mean = filled.sum(axis=0) / count
            spread = np.sqrt((np.where(known, cells - mean, 0) ** 2).sum(axis=0) / count)
            scale = np.where(spread > 1e-8, spread, 1.0)
            standard = (cells - mean) / scale
            # What no training patient has is 0 for everyone: a constant, which no model looks at.
            seen = known.any(axis=0)
            middle = np.zeros(len(mean))
            if self.fill == "median":
                middle[seen] = np.nanmedian(standard[:, seen], axis=0)
            if self.fill == "nan":
                middle[seen] = np.nan
            self._keep(column, mean=mean, scale=scale, middle=middle, seen=np.array(seen.any()))
            if self.widths[column] > self.widest:
                here = np.where(np.isfinite(standard), standard, 0)[known.any(axis=1)]
                most = min(self.components, *here.shape)
                axes = np.zeros((self.components, self.widths[column]))
                if most:
                    from sklearn.decomposition import PCA

                    axes[:most] = PCA(most, svd_solver="full").fit(here).components_
                self._keep(column, axes=axes)
        return self.transform(train)

    def transform(self, cohort: Cohort) -> np.ndarray:
        """(N, F) float64 features of any patients."""
        parts = []
        for column in self.columns:
            own = f"{column}."
            state = {k.removeprefix(own): t.numpy() for k, t in self.state.items() if k.startswith(own)}
            cells = _cells(cohort, column, self.widths[column])
            if "low" in state:
                cells = np.clip(cells, state["low"], state["high"])
            cells = (cells - state["mean"]) / state["scale"]
            gap = ~np.isfinite(cells)
            absent = gap.all(axis=1)
            if "axes" in state:
                cells = np.where(gap, 0, cells) @ state["axes"].T
                gap = np.broadcast_to(absent[:, None], cells.shape)
                state["middle"] = np.full(
                    cells.shape[1], np.nan if self.fill == "nan" and state["seen"] else 0
                )
            parts.append(np.where(gap, state["middle"], cells))
            if self.absence:
                parts.append(absent[:, None].astype(float))
        return np.concatenate(parts, axis=1)

    def _keep(self, column: int, **arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            self.state[f"{column}.{name}"] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def _cells(cohort: Cohort, column: int, width: int) -> np.ndarray:
    """(N, d) float64, NaN where nothing was measured."""
    values = cohort.emb[:, column, :width].double().numpy()
    return np.where(cohort.measured[:, column, :width].numpy(), values, np.nan)


def _limits(cells: np.ndarray, tails: float) -> tuple[np.ndarray, np.ndarray]:
    """(d,) quantiles at both ends; infinite for features of few values, and for those nobody has."""
    low, high = np.full(cells.shape[1], -np.inf), np.full(cells.shape[1], np.inf)
    for column, values in enumerate(cells.T):
        known = values[np.isfinite(values)]
        if len(np.unique(known)) > FEW_VALUES:
            low[column], high[column] = np.quantile(known, [tails, 1 - tails])
    return low, high
