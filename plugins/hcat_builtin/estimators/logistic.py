"""``logistic``: ridge logistic regression on all features (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_logistic
from hcat_builtin.estimators.task_classifiers import TaskClassifiers
from hcat_core.cohort import Layout
from hcat_core.registry.parameter_types import Count, Positive, TailShare


class LogisticEstimator(TaskClassifiers):
    """Penalised maximum likelihood on standardised features; a missing cell has the training mean.

    Args:
        layout: modalities and tasks.
        inverse_penalty: scikit-learn's C.
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        tails: share of patients at either end of each feature whose values are winsorised.
        ipcw: where times are known, weight known outcomes so that they represent censored patients too.
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
        ipcw: bool = True,
    ) -> None:
        choice = FeatureChoice(modalities, components, widest)
        super().__init__(layout, PatientFeatures(layout, choice, absence=True, tails=tails), ipcw)
        self.inverse_penalty = inverse_penalty

    def make_classifier(self, seed: int) -> Any:
        """scikit-learn's logistic regression."""
        from sklearn.linear_model import LogisticRegression  # a recipe is checked without it

        return LogisticRegression(C=self.inverse_penalty, max_iter=2000)

    def check_classifier(self, model: Any, fresh: Any) -> None:
        """Check the structure of the saved model."""
        check_logistic(model, fresh, self.features.number)
