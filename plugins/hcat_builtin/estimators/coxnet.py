"""``coxnet``: elastic-net Cox regression, which uses censored patients too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort, Layout
from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.survival import breslow, timed
from hcat_core.registry.parameter_types import Count, FoldCount, Share, TailShare

MOST_STEPS = 300  # of proximal gradient
TOLERANCE = 1e-5
PENALTIES = 8  # on the path from the largest


class CoxnetEstimator:
    """Maximises the penalised partial likelihood (Simon et al. 2011) by accelerated proximal gradient.

    The penalty, one of eight, is that of the best cross-validated partial likelihood (van Houwelingen 2006:
    the likelihood of all patients minus that of the patients fitted on). Probabilities follow from
    Breslow's baseline. Each task is a cause of its own: other events censor it.

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
            known = timed(train.targets, column)
            if not known.any():
                raise DataError(
                    f"the task {task.name} has no times: give its time and event in cohort.targets, or "
                    "use an estimator for labels"
                )
            time = train.targets.time[known, column].double()
            event = train.targets.event[known, column] == 1
            weights = self._choose(x[known], time, event, groups[known.numpy()], context.seed)
            self.state[f"{column}.weights"] = weights
            self.state[f"{column}.baseline"] = breslow(
                x[known] @ weights, time, event, torch.tensor(task.curve_days)
            )

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities and (N, T, 12) curves."""
        x = torch.from_numpy(self.features.transform(cohort)) / self.state["scale"]
        curves = []
        for column in range(len(self.layout.tasks)):
            risk = (x @ self.state[f"{column}.weights"]).clamp(-20, 20).exp()
            curves.append(1 - torch.exp(-risk.unsqueeze(1) * self.state[f"{column}.baseline"]))
        curve = torch.stack(curves, dim=1)
        return Prediction(curve[:, :, -1], curve)

    def save(self, folder: Path) -> None:
        """Write coefficients, baselines and the statistics of the features."""
        features = {f"features.{name}": tensor for name, tensor in self.features.state.items()}
        save_models(folder, {}, {**features, **self.state})

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote."""
        _, state = load_models(folder)
        self.features.state = {
            k.removeprefix("features."): t for k, t in state.items() if k.startswith("features.")
        }
        self.state = {k: t for k, t in state.items() if not k.startswith("features.")}

    def _choose(self, x: Tensor, time: Tensor, event: Tensor, group: np.ndarray, seed: int) -> Tensor:
        """Weights at the penalty of the best cross-validated likelihood; groups stay in one fold."""
        everyone = CoxLikelihood(x.numpy(), time.numpy(), event.numpy())
        zero = np.zeros(x.shape[1])
        largest = float(np.abs(everyone(zero)[1]).max())
        path = largest / max(self.l1_ratio, 0.05) * np.logspace(0, -2.5, PENALTIES)
        _, first, group = np.unique(group, return_index=True, return_inverse=True)
        number = first.argsort().argsort()[group]  # groups are numbered by their first patient
        folds = max(2, min(self.folds, len(first)))
        fold = np.random.default_rng(seed).permutation(len(first))[number] % folds
        scores = np.zeros(len(path))
        for held_out in range(folds):
            rest = fold != held_out
            fitted = CoxLikelihood(x[rest].numpy(), time[rest].numpy(), event[rest].numpy())
            weights = zero
            for place, penalty in enumerate(path):
                weights = self._solve(fitted, penalty, weights)
                scores[place] += everyone(weights)[0] * everyone.events - fitted(weights)[0] * fitted.events
        weights = zero
        for penalty in path[: int(scores.argmin()) + 1]:
            weights = self._solve(everyone, penalty, weights)
        return torch.from_numpy(weights)

    def _solve(self, likelihood: CoxLikelihood, penalty: float, start: np.ndarray) -> np.ndarray:
        """Minimise by FISTA (Beck and Teboulle 2009) with step halving, from a start."""
        ridge, lasso = penalty * (1 - self.l1_ratio), penalty * self.l1_ratio
        w, point, momentum, step = start, start, 1.0, 1.0
        for _ in range(MOST_STEPS):
            value, slope = likelihood(point)
            value, slope = value + ridge / 2 * float(point @ point), slope + ridge * point
            while True:
                new = point - step * slope
                new = np.sign(new) * np.maximum(np.abs(new) - step * lasso, 0)
                move = new - point
                reached = likelihood.value(new) + ridge / 2 * float(new @ new)
                if reached <= value + float(slope @ move) + float(move @ move) / (2 * step) + 1e-10:
                    break
                step /= 2
            if np.abs(new - w).max() < TOLERANCE:
                return np.asarray(new)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            point = new + (momentum - 1) / following * (new - w)
            w, momentum = new, following
        return w


class CoxLikelihood:
    """Mean negative log partial likelihood over events, with Breslow's ties, and its gradient.

    Patients are sorted once, so that each evaluation takes one matrix product and two cumulative sums.

    Args:
        x: (N, F) features.
        time: (N,).
        event: (N,) bool.
    """

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        order = np.argsort(-time, kind="stable")
        self.x, self.event = x[order], event[order]
        # For each patient, the last patient at risk at the same time, and the first; ties are at risk.
        self.last = np.searchsorted(-time[order], -time[order], side="right") - 1
        self.first = np.searchsorted(-time[order], -time[order], side="left")
        self.events = max(1, int(event.sum()))

    def value(self, weights: np.ndarray) -> float:
        """The likelihood without its gradient."""
        return self._terms(self.x @ weights)[0]

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The likelihood and its gradient (F,)."""
        value, risk, at_risk = self._terms(self.x @ weights)
        # A patient is in the risk set of every event at the patient's time or before it.
        inverse = np.where(self.event, 1 / at_risk, 0)
        share = risk * inverse[::-1].cumsum()[::-1][self.first]
        return value, self.x.T @ (share - self.event) / self.events

    def _terms(self, eta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The likelihood, each patient's relative risk, and the sum of risks in each patient's risk set."""
        top = eta.max(initial=0.0)
        risk = np.exp(eta - top)
        at_risk = np.maximum(risk.cumsum()[self.last], 1e-300)
        value = -(eta - top - np.log(at_risk))[self.event].sum() / self.events
        return float(value), risk, at_risk
