"""``coxnet``: elastic-net Cox regression, which uses censored patients too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.patient_features import FEATURES, FeatureChoice, PatientFeatures
from hcat_builtin.estimators.penalised_regression import CoxLikelihood, fit_penalised, inner_folds
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import EVENTS, FitContext, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.survival import FINE_STEPS, breslow, causes, cumulative_incidence, fine_days
from hcat_core.registry.parameter_types import Count, FoldCount, Share, TailShare
from hcat_core.storage.tensor_names import with_prefix, without_prefix
from hcat_core.storage.tensor_shapes import Shape, refuse_other_shapes


class CoxnetEstimator:
    """Maximises the penalised partial likelihood (Simon et al. 2011) by accelerated proximal gradient.

    The penalty, one of eight, is that of the best cross-validated partial likelihood (van Houwelingen 2006:
    the likelihood of all patients minus that of the patients fitted on). Probabilities follow from
    Breslow's baseline. Where a competing event may come first, its hazard is regressed as well, and the
    probability is the cumulative incidence.

    Args:
        layout: modalities and tasks.
        l1_ratio: 0 is ridge, 1 is lasso.
        folds: number of inner folds that choose the penalty.
        modalities: names of the modalities to use; all where None.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        tails: share of patients at either end of each feature whose values are winsorised.
    """

    refits = True
    outcome_kinds = EVENTS

    def __init__(
        self,
        layout: Layout,
        *,
        l1_ratio: Share = 0.5,
        folds: FoldCount = 5,
        modalities: list[str] | None = None,
        components: Count = 16,
        widest: Count = 64,
        tails: TailShare = 0.0,
    ) -> None:
        self.layout = layout
        self.l1_ratio = l1_ratio
        self.folds = folds
        choice = FeatureChoice(modalities, components, widest)
        self.features = PatientFeatures(layout, choice, absence=True, tails=tails)
        self.state: dict[str, Tensor] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit each task on the patients whose time is known.

        Raises:
            ValueError: without targets.
            DataError: for a task without times.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        x = torch.from_numpy(self.features.fit(train))
        spread = x.std(dim=0, correction=int(len(x) > 1))
        self.state = {"scale": torch.where(spread > 1e-8, spread, 1.0)}
        x = x / self.state["scale"]
        groups = np.array(train.patient_ids if train.groups is None else train.groups)
        for column, task in enumerate(self.layout.tasks):
            known, time, cause = causes(train.targets, column)
            if not known.any():
                raise DataError(
                    f"the task {task.name} has no times: give its time and event in cohort.targets, or "
                    "use an estimator for labels"
                )
            of_cause = {1: f"{column}."} | ({} if task.competing is None else {2: f"{column}.competing_"})
            days = torch.tensor(task.curve_days) if task.competing is None else fine_days(task.curve_days)
            inner = inner_folds(groups[known.numpy()], self.folds, context.seed)
            for number, name in of_cause.items():
                weights = self._weights(x[known], time, cause == number, inner)
                self.state[f"{name}weights"] = weights
                ended = torch.from_numpy(cause == number)
                self.state[f"{name}baseline"] = breslow(
                    x[known] @ weights, torch.from_numpy(time), ended, days
                )

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities and (N, T, 12) curves."""
        x = torch.from_numpy(self.features.transform(cohort)) / self.state["scale"]
        curves = []
        for column, task in enumerate(self.layout.tasks):
            hazard = self._hazard(f"{column}.", x)
            if task.competing is None:
                curves.append(1 - torch.exp(-hazard))
                continue
            incidence = cumulative_incidence(hazard, self._hazard(f"{column}.competing_", x))
            curves.append(incidence[:, FINE_STEPS - 1 :: FINE_STEPS])
        curve = torch.stack(curves, dim=1)
        return Prediction(curve[:, :, -1], curve)

    def save(self, folder: Path) -> None:
        """Write coefficients, baselines and the statistics of the features."""
        save_models(folder, {}, {**with_prefix(FEATURES, self.features.state), **self.state})

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote."""
        _, state = load_models(folder, self._check)
        self.features.state = without_prefix(FEATURES, state)
        self.state = {k: t for k, t in state.items() if not k.startswith(FEATURES)}

    def _check(self, models: dict[str, Any], state: dict[str, Tensor]) -> None:
        """Refuse tensors of other shapes than those that ``predict`` computes with."""
        if models:
            raise ValueError(f"{min(models)}.skops does not belong there")
        number = self.features.number
        expected: dict[str, Shape] = {"scale": (number,)}
        expected |= with_prefix(FEATURES, self.features.all_shapes())
        for column, task in enumerate(self.layout.tasks):
            steps = len(task.curve_days) * (1 if task.competing is None else FINE_STEPS)
            for cause in ("",) if task.competing is None else ("", "competing_"):
                expected |= {f"{column}.{cause}weights": (number,), f"{column}.{cause}baseline": (steps,)}
        refuse_other_shapes(state, expected)

    def _weights(self, x: Tensor, time: np.ndarray, event: np.ndarray, fold: np.ndarray) -> Tensor:
        """Weights at the penalty of the best likelihood, cross-validated in inner folds."""
        fit = fit_penalised(
            x.numpy(), lambda patients: CoxLikelihood(time, event, patients), fold, self.l1_ratio
        )
        return torch.from_numpy(fit.weights)

    def _hazard(self, name: str, x: Tensor) -> Tensor:
        """(N, H) cumulative hazards of a cause by its days."""
        risk = (x @ self.state[f"{name}weights"]).clamp(-20, 20).exp()
        return risk.unsqueeze(1) * self.state[f"{name}baseline"]
