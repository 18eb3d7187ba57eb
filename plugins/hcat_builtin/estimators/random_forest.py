"""``random_forest``: bagged trees (scikit-learn)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hcat_builtin.estimators.forest_growing import grow
from hcat_builtin.estimators.outcome_models import OutcomeModels
from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_forest
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count


class RandomForestEstimator(OutcomeModels):
    """A random forest per outcome; a missing cell has the median of the training patients.

    Args:
        layout: modalities and tasks.
        trees: number of trees.
        leaf: smallest number of patients in a leaf.
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        ipcw: where times are known, weight known outcomes so that they represent censored patients too.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        trees: Count = 400,
        leaf: Count = 5,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
        ipcw: bool = True,
    ) -> None:
        choice = FeatureChoice(modalities, components, widest)
        super().__init__(layout, PatientFeatures(layout, choice, fill="median"), ipcw)
        self.trees = trees
        self.leaf = leaf

    def make_classifier(self, seed: int) -> Any:
        """scikit-learn's random forest."""
        from sklearn.ensemble import RandomForestClassifier  # a recipe is checked without it

        return RandomForestClassifier(
            n_estimators=self.trees, min_samples_leaf=self.leaf, random_state=seed
        )

    def make_regressor(self, seed: int) -> Any:
        """scikit-learn's random forest of regression trees."""
        from sklearn.ensemble import RandomForestRegressor  # a recipe is checked without it

        return RandomForestRegressor(
            n_estimators=self.trees, min_samples_leaf=self.leaf, max_features=1 / 3, random_state=seed
        )

    def fit_model(self, model: Any, x: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None) -> Any:
        """Grown in threads."""
        return grow(model, x, outcome, weight)

    def check_model(self, model: Any, fresh: Any, classes: int) -> None:
        """Check the structure of the saved model."""
        check_forest(model, fresh, self.features.number, 1, classes)
