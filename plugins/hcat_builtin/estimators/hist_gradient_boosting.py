"""``hist_gradient_boosting``: boosted trees that use missing values as they are (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.outcome_models import OutcomeModels
from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_boosting
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, Positive


class GradientBoostingEstimator(OutcomeModels):
    """Boosted trees per outcome; each split learns to which side missing values go.

    Args:
        layout: modalities and tasks.
        rounds: number of trees.
        learning_rate: weight of each tree.
        leaf: smallest number of patients in a leaf.
        depth: greatest depth of a tree.
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        ipcw: where times are known, weight known outcomes so that they represent censored patients too.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        rounds: Count = 100,
        learning_rate: Positive = 0.03,
        leaf: Count = 20,
        depth: Count = 3,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
        ipcw: bool = True,
    ) -> None:
        choice = FeatureChoice(modalities, components, widest)
        super().__init__(layout, PatientFeatures(layout, choice, fill="nan"), ipcw)
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaf = leaf
        self.depth = depth

    def make_classifier(self, seed: int) -> Any:
        """scikit-learn's gradient boosting on binned features."""
        from sklearn.ensemble import HistGradientBoostingClassifier  # a recipe is checked without it

        return HistGradientBoostingClassifier(**self._parameters(seed))

    def make_regressor(self, seed: int) -> Any:
        """scikit-learn's gradient boosting of regression trees."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # a recipe is checked without it

        return HistGradientBoostingRegressor(**self._parameters(seed))

    def check_model(self, model: Any, fresh: Any, classes: int) -> None:
        """Check the structure of the saved model."""
        check_boosting(model, fresh, self.features.number, classes)

    def _parameters(self, seed: int) -> dict[str, Any]:
        return {
            "max_iter": self.rounds,
            "learning_rate": self.learning_rate,
            "min_samples_leaf": self.leaf,
            "max_depth": self.depth,
            "random_state": seed,
            "early_stopping": False,
        }
