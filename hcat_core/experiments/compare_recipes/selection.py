"""The best of several recipes, and its score corrected for having been chosen by that score.

The score is the mean over outcomes of the AUC, that of classes their macro AUC. Numbers have no AUC: their
R2 counts only where all outcomes are numbers (``evaluation.headline``).

The highest of several noisy scores is too high: the recipe was chosen in part for its luck with these
patients. Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou and Borboudakis 2018) repeats
the choice on resampled patients, from the predictions that cross-validation made anyway: the recipe that is
best on the patients drawn is scored on those that were not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort, Targets
from hcat_core.evaluation.headline import averaged
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.layout import Outcome, TaskKind
from hcat_core.metrics.classes import KnownClasses, class_numbers, macro_aucs
from hcat_core.metrics.intervals import aucs
from hcat_core.metrics.resampling import CELLS, group_numbers
from hcat_core.metrics.values import KnownValues, r2_scores

RESAMPLES = 500


@dataclass(frozen=True)
class ChosenScore:
    """The chosen recipe's AUC, or R2, of one outcome, or of the mean of outcomes.

    Attributes:
        apparent: mean over folds, of the patients by whom the recipe was chosen: too high.
        corrected: mean over resamples of the score, on patients not drawn, of the recipe that was best on
            the patients drawn.
        corrected_95: quantiles of that score over resamples.
    """

    apparent: float
    corrected: float
    corrected_95: tuple[float, float]


@dataclass(frozen=True)
class Selection:
    """The recipe with the highest mean score, and what that score is worth.

    Attributes:
        winner: its name.
        candidates: names of the recipes that it was chosen among, its own included; a recipe that failed on
            a fold, or has no scores of an outcome that another one has, is not among them.
        score: of the mean of outcomes, by which it was chosen.
        tasks: of each outcome that the mean is made of.
        resamples: of patients, or of ``cohort.groups`` as wholes.
        measure: ``AUC`` or ``R2``.
    """

    winner: str
    candidates: tuple[str, ...]
    score: ChosenScore
    tasks: Mapping[str, ChosenScore]
    resamples: int
    measure: str = "AUC"


@dataclass(frozen=True)
class _Scored:
    """Candidates' test folds by outcome, and the resampling unit of each of N patients.

    ``observed`` are (N,) labels of an event, numbers of classes, or values; by outcome, as ``folds`` and
    ``kinds``.
    """

    candidates: tuple[str, ...]
    folds: Mapping[str, Sequence[Sequence[FoldScores]]]  # by outcome: for each fold, K candidates
    observed: Mapping[str, np.ndarray]
    kinds: Mapping[str, TaskKind]
    units: np.ndarray


def select_best(
    results: Sequence[FoldResult],
    names: Sequence[str],
    cohort: Cohort,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Selection | None:
    """Choose the recipe with the highest mean score, and correct its score for the choice.

    The AUC of events is weighted for censoring (``FoldScores.known_weights``). Scores are taken within each
    fold and averaged, as in the table: probabilities of models of different folds are never ranked against
    each other. The interval, of quantiles over resamples as published, is somewhat wide where recipes are
    alike: patients not drawn are about a third of all.

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
    drawn, left = _scores_of_resamples(scored, resamples, seed)
    everyone = _score_by_outcome(scored, np.ones((1, len(scored.units))))[:, 0]
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
        measure="R2" if "continuous" in scored.kinds.values() else "AUC",
    )


def _chosen_score(apparent: float, outside: np.ndarray) -> ChosenScore:
    """The score from (B,) AUCs on the patients outside each resample."""
    low, high = np.quantile(outside, [0.025, 0.975])
    return ChosenScore(float(apparent), float(outside.mean()), (float(low), float(high)))


def _scored(results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort) -> _Scored:
    """The recipes with scores of every outcome on every fold, and their predictions of averaged ones."""
    assert cohort.targets is not None
    by_key = {
        (result.name, outcome, result.repeat, result.fold): scores
        for result in results
        for outcome, scores in (*result.tasks.items(), *result.numbers.items())
        if result.error is None
    }
    there = [one for one in cohort.layout.outcomes if any(key[1] == one.name for key in by_key)]
    outcomes = {outcome.name: outcome for outcome in averaged(there)}
    places = {one.name: sorted({key[2:] for key in by_key if key[1] == one.name}) for one in there}
    candidates = tuple(
        name
        for name in names
        if all((name, outcome, *place) in by_key for outcome in places for place in places[outcome])
    )
    folds = {
        outcome: [[by_key[name, outcome, *place] for name in candidates] for place in places[outcome]]
        for outcome in outcomes
    }
    groups = group_numbers(cohort.groups)
    return _Scored(
        candidates,
        folds,
        {name: _observed(cohort.targets, outcome) for name, outcome in outcomes.items()},
        {name: outcome.kind for name, outcome in outcomes.items()},
        np.arange(len(cohort)) if groups is None else groups,
    )


def _observed(targets: Targets, outcome: Outcome) -> np.ndarray:
    """(N,) labels of an event, numbers of classes, or values."""
    if outcome.kind == "continuous":
        return targets.values_of(outcome.columns[0])
    labels = targets.labels[:, list(outcome.columns)].numpy()
    return class_numbers(labels) if outcome.kind == "class" else np.asarray(labels[:, 0])


def _scores_of_resamples(scored: _Scored, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(K, B, T) score of every candidate on the patients drawn, and on those that were not."""
    rng = np.random.default_rng(seed)
    units = int(scored.units.max()) + 1
    step = max(1, CELLS // len(scored.units))
    drawn, left = [], []
    for first in range(0, resamples, step):
        draws = rng.multinomial(units, np.full(units, 1 / units), size=min(step, resamples - first))
        count = draws[:, scored.units].astype(float)
        drawn.append(_score_by_outcome(scored, count))
        left.append(_score_by_outcome(scored, (count == 0).astype(float)))
    return np.concatenate(drawn, axis=1), np.concatenate(left, axis=1)


def _score_by_outcome(scored: _Scored, count: np.ndarray) -> np.ndarray:
    """(K, B, T) score by candidate, resample and outcome, each the mean over folds where it is defined.

    ``count`` (B, N) says how often each resample holds each patient.
    """
    result = np.full((len(scored.candidates), len(count), len(scored.folds)), np.nan)
    for t, (outcome, folds) in enumerate(scored.folds.items()):
        total, defined = np.zeros(result.shape[:2]), np.zeros(result.shape[:2])
        for fold in folds:
            score = np.stack([_fold_score(one, scored.observed[outcome], count) for one in fold])
            total += np.nan_to_num(score)
            defined += np.isfinite(score)
        np.divide(total, defined, out=result[:, :, t], where=defined > 0)
    return result


def _fold_score(scores: FoldScores, observed: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(B,) score of one fold's predictions in each resample; NaN where it is not defined."""
    rows = np.asarray(scores.rows, dtype=int)
    known = np.isfinite(observed[rows]) if scores.value else observed[rows] >= 0
    if not known.any():
        return np.full(len(count), np.nan)
    seen, count = observed[rows[known]], count[:, rows[known]]
    if scores.value:
        value, none = np.asarray(scores.value)[known], np.full(len(seen), np.nan)
        mean = np.nan if scores.training_mean is None else scores.training_mean
        return r2_scores(KnownValues(seen, value, none, none, mean), count)
    if scores.classes:
        return macro_aucs(KnownClasses(np.asarray(scores.classes).T[known], seen), count)
    p, w = (np.asarray(v)[known] for v in (scores.probability, scores.known_weights))
    return aucs(p, seen == 1, count * w)
