"""``survival_forest``: regression trees on pseudo-observations, so that censored patients teach too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hcat_builtin.estimators.features import PatientFeatures
from hcat_builtin.estimators.saved_models import load_models, save_models
from hcat_core.cohort import Cohort, Layout, Targets
from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.survival import pseudo_observations, timed
from hcat_core.registry.parameter_types import Count, PositiveShare


class SurvivalForestEstimator:
    """One forest a task, of the event probability by all twelve of its ``curve_days`` at once.

    Each patient's outcome by a day is replaced by the jackknife pseudo-observation of it (Andersen, Klein
    and Rosthoj 2003), which is known for censored patients as well, and whose regression is unbiased where
    censoring does not depend on the features. A task without times is learned from its labels.

    Args:
        layout: modalities and tasks.
        trees: number of them.
        leaf: fewest patients in a leaf.
        share: of the features that a split looks at.
        modalities: names of those to use; all when left out.
        components: principal components of a modality wider than ``widest``.
        widest: number of cells up to which a modality is taken as it is.
    """

    refits = True

    def __init__(
        self,
        layout: Layout,
        *,
        trees: Count = 400,
        leaf: Count = 8,
        share: PositiveShare = 0.2,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
    ) -> None:
        self.layout = layout
        self.trees = trees
        self.leaf = leaf
        self.share = share
        self.features = PatientFeatures(
            layout, modalities=modalities, components=components, widest=widest, fill="median"
        )
        self.models: dict[str, Any] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit every task on the patients whose time, or else whose label, is known.

        Raises:
            ValueError: without targets.
            DataError: for a task that nothing is known of.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        from sklearn.ensemble import RandomForestRegressor

        x = self.features.fit(train)
        self.models = {}
        for column, task in enumerate(self.layout.tasks):
            known, y = outcomes(train.targets, column, task.curve_days)
            if not known.any():
                raise DataError(
                    f"no outcome of the task {task.name} is known for any training patient: check its "
                    "columns in cohort.targets, or leave the task out"
                )
            forest = RandomForestRegressor(
                n_estimators=self.trees,
                min_samples_leaf=self.leaf,
                max_features=self.share,
                random_state=context.seed,
                n_jobs=1,
            )
            self.models[task.name] = forest.fit(x[known], y)

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities and (N, T, 12) curves that never fall."""
        x = self.features.transform(cohort)
        curves = []
        for task in self.layout.tasks:
            if len(x):
                found = self.models[task.name].predict(x).reshape(len(x), -1)
            else:
                found = np.zeros((0, len(task.curve_days)))
            curves.append(np.maximum.accumulate(np.clip(found, 0, 1), axis=1))
        curve = torch.from_numpy(np.stack(curves, axis=1))
        return Prediction(curve[:, :, -1], curve)

    def save(self, folder: Path) -> None:
        """A skops file a task, and the features' statistics."""
        save_models(folder, self.models, self.features.state)

    def load(self, folder: Path, context: FitContext) -> None:
        """What ``save`` wrote."""
        self.models, self.features.state = load_models(folder)


def outcomes(targets: Targets, column: int, days: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool of patients to learn from, and their (n, 12) outcome by each day."""
    known = timed(targets, column).numpy()
    if known.any():
        time = targets.time[known, column].double().numpy()
        event = (targets.event[known, column] == 1).numpy().astype(np.int64)
        return known, np.stack([pseudo_observations(time, event, day) for day in days], axis=1)
    labels = targets.labels[:, column].numpy()
    known = labels >= 0
    return known, np.repeat(labels[known, None].astype(float), len(days), axis=1)
