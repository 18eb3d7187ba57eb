"""``stack``: any estimators, combined by their predictions for patients left out of their fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from hcat_builtin.estimators.nested_fit import fit_copy
from hcat_core.cohort import Cohort, Layout
from hcat_core.data.folds import at_most, joint_folds
from hcat_core.errors import DataError
from hcat_core.interfaces import Estimator, FitContext, Prediction
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.discrimination import best_threshold
from hcat_core.metrics.recalibration import logit, scaled_curve, sigmoid
from hcat_core.metrics.resampling import group_numbers, shares_of_groups
from hcat_core.registry.parameter_types import FoldCount, Positive
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class StackEstimator:
    """Stacked generalisation (Wolpert 1992) that takes into account which modalities a patient lacks.

    Each member is fitted in ``folds`` inner folds, and predicts the patients left out. A penalised
    logistic regression combines their logits,

        logit p = a + sum_k w_k z_k + sum_m missing_m (b_m + c_m z_mean),

    shrunk towards their plain average: w_k to 1 / K, the rest to 0. Known outcomes are weighted to
    represent patients censored before the horizon too. The combination also recalibrates: a sum of weights
    below 1 corrects overconfident members. Members are then fitted again on all patients.

    Args:
        layout: modalities and tasks.
        members: estimators to combine.
        folds: number of inner folds.
        penalty: strength of the shrinkage, as the number of patients that it counts for.
    """

    refits = True

    def __init__(
        self,
        layout: Layout,
        *,
        members: list[Estimator],
        folds: FoldCount = 5,
        penalty: Positive = 10.0,
    ) -> None:
        if not members:
            raise ValueError("a stack needs at least one member")
        self.layout = layout
        self.members = members
        self.folds = folds
        self.penalty = penalty
        self.fitted: list[Estimator] = []
        self.weights = torch.zeros(0, dtype=torch.float64)
        self.thresholds = [0.5] * len(layout.tasks)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the combination on out-of-fold predictions, then the members on all patients.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        logits = self._out_of_fold_logits(train, context)
        labels = train.targets.labels.numpy()
        groups = group_numbers(train.groups)
        known_weights = all_known_weights(self.layout, train.targets, train.targets)
        missing = ~train.present.numpy()
        rows = []
        self.thresholds = []
        for column in range(len(self.layout.tasks)):
            known = (labels[:, column] >= 0) & np.isfinite(logits[:, :, column]).all(axis=1)
            z, y = logits[known, :, column], labels[known, column]
            design = _design(z, missing[known])
            of_known = known_weights[known, column]
            counted = of_known * shares_of_groups(known, groups)[known]
            weights = _combine(design, y, counted, z.shape[1], self.penalty)
            rows.append(weights)
            self.thresholds.append(best_threshold(sigmoid(design @ weights), y, of_known))
        self.weights = torch.from_numpy(np.stack(rows))
        self.fitted = [fit_copy(member, train, context) for member in self.members]

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) combined probabilities.

        The curve is the mean over members that have curves, with its cumulative hazard scaled so that it
        ends at the combined probability.
        """
        predictions = [member.predict(cohort) for member in self.fitted]
        logits = np.stack([logit(p.event_probability.double().numpy()) for p in predictions], axis=1)
        missing = ~cohort.present.numpy()
        columns = [
            sigmoid(_design(logits[:, :, task], missing) @ self.weights[task].numpy())
            for task in range(len(self.layout.tasks))
        ]
        probability = torch.from_numpy(np.stack(columns, axis=1))
        return Prediction(probability, _scaled_curve(predictions, probability))

    def save(self, folder: Path) -> None:
        """Write one folder per member, and the weights of the combination."""
        for place, member in enumerate(self.fitted):
            (folder / str(place)).mkdir()
            member.save(folder / str(place))
        text = json.dumps({"weights": self.weights.tolist(), "thresholds": self.thresholds})
        (folder / "stack.json").write_text(text + "\n", encoding="utf-8")

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """
        path = folder / "stack.json"
        number, tasks = len(self.members), len(self.layout.tasks)
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            weights = torch.tensor(saved["weights"], dtype=torch.float64)
            self.thresholds = [float(value) for value in saved["thresholds"]]
            shape = (tasks, number + 1 + 2 * len(self.layout.names))
            refuse_other_shapes({"weights": weights}, {"weights": shape})
            if len(self.thresholds) != tasks or not bool(weights.isfinite().all()):
                raise ValueError("a weight is not finite, or a threshold is missing")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}: damaged, or not of this run's recipe ({error}).") from None
        self.weights = weights
        self.fitted = [copy.deepcopy(member) for member in self.members]
        for place, member in enumerate(self.fitted):
            member.load(folder / str(place), context)

    def _out_of_fold_logits(self, train: Cohort, context: FitContext) -> np.ndarray:
        """(N, K, T) logits of members that were fitted without the patient."""
        logits = np.full((len(train), len(self.members), len(self.layout.tasks)), np.nan)
        for fold in joint_folds(train, at_most(self.folds, train), 1, context.seed):
            for place, member in enumerate(self.members):
                fitted = fit_copy(member, train[fold.rest], context)
                predicted = fitted.predict(train[fold.test].without_targets())
                logits[fold.test.numpy(), place] = logit(predicted.event_probability.double().numpy())
        return logits


def _design(logits: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Columns of the regression: logits (N, K), 1, ``missing`` (N, M), ``missing`` times the mean logit."""
    mean = logits.mean(axis=1, keepdims=True)
    return np.concatenate([logits, np.ones_like(mean), missing, missing * mean], axis=1)


def _combine(
    design: np.ndarray, labels: np.ndarray, known_weights: np.ndarray, members: int, penalty: float
) -> np.ndarray:
    """Weights of maximum likelihood, penalised towards the plain average; the intercept is free."""
    share = known_weights / known_weights.mean() if len(known_weights) else known_weights
    prior = np.zeros(design.shape[1])
    prior[:members] = 1 / members
    strength = np.full(design.shape[1], penalty)
    strength[members] = 0.0

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = design @ w
        value = (share * (np.logaddexp(0, eta) - labels * eta)).sum()
        slope = design.T @ (share * (sigmoid(eta) - labels))
        deviation = w - prior
        return value + 0.5 * float(strength @ deviation**2), slope + strength * deviation

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x)


def _scaled_curve(predictions: list[Prediction], probability: Tensor) -> Tensor | None:
    curves = [
        p.curve.double() for p in predictions if p.curve is not None and bool(p.curve.isfinite().all())
    ]
    if not curves:
        return None
    return torch.from_numpy(scaled_curve(torch.stack(curves).mean(dim=0).numpy(), probability.numpy()))
