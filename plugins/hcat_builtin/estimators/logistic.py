"""``logistic``: ridge logistic regression on all features (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.features import PatientFeatures
from hcat_builtin.estimators.per_task import TaskClassifiers
from hcat_core.cohort import Layout
from hcat_core.registry.parameter_types import Count, Positive, TailShare


class LogisticEstimator(TaskClassifiers):
    """Penalised maximum likelihood on standardised features, the mean where a cell is missing.

    Args:
        layout: modalities and tasks.
        inverse_penalty: scikit-learn's C.
        modalities: names of those to use; all when left out.
        components: principal components of a modality wider than ``widest``.
        widest: number of cells up to which a modality is taken as it is.
        tails: share of patients at either end of a feature whose values are drawn in to the quantile there.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        inverse_penalty: Positive = 0.01,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
        tails: TailShare = 0.0,
    ) -> None:
        features = PatientFeatures(
            layout, modalities=modalities, components=components, widest=widest, absence=True, tails=tails
        )

        def make(seed: int) -> Any:
            from sklearn.linear_model import LogisticRegression  # a recipe is checked without it

            return LogisticRegression(C=inverse_penalty, max_iter=2000)

        super().__init__(layout, features, make)
