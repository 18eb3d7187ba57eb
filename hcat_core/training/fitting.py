"""Fit any estimator the same way: recalibrated, and cut, by patients that it has not learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Cohort, concatenate
from hcat_core.data.folds import at_most, joint_folds
from hcat_core.interfaces import (
    Estimator,
    FitContext,
    Prediction,
    RefittingEstimator,
    SinglePassEstimator,
    ThresholdingEstimator,
)
from hcat_core.metrics.discrimination import best_threshold
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.metrics.survival import all_known_weights
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.training.neural_parts import NeuralParts

INNER_FOLDS = 5


@dataclass(frozen=True)
class Fitted:
    """An estimator, its recalibration, and for each task the probability above which F1 was best.

    ``took_validation``: it has learned from validation patients too, and must not be scored on them.
    """

    estimator: Estimator
    recalibration: Recalibration
    thresholds: list[float]
    took_validation: bool

    def predict(self, cohort: Cohort) -> Prediction:
        """Recalibrated probabilities; targets are not shown to the estimator."""
        found = self.estimator.predict(cohort.without_targets())
        return self.recalibration.apply(found)

    def predict_once(self, cohort: Cohort) -> np.ndarray:
        """(N, T) recalibrated probabilities by the quickest way: one pass where there are samples."""
        estimator, blind = self.estimator, cohort.without_targets()
        if isinstance(estimator, SinglePassEstimator):
            prediction = estimator.predict_once(blind)
        else:
            prediction = estimator.predict(blind)
        return self.recalibration.apply(prediction).probability


def fit_estimator(
    recipe: Recipe, catalog: Catalog, train: Cohort, validation: Cohort, context: FitContext
) -> Fitted:
    """Fit a recipe's estimator; recalibrate it and choose thresholds on patients held out.

    They are the validation patients, for an estimator that stops by them. One that has no use for them
    (``refits``) learns from both, and is judged by what it predicts in inner folds; one that has chosen
    ``thresholds`` itself, on patients held out inside, is calibrated and stays as it is.
    """

    def fresh() -> Estimator:
        return build_estimator(recipe, catalog, train.layout)

    estimator = fresh()
    if not (isinstance(estimator, RefittingEstimator) and estimator.refits):
        estimator.fit(train, validation, context)
        return adjusted(estimator, validation)
    both, nobody = concatenate(train, validation), validation[slice(0, 0)]
    estimator.fit(both, nobody, context)
    if isinstance(estimator, ThresholdingEstimator):
        unchanged = Recalibration.none(len(train.layout.tasks))
        return Fitted(estimator, unchanged, list(estimator.thresholds), True)
    probability = out_of_fold(fresh, both, context)
    recalibration, thresholds = _judged(probability, both)
    return Fitted(estimator, recalibration, thresholds, True)


def adjusted(estimator: Estimator, validation: Cohort) -> Fitted:
    """Recalibration and thresholds from patients that the estimator has not learned from."""
    tasks = len(validation.layout.tasks)
    if not len(validation) or validation.targets is None:
        return Fitted(estimator, Recalibration.none(tasks), [0.5] * tasks, False)
    probability = estimator.predict(validation.without_targets()).probability
    recalibration, thresholds = _judged(probability, validation)
    return Fitted(estimator, recalibration, thresholds, False)


def out_of_fold(fresh: Callable[[], Estimator], cohort: Cohort, context: FitContext) -> np.ndarray:
    """(N, T) what models fitted on the other inner folds predict; NaN without any modality."""
    nobody = cohort[slice(0, 0)]
    found = np.full((len(cohort), len(cohort.layout.tasks)), np.nan)
    for fold in joint_folds(cohort, at_most(INNER_FOLDS, cohort), 1, context.seed):
        estimator = fresh()
        estimator.fit(cohort[fold.rest], nobody, context)
        predicted = estimator.predict(cohort[fold.test].without_targets())
        found[fold.test.numpy()] = predicted.probability
    return found


def _judged(probability: np.ndarray, cohort: Cohort) -> tuple[Recalibration, list[float]]:
    """The recalibration, and the best cut of recalibrated probabilities."""
    assert cohort.targets is not None
    labels = cohort.targets.labels.numpy()
    weights = all_known_weights(cohort.layout, cohort.targets, cohort.targets)
    recalibration = Recalibration.fit(probability, labels, weights)
    p = recalibration.apply(Prediction(torch.from_numpy(probability))).probability
    thresholds = []
    for task, known in enumerate(((labels >= 0) & np.isfinite(p)).T):
        thresholds.append(best_threshold(p[known, task], labels[known, task]))
    return recalibration, thresholds


def neural_parts_of(recipe: Recipe, catalog: Catalog) -> NeuralParts | None:
    """The recipe's neural tables, where an estimator trains them."""
    return NeuralParts(recipe, catalog) if recipe.is_neural else None
