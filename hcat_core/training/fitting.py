"""Fit any estimator; recalibrate it and choose thresholds on held-out patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hcat_core.cohort import Cohort, concatenate
from hcat_core.data.folds import at_most, joint_folds
from hcat_core.interfaces import (
    CrossFittedEstimator,
    EnsembleEstimator,
    Estimator,
    FitContext,
    Prediction,
    RefittingEstimator,
    SinglePassEstimator,
    ThresholdingEstimator,
)
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.discrimination import best_threshold
from hcat_core.metrics.horizons import on_one_curve
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.metrics.resampling import group_numbers
from hcat_core.metrics.value_intervals import ValueIntervals
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.training.held_out_predictions import in_place
from hcat_core.training.neural_parts import NeuralParts

INNER_FOLDS = 5
ENOUGH_HELD_OUT = 2000
"""Patients with whose predictions a recalibration and a threshold are chosen, where there are more.

With so many, chance moves a recalibrated probability by about 0.01 (one standard error, 0.5 / sqrt(2000) at
most); each further inner fold would take as long as the model itself.
"""


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator with its recalibration and thresholds.

    Attributes:
        estimator: fitted.
        recalibration: of its probabilities, from held-out patients.
        thresholds: for each task, the probability at which F1 was best on held-out patients.
        took_validation: it was fitted on validation patients too, and must not be scored on them.
        intervals: of its predicted numbers, from held-out patients.
    """

    estimator: Estimator
    recalibration: Recalibration
    thresholds: list[float]
    took_validation: bool
    intervals: ValueIntervals = ValueIntervals(())

    def predict(self, cohort: Cohort) -> Prediction:
        """Recalibrated predictions; the estimator does not see targets."""
        return self._finished(self.estimator.predict(cohort.without_targets()), cohort)

    def predict_once(self, cohort: Cohort) -> np.ndarray:
        """(N, T) recalibrated probabilities, and values of numbers, in a single pass without sampling."""
        return self.single_pass(cohort).estimate.double().numpy()

    def single_pass(self, cohort: Cohort) -> Prediction:
        """Recalibrated predictions, in a single pass where ``predict`` would sample."""
        estimator, blind = self.estimator, cohort.without_targets()
        if isinstance(estimator, SinglePassEstimator):
            prediction = estimator.predict_once(blind)
        else:
            prediction = estimator.predict(blind)
        return self._finished(prediction, cohort)

    def predict_members(self, cohort: Cohort) -> np.ndarray:
        """(K, N, T) as ``predict_once``, by each of K members; K is 1 without members."""
        if not isinstance(self.estimator, EnsembleEstimator):
            return self.predict_once(cohort)[None]
        members = self.estimator.predict_members(cohort.without_targets())
        return np.stack([self._finished(one, cohort).estimate.double().numpy() for one in members])

    def _finished(self, prediction: Prediction, cohort: Cohort) -> Prediction:
        """Recalibrated, with the horizons of one event on one curve."""
        recalibrated = on_one_curve(self.recalibration.apply(prediction), cohort.layout.tasks)
        return self.intervals.apply(recalibrated)


def fit_estimator(
    recipe: Recipe, catalog: Catalog, train: Cohort, validation: Cohort, context: FitContext
) -> Fitted:
    """Fit a recipe's estimator; recalibrate it and choose thresholds on held-out patients.

    For an estimator that stops by validation patients, those are the held-out ones. A
    ``RefittingEstimator`` is fitted on both and recalibrated with its predictions in inner folds, which a
    ``CrossFittedEstimator`` already has; a ``ThresholdingEstimator`` has done that itself.
    """

    def fresh() -> Estimator:
        return build_estimator(recipe, catalog, train.layout)

    estimator = fresh()
    if not (isinstance(estimator, RefittingEstimator) and estimator.refits):
        estimator.fit(train, validation, context)
        return calibrated_on(validation, estimator)
    both, nobody = concatenate(train, validation), validation[slice(0, 0)]
    estimator.fit(both, nobody, context)
    if isinstance(estimator, ThresholdingEstimator):
        unchanged = Recalibration.none(len(train.layout.tasks), train.layout.families)
        return Fitted(estimator, unchanged, list(estimator.thresholds), True)
    if isinstance(estimator, CrossFittedEstimator):
        predicted = estimator.out_of_fold
    else:
        predicted = out_of_fold(fresh, both, context)
    return _with_held_out(estimator, predicted, both, took_validation=True)


def calibrated_on(validation: Cohort, estimator: Estimator) -> Fitted:
    """The estimator with recalibration and thresholds from patients that it was not fitted on."""
    tasks = len(validation.layout.tasks)
    if not len(validation) or validation.targets is None:
        unchanged = Recalibration.none(tasks, validation.layout.families)
        return Fitted(estimator, unchanged, [0.5] * tasks, False)
    predicted = estimator.predict(validation.without_targets())
    return _with_held_out(estimator, predicted, validation, took_validation=False)


def out_of_fold(fresh: Callable[[], Estimator], cohort: Cohort, context: FitContext) -> Prediction:
    """Predictions of N patients by models fitted on the other inner folds.

    NaN without any modality, and in the inner folds that are not needed: those after ``ENOUGH_HELD_OUT``
    patients have been predicted. Folds are stratified, so that the first are like the others.
    ``context.progress`` gets a line for each of them where there are so many patients that one takes long.
    """
    nobody = cohort[slice(0, 0)]
    predicted: list[tuple[Tensor, Prediction]] = []
    folds = joint_folds(cohort, at_most(INNER_FOLDS, cohort), 1, context.seed)
    before = np.cumsum([0, *(len(fold.test) for fold in folds)])[:-1]
    needed = [fold for fold, already in zip(folds, before, strict=True) if already < ENOUGH_HELD_OUT]
    for number, fold in enumerate(needed, 1):
        if len(cohort) > ENOUGH_HELD_OUT:
            context.progress(f"fitting inner fold {number} of {len(needed)}, to recalibrate on it")
        estimator = fresh()
        estimator.fit(cohort[fold.rest], nobody, context)
        predicted.append((fold.test, estimator.predict(cohort[fold.test].without_targets())))
    return in_place(predicted, cohort)


def _with_held_out(
    estimator: Estimator, predicted: Prediction, held_out: Cohort, *, took_validation: bool
) -> Fitted:
    """The estimator with what its predictions of patients that it was not fitted on say.

    These choose the recalibration, for each task the best threshold of recalibrated probabilities, and how
    wide the intervals of numbers are.
    """
    targets, layout = held_out.targets, held_out.layout
    assert targets is not None
    labels = targets.labels.numpy()
    weights = all_known_weights(layout, targets, targets)
    groups = group_numbers(held_out.groups)
    recalibration = Recalibration.fit(predicted.probability, labels, weights, groups, layout.families)
    recalibrated = recalibration.apply(Prediction(predicted.event_probability.double()))
    p = on_one_curve(recalibrated, layout.tasks).probability
    thresholds = []
    for task, known in enumerate(((labels >= 0) & np.isfinite(p)).T):
        thresholds.append(best_threshold(p[known, task], labels[known, task], weights[known, task]))
    intervals = ValueIntervals.none(len(layout.tasks))
    if targets.values is not None:
        values = targets.values.double().numpy()
        intervals = ValueIntervals.fit(predicted, values, layout.numbers, groups)
    return Fitted(estimator, recalibration, thresholds, took_validation, intervals)


def neural_parts_of(recipe: Recipe, catalog: Catalog) -> NeuralParts | None:
    """The recipe's neural parts; None where no estimator of it trains them."""
    return NeuralParts(recipe, catalog) if recipe.is_neural else None
