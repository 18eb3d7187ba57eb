"""An estimator: ridge regression of each outcome."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Positive


class RidgeEstimator:
    """Linear regression of each outcome on the measured cells, with a ridge penalty.

    Args:
        layout: modalities and tasks.
        penalty: of the squared weights.
    """

    refits = True

    def __init__(self, layout: Layout, *, penalty: Positive = 30.0) -> None:
        self.penalty = penalty
        self.state: dict[str, Tensor] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Regress the known labels of each task on the standardised cells."""
        assert train.targets is not None
        count = train.measured.sum(dim=0).clamp(min=1)
        mean = train.emb.sum(dim=0) / count
        scale = (((train.emb - mean) ** 2 * train.measured).sum(dim=0) / count).sqrt().clamp(min=1e-6)
        self.state = {"mean": mean, "scale": scale}
        x = self._features(train)
        weights, base = [], []
        for labels in train.targets.labels.T:
            known = labels >= 0
            y = labels[known].double()
            base.append(y.mean() if len(y) else torch.tensor(0.5, dtype=torch.float64))
            gram = x[known].T @ x[known] + self.penalty * torch.eye(x.shape[1], dtype=torch.float64)
            weights.append(torch.linalg.solve(gram, x[known].T @ (y - base[-1])))
        self.state |= {"weights": torch.stack(weights, dim=1), "base": torch.stack(base)}

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities."""
        line = self.state["base"] + self._features(cohort) @ self.state["weights"]
        return Prediction(line.clamp(0.01, 0.99))

    def save(self, folder: Path) -> None:
        """Write everything that was fitted, in a format that runs no code when it is read."""
        save_file({k: v.contiguous() for k, v in self.state.items()}, folder / "ridge.safetensors")

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote."""
        self.state = load_file(folder / "ridge.safetensors")

    def _features(self, cohort: Cohort) -> Tensor:
        standard = (cohort.emb - self.state["mean"]) / self.state["scale"]
        return torch.where(cohort.measured, standard, 0.0).flatten(1).double()
