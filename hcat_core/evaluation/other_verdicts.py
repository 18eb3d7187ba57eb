"""Whether a run's predictions of classes, or of a number, can be used: a word and three sentences.

As of an event (``verdict``), the word follows from test patients. A model of classes is

- not known, where a class has fewer than ten test patients, or the interval of the macro AUC holds 0.5;
- not usable, where the best simple model is better beyond noise, or the interval of the calibration slope
  of all classes lies wholly on one side of 1;
- usable otherwise.

A model of a number is

- not known, where test patients are fewer than twenty, or the interval of R2 holds 0;
- not usable, where R2 is below 0 beyond noise, the best simple model is better beyond noise, or fewer
  values than 90 % lie in the 90 % intervals, beyond noise: then the intervals say too much;
- usable otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcat_core.evaluation.analysis import PatternScores
from hcat_core.evaluation.other_baselines import OtherBaseline, best_other_baseline
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, ValueScores
from hcat_core.evaluation.verdict import Verdict, Word, side_of
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE

LEVEL = 0.9
Best = tuple[str, OtherBaseline] | None


def verdict_of_other(
    outcome: str,
    scores: OtherScores,
    baselines: Mapping[str, Mapping[str, OtherBaseline]],
    patterns: Sequence[PatternScores],
) -> Verdict:
    """Judge the predictions of one outcome of classes, or of a number.

    Args:
        outcome: its name.
        scores: of the test patients.
        baselines: scores of simple models on the same patients, by model and outcome.
        patterns: scores by missingness pattern, of the same patients.
    """
    if not scores.patients:
        return Verdict(
            outcome, "not known", ("No test patient has a known outcome: nothing was measured.",)
        )
    if scores.few:
        return Verdict(outcome, "not known", (_too_few(scores),))
    interval = scores.auc_95 if isinstance(scores, ClassScores) else scores.r2_95
    if interval is None:
        reason = "There is no interval to judge by: the recipe has evaluation.bootstrap = 0."
        return Verdict(outcome, "not known", (reason,))
    best = best_other_baseline(outcome, baselines)
    word: Word = "usable"
    if side_of(interval, 0.5 if isinstance(scores, ClassScores) else 0.0) <= 0:
        word = "not known"
    if _worse(best) or _wrong(scores):
        word = "not usable"
    if isinstance(scores, ClassScores):
        reasons = (_ranks(scores, best), _class_calibration(scores))
    else:
        reasons = (_predicts(scores, best), _coverage(scores))
    return Verdict(outcome, word, (*reasons, _for_whom(outcome, scores, patterns)))


def _worse(best: Best) -> bool:
    return best is not None and best[1].difference is not None and best[1].difference[2] < 0


def _wrong(scores: OtherScores) -> bool:
    """Whether probabilities or intervals are wrong, or the mean is better, beyond noise."""
    if isinstance(scores, ClassScores):
        return side_of(scores.calibration_slope_95, 1.0) != 0
    return side_of(scores.r2_95, 0.0) < 0 or side_of(scores.coverage_90_95, LEVEL) < 0


def _too_few(scores: OtherScores) -> str:
    if isinstance(scores, ValueScores):
        return (
            f"{scores.patients} test patients have a known value: too few to measure anything "
            f"({FEWEST_TO_RESAMPLE} are needed, and of groups where records are grouped)."
        )
    counts = ", ".join(f"{one.events} {name}" for name, one in scores.by_class.items())
    return (
        f"Of {scores.patients} test patients with a known class ({counts}) too few have the rarest one to "
        f"measure anything ({FEWEST_OF_EACH} of each are needed, and of groups where records are grouped). "
        "Classes that are rare can be joined, or left out."
    )


def _ranks(scores: ClassScores, best: Best) -> str:
    assert scores.auc is not None and scores.auc_95 is not None
    low, high = scores.auc_95
    text = f"It tells classes apart with a macro AUC of {scores.auc:.2f} (95 % interval {low:.2f} to {high:.2f})"
    if low <= 0.5:
        text += ", which does not exclude a model no better than chance"
    return f"{text}{_compared(best, 'macro AUC')}"


def _predicts(scores: ValueScores, best: Best) -> str:
    assert scores.r2 is not None and scores.r2_95 is not None
    unit = f" {scores.unit}" if scores.unit else ""
    text = (
        f"It explains {max(scores.r2, 0):.0%} of the variance (R² {scores.r2:.2f}, 95 % interval "
        f"{scores.r2_95[0]:.2f} to {scores.r2_95[1]:.2f}), with a typical error of {scores.mae:.3g}{unit}"
    )
    if scores.r2_95[0] <= 0:
        text += ", which does not exclude a model no better than the mean of the training patients"
    return f"{text}{_compared(best, 'R²')}"


def _compared(best: Best, measure: str) -> str:
    """How the model compares with the best simple one, as the end of a sentence."""
    if best is None:
        return "; no simple model was fitted to compare it with."
    name, other = best
    difference, low, high = other.difference or (0.0, 0.0, 0.0)
    how = "better than" if low > 0 else "worse than" if high < 0 else "not detectably different from"
    return (
        f"; it is {how} the best simple model, {name} ({measure} {other.headline:.2f}; difference "
        f"{difference:+.3f}, {low:+.3f} to {high:+.3f})."
    )


def _class_calibration(scores: ClassScores) -> str:
    right = f"The likeliest class was the right one for {scores.accuracy:.0%} of the patients"
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or pair is None:
        return f"{right}; a calibration slope could not be estimated."
    found = {
        0: "probabilities were not found too extreme or too moderate",
        1: "the probabilities are too moderate: those of likely classes should be higher",
        -1: "the probabilities are too extreme: those of likely classes should be lower",
    }[side_of(pair, 1.0)]
    return f"{right}; {found} (calibration slope {slope:.2f}, {pair[0]:.2f} to {pair[1]:.2f})."


def _coverage(scores: ValueScores) -> str:
    unit = f" {scores.unit}" if scores.unit else ""
    if scores.coverage_90 is None or scores.coverage_90_95 is None:
        return (
            "It gives no interval of a patient's value, so that nothing is known of how far off one may be."
        )
    low, high = scores.coverage_90_95
    found = {
        0: "so that the intervals were not found too narrow or too wide",
        1: "so that the intervals are wider than they need to be",
        -1: "so that the intervals are too narrow",
    }[side_of(scores.coverage_90_95, LEVEL)]
    return (
        f"{scores.coverage_90:.0%} ({low:.0%} to {high:.0%}) of the values lie in their 90 % intervals, "
        f"which are {scores.width_90:.3g}{unit} wide on average, {found}."
    )


def _for_whom(outcome: str, scores: OtherScores, patterns: Sequence[PatternScores]) -> str:
    what = "class" if isinstance(scores, ClassScores) else "value"
    text = f"Measured on {scores.patients} test patients with a known {what}"
    if len(patterns) > 1:
        enough = sum(not one.others[outcome].few for one in patterns)
        text += (
            f"; of {len(patterns)} combinations of modalities among them, {enough} had enough patients to "
            "be measured alone"
        )
    return f"{text}. At another hospital it has to be measured again (hcat evaluate)."
