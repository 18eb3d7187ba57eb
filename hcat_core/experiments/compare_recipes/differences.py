"""Differences between recipes on the same folds: intervals, p values and verdicts.

They are differences of the AUC, of classes the macro AUC; of a number they are differences of R2. A mean of
tasks is that of AUCs; only where all outcomes are numbers it is that of R2.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores

MEAN_OF_TASKS = "mean of tasks"
ENDS = {"AUC": (-1.0, 1.0), "R2": (-math.inf, math.inf)}  # of differences
ALL_MODALITIES, TWO_HIDDEN = "all modalities", "two hidden"
LEVEL = 0.05  # of a test
FEWEST_FOLDS = 3
"""From which a mean has an interval: of two, the t quantile is 12.7, and a small spread is mostly luck."""


@dataclass(frozen=True)
class PairedTest:
    """The 95 % interval of a mean difference and its two-sided p value; NaN where there is none."""

    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Difference:
    """AUC, or R2, of ``name`` minus that of ``other`` on the same folds.

    Attributes:
        name: of the recipe.
        other: the recipe that all are compared with.
        task: the outcome, or ``MEAN_OF_TASKS``.
        what: ``ALL_MODALITIES`` or ``TWO_HIDDEN``.
        mean: over folds.
        folds: on which both were scored.
        low: lower end of the Nadeau-Bengio 95 % interval of this difference alone; None where not tested.
        high: its upper end.
        p: two-sided p value of this difference alone.
        p_adjusted: by Holm, for the recipes that are compared with ``other`` in the same task and ``what``.
        measure: ``AUC`` or ``R2``.
    """

    name: str
    other: str
    task: str
    what: str
    mean: float
    folds: int
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    measure: str = "AUC"

    @property
    def too_few_folds(self) -> bool:
        """Whether there is no interval because of the number of folds."""
        return self.folds < FEWEST_FOLDS

    @property
    def shown(self) -> bool:
        """Whether there are patients enough for the difference to say anything."""
        return self.p is not None or self.too_few_folds

    @property
    def verdict(self) -> str:
        """The difference in words; a difference is claimed only by the adjusted p value."""
        if self.too_few_folds:
            return too_few_folds(self.folds)
        if self.p is None or self.p_adjusted is None:
            return "not tested"
        if self.p >= LEVEL:
            return "no detectable difference"
        direction = "better" if self.mean > 0 else "worse"
        return direction if self.p_adjusted < LEVEL else f"{direction} if tested alone"


def too_few_folds(folds: int) -> str:
    """Why there is no interval of a mean over so few folds, in words."""
    return f"{folds} {'fold is' if folds == 1 else 'folds are'} too few to say"


def nadeau_bengio(
    values: np.ndarray, n_folds: int, ends: tuple[float, float] = (-math.inf, math.inf)
) -> PairedTest:
    """Test whether a mean over resampled folds, as of paired differences, is 0 (Nadeau and Bengio 2003).

    Folds share training patients: the variance of the mean of J values is s^2 (1 / J + q), q the
    ratio of test to training patients, 1 / (n_folds - 1).

    Args:
        values: (J,) of the folds.
        n_folds: how many parts the patients were divided into.
        ends: between which the mean must be; an interval ends there.

    Returns:
        NaN with fewer than ``FEWEST_FOLDS`` values, and where all are the same but not 0: folds without a
        spread do not say how far off their mean may be.
    """
    j, nothing = len(values), PairedTest(math.nan, math.nan, math.nan)
    if j < FEWEST_FOLDS:
        return nothing
    mean = float(values.mean())
    error = float(values.std(ddof=1)) * math.sqrt(1 / j + 1 / (n_folds - 1))
    if math.isclose(error, 0, abs_tol=1e-12):
        return PairedTest(0.0, 0.0, 1.0) if math.isclose(mean, 0, abs_tol=1e-12) else nothing
    half = float(stats.t.ppf(1 - LEVEL / 2, j - 1)) * error
    low, high = max(mean - half, ends[0]), min(mean + half, ends[1])
    return PairedTest(low, high, float(2 * stats.t.sf(abs(mean) / error, j - 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of several tests, so that one false claim among all has a probability of 5 %.

    The step-down method of Holm (1979), which holds for tests that depend on each other in any way.
    """
    values = np.array(p)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def paired_differences(
    results: Sequence[FoldResult],
    names: Sequence[str],
    tasks: Sequence[str],
    n_folds: int,
    untested: Collection[str] = (),
    measure: str = "AUC",
) -> list[Difference]:
    """Every recipe against the first: by outcome, over several, and with two modalities hidden.

    The outcomes in ``tasks`` either all have an AUC, or are all numbers, of which ``measure`` is ``R2``.

    A task of ``untested`` gets no interval and no verdict, nor does a mean of tasks with it.
    """
    reference, *others = names
    rows = (*tasks, MEAN_OF_TASKS) if len(tasks) > 1 else tasks
    differences = []
    for what in (ALL_MODALITIES, TWO_HIDDEN):
        for task in rows:
            wanted = tasks if task == MEAN_OF_TASKS else [task]
            base = score_by_fold(results, reference, wanted, what)
            family = []
            for name in others:
                own = score_by_fold(results, name, wanted, what)
                by_fold = np.array([own[fold] - base[fold] for fold in sorted(own.keys() & base.keys())])
                if not len(by_fold):
                    continue
                mean, folds = float(by_fold.mean()), len(by_fold)
                one = Difference(name, reference, task, what, mean, folds, measure=measure)
                test = nadeau_bengio(by_fold, n_folds, ENDS[measure])
                if math.isfinite(test.p) and not set(wanted) & set(untested):
                    one = replace(one, low=test.low, high=test.high, p=test.p)
                family.append(one)
            differences += _adjusted(family)
    return differences


def _adjusted(family: Sequence[Difference]) -> list[Difference]:
    """The same differences with adjusted p values, where they are tested."""
    adjusted = iter(holm([one.p for one in family if one.p is not None]))
    return [one if one.p is None else replace(one, p_adjusted=next(adjusted)) for one in family]


def auc_with_two_hidden(scores: FoldScores) -> float | None:
    """Mean AUC, or R2, over the ways to hide two modalities at test time; None with fewer than three."""
    sizes = {name: len(name.split("+")) for name in scores.subsets}
    remaining = max(sizes.values(), default=0) - 2
    values = [v for name, v in scores.subsets.items() if sizes[name] == remaining and v is not None]
    return float(np.mean(values)) if remaining > 0 and values else None


def score_by_fold(
    results: Sequence[FoldResult], name: str, tasks: Sequence[str], what: str = ALL_MODALITIES
) -> dict[tuple[int, int], float]:
    """AUC, of a number R2, by (repeat, fold), the mean of ``tasks``, where each of them has one."""
    found: dict[tuple[int, int], dict[str, float]] = {}
    for result in results:
        if result.name != name or result.error is not None:
            continue
        for task in tasks:
            scores = result.outcomes.get(task)
            if scores is None:
                continue
            value = scores.headline if what == ALL_MODALITIES else auc_with_two_hidden(scores)
            if value is not None:
                found.setdefault((result.repeat, result.fold), {})[task] = value
    return {fold: float(np.mean(list(v.values()))) for fold, v in found.items() if len(v) == len(tasks)}
