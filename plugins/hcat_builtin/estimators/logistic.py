"""``logistic``: ridge regression on all features, logistic for events and classes (scikit-learn)."""

from __future__ import annotations

from typing import Any

from hcat_builtin.estimators.outcome_models import OutcomeModels
from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_linear
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, Positive, TailShare


class LogisticEstimator(OutcomeModels):
    """Penalised maximum likelihood on standardised features; a missing cell has the training mean.

    Classes are regressed together (multinomial). A number is regressed by least squares with the penalty
    that is the same in units of the outcome: ``alpha = 1 / C``.

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

    def make_regressor(self, seed: int) -> Any:
        """scikit-learn's ridge regression."""
        from sklearn.linear_model import Ridge  # a recipe is checked without it

        return Ridge(alpha=1 / self.inverse_penalty)

    def check_model(self, model: Any, fresh: Any, classes: int) -> None:
        """Check the structure of the saved model."""
        check_linear(model, fresh, self.features.number, classes)
