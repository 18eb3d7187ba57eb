"""One recipe on one fold: fit it on the other patients, score the fold's patients once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from hcat_core.cohort import Cohort
from hcat_core.data.folds import Fold
from hcat_core.data.missingness_patterns import subsets
from hcat_core.data.splits import hold_out_patients
from hcat_core.errors import HcatError
from hcat_core.experiments.compare_recipes.results import FoldResult, TaskScores
from hcat_core.experiments.jobs import Job, job_key
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.discrimination import binary_metrics
from hcat_core.metrics.survival import known_weights
from hcat_core.metrics.time_to_event import time_metrics
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.discovery import Allowed
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, fit_estimator, neural_parts_of

VALIDATION = 0.15  # of the patients outside the fold
MOST_MODALITIES = 6  # with more, subsets of modalities are too many to score


@dataclass(frozen=True)
class RecipeOnFold:
    """What one job fits and scores."""

    recipe: Recipe
    fold: Fold


def fold_job(name: str, recipe: Recipe, fold: Fold, data: str) -> Job[RecipeOnFold]:
    """The job of one recipe on one fold of the cohort whose fingerprint is ``data``."""
    key = job_key(
        method=recipe.method(),
        mc_samples=recipe.evaluation.mc_samples,
        seed=recipe.seed,
        data=data,
        fold=[fold.repeat, fold.number, list(fold.tasks)],
        test=fold.test.tolist(),
    )
    return Job(name, key, RecipeOnFold(recipe, fold))


def run_job(job: Job[RecipeOnFold], cohort: Cohort, allowed: Allowed | None) -> FoldResult:
    """Fit and score with the plugins ``allowed``; a failure is a result too, and other jobs go on."""
    recipe, fold = job.task.recipe, job.task.fold
    tasks: dict[str, TaskScores] = {}
    error = None
    try:
        catalog = load_catalog(allowed=allowed)
        seed = recipe.seed + 100 * fold.repeat + fold.number
        rest = cohort[fold.rest]
        train, validation = hold_out_patients(rest, VALIDATION, seed)
        context = TrainingContext(seed, parts=neural_parts_of(recipe, catalog))
        fitted = fit_estimator(recipe, catalog, rest[train], rest[validation], context)
        tasks = _score(fitted, cohort, fold)
    except HcatError as failure:
        error = str(failure)
    except Exception as failure:  # a third-party estimator may raise anything
        error = f"{type(failure).__name__}: {failure}"
    return FoldResult(job.name, fold.repeat, fold.number, tasks, error)


def _score(fitted: Fitted, cohort: Cohort, fold: Fold) -> dict[str, TaskScores]:
    test = cohort[fold.test]
    assert cohort.targets is not None and test.targets is not None
    without_targets = test.without_targets()
    predicted = fitted.predict(without_targets)
    by_subset = dict(_predict_with_subsets(fitted, without_targets))
    scores = {}
    for name in fold.tasks:
        column = test.layout.task_names.index(name)
        p, y = predicted.probability[:, column], test.targets.labels[:, column].numpy()
        task, rest = test.layout.tasks[column], cohort.targets[fold.rest]
        weights = known_weights(test.targets, column, task.horizon_days, rest)
        scores[name] = TaskScores(
            metrics={
                **vars(binary_metrics(p, y, fitted.thresholds[column], weights)),
                **vars(calibration(p, y, weights)),
                **vars(time_metrics(task, column, rest, test.targets, predicted.curves[:, column])),
            },
            rows=fold.test.tolist(),
            probability=[round(float(value), 6) for value in p],
            known_weights=[round(float(value), 6) for value in weights],
            subsets={subset: _auc(q[:, column], y) for subset, q in by_subset.items()},
        )
    return scores


def _predict_with_subsets(fitted: Fitted, batch: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """The probabilities (N, T) with each subset of modalities alone; none for too many modalities.

    A patient with no modality of the subset gets the mean prediction of the others.
    """
    if len(batch.layout.modalities) > MOST_MODALITIES:
        return
    for subset in subsets(len(batch.layout.modalities)):
        alone = batch.hide(~subset.expand(len(batch), -1))
        measured = alone.present.any(dim=1)
        probability = np.zeros((len(batch), len(batch.layout.tasks)))
        if measured.any():
            predicted = fitted.predict_once(alone[measured])
            probability[:] = predicted.mean(axis=0)
            probability[measured.numpy()] = predicted
        names = zip(batch.layout.names, subset.tolist(), strict=True)
        yield "+".join(name for name, included in names if included), probability


def _auc(probability: np.ndarray, label: np.ndarray) -> float | None:
    """None where one of the outcomes is missing."""
    known = label >= 0
    events = (label[known] == 1).sum()
    both = 0 < events < known.sum()
    return float(roc_auc_score(label[known], probability[known])) if both else None
