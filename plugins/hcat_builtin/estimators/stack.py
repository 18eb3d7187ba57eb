"""``stack``: any estimators, combined by their predictions for patients left out of their fit."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from hcat_builtin.estimators.nested_fit import fit_copy
from hcat_core.cohort import Cohort, Targets
from hcat_core.data.folds import at_most, joint_folds
from hcat_core.errors import DataError
from hcat_core.interfaces import ALL_KINDS, Estimator, FitContext, Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.discrimination import best_threshold
from hcat_core.metrics.recalibration import Recalibration, logit, scaled_curve, sigmoid
from hcat_core.metrics.resampling import group_numbers, shares_of_groups
from hcat_core.metrics.value_intervals import ValueIntervals
from hcat_core.registry.parameter_types import FoldCount, Positive
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class StackEstimator:
    """Stacked generalisation (Wolpert 1992) that takes into account which modalities a patient lacks.

    Each member is fitted in ``folds`` inner folds, and predicts the patients left out. A penalised
    logistic regression combines their logits, and a penalised linear one values of numbers,

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
    outcome_kinds = ALL_KINDS  # those of its members

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
        self.units = _Units.of(None, layout)
        self.intervals = ValueIntervals.none(len(layout.tasks))
        self.thresholds = [0.5] * len(layout.tasks)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the combination on out-of-fold predictions, then the members on all patients.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        self.units = _Units.of(train.targets, self.layout)
        scores = self._out_of_fold_scores(train, context)
        missing = ~train.present.numpy()
        usable = np.isfinite(scores).all(axis=1)  # (N, T)
        known_weights = all_known_weights(self.layout, train.targets, train.targets)
        rows = []
        for column, task in enumerate(self.layout.tasks):
            outcome = self.units.outcomes(train.targets, column)
            known = np.isfinite(outcome) & usable[:, column]
            weight = known_weights[:, column] if task.kind != "continuous" else np.ones(len(outcome))
            counted = weight[known] * shares_of_groups(known, group_numbers(train.groups))[known]
            design = _design(scores[known, :, column], missing[known])
            shrinkage = (len(self.members), self.penalty)
            rows.append(_combine(design, outcome[known], counted, shrinkage, task.kind != "continuous"))
        self.weights = torch.from_numpy(np.stack(rows))
        self._choose_thresholds(train, self._combined(scores, missing), known_weights)
        self.fitted = [fit_copy(member, train, context) for member in self.members]

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) combined probabilities and values, and intervals of values.

        The curve is the mean over members that have curves, with its cumulative hazard scaled so that it
        ends at the combined probability.
        """
        predictions = [member.predict(cohort) for member in self.fitted]
        scores = np.stack([self.units.scores(prediction) for prediction in predictions], axis=1)
        combined = self._combined(scores, ~cohort.present.numpy())
        curve = _scaled_curve(predictions, combined.event_probability)
        return self.intervals.apply(replace(combined, curve=curve))

    def _combined(self, scores: np.ndarray, missing: np.ndarray) -> Prediction:
        """What the regressions make of members' scores (N, K, T)."""
        tasks = range(len(self.layout.tasks))
        columns = [_design(scores[:, :, task], missing) @ self.weights[task].numpy() for task in tasks]
        estimate = torch.from_numpy(self.units.estimates(np.stack(columns, axis=1)))
        prediction = Prediction.of_estimate(estimate, self.layout.numbers)
        return Recalibration.none(len(tasks), self.layout.families).apply(prediction)

    def _choose_thresholds(self, train: Cohort, combined: Prediction, known_weights: np.ndarray) -> None:
        """Choose thresholds, and how wide intervals are, with predictions of patients left out."""
        targets = train.targets
        assert targets is not None
        self.thresholds = []
        for column in range(len(self.layout.tasks)):
            labels, p = targets.labels[:, column].numpy(), combined.probability[:, column]
            known = (labels >= 0) & np.isfinite(p)
            self.thresholds.append(best_threshold(p[known], labels[known], known_weights[known, column]))
        if targets.values is not None:
            values, groups = targets.values.double().numpy(), group_numbers(train.groups)
            self.intervals = ValueIntervals.fit(combined, values, self.layout.numbers, groups)

    def save(self, folder: Path) -> None:
        """Write one folder per member, and the weights of the combination."""
        for place, member in enumerate(self.fitted):
            (folder / str(place)).mkdir()
            member.save(folder / str(place))
        text = json.dumps(
            {
                "weights": self.weights.tolist(),
                "thresholds": self.thresholds,
                "location": self.units.location,
                "scale": self.units.scale,
                "intervals": list(self.intervals.factor),
            }
        )
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
            location, scale = (tuple(map(float, saved[name])) for name in ("location", "scale"))
            units = _Units(location, scale, self.layout.numbers)
            factor = tuple(None if one is None else float(one) for one in saved["intervals"])
            sizes = {len(self.thresholds), len(units.location), len(units.scale), len(factor)}
            if sizes != {tasks} or not bool(weights.isfinite().all()):
                raise ValueError("a weight is not finite, or a threshold is missing")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}: damaged, or not of this run's recipe ({error}).") from None
        self.weights, self.units = weights, units
        self.intervals = ValueIntervals(factor, self.layout.numbers)
        self.fitted = [copy.deepcopy(member) for member in self.members]
        for place, member in enumerate(self.fitted):
            member.load(folder / str(place), context)

    def _out_of_fold_scores(self, train: Cohort, context: FitContext) -> np.ndarray:
        """(N, K, T) scores of members that were fitted without the patient."""
        scores = np.full((len(train), len(self.members), len(self.layout.tasks)), np.nan)
        for fold in joint_folds(train, at_most(self.folds, train), 1, context.seed):
            for place, member in enumerate(self.members):
                fitted = fit_copy(member, train[fold.rest], context)
                predicted = fitted.predict(train[fold.test].without_targets())
                scores[fold.test.numpy(), place] = self.units.scores(predicted)
        return scores


@dataclass(frozen=True)
class _Units:
    """What is regressed: logits, and numbers in standard deviations from their mean.

    Attributes:
        location: T means of numbers; 0 of other tasks.
        scale: T standard deviations of numbers; 1 of other tasks.
        numbers: columns of the tasks that are numbers.
    """

    location: tuple[float, ...]
    scale: tuple[float, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, targets: Targets | None, layout: Layout) -> _Units:
        """Those of the training patients."""
        location, scale = np.zeros(len(layout.tasks)), np.ones(len(layout.tasks))
        for column in layout.numbers if targets is not None and targets.values is not None else ():
            assert targets is not None and targets.values is not None
            values = targets.values[:, column].double().numpy()
            known = values[np.isfinite(values)]
            if len(np.unique(known)) > 1:
                location[column], scale[column] = known.mean(), known.std()
        return cls(tuple(location.tolist()), tuple(scale.tolist()), layout.numbers)

    def outcomes(self, targets: Targets, column: int) -> np.ndarray:
        """(N,) labels, or standardised values; NaN where unknown."""
        if column in self.numbers:
            assert targets.values is not None
            values = targets.values[:, column].double().numpy()
            return np.asarray((values - self.location[column]) / self.scale[column])
        labels = targets.labels[:, column].numpy()
        return np.where(labels >= 0, labels, np.nan)

    def scores(self, prediction: Prediction) -> np.ndarray:
        """(N, T) what a member's prediction is in the regression."""
        standard = (prediction.values - np.array(self.location)) / np.array(self.scale)
        return np.where(self._are_numbers, standard, logit(prediction.probability))

    def estimates(self, scores: np.ndarray) -> np.ndarray:
        """(N, T) probabilities and values of what the regressions give."""
        values = np.array(self.location) + np.array(self.scale) * scores
        return np.where(self._are_numbers, values, sigmoid(scores))

    @property
    def _are_numbers(self) -> np.ndarray:
        return np.isin(np.arange(len(self.scale)), self.numbers)


def _design(logits: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Columns of the regression: logits (N, K), 1, ``missing`` (N, M), ``missing`` times the mean logit."""
    mean = logits.mean(axis=1, keepdims=True)
    return np.concatenate([logits, np.ones_like(mean), missing, missing * mean], axis=1)


def _combine(
    design: np.ndarray,
    outcome: np.ndarray,
    known_weights: np.ndarray,
    shrinkage: tuple[int, float],
    logistic: bool,
) -> np.ndarray:
    """Weights of maximum likelihood, penalised towards the plain average; the intercept is free.

    Args:
        design: (n, F) of ``_design``.
        outcome: (n,) labels, or standardised values.
        known_weights: (n,) of patients.
        shrinkage: number of members, and its strength.
        logistic: regress labels; otherwise values.
    """
    members, penalty = shrinkage
    share = known_weights / known_weights.mean() if len(known_weights) else known_weights
    average = np.zeros(design.shape[1])
    average[:members] = 1 / members
    strength = np.full(design.shape[1], penalty)
    strength[members] = 0.0

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = design @ w
        if logistic:
            value = (share * (np.logaddexp(0, eta) - outcome * eta)).sum()
            slope = design.T @ (share * (sigmoid(eta) - outcome))
        else:
            value = 0.5 * (share * (outcome - eta) ** 2).sum()
            slope = design.T @ (share * (eta - outcome))
        deviation = w - average
        return value + 0.5 * float(strength @ deviation**2), slope + strength * deviation

    return np.asarray(minimize(loss, average, jac=True, method="L-BFGS-B").x)


def _scaled_curve(predictions: list[Prediction], probability: Tensor) -> Tensor | None:
    curves = [
        p.curve.double() for p in predictions if p.curve is not None and bool(p.curve.isfinite().all())
    ]
    if not curves:
        return None
    return torch.from_numpy(scaled_curve(torch.stack(curves).mean(dim=0).numpy(), probability.numpy()))
