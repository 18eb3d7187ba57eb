"""``hist_gradient_boosting``: boosted trees that take missing values as they are (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.features import PatientFeatures
from hcat_builtin.estimators.per_task import TaskClassifiers
from hcat_core.cohort import Layout
from hcat_core.registry.parameter_types import Count, Positive


class GradientBoostingEstimator(TaskClassifiers):
    """Each split learns which side a missing value belongs to.

    Args:
        layout: modalities and tasks.
        rounds: trees.
        learning_rate: of each tree.
        leaf: fewest patients in a leaf.
        depth: of each tree.
        modalities: names of those to use; all when left out.
        components: principal components of a modality wider than ``widest``.
        widest: number of cells up to which a modality is taken as it is.
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
    ) -> None:
        features = PatientFeatures(
            layout, modalities=modalities, components=components, widest=widest, fill="nan"
        )

        def make(seed: int) -> Any:
            from sklearn.ensemble import HistGradientBoostingClassifier  # a recipe is checked without it

            return HistGradientBoostingClassifier(
                max_iter=rounds,
                learning_rate=learning_rate,
                min_samples_leaf=leaf,
                max_depth=depth,
                random_state=seed,
                early_stopping=False,
            )

        super().__init__(layout, features, make)
