"""What a search found: its trials, what each outer fold chose, and what the choice is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hcat_core.evaluation.headline import HEADLINES
from hcat_core.experiments.compare_recipes.differences import MEAN_OF_TASKS, score_by_fold
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.tune.nested_folds import SearchPlan
from hcat_core.experiments.tune.space import Dimension
from hcat_core.layout import Outcome


@dataclass(frozen=True)
class Trial:
    """Values of a search, and their score on its inner folds.

    Attributes:
        number: 0 is the recipe as it is.
        settings: values by key.
        scores: of each inner fold that could be scored.
        error: why it failed; None if it did not.
    """

    number: int
    settings: Mapping[str, object]
    scores: tuple[float, ...] = ()
    error: str | None = None

    @property
    def score(self) -> float | None:
        """The mean over inner folds; None for a trial that failed on one of them."""
        return float(np.mean(self.scores)) if self.scores and self.error is None else None


@dataclass(frozen=True)
class FinishedSearch:
    """All trials of one search.

    Attributes:
        name: of the search.
        fold: repeat and number of the outer fold that was left out; None for the search on all patients.
        trials: in the order in which they were chosen.
        refused: draws whose values do not go together.
        importance: by key, the share of the variance of scores that it explains alone.
    """

    name: str
    fold: tuple[int, int] | None
    trials: tuple[Trial, ...]
    refused: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial:
        """The trial with the highest score."""
        return best_of(self.trials)


@dataclass(frozen=True)
class OuterScore:
    """The mean score over outer folds, with the Nadeau-Bengio 95 % interval; None where not defined.

    Attributes:
        mean: over folds.
        low: lower end of the interval.
        high: its upper end.
        by_fold: the score of each repeat and fold.
    """

    mean: float | None
    low: float | None
    high: float | None
    by_fold: Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class TuningResult:
    """Everything that a search found.

    Attributes:
        recipe: name of the recipe that was searched.
        plan: of folds and trials.
        score: what the scores are, such as ``AUC``.
        space: the values that were searched.
        searches: one for each outer fold.
        final: the search on all patients.
        outer: scores on the outer folds by name: the recipe as it is, ``tuned_name`` of it, baselines.
        comparison: as ``comparison.json``, of the recipe, the tuned one and baselines on the outer folds.
    """

    recipe: str
    plan: SearchPlan
    score: str
    space: tuple[Dimension, ...]
    searches: tuple[FinishedSearch, ...]
    final: FinishedSearch
    outer: Mapping[str, OuterScore]
    comparison: Mapping[str, Any]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that were searched."""
        return tuple(one.key for one in self.space)

    @property
    def tuned(self) -> OuterScore:
        """Of what each outer search chose, on the fold that it left out."""
        return self.outer[tuned_name(self.recipe)]

    @property
    def untuned(self) -> OuterScore:
        """Of the recipe as it is."""
        return self.outer[self.recipe]


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest score, the first of several; the first of all where none has a score."""
    return best_first(trials)[0]


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Trials by their score, the highest first; failed ones last."""
    return sorted(trials, key=lambda one: (np.inf if one.score is None else -one.score, one.number))


def tuned_name(recipe: str) -> str:
    """What tables call the recipe with the values that were chosen."""
    return f"{recipe} (tuned)"


def score_name(outcomes: Sequence[Outcome]) -> str:
    """What is searched for: the score by which ``hcat compare`` ranks recipes.

    Args:
        outcomes: those that count, as of ``headline.averaged``.
    """
    if len(outcomes) == 1:
        return HEADLINES[outcomes[0].kind]
    return f"{'R2' if outcomes[0].kind == 'continuous' else 'AUC'}, {MEAN_OF_TASKS}"


def scored_trial(
    number: int, settings: Mapping[str, object], results: Sequence[FoldResult], tasks: Sequence[str]
) -> Trial:
    """A trial with its results on all inner folds."""
    errors = [one.error for one in results if one.error is not None]
    if errors:
        return Trial(number, settings, error=errors[0])
    scores = score_by_fold(results, results[0].name, tasks)
    if not scores:
        return Trial(
            number, settings, error="no inner fold has the patients that the score of every task needs"
        )
    return Trial(number, settings, tuple(scores[fold] for fold in sorted(scores)))
