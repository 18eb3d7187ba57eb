"""Base of the estimators that fit one scikit-learn model per outcome, on patients of known outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.patient_features import PatientFeatures
from hcat_builtin.estimators.saved_models import named
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import ALL_KINDS, FitContext, Prediction
from hcat_core.layout import Layout, Outcome
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class OutcomeModels(ABC):
    """Patient features, and a model of each outcome: a classifier, or a regressor of a number.

    An event or an outcome of classes of which only one is known is predicted at the rate of that one.

    Args:
        layout: modalities and tasks.
        features: of patients.
        ipcw: where times are known, weight known outcomes by the inverse probability that they became
            known, so that they also represent patients censored earlier (Robins and Rotnitzky 1992).
    """

    refits = True
    outcome_kinds = ALL_KINDS

    def __init__(self, layout: Layout, features: PatientFeatures, ipcw: bool) -> None:
        self.layout = layout
        self.ipcw = ipcw
        self.features = features
        self.models: dict[str, Any] = {}
        self.rates = torch.full((len(layout.tasks),), float("nan"), dtype=torch.float64)

    @abstractmethod
    def make_classifier(self, seed: int) -> Any:
        """A fresh scikit-learn classifier with weighted ``fit``, and ``predict_proba``."""

    @abstractmethod
    def make_regressor(self, seed: int) -> Any:
        """A fresh scikit-learn regressor."""

    def fit_model(self, model: Any, x: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None) -> Any:
        """The model, fitted to (n, F) features and (n,) classes or values, with (n,) weights or None."""
        return model.fit(x, outcome, sample_weight=weight)

    @abstractmethod
    def check_model(self, model: Any, fresh: Any, classes: int) -> None:
        """Check a model from a file before anything is computed with it.

        Args:
            model: as it was loaded.
            fresh: what ``make_classifier`` or ``make_regressor`` gives.
            classes: number of classes that it may know; 0 of a regressor.

        Raises:
            ValueError: for one that is not a fitted model of these classes on these features.
        """

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the features on all patients, and each model on those with a known outcome.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        x = self.features.fit(train)
        self.models = {}
        weights = all_known_weights(self.layout, train.targets, train.targets)
        for outcome in self.layout.outcomes:
            columns = list(outcome.columns)
            if outcome.kind == "continuous":
                self._fit_number(x, train.targets, outcome, context.seed)
                continue
            codes = _codes(train.targets, outcome)
            known = codes >= 0
            if not known.any():
                self.rates[columns] = 1 / max(2, len(columns))
                continue
            # Their mean is 1, as without weights: a penalty then counts for as much.
            of_known = weights[known, columns[0]]
            weight = of_known / of_known.mean() if self.ipcw else None
            rates = [np.average(codes[known] == code, weights=weight) for code in _codes_of(outcome)]
            self.rates[columns] = torch.tensor(rates, dtype=torch.float64)
            if len(np.unique(codes[known])) > 1:
                model = self.make_classifier(context.seed)
                self.models[outcome.name] = self.fit_model(model, x[known], codes[known], weight)

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities and values."""
        x = self.features.transform(cohort)
        estimate = self.rates.expand(len(x), -1).clone()
        for outcome in self.layout.outcomes if len(x) else ():
            model = self.models.get(outcome.name)
            if model is not None:
                estimate[:, list(outcome.columns)] = _predicted(model, x, outcome)
        return Prediction.of_estimate(estimate, self.layout.numbers)

    def save(self, folder: Path) -> None:
        """Write one skops file per outcome, and the statistics of the features."""
        save_models(folder, self.models, {**self.features.state, "rates": self.rates})

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """

        def check(models: dict[str, Any], state: dict[str, Tensor]) -> None:
            expected = {**self.features.all_shapes(), "rates": (len(self.layout.tasks),)}
            refuse_other_shapes(state, expected)
            outcomes = {outcome.name: outcome for outcome in self.layout.outcomes}
            strange = models.keys() - outcomes.keys()
            if strange:
                raise ValueError(f"{min(strange)} is no task")
            for name, model in models.items():
                number = outcomes[name].kind == "continuous"
                fresh = self.make_regressor(context.seed) if number else self.make_classifier(context.seed)
                with named(name):
                    self.check_model(model, fresh, 0 if number else max(2, len(outcomes[name].columns)))

        self.models, state = load_models(folder, check)
        self.rates = state.pop("rates")
        self.features.state = state

    def _fit_number(self, x: np.ndarray, targets: Targets, outcome: Outcome, seed: int) -> None:
        """Fit the regressor of a number on the patients in whom it is known."""
        (column,) = outcome.columns
        assert targets.values is not None
        value = targets.values[:, column].double().numpy()
        known = np.isfinite(value)
        self.rates[column] = float(value[known].mean()) if known.any() else float("nan")
        if len(np.unique(value[known])) > 1:
            model = self.make_regressor(seed)
            self.models[outcome.name] = self.fit_model(model, x[known], value[known], None)


def _codes(targets: Targets, outcome: Outcome) -> np.ndarray:
    """(N,) 1 or 0 of an event, the place among its classes of another outcome; -1 where unknown."""
    labels = targets.labels[:, list(outcome.columns)].numpy()
    if len(outcome.columns) == 1:
        return labels[:, 0]
    return np.where((labels == 1).any(axis=1), labels.argmax(axis=1), -1)


def _codes_of(outcome: Outcome) -> list[int]:
    """The code of each column of an outcome."""
    return [1] if len(outcome.columns) == 1 else list(range(len(outcome.columns)))


def _predicted(model: Any, x: np.ndarray, outcome: Outcome) -> Tensor:
    """(N, K) what a model predicts of the columns of an outcome."""
    if outcome.kind == "continuous":
        return torch.from_numpy(np.asarray(model.predict(x), dtype=np.float64))[:, None]
    probability = model.predict_proba(x)
    if len(outcome.columns) == 1:
        return torch.from_numpy(probability[:, 1:2])
    every = np.zeros((len(x), len(outcome.columns)))
    every[:, model.classes_] = probability  # a class that no training patient had is not predicted
    return torch.from_numpy(every)
