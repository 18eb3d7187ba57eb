"""Whether predictions of classes, or of a number, can be used: a word, the reason for it, three sentences.

As of an event (``verdict``), the word follows from patients whom the model did not learn from. A model of
classes is

- not known, where a class has fewer than ten patients, or the interval of the macro AUC holds 0.5;
- not usable, where the best simple model is better or the macro AUC is below 0.5, both beyond noise, or the
  interval of the calibration slope of all classes lies wholly on one side of 1;
- usable otherwise.

A model of a number is

- not known, where patients are fewer than twenty, or the interval of R2 holds 0;
- not usable, where R2 is below 0 beyond noise, the best simple model is better beyond noise, or fewer
  values than 90 % lie in the 90 % intervals, beyond noise: then the intervals say too much;
- usable otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcat_core.evaluation.analysis import PatternScores
from hcat_core.evaluation.other_baselines import OtherBaseline, best_other_baseline
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, ValueScores
from hcat_core.evaluation.verdict import SimpleModel, Verdict, Word, compared, for_whom, not_known
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import side_of
from hcat_core.text.numbers import percent, percent_range, quantity

LEVEL = 0.9
Best = tuple[str, OtherBaseline] | None


def verdict_of_other(
    outcome: str,
    scores: OtherScores,
    baselines: Mapping[str, Mapping[str, OtherBaseline]],
    patterns: Sequence[PatternScores],
    *,
    external: bool = False,
) -> Verdict:
    """Judge the predictions of one outcome of classes, or of a number.

    Args:
        outcome: its name.
        scores: of patients that the model did not learn from.
        baselines: scores of simple models on the same patients, by model and outcome.
        patterns: scores by missingness pattern, of the same patients.
        external: they are another cohort, instead of the test patients of a run.
    """
    who = "patient" if external else "test patient"
    too_few = _too_few(scores, who) if scores.few else None
    interval = scores.auc_95 if isinstance(scores, ClassScores) else scores.r2_95
    unknown = not_known(outcome, scores.patients, too_few, interval is not None, who)
    if unknown is not None:
        return unknown
    best = None if external else best_other_baseline(outcome, baselines)
    if isinstance(scores, ClassScores):
        word, because = _word_of_classes(scores, best)
        reasons = (_ranking(scores, best, external), _class_calibration(scores))
    else:
        word, because = _word_of_value(scores, best)
        reasons = (_error(scores, best, external), _coverage(scores))
    measured = f"known {'class' if isinstance(scores, ClassScores) else 'value'}"
    enough = [not one.others[outcome].few for one in patterns]
    return Verdict(
        outcome, word, (*reasons, for_whom(scores.patients, measured, enough, external)), because
    )


def _word_of_classes(scores: ClassScores, best: Best) -> tuple[Word, str]:
    """The word and the first reason for it."""
    if _worse(best):
        return "not usable", f"the simple model {best[0] if best else ''} tells classes apart better"
    if side_of(scores.auc_95, 0.5) < 0:
        return "not usable", "it tells classes apart worse than chance"
    slope = side_of(scores.calibration_slope_95, 1.0)
    if slope:
        return "not usable", f"its probabilities are too {'moderate' if slope > 0 else 'extreme'}"
    if side_of(scores.auc_95, 0.5) == 0:
        return "not known", "it may tell classes apart no better than chance"
    simple = ", no simple model is better" if best is not None else ""
    return (
        "usable",
        f"it tells classes apart better than chance{simple}, and no error of its probabilities was found",
    )


def _word_of_value(scores: ValueScores, best: Best) -> tuple[Word, str]:
    """The word and the first reason for it."""
    if _worse(best):
        return "not usable", f"the simple model {best[0] if best else ''} is closer to the values"
    if side_of(scores.r2_95, 0.0) < 0:
        return "not usable", "the mean of the training patients is closer to the values"
    if side_of(scores.coverage_90_95, LEVEL) < 0:
        return "not usable", "its intervals are too narrow"
    if side_of(scores.r2_95, 0.0) == 0:
        return "not known", "it may be no better than the mean of the training patients"
    simple = ", no simple model is better" if best is not None else ""
    return (
        "usable",
        f"it is closer to the values than their mean{simple}, and its intervals were not found too narrow",
    )


def _worse(best: Best) -> bool:
    return best is not None and best[1].difference is not None and best[1].difference[2] < 0


def _too_few(scores: OtherScores, who: str) -> str:
    if isinstance(scores, ValueScores):
        return (
            f"{scores.patients} {who}s have a known value: too few to measure anything "
            f"({FEWEST_TO_RESAMPLE} are needed, and of groups where records are grouped)."
        )
    counts = ", ".join(f"{name} {one.events}" for name, one in scores.by_class.items())
    return (
        f"Of {scores.patients} {who}s with a known class ({counts}) too few have the rarest one to measure "
        f"anything ({FEWEST_OF_EACH} of each are needed, and of groups where records are grouped). Rare "
        "classes can be joined with others, or left out."
    )


def _ranking(scores: ClassScores, best: Best, external: bool) -> str:
    assert scores.auc is not None and scores.auc_95 is not None
    low, high = scores.auc_95
    chance = {0: ", so that it may be no better than chance", -1: ", which is worse than chance"}
    text = (
        f"Telling classes apart: the macro AUC, the mean over classes, is {scores.auc:.2f} (95 % interval "
        f"{low:.2f} to {high:.2f}; 0.5 is chance, 1 is without error)"
    )
    return text + chance.get(side_of(scores.auc_95, 0.5), "") + _compared(best, "macro AUC", external)


def _error(scores: ValueScores, best: Best, external: bool) -> str:
    assert scores.r2 is not None and scores.r2_95 is not None
    text = (
        f"Error: predictions are off by {_quantity(scores.mae, scores)} on average. R² is {scores.r2:.2f} "
        f"(95 % interval {scores.r2_95[0]:.2f} to {scores.r2_95[1]:.2f}; 0 is predicting the mean of the "
        "training patients for everyone, 1 is without error)"
    )
    mean = {0: ", so that it may be no better than that mean", -1: ", which is worse than that mean"}
    return text + mean.get(side_of(scores.r2_95, 0.0), "") + _compared(best, "R²", external)


def _compared(best: Best, measure: str, external: bool) -> str:
    simple = None if best is None else SimpleModel(best[0], best[1].headline, best[1].difference)
    return compared(simple, measure, external)


def _class_calibration(scores: ClassScores) -> str:
    right = (
        f"Probabilities: the likeliest class was the right one for {percent(scores.accuracy or 0)} of the "
        "patients"
    )
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or pair is None:
        return f"{right}. A calibration slope could not be estimated."
    found = {
        0: "Probabilities were not found too extreme or too moderate",
        1: "Probabilities are too moderate: those of likely classes should be higher",
        -1: "Probabilities are too extreme: those of likely classes should be lower",
    }[side_of(pair, 1.0)]
    return (
        f"{right}. {found} (calibration slope {slope:.2f}, 95 % interval {pair[0]:.2f} to {pair[1]:.2f}; 1 "
        "is ideal)."
    )


def _coverage(scores: ValueScores) -> str:
    if scores.coverage_90 is None or scores.coverage_90_95 is None:
        return "Intervals: there are none, so that how far off a patient's value may be is not known."
    found = {
        0: "not detectably more or fewer than they should",
        1: "more than they should: intervals are wider than they need to be",
        -1: "fewer than they should: intervals are too narrow",
    }[side_of(scores.coverage_90_95, LEVEL)]
    return (
        f"Intervals: {percent(scores.coverage_90)} of the values (95 % interval "
        f"{percent_range(scores.coverage_90_95)}) lie in their 90 % intervals, {found}. An interval is "
        f"{_quantity(scores.width_90, scores)} wide on average."
    )


def _quantity(value: float | None, scores: ValueScores) -> str:
    """A number with its unit."""
    assert value is not None
    return f"{quantity(value)}{f' {scores.unit}' if scores.unit else ''}"
