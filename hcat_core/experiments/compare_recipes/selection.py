"""The best of several recipes, and its AUC corrected for having been chosen by that AUC.

The highest of several noisy scores is too high: the recipe was chosen in part for its luck with these
patients. Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou and Borboudakis 2018) repeats
the choice on resampled patients, from the predictions that cross-validation made anyway: the recipe that is
best on the patients drawn is scored on those that were not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.metrics.intervals import aucs
from hcat_core.metrics.resampling import CELLS, group_numbers

RESAMPLES = 500


@dataclass(frozen=True)
class ChosenScore:
    """The chosen recipe's AUC of one task, or of the mean of tasks.

    Attributes:
        apparent: mean over folds, of the patients by whom the recipe was chosen: too high.
        corrected: mean over resamples of the AUC, on patients not drawn, of the recipe that was best on the
            patients drawn.
        corrected_95: quantiles of that AUC over resamples.
    """

    apparent: float
    corrected: float
    corrected_95: tuple[float, float]


@dataclass(frozen=True)
class Selection:
    """The recipe with the highest mean AUC, and what that AUC is worth.

    Attributes:
        winner: its name.
        candidates: names of the recipes that it was chosen among, its own included; a recipe that failed on
            a fold is not among them.
        score: of the mean of tasks, by which it was chosen.
        tasks: of each task.
        resamples: of patients, or of ``cohort.groups`` as wholes.
    """

    winner: str
    candidates: tuple[str, ...]
    score: ChosenScore
    tasks: Mapping[str, ChosenScore]
    resamples: int


@dataclass(frozen=True)
class _Scored:
    """Candidates' test folds by task, and the resampling unit of each of N patients."""

    candidates: tuple[str, ...]
    folds: Mapping[str, Sequence[Sequence[FoldScores]]]  # by task: for each fold, K candidates
    labels: Mapping[str, np.ndarray]
    units: np.ndarray


def select_best(
    results: Sequence[FoldResult],
    names: Sequence[str],
    cohort: Cohort,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Selection | None:
    """Choose the recipe with the highest mean AUC, and correct its AUC for the choice.

    The AUC is weighted for censoring (``FoldScores.known_weights``), taken within each fold and averaged,
    as in the table: probabilities of models of different folds are never ranked against each other. The
    interval, of quantiles over resamples as published, is somewhat wide where recipes are alike: patients
    not drawn are about a third of all.

    Args:
        results: of all recipes on all folds.
        names: of the recipes.
        cohort: of N patients, with targets; its groups are resampled as wholes.
        resamples: how often patients are drawn.
        seed: of the draws.

    Returns:
        None with fewer than two recipes that were scored on every fold.
    """
    scored = _scored(results, names, cohort)
    if len(scored.candidates) < 2:
        return None
    drawn, left = _auc_of_resamples(scored, resamples, seed)
    everyone = _auc_by_task(scored, np.ones((1, len(scored.units))))[:, 0]
    best = int(everyone.mean(axis=1).argmax())
    usable = np.isfinite(drawn).all(axis=(0, 2)) & np.isfinite(left).all(axis=(0, 2))
    drawn, left = drawn[:, usable], left[:, usable]
    chosen = drawn.mean(axis=2).argmax(axis=0)
    each = np.arange(drawn.shape[1])
    outside = left[chosen, each]
    return Selection(
        winner=scored.candidates[best],
        candidates=scored.candidates,
        score=_chosen_score(everyone[best].mean(), outside.mean(axis=1)),
        tasks={
            task: _chosen_score(everyone[best, t], outside[:, t]) for t, task in enumerate(scored.folds)
        },
        resamples=int(usable.sum()),
    )


def _chosen_score(apparent: float, outside: np.ndarray) -> ChosenScore:
    """The score from (B,) AUCs on the patients outside each resample."""
    low, high = np.quantile(outside, [0.025, 0.975])
    return ChosenScore(float(apparent), float(outside.mean()), (float(low), float(high)))


def _scored(results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort) -> _Scored:
    """The recipes that have scores of every task on every fold, with their predictions."""
    assert cohort.targets is not None
    by_key = {
        (result.name, task, result.repeat, result.fold): scores
        for result in results
        for task, scores in result.tasks.items()
        if result.error is None
    }
    tasks = [task for task in cohort.layout.task_names if any(key[1] == task for key in by_key)]
    places = {task: sorted({key[2:] for key in by_key if key[1] == task}) for task in tasks}
    candidates = tuple(
        name
        for name in names
        if all((name, task, *place) in by_key for task in tasks for place in places[task])
    )
    folds = {
        task: [[by_key[name, task, *place] for name in candidates] for place in places[task]]
        for task in tasks
    }
    labels = {
        task: cohort.targets.labels[:, cohort.layout.task_names.index(task)].numpy() for task in tasks
    }
    groups = group_numbers(cohort.groups)
    return _Scored(candidates, folds, labels, np.arange(len(cohort)) if groups is None else groups)


def _auc_of_resamples(scored: _Scored, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(K, B, T) AUC of every candidate on the patients drawn, and on those that were not."""
    rng = np.random.default_rng(seed)
    units = int(scored.units.max()) + 1
    step = max(1, CELLS // len(scored.units))
    drawn, left = [], []
    for first in range(0, resamples, step):
        draws = rng.multinomial(units, np.full(units, 1 / units), size=min(step, resamples - first))
        count = draws[:, scored.units].astype(float)
        drawn.append(_auc_by_task(scored, count))
        left.append(_auc_by_task(scored, (count == 0).astype(float)))
    return np.concatenate(drawn, axis=1), np.concatenate(left, axis=1)


def _auc_by_task(scored: _Scored, count: np.ndarray) -> np.ndarray:
    """(K, B, T) AUC by candidate, resample and task, each the mean over folds with both outcomes.

    ``count`` (B, N) says how often each resample holds each patient.
    """
    result = np.full((len(scored.candidates), len(count), len(scored.folds)), np.nan)
    for t, (task, folds) in enumerate(scored.folds.items()):
        total, defined = np.zeros(result.shape[:2]), np.zeros(result.shape[:2])
        for fold in folds:
            auc = np.stack([_fold_auc(one, scored.labels[task], count) for one in fold])
            total += np.nan_to_num(auc)
            defined += np.isfinite(auc)
        np.divide(total, defined, out=result[:, :, t], where=defined > 0)
    return result


def _fold_auc(scores: FoldScores, labels: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(B,) weighted AUC of one fold's predictions in each resample; NaN where an outcome is missing."""
    rows, p, w = (np.asarray(v) for v in (scores.rows, scores.probability, scores.known_weights))
    known = labels[rows] >= 0
    if not known.any():
        return np.full(len(count), np.nan)
    rows, p, w = rows[known], p[known], w[known]
    return aucs(p, labels[rows] == 1, count[:, rows] * w)
