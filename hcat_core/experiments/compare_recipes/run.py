"""One recipe on one fold: fit it on the other patients, score the fold's patients once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.folds import Fold
from hcat_core.data.splits import hold_out_patients
from hcat_core.errors import HcatError
from hcat_core.evaluation.headline import Observed
from hcat_core.evaluation.other_outcomes import score_others
from hcat_core.evaluation.outcome_selection import predictable_columns, with_columns
from hcat_core.evaluation.scores import ScoringSettings, score_tasks
from hcat_core.evaluation.shapley import value_of_subsets
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.jobs import Job, job_key
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.discovery import Allowed
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, fit_estimator, neural_parts_of

VALIDATION = 0.15  # of the patients outside the fold
SCORING = 2  # raised when scores mean something else, so that kept folds are not mixed with new ones
MOST_MODALITIES = 6  # with more, subsets of modalities are too many to score


@dataclass(frozen=True)
class RecipeOnFold:
    """What one job fits and scores; ``subsets``: with each subset of modalities alone, too."""

    recipe: Recipe
    fold: Fold
    subsets: bool = True


def fold_job(name: str, recipe: Recipe, fold: Fold, data: str) -> Job[RecipeOnFold]:
    """The job of one recipe on one fold of the cohort whose fingerprint is ``data``."""
    return Job(name, fold_key(recipe, fold, data, test=fold.test.tolist()), RecipeOnFold(recipe, fold))


def fold_key(recipe: Recipe, fold: Fold, data: str, **patients: object) -> str:
    """The name of a result's file, which changes with all that the result depends on.

    Args:
        recipe: that is fitted.
        fold: whose patients are scored.
        data: fingerprint of the cohort.
        patients: which of them are on either side of the fold.
    """
    return job_key(
        method=recipe.method(),
        scoring=SCORING,
        mc_samples=recipe.evaluation.mc_samples,
        seed=recipe.seed,
        data=data,
        fold=[fold.repeat, fold.number, list(fold.tasks)],
        **patients,
    )


def run_job(job: Job[RecipeOnFold], cohort: Cohort, allowed: Allowed | None) -> FoldResult:
    """Fit and score with the plugins ``allowed``; a failure is a result too, and other jobs go on."""
    recipe, fold = job.task.recipe, job.task.fold
    scores: dict[str, FoldScores] = {}
    error = None
    try:
        catalog = load_catalog(allowed=allowed)
        part = with_columns(cohort, predictable_columns(recipe, catalog, cohort.layout))
        seed = recipe.seed + 100 * fold.repeat + fold.number
        rest = part[fold.rest]
        train, validation = hold_out_patients(rest, VALIDATION, seed)
        context = TrainingContext(seed, parts=neural_parts_of(recipe, catalog))
        fitted = fit_estimator(recipe, catalog, rest[train], rest[validation], context)
        scores = score_fold(fitted, part, fold, subsets=job.task.subsets)
    except HcatError as failure:
        error = str(failure)
    except Exception as failure:  # a third-party estimator may raise anything
        error = f"{type(failure).__name__}: {failure}"
    numbers = {outcome: one for outcome, one in scores.items() if one.value}
    tasks = {outcome: one for outcome, one in scores.items() if outcome not in numbers}
    return FoldResult(job.name, fold.repeat, fold.number, tasks, error, numbers)


def score_fold(
    fitted: Fitted, cohort: Cohort, fold: Fold, *, subsets: bool = True
) -> dict[str, FoldScores]:
    """Scores by outcome of those that are scored on this fold; with ``subsets``, of modalities too."""
    test = cohort[fold.test]
    assert cohort.targets is not None and test.targets is not None
    without_targets = test.without_targets()
    predicted = fitted.predict(without_targets)
    settings = ScoringSettings(fitted.thresholds, cohort.targets[fold.rest], 0, 0)
    events = score_tasks(test, predicted, settings)
    others = score_others(test, predicted, settings)
    by_subset = _predict_with_subsets(fitted, without_targets) if subsets else {}
    scores = {}
    for one in Observed.of(test, settings):
        name, columns = one.outcome.name, list(one.outcome.columns)
        if name not in fold.tasks:
            continue
        of_subset = {subset: one.headline(estimate).value for subset, estimate in by_subset.items()}
        kept = FoldScores({}, fold.test.tolist(), known_weights=_rounded(one.weights), subsets=of_subset)
        if one.outcome.kind == "event":
            probability = _rounded(predicted.probability[:, columns[0]])
            scores[name] = replace(kept, metrics=events[name].as_json(), probability=probability)
        elif one.outcome.kind == "class":
            classes = [_rounded(predicted.probability[:, column]) for column in columns]
            scores[name] = replace(kept, metrics=others[name].as_json(), classes=classes)
        else:
            value = _rounded(predicted.values[:, columns[0]])
            mean = one.training_mean if np.isfinite(one.training_mean) else None
            scores[name] = replace(kept, metrics=others[name].as_json(), value=value, training_mean=mean)
    return scores


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]


def _predict_with_subsets(fitted: Fitted, batch: Cohort) -> dict[str, np.ndarray]:
    """What is predicted (N, T) with each subset of modalities alone; nothing for too many modalities.

    A patient with no modality of the subset gets the mean prediction of the others.
    """
    m, tasks = len(batch.layout.modalities), len(batch.layout.tasks)
    if m > MOST_MODALITIES:
        return {}
    values = value_of_subsets(fitted.predict_once, batch, np.full(tasks, np.nan))
    result = {}
    for number in sorted(range(1, 2**m), key=int.bit_count, reverse=True):
        probability = values[:, number]
        measured = np.isfinite(probability).all(axis=1)
        usual = probability[measured].mean(axis=0) if measured.any() else np.zeros(tasks)
        names = [name for column, name in enumerate(batch.layout.names) if number >> column & 1]
        result["+".join(names)] = np.where(measured[:, None], probability, usual)
    return result
