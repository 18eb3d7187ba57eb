"""Base of the estimators that fit one scikit-learn classifier per task, on patients of known outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hcat_builtin.estimators.patient_features import PatientFeatures
from hcat_builtin.estimators.saved_models import named
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class TaskClassifiers(ABC):
    """Patient features and one classifier per task.

    A task of which only one outcome is known is predicted at the rate of that outcome.

    Args:
        layout: modalities and tasks.
        features: of patients.
        ipcw: where times are known, weight known outcomes by the inverse probability that they became
            known, so that they also represent patients censored earlier (Robins and Rotnitzky 1992).
    """

    refits = True

    def __init__(self, layout: Layout, features: PatientFeatures, ipcw: bool) -> None:
        self.layout = layout
        self.ipcw = ipcw
        self.features = features
        self.models: dict[str, Any] = {}
        self.rates = torch.full((len(layout.tasks),), float("nan"), dtype=torch.float64)

    @abstractmethod
    def make_classifier(self, seed: int) -> Any:
        """A fresh scikit-learn classifier with weighted ``fit``, and ``predict_proba``."""

    def fit_classifier(
        self, model: Any, x: np.ndarray, labels: np.ndarray, weight: np.ndarray | None
    ) -> Any:
        """The classifier, fitted to (n, F) features and (n,) labels, with (n,) weights or None."""
        return model.fit(x, labels, sample_weight=weight)

    @abstractmethod
    def check_classifier(self, model: Any, fresh: Any) -> None:
        """Check a classifier from a file before anything is computed with it.

        Args:
            model: as it was loaded.
            fresh: what ``make_classifier`` gives.

        Raises:
            ValueError: for one that is not a fitted classifier of two classes on these features.
        """

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the features on all patients, and each classifier on those with a known outcome.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        x = self.features.fit(train)
        self.models = {}
        weights = all_known_weights(self.layout, train.targets, train.targets)
        for column, task in enumerate(self.layout.task_names):
            labels = train.targets.labels[:, column].numpy()
            known = labels >= 0
            if not known.any():
                self.rates[column] = 0.5
                continue
            # Their mean is 1, as without weights: a penalty then counts for as much.
            weight = weights[known, column] / weights[known, column].mean() if self.ipcw else None
            self.rates[column] = float(np.average(labels[known], weights=weight))
            if 0 < (labels == 1).sum() < known.sum():
                model = self.make_classifier(context.seed)
                self.models[task] = self.fit_classifier(model, x[known], labels[known], weight)

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities."""
        x = self.features.transform(cohort)
        columns = []
        for column, task in enumerate(self.layout.task_names):
            if task in self.models and len(x):
                columns.append(self.models[task].predict_proba(x)[:, 1])
            else:
                columns.append(np.full(len(x), float(self.rates[column])))
        return Prediction(torch.from_numpy(np.stack(columns, axis=1)))

    def save(self, folder: Path) -> None:
        """Write one skops file per task, and the statistics of the features."""
        save_models(folder, self.models, {**self.features.state, "rates": self.rates})

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """

        def check(models: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
            expected = {**self.features.all_shapes(), "rates": (len(self.layout.tasks),)}
            refuse_other_shapes(state, expected)
            strange = models.keys() - set(self.layout.task_names)
            if strange:
                raise ValueError(f"{min(strange)} is no task")
            fresh = self.make_classifier(context.seed)
            for task, model in models.items():
                with named(task):
                    self.check_classifier(model, fresh)

        self.models, state = load_models(folder, check)
        self.rates = state.pop("rates")
        self.features.state = state
