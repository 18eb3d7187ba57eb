"""``evidence``: a sum over modalities of sparse linear log hazards, or logits where times are unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.penalised_regression import (
    CoxLikelihood,
    LabelLikelihood,
    PenalisedFit,
    fit_penalised,
    inner_folds,
)
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import CURVE_STEPS, Cohort, Layout, Targets
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.survival import breslow, timed
from hcat_core.registry.parameter_types import Count, FoldCount, Share, TailShare


@dataclass(frozen=True)
class _Outcomes:
    """One task's outcomes of N patients, (N,) each: times and events, or labels where none is timed."""

    known: np.ndarray
    time: np.ndarray
    event: np.ndarray
    is_timed: bool


class EvidenceEstimator:
    """Adds up what each modality says alone: an elastic-net regression per modality and task.

    A modality's regression is fitted on the patients who have it, by the partial likelihood of their times,
    or by the likelihood of their labels in a task without times. Scores are centred, so that a modality
    that is missing, or not informative, adds 0: what is usual. The tails of each feature are drawn in. A
    modality wider than ``widest`` is reduced to principal components, whose regression is ridge: as many as
    there are patients make it the ridge regression on all its features.

    Args:
        layout: modalities and tasks.
        l1_ratio: 0 is ridge, 1 is lasso; of modalities that are used as they are.
        folds: number of inner folds that choose the penalty.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        tails: share of patients at either end of each feature whose values are winsorised.
    """

    refits = True

    def __init__(
        self,
        layout: Layout,
        *,
        l1_ratio: Share = 0.5,
        folds: FoldCount = 5,
        components: Count = 256,
        widest: Count = 64,
        tails: TailShare = 0.02,
    ) -> None:
        self.layout = layout
        self.l1_ratio = l1_ratio
        self.folds = folds
        self.widest = widest
        self.features = [
            PatientFeatures(layout, FeatureChoice([name], components, widest), tails=tails)
            for name in layout.names
        ]
        self.state: dict[str, Tensor] = {}
        self.left_out = torch.zeros(0)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit every modality and task on the patients who have both.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        self.state = {}
        self.left_out = torch.zeros((*train.present.shape, len(self.layout.tasks)))
        for column in range(len(self.layout.names)):
            has = train.present[:, column]
            if has.any():
                self._fit_modality(column, train[has], has, context.seed)
        for number in range(len(self.layout.tasks)):
            scale = _scale(self.left_out[:, :, number].sum(dim=1), _outcomes(train.targets, number))
            self.state[f"task_{number}.factor"] = torch.tensor(scale)
            self.left_out[:, :, number] *= scale
        total = self.contributions(train).sum(dim=1).double()
        for number, task in enumerate(self.layout.tasks):
            outcomes = _outcomes(train.targets, number)
            curve = _baseline(total[:, number], outcomes, torch.tensor(task.curve_days))
            self.state[f"task_{number}.baseline"] = curve

    def contributions(self, cohort: Cohort) -> Tensor:
        """(N, M, T) log hazard ratios, or logits, around what is usual; 0 for a missing modality."""
        result = torch.zeros((*cohort.present.shape, len(self.layout.tasks)))
        for column in range(len(self.layout.names)):
            has = cohort.present[:, column].cpu()
            if f"{column}.scale" not in self.state or not has.any():
                continue
            x = self._features(column, cohort[has])
            for number in range(len(self.layout.tasks)):
                score = (
                    x @ self.state[f"{column}.{number}.weights"] - self.state[f"{column}.{number}.usual"]
                )
                scale = self.state.get(f"task_{number}.factor", 1.0)
                result[has, column, number] = score.clamp(-10, 10).float() * scale
        return result.to(cohort.emb.device)

    def out_of_fold_contributions(self) -> Tensor:
        """(N, M, T) of the training patients, by models of the inner folds, fitted without the patient."""
        return self.left_out

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities, and (N, T, 12) curves; of a task without times, the last step alone."""
        total = self.contributions(cohort).sum(dim=1).double().cpu()
        curves = []
        for number in range(len(self.layout.tasks)):
            baseline = self.state[f"task_{number}.baseline"]
            if len(baseline) == 1:
                last = torch.sigmoid(total[:, number] + baseline).unsqueeze(1)
                unknown = last.new_full((len(last), CURVE_STEPS - 1), torch.nan)
                curves.append(torch.cat([unknown, last], dim=1))
            else:
                curves.append(1 - torch.exp(-total[:, number].exp().unsqueeze(1) * baseline))
        curve = torch.stack(curves, dim=1)
        return Prediction(curve[:, :, -1], curve)

    def save(self, folder: Path) -> None:
        """Write weights, baselines and the statistics of the features."""
        save_models(folder, {}, dict(self.state_dict()))

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote."""
        self.load_state_dict(load_models(folder)[1])

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, baselines and the statistics of the features."""
        features = {
            f"features.{name}": tensor for part in self.features for name, tensor in part.state.items()
        }
        return {**features, **self.state}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave."""
        self.state = {k: t.cpu() for k, t in state.items() if not k.startswith("features.")}
        for column, part in enumerate(self.features):
            prefix = f"features.{column}."
            part.state = {
                k.removeprefix("features."): t.cpu() for k, t in state.items() if k.startswith(prefix)
            }

    def _fit_modality(self, column: int, patients: Cohort, rows: Tensor, seed: int) -> None:
        """Fit one modality's regressions on the patients who have it, who are ``rows`` of all."""
        assert patients.targets is not None
        self.features[column].fit(patients)
        self.state[f"{column}.scale"] = torch.ones(())
        x = self._features(column, patients)
        spread = x.std(dim=0, correction=int(len(x) > 1))
        if self._is_reduced(column):  # in common: a component that varies little must not count as much
            spread = spread.max().expand(len(spread))
        self.state[f"{column}.scale"] = torch.where(spread > 1e-8, spread, 1.0)
        x = x / self.state[f"{column}.scale"]
        groups = np.array(patients.patient_ids if patients.groups is None else patients.groups)
        for number in range(len(self.layout.tasks)):
            outcomes = _outcomes(patients.targets, number)
            l1_ratio = 0.0 if self._is_reduced(column) else self.l1_ratio
            fit = self._regression(x.numpy(), outcomes, inner_folds(groups, self.folds, seed), l1_ratio)
            weights = torch.from_numpy(fit.weights)
            usual = (x @ weights).mean()
            self.state[f"{column}.{number}.weights"] = weights
            self.state[f"{column}.{number}.usual"] = usual
            left_out = torch.from_numpy(fit.out_of_fold) - usual
            self.left_out[rows, column, number] = left_out.clamp(-10, 10).float()

    def _is_reduced(self, column: int) -> bool:
        """Whether principal components replace the modality."""
        return self.layout.widths[column] > self.widest

    def _regression(
        self, x: np.ndarray, outcomes: _Outcomes, fold: np.ndarray, l1_ratio: float
    ) -> PenalisedFit:
        """One regression; scores of patients without a known outcome are those of the whole fit."""
        known = outcomes.known
        events = outcomes.event[known].sum()
        if events == 0 or (not outcomes.is_timed and events == known.sum()):
            return PenalisedFit(np.zeros(x.shape[1]), np.zeros(len(x)))
        cells, time, event = x[known], outcomes.time[known], outcomes.event[known]
        middle = cells.mean(axis=0)

        def likelihood(rows: np.ndarray) -> CoxLikelihood | LabelLikelihood:
            if outcomes.is_timed:
                return CoxLikelihood(cells[rows], time[rows], event[rows])
            return LabelLikelihood(cells[rows] - middle, event[rows])

        fit = fit_penalised(cells, likelihood, fold[known], l1_ratio)
        scores = x @ fit.weights
        scores[known] = fit.out_of_fold
        return PenalisedFit(fit.weights, scores)

    def _features(self, column: int, patients: Cohort) -> Tensor:
        """(n, F) scaled features of one modality of patients who have it."""
        x = torch.from_numpy(self.features[column].transform(patients.to(torch.device("cpu"))))
        return x / self.state[f"{column}.scale"]


def _outcomes(targets: Targets, column: int) -> _Outcomes:
    """Times and events of a task that has them, else its labels."""
    known = timed(targets, column)
    if known.any():
        time = targets.time[:, column].double().numpy()
        return _Outcomes(known.numpy(), time, (targets.event[:, column] == 1).numpy(), True)
    labels = targets.labels[:, column].numpy()
    return _Outcomes(labels >= 0, np.zeros(len(labels)), labels == 1, False)


def _scale(left_out: Tensor, outcomes: _Outcomes) -> float:
    """The factor of the sum that is the most likely for patients whose scores are by models without them.

    Regressions that are penalised, each by itself, are too timid; modalities that say the same, too sure.
    """
    from scipy.optimize import minimize_scalar

    score = left_out.double().numpy()[outcomes.known][:, None]
    if not len(score) or not score.any():
        return 1.0
    likelihood = _likelihood(score, outcomes, outcomes.known)

    def loss(factor: float) -> float:
        return likelihood.value(np.array([factor])) * likelihood.events + 0.5 * (factor - 1) ** 2

    return float(minimize_scalar(loss, bounds=(0.1, 4.0), method="bounded").x)


def _likelihood(x: np.ndarray, outcomes: _Outcomes, rows: np.ndarray) -> CoxLikelihood | LabelLikelihood:
    """The likelihood of features (n, F) of the n patients among ``rows``, (N,) bool."""
    event = outcomes.event[rows]
    if outcomes.is_timed:
        return CoxLikelihood(x, outcomes.time[rows], event)
    return LabelLikelihood(x, event)


def _baseline(score: Tensor, outcomes: _Outcomes, days: Tensor) -> Tensor:
    """(12,) cumulative baseline hazard by ``days``; of a task without times, the (1,) logit at score 0."""
    known = torch.from_numpy(outcomes.known)
    event = torch.from_numpy(outcomes.event)[known]
    if outcomes.is_timed:
        return breslow(score[known], torch.from_numpy(outcomes.time)[known], event, days)
    share = (event.double().sum() + 0.5) / (len(event) + 1)
    return (share / (1 - share)).log().reshape(1)
