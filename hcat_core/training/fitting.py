"""Fit any estimator; recalibrate it and choose thresholds on held-out patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

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
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.training.neural_parts import NeuralParts

INNER_FOLDS = 5
ENOUGH_HELD_OUT = 3000
"""Patients with whose predictions a recalibration and a threshold are chosen, where there are more.

With so many, chance moves a recalibrated probability by less than 0.01 (one standard error); each further
inner fold would take as long as the model itself.
"""


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator with its recalibration and thresholds.

    Attributes:
        estimator: fitted.
        recalibration: of its probabilities, from held-out patients.
        thresholds: for each task, the probability at which F1 was best on held-out patients.
        took_validation: it was fitted on validation patients too, and must not be scored on them.
    """

    estimator: Estimator
    recalibration: Recalibration
    thresholds: list[float]
    took_validation: bool

    def predict(self, cohort: Cohort) -> Prediction:
        """Recalibrated predictions; the estimator does not see targets."""
        return self._finished(self.estimator.predict(cohort.without_targets()), cohort)

    def predict_once(self, cohort: Cohort) -> np.ndarray:
        """(N, T) recalibrated probabilities, in a single pass where ``predict`` would sample."""
        return self.single_pass(cohort).probability

    def single_pass(self, cohort: Cohort) -> Prediction:
        """Recalibrated predictions, in a single pass where ``predict`` would sample."""
        estimator, blind = self.estimator, cohort.without_targets()
        if isinstance(estimator, SinglePassEstimator):
            prediction = estimator.predict_once(blind)
        else:
            prediction = estimator.predict(blind)
        return self._finished(prediction, cohort)

    def predict_members(self, cohort: Cohort) -> np.ndarray:
        """(K, N, T) recalibrated probabilities of each member in a single pass; K is 1 without members."""
        if not isinstance(self.estimator, EnsembleEstimator):
            return self.predict_once(cohort)[None]
        members = self.estimator.predict_members(cohort.without_targets())
        return np.stack([self._finished(one, cohort).probability for one in members])

    def _finished(self, prediction: Prediction, cohort: Cohort) -> Prediction:
        """Recalibrated, with the horizons of one event on one curve."""
        return on_one_curve(self.recalibration.apply(prediction), cohort.layout.tasks)


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
        unchanged = Recalibration.none(len(train.layout.tasks))
        return Fitted(estimator, unchanged, list(estimator.thresholds), True)
    if isinstance(estimator, CrossFittedEstimator):
        probability = estimator.out_of_fold
    else:
        probability = out_of_fold(fresh, both, context)
    recalibration, thresholds = _recalibrate(probability, both)
    return Fitted(estimator, recalibration, thresholds, True)


def calibrated_on(validation: Cohort, estimator: Estimator) -> Fitted:
    """The estimator with recalibration and thresholds from patients that it was not fitted on."""
    tasks = len(validation.layout.tasks)
    if not len(validation) or validation.targets is None:
        return Fitted(estimator, Recalibration.none(tasks), [0.5] * tasks, False)
    probability = estimator.predict(validation.without_targets()).probability
    recalibration, thresholds = _recalibrate(probability, validation)
    return Fitted(estimator, recalibration, thresholds, False)


def out_of_fold(fresh: Callable[[], Estimator], cohort: Cohort, context: FitContext) -> np.ndarray:
    """(N, T) predictions of models fitted on the other inner folds.

    NaN without any modality, and in the inner folds that are not needed: those after ``ENOUGH_HELD_OUT``
    patients have been predicted. Folds are stratified, so that the first are like the others.
    """
    nobody = cohort[slice(0, 0)]
    probability = np.full((len(cohort), len(cohort.layout.tasks)), np.nan)
    predicted = 0
    for fold in joint_folds(cohort, at_most(INNER_FOLDS, cohort), 1, context.seed):
        if predicted >= ENOUGH_HELD_OUT:
            break
        predicted += len(fold.test)
        estimator = fresh()
        estimator.fit(cohort[fold.rest], nobody, context)
        prediction = estimator.predict(cohort[fold.test].without_targets())
        probability[fold.test.numpy()] = prediction.probability
    return probability


def _recalibrate(probability: np.ndarray, cohort: Cohort) -> tuple[Recalibration, list[float]]:
    """The recalibration, and for each task the best threshold of recalibrated probabilities."""
    assert cohort.targets is not None
    labels = cohort.targets.labels.numpy()
    weights = all_known_weights(cohort.layout, cohort.targets, cohort.targets)
    recalibration = Recalibration.fit(probability, labels, weights, group_numbers(cohort.groups))
    recalibrated = recalibration.apply(Prediction(torch.from_numpy(probability)))
    p = on_one_curve(recalibrated, cohort.layout.tasks).probability
    thresholds = []
    for task, known in enumerate(((labels >= 0) & np.isfinite(p)).T):
        thresholds.append(best_threshold(p[known, task], labels[known, task], weights[known, task]))
    return recalibration, thresholds


def neural_parts_of(recipe: Recipe, catalog: Catalog) -> NeuralParts | None:
    """The recipe's neural parts; None where no estimator of it trains them."""
    return NeuralParts(recipe, catalog) if recipe.is_neural else None
