"""What a search found, in sentences: on the terminal, on the page, and at the top of the best recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hcat_core.experiments.compare_recipes.differences import (
    ALL_MODALITIES,
    FEWEST_FOLDS,
    MEAN_OF_TASKS,
    too_few_folds,
)
from hcat_core.experiments.tune.results import OuterScore, TuningResult, tuned_name
from hcat_core.experiments.tune.space import on_one_line
from hcat_core.report.formatting import counted


def sentences(result: TuningResult) -> list[str]:
    """The honest score, the difference to the recipe as it is, the score that is too high, the choices."""
    return [*_honest(result), *_difference(result), *_optimistic(result), *_choices(result)]


def verdict(result: TuningResult) -> str:
    """What tuning brought, in one line."""
    found = difference_to_untuned(result)
    few = f": {found['verdict']}" if found is not None and found["folds"] < FEWEST_FOLDS else ""
    return {
        "better": "The tuned recipe is better than the recipe as it is",
        "worse": "The tuned recipe is worse than the recipe as it is",
        "no detectable difference": "Tuning makes no detectable difference",
    }.get(difference_in_words(result), f"Whether tuning helps is not known{few}")


def difference_in_words(result: TuningResult) -> str:
    """The verdict of the test of the tuned recipe against the recipe as it is."""
    found = difference_to_untuned(result)
    return "not tested" if found is None else str(found["verdict"])


def difference_to_untuned(result: TuningResult) -> Mapping[str, Any] | None:
    """The difference of the tuned recipe to the recipe as it is, of the score that was searched for."""
    numbers = result.comparison.get("numbers", {})
    of_number = next(iter(numbers.values()))["differences"] if len(numbers) == 1 else []
    found = [
        one
        for one in result.comparison["differences"] or of_number
        if one["name"] == tuned_name(result.recipe) and one["what"] == ALL_MODALITIES
    ]
    whole = [one for one in found if one["task"] == MEAN_OF_TASKS]
    return next(iter(whole or found), None)


def with_interval(score: OuterScore) -> str:
    """A mean with its interval."""
    if score.mean is None:
        return "not known"
    text = f"{score.mean:.3f}"
    return (
        text if score.low is None or score.high is None else f"{text} ({score.low:.3f} to {score.high:.3f})"
    )


def _in_sentence(score: OuterScore) -> str:
    return with_interval(score).replace("(", "(95 % interval ")


def _honest(result: TuningResult) -> list[str]:
    if result.tuned.mean is None:
        return [f"No outer fold could be scored: the {result.score} of the tuned recipe is not known."]
    folds = len(result.tuned.by_fold)
    few = f" {too_few_folds(folds).capitalize()} how far off it may be." if folds < FEWEST_FOLDS else ""
    return [
        f"Report this: {result.score} {_in_sentence(result.tuned)} of the tuned recipe, over "
        f"{counted(folds, 'outer fold')}, whose patients took no part in the choice of values.{few}"
    ]


def _difference(result: TuningResult) -> list[str]:
    found = difference_to_untuned(result)
    if found is None:
        return []
    ends = "" if found["low"] is None else f"{found['low']:+.3f} to {found['high']:+.3f}"
    interval = f" (95 % interval {ends})" if ends else ""
    return [
        f"The recipe as it is has {_in_sentence(result.untuned)} on the same folds; tuned minus as it is: "
        f"{found['mean']:+.3f}{interval}, {found['verdict']}."
    ]


def _optimistic(result: TuningResult) -> list[str]:
    best, trials = result.final.best, len(result.final.trials)
    if best.score is None:
        return ["No trial on all patients could be scored; best.toml is the recipe as it is."]
    return [
        f"Do not report {best.score:.3f}, the score of the best of {trials} trials on the "
        f"{result.plan.inner_folds} folds that chose it: the best of many is best by its luck with these "
        "patients, too."
    ]


def _choices(result: TuningResult) -> list[str]:
    chosen = [on_one_line(search.best.settings) for search in result.searches]
    different, kept = len(set(chosen)), chosen.count("")
    if different == 1:
        what = f"the same values ({chosen[0]})" if chosen[0] else "to keep the recipe as it is"
        return [f"All {len(chosen)} outer folds chose {what}."]
    text = f"The {len(chosen)} outer folds chose {different} different sets of values"
    return [f"{text}; {kept} kept the recipe as it is." if kept else f"{text}."]
