"""``survival_forest``: regression trees on pseudo-observations, which use censored patients too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hcat_builtin.estimators.forest_growing import grow
from hcat_builtin.estimators.outcome_regression import Outcomes
from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_forest, named
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import EVENTS_AND_CLASSES, FitContext, Prediction
from hcat_core.layout import CURVE_STEPS, Layout
from hcat_core.metrics.horizons import tasks_by_event
from hcat_core.registry.parameter_types import Count, PositiveShare
from hcat_core.storage.tensor_shapes import refuse_other_shapes

LEAF = 8  # smallest number of patients in a leaf
SHARE = 0.2  # of the features, that each split may use


class SurvivalForestEstimator:
    """One forest per event, which predicts the event probability by all days of its tasks' curves at once.

    Each patient's outcome by a day is replaced by its jackknife pseudo-observation (Andersen, Klein and
    Rosthoj 2003), which is known for censored patients too. Regression on it is unbiased where censoring
    does not depend on the features. Where a competing event may come first, the probability is the
    cumulative incidence. Several horizons of one event are points of one curve. A task without times is
    learned from its labels.

    Args:
        layout: modalities and tasks.
        trees: number of trees.
        leaf: smallest number of patients in a leaf.
        share: share of the features that each split may use.
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
    """

    refits = True
    outcome_kinds = EVENTS_AND_CLASSES

    def __init__(
        self,
        layout: Layout,
        *,
        trees: Count = 400,
        leaf: Count = LEAF,
        share: PositiveShare = SHARE,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
    ) -> None:
        self.layout = layout
        self.trees = trees
        self.leaf = leaf
        self.share = share
        choice = FeatureChoice(modalities, components, widest)
        self.features = PatientFeatures(layout, choice, fill="median")
        self.models: dict[str, Any] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit each task on the patients whose time is known, or whose label, in a task without times.

        Raises:
            ValueError: without targets.
            DataError: for a task of which no outcome is known.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        x = self.features.fit(train)
        self.models = {}
        for columns in tasks_by_event(self.layout.tasks):
            task = self.layout.tasks[columns[0]]
            outcomes = Outcomes.of(train.targets, columns[0])
            if not outcomes.known.any():
                raise DataError(
                    f"no outcome of the task {task.name} is known for any training patient: check its "
                    "columns in cohort.targets, or leave the task out"
                )
            forest = new_forest(self.trees, context.seed, self.leaf, self.share)
            target = outcomes.by_day(self._days(columns))
            # Of a single column scikit-learn expects a vector.
            target = target[:, 0] if target.shape[1] == 1 else target
            self.models[task.name] = grow(forest, x[outcomes.known], target)

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities, and (N, T, 12) curves that never decrease.

        Of a task without a horizon, a curve has its last value alone.
        """
        x = self.features.transform(cohort)
        curve = np.full((len(x), len(self.layout.tasks), CURVE_STEPS), np.nan)
        for columns in tasks_by_event(self.layout.tasks) if len(x) else ():
            days = self._days(columns)
            risk = self.models[self.layout.tasks[columns[0]].name].predict(x).reshape(len(x), -1)
            rising = np.maximum.accumulate(np.clip(risk, 0, 1), axis=1)
            for column in columns:
                steps = self.layout.tasks[column].curve_days
                if steps:
                    curve[:, column] = rising[:, np.searchsorted(days, steps)]
                else:
                    curve[:, column, -1] = rising[:, -1]
        return Prediction(torch.from_numpy(curve[:, :, -1]), torch.from_numpy(curve))

    def save(self, folder: Path) -> None:
        """Write one skops file per task, and the statistics of the features."""
        save_models(folder, self.models, self.features.state)

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """

        def check(models: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
            refuse_other_shapes(state, self.features.all_shapes())
            of_events = {
                self.layout.tasks[columns[0]].name: len(self._days(columns))
                for columns in tasks_by_event(self.layout.tasks)
            }
            if models.keys() != of_events.keys():
                raise ValueError(
                    f"they are of {', '.join(models) or 'nothing'}, not {', '.join(of_events)}"
                )
            fresh = new_forest(self.trees, context.seed, self.leaf, self.share)
            for task, model in models.items():
                with named(task):
                    check_forest(model, fresh, self.features.number, of_events[task])

        self.models, self.features.state = load_models(folder, check)

    def _days(self, columns: Sequence[int]) -> tuple[float, ...]:
        """The days of these tasks' curves, rising; 0 for a task without a horizon."""
        days = {day for column in columns for day in self.layout.tasks[column].curve_days}
        return tuple(sorted(days)) or (0.0,)


def new_forest(trees: int, seed: int, leaf: int = LEAF, share: float = SHARE) -> Any:
    """An unfitted forest of regression trees."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        n_estimators=trees, min_samples_leaf=leaf, max_features=share, random_state=seed
    )
