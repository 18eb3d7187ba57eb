"""``random_forest``: bagged trees (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.features import PatientFeatures
from hcat_builtin.estimators.per_task import TaskClassifiers
from hcat_core.cohort import Layout
from hcat_core.registry.parameter_types import Count


class RandomForestEstimator(TaskClassifiers):
    """The median where a cell is missing.

    Args:
        layout: modalities and tasks.
        trees: number of them.
        leaf: fewest patients in a leaf.
        modalities: names of those to use; all when left out.
        components: principal components of a modality wider than ``widest``.
        widest: number of cells up to which a modality is taken as it is.
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
    ) -> None:
        features = PatientFeatures(
            layout, modalities=modalities, components=components, widest=widest, fill="median"
        )

        def make(seed: int) -> Any:
            from sklearn.ensemble import RandomForestClassifier  # a recipe is checked without it

            return RandomForestClassifier(
                n_estimators=trees, min_samples_leaf=leaf, random_state=seed, n_jobs=1
            )

        super().__init__(layout, features, make)
