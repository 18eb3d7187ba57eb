"""Fit any estimator the same way: thresholds from patients that it has not learned from."""

from __future__ import annotations

from dataclasses import dataclass

from hcat_core.assembly import Assembly
from hcat_core.build import build_estimator
from hcat_core.catalog import Catalog
from hcat_core.cohort import Cohort, concatenate
from hcat_core.evaluation import Predicted, best_threshold
from hcat_core.interfaces import Estimator, FitContext
from hcat_core.recipe import Recipe


@dataclass(frozen=True)
class Fitted:
    """An estimator and, for each task, the probability above which F1 is best on patients held out.

    ``took_validation``: it has learned from validation patients too, and must not be scored on them.
    """

    estimator: Estimator
    thresholds: list[float]
    took_validation: bool


def fit_estimator(
    recipe: Recipe, catalog: Catalog, train: Cohort, validation: Cohort, context: FitContext
) -> Fitted:
    """Fit a recipe's estimator on ``train``; choose thresholds on ``validation``.

    One that has no use for validation patients (``refits``) is then fitted again with them. One that has
    chosen ``thresholds`` itself, on patients held out inside, keeps them.
    """
    estimator = build_estimator(recipe, catalog, train.layout)
    takes_all = getattr(estimator, "refits", False)
    if not takes_all:
        estimator.fit(train, validation, context)
        return Fitted(estimator, thresholds_on(validation, estimator), False)
    both, nobody = concatenate(train, validation), validation[slice(0, 0)]
    if hasattr(estimator, "thresholds"):
        estimator.fit(both, nobody, context)
        return Fitted(estimator, list(estimator.thresholds), True)
    estimator.fit(train, nobody, context)
    thresholds = thresholds_on(validation, estimator)
    estimator = build_estimator(recipe, catalog, train.layout)
    estimator.fit(both, nobody, context)
    return Fitted(estimator, thresholds, True)


def thresholds_on(validation: Cohort, estimator: Estimator) -> list[float]:
    """By task; 0.5 without validation patients."""
    if not len(validation) or validation.targets is None:
        return [0.5] * len(validation.layout.tasks)
    probability = Predicted.of(estimator.predict(validation.without_targets())).probability
    labels = validation.targets.labels.numpy()
    return [
        best_threshold(probability[known, task], labels[known, task])
        for task, known in enumerate((labels >= 0).T)
    ]


def assembly_of(recipe: Recipe, catalog: Catalog) -> Assembly | None:
    """The recipe's neural tables, where an estimator trains them."""
    return Assembly(recipe, catalog) if recipe.is_neural else None
