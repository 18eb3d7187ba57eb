"""Folds within folds: outer ones report, inner ones choose."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.folds import Fold, joint_folds
from hcat_core.experiments.compare_recipes.run import RecipeOnFold, fold_key
from hcat_core.experiments.jobs import Job
from hcat_core.recipe.recipe import Recipe


@dataclass(frozen=True)
class SearchPlan:
    """How a search is made.

    Attributes:
        trials: of each search; the first is the recipe as it is.
        folds: outer ones, whose patients take no part in a choice.
        repeats: how often patients are divided into outer folds anew.
        inner_folds: those by which a search chooses, of the patients outside an outer fold.
        seed: of folds and of draws.
    """

    trials: int = 20
    folds: int = 5
    repeats: int = 1
    inner_folds: int = 3
    seed: int = 0


@dataclass(frozen=True)
class SearchFolds:
    """The folds of one search.

    Attributes:
        name: of the search.
        outer: the fold that reports what was chosen; None for the search on all patients.
        inner: folds of the patients outside it.
    """

    name: str
    outer: Fold | None
    inner: tuple[Fold, ...]


def nested_folds(cohort: Cohort, plan: SearchPlan) -> tuple[SearchFolds, ...]:
    """One search for each outer fold, and a last one on all patients, which chooses the recipe to use.

    Raises:
        DataError: for too few patients or groups.
    """
    outer = joint_folds(cohort, plan.folds, plan.repeats, plan.seed)
    searches = [
        SearchFolds(f"outer fold {place + 1}", fold, _inner(cohort, fold.rest, plan))
        for place, fold in enumerate(outer)
    ]
    everyone = torch.arange(len(cohort))
    return (*searches, SearchFolds("all patients", None, _inner(cohort, everyone, plan)))


def nested_job(name: str, recipe: Recipe, fold: Fold, data: str) -> Job[RecipeOnFold]:
    """The job of a recipe on a fold of the cohort whose fingerprint is ``data``.

    Its key has the patients on both sides: inner folds of two outer ones may test the same patients.
    """
    rows = hashlib.sha256(fold.rest.numpy().tobytes() + b"/" + fold.test.numpy().tobytes())
    key = fold_key(recipe, fold, data, rows=rows.hexdigest())
    return Job(name, key, RecipeOnFold(recipe, fold, subsets=False))


def _inner(cohort: Cohort, rows: torch.Tensor, plan: SearchPlan) -> tuple[Fold, ...]:
    """Folds of some of the patients, as rows of the whole cohort."""
    folds = joint_folds(cohort[rows], plan.inner_folds, 1, plan.seed)
    return tuple(replace(fold, rest=rows[fold.rest], test=rows[fold.test]) for fold in folds)
