"""A cohort as one table of features, for models that do not distinguish modalities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout
from hcat_core.storage.tensor_names import without_prefix
from hcat_core.storage.tensor_shapes import Shape

Fill = Literal["mean", "median", "nan"]
FEATURES = "features."  # what the names of these tensors begin with in an estimator's file
FEW_VALUES = 10  # distinct values up to which a feature is a category or a count, and is not winsorised


@dataclass(frozen=True)
class FeatureChoice:
    """Which features a model uses: the recipe keys that all tabular estimators have.

    Attributes:
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
    """

    modalities: list[str] | None
    components: int
    widest: int


class PatientFeatures:
    """(N, F) features: every cell of narrow modalities, principal components of wide ones.

    Cells are standardised with mean and standard deviation of the training patients. Everything is fitted
    on the patients passed to ``fit`` alone (``docs/explanation/failure-modes.md``).

    Args:
        layout: of the cohort.
        choice: modalities and components.
        fill: the value of a missing cell: the mean, the median, or NaN.
        absence: add one column per modality, 1 where it is missing.
        tails: share of training patients at either end of each feature whose values are replaced by the
            quantile there (winsorised), so that a few extreme laboratory values do not determine a linear
            model.

    Raises:
        ValueError: for a modality that the cohort does not have.
    """

    def __init__(
        self,
        layout: Layout,
        choice: FeatureChoice,
        *,
        fill: Fill = "mean",
        absence: bool = False,
        tails: float = 0.0,
    ) -> None:
        names = layout.names if choice.modalities is None else choice.modalities
        unknown = [name for name in names if name not in layout.names]
        if unknown:
            raise ValueError(f"no modality is named {unknown[0]!r}; there are {', '.join(layout.names)}")
        self.columns = [layout.names.index(name) for name in names]
        self.widths = layout.widths
        self.components = choice.components
        self.widest = choice.widest
        self.fill = fill
        self.absence = absence
        self.tails = tails
        self.state: dict[str, torch.Tensor] = {}

    def fit(self, train: Cohort) -> np.ndarray:
        """Fit, and return the training patients' features (N, F)."""
        self.state = {}
        for column in self.columns:
            self._fit_modality(train, column)
        return self.transform(train)

    def transform(self, cohort: Cohort) -> np.ndarray:
        """(N, F) float64 features of any patients."""
        parts = []
        for column in self.columns:
            state = {name: t.numpy() for name, t in without_prefix(f"{column}.", self.state).items()}
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

    @property
    def number(self) -> int:
        """F, the number of features of a patient."""
        return sum(
            (self.widths[column] if self.widths[column] <= self.widest else self.components) + self.absence
            for column in self.columns
        )

    def shapes(self, column: int) -> dict[str, Shape]:
        """Shapes of the state of one modality, by name: those that ``transform`` computes with."""
        width = self.widths[column]
        names = ["mean", "scale", "middle", *(("low", "high") if self.tails else ())]
        shapes: dict[str, Shape] = {f"{column}.{name}": (width,) for name in names}
        shapes[f"{column}.seen"] = (1,)
        if width > self.widest:
            shapes[f"{column}.axes"] = (self.components, width)
        return shapes

    def all_shapes(self) -> dict[str, Shape]:
        """Shapes of the state of all modalities, by name."""
        return {name: shape for column in self.columns for name, shape in self.shapes(column).items()}

    def _fit_modality(self, train: Cohort, column: int) -> None:
        cells = _cells(train, column, self.widths[column])
        if self.tails:
            low, high = _limits(cells, self.tails)
            self._store(column, low=low, high=high)
            cells = np.clip(cells, low, high)
        measured = np.isfinite(cells)
        count = np.maximum(measured.sum(axis=0), 1)
        mean = np.where(measured, cells, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(measured, cells - mean, 0) ** 2).sum(axis=0) / count)
        scale = np.where(spread > 1e-8, spread, 1.0)
        standard = (cells - mean) / scale
        # A feature that no training patient has is 0 for everyone: a constant, which no model uses.
        seen = measured.any(axis=0)
        middle = np.zeros(len(mean))
        if self.fill == "median":
            middle[seen] = np.nanmedian(standard[:, seen], axis=0)
        if self.fill == "nan":
            middle[seen] = np.nan
        self._store(column, mean=mean, scale=scale, middle=middle, seen=np.array(seen.any()))
        if self.widths[column] > self.widest:
            self._store(column, axes=self._principal_axes(standard, measured))

    def _principal_axes(self, standard: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """(components, d) axes of the patients who have the modality; 0 where there are fewer."""
        rows = np.where(np.isfinite(standard), standard, 0)[measured.any(axis=1)]
        number = min(self.components, *rows.shape)
        axes = np.zeros((self.components, standard.shape[1]))
        if number:
            from sklearn.decomposition import PCA  # a recipe is checked without it

            axes[:number] = PCA(number, svd_solver="full").fit(rows).components_
        return axes

    def _store(self, column: int, **arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            self.state[f"{column}.{name}"] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def _cells(cohort: Cohort, column: int, width: int) -> np.ndarray:
    """(N, d) float64, NaN where nothing was measured."""
    values = cohort.emb[:, column, :width].double().numpy()
    return np.where(cohort.measured[:, column, :width].numpy(), values, np.nan)


def _limits(cells: np.ndarray, tails: float) -> tuple[np.ndarray, np.ndarray]:
    """(d,) quantiles at both ends; infinite for features of few values, or that no patient has."""
    low, high = np.full(cells.shape[1], -np.inf), np.full(cells.shape[1], np.inf)
    ordered = np.sort(cells, axis=0)  # NaN comes last
    distinct = np.isfinite(ordered[:1]).sum(axis=0) + (np.diff(ordered, axis=0) > 0).sum(axis=0)
    several = distinct > FEW_VALUES
    complete = several & np.isfinite(cells).all(axis=0)
    ends = [tails, 1 - tails]
    low[complete], high[complete] = np.quantile(cells[:, complete], ends, axis=0)
    for column in np.flatnonzero(several & ~complete):
        values = cells[np.isfinite(cells[:, column]), column]
        low[column], high[column] = np.quantile(values, ends)
    return low, high
