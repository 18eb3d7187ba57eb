"""Whether predictions of a task can be used, in a word, the reason for it, and three sentences.

The word follows from three questions that patients answer whom the model did not learn from: does it rank
them better than chance, and than the best simple model? Are its probabilities right? For whom was that
measured? A model is

- not known, where patients are too few, or the interval of its AUC holds 0.5;
- not usable, where the best simple model is better or the AUC is below 0.5, both beyond noise, the interval
  of the calibration slope lies wholly on one side of 1 (probabilities are too extreme, or too moderate), or
  that of the ratio of observed to predicted events does (too few, or too many, events are predicted);
- usable otherwise: for patients like these, until it was measured on others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hcat_core.evaluation.analysis import PatternScores
from hcat_core.evaluation.baselines import BaselineScores, best_simple_model
from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.intervals import side_of
from hcat_core.text.numbers import percent

Word = Literal["usable", "not usable", "not known"]
ELSEWHERE = "Patients of another hospital may differ: measure it there before use (hcat evaluate)."


@dataclass(frozen=True)
class Verdict:
    """The verdict on one task.

    Attributes:
        task: its name.
        word: whether its predictions can be used.
        reasons: sentences on discrimination, on calibration, and on whom it was measured.
        because: the reason for the word, as a clause.
    """

    task: str
    word: Word
    reasons: tuple[str, ...]
    because: str = ""

    @property
    def answer(self) -> str:
        """The word and the reason for it."""
        return f"{self.word}{', because ' if self.because else ''}{self.because}"

    @property
    def title(self) -> str:
        """The task, the word and its reason in one line."""
        return f"{self.task}: {self.answer}"


@dataclass(frozen=True)
class SimpleModel:
    """The best simple model of an outcome.

    Attributes:
        name: of the estimator.
        score: on the same patients.
        difference: of the judged model's score to it, with the ends of its 95 % interval.
    """

    name: str
    score: float | None
    difference: Sequence[float] | None


def verdict_of(
    task: str,
    scores: TaskScores,
    baselines: Mapping[str, Mapping[str, BaselineScores]],
    patterns: Sequence[PatternScores],
    *,
    external: bool = False,
) -> Verdict:
    """Judge the predictions of one task.

    Args:
        task: its name.
        scores: of patients that the model did not learn from.
        baselines: scores of simple models on the same patients, by model and task.
        patterns: scores by missingness pattern, of the same patients.
        external: they are another cohort, instead of the test patients of a run.
    """
    who = "patient" if external else "test patient"
    too_few = _too_few(scores, who) if scores.rarer_outcome < FEWEST_OF_EACH else None
    unknown = not_known(task, scores.patients, too_few, scores.auc_95 is not None, who)
    if unknown is not None:
        return unknown
    best = None if external else best_simple_model(task, baselines)
    word, because = _word(scores, best)
    measured = f"known outcome, {scores.events} of them with the event"
    enough = [one.tasks[task].rarer_outcome >= FEWEST_OF_EACH for one in patterns]
    reasons = (
        _discrimination(scores, best, external),
        _calibration(scores),
        for_whom(scores.patients, measured, enough, external),
    )
    return Verdict(task, word, reasons, because)


def not_known(
    outcome: str, patients: int, too_few: str | None, has_interval: bool, who: str
) -> Verdict | None:
    """The verdict where the scores of an outcome of any kind say nothing; None where they can be judged.

    Args:
        outcome: its name.
        patients: whose outcome is known.
        too_few: a sentence where they are too few, else None.
        has_interval: whether its main score has an interval.
        who: the patients are, in the singular.
    """
    if not patients:
        nothing = f"No {who} has a known outcome: nothing was measured."
        return Verdict(outcome, "not known", (nothing,), f"no {who} has a known outcome")
    if too_few is not None:
        return Verdict(outcome, "not known", (too_few,), "there are too few patients")
    if not has_interval:
        reason = "There is no interval to judge by: the recipe has evaluation.bootstrap = 0."
        return Verdict(outcome, "not known", (reason,), "intervals were switched off")
    return None


def observed_over_predicted(scores: TaskScores) -> tuple[float, float, float] | None:
    """The ratio of observed to predicted events, and its 95 % interval (Debray et al. 2017, BMJ 356:i6460).

    The variance of its logarithm is (1 - observed share) / events; of grouped records, fewer events count.
    None without events or predictions.
    """
    if not scores.events or not scores.mean_predicted or not scores.observed:
        return None
    rarer = min(scores.events, scores.patients - scores.events)
    events = scores.events * (scores.rarer_outcome / rarer if rarer else 1)
    ratio = scores.observed / scores.mean_predicted
    factor = math.exp(1.96 * math.sqrt((1 - scores.observed) / max(events, 1)))
    return ratio, ratio / factor, ratio * factor


def _word(scores: TaskScores, best: tuple[str, BaselineScores] | None) -> tuple[Word, str]:
    """The word and the first reason for it."""
    if best is not None and best[1].difference is not None and best[1].difference[2] < 0:
        return "not usable", f"the simple model {best[0]} ranks patients better"
    if side_of(scores.auc_95, 0.5) < 0:
        return "not usable", "it ranks patients worse than chance"
    slope = side_of(scores.calibration_slope_95, 1.0)
    if slope:
        return "not usable", f"its probabilities are too {'moderate' if slope > 0 else 'extreme'}"
    events = side_of(_ends(observed_over_predicted(scores)), 1.0)
    if events:
        return "not usable", f"it predicts too {'few' if events > 0 else 'many'} events"
    if side_of(scores.auc_95, 0.5) == 0:
        return "not known", "it may rank patients no better than chance"
    simple = ", no simple model is better" if best is not None else ""
    return (
        "usable",
        f"it ranks patients better than chance{simple}, and its probabilities were not found to be wrong",
    )


def _ends(ratio: tuple[float, float, float] | None) -> tuple[float, float] | None:
    return None if ratio is None else ratio[1:]


def _too_few(scores: TaskScores, who: str) -> str:
    free = scores.patients - scores.events
    return (
        f"Of {scores.patients} {who}s with a known outcome {scores.events} had the event and {free} "
        f"did not: too few to measure anything ({FEWEST_OF_EACH} of either are needed, and of groups where "
        "records are grouped)."
    )


def _discrimination(scores: TaskScores, best: tuple[str, BaselineScores] | None, external: bool) -> str:
    assert scores.auc is not None and scores.auc_95 is not None
    low, high = scores.auc_95
    text = (
        f"Ranking: the AUC is {scores.auc:.2f} (95 % interval {low:.2f} to {high:.2f}; 0.5 is "
        "chance, 1 is without error)"
    )
    chance = {0: ", so that it may be no better than chance", -1: ", which is worse than chance"}
    text += chance.get(side_of(scores.auc_95, 0.5), "")
    simple = None if best is None else SimpleModel(best[0], best[1].auc, best[1].difference)
    return text + compared(simple, "AUC", external)


def compared(simple: SimpleModel | None, measure: str, external: bool) -> str:
    """How the model compares with the best simple one; what goes before has no full stop.

    Args:
        simple: the best simple model; None where none was fitted.
        measure: name of its score.
        external: the patients are another cohort, on which no model is fitted.
    """
    if simple is None:
        return "." if external else ". No simple model was fitted to compare it with."
    difference, low, high = simple.difference or (0.0, 0.0, 0.0)
    how = "better than" if low > 0 else "worse than" if high < 0 else "not detectably different from"
    return (
        f". It is {how} the best simple model, {simple.name}, whose {measure} is {simple.score:.2f} "
        f"(difference {difference:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})."
    )


def _calibration(scores: TaskScores) -> str:
    assert scores.mean_predicted is not None and scores.observed is not None
    text = (
        f"Probabilities: on average {percent(scores.mean_predicted)} were predicted, and "
        f"{percent(scores.observed)} had the event"
    )
    ratio = observed_over_predicted(scores)
    events = side_of(_ends(ratio), 1.0)
    if events and ratio is not None:
        what = "more" if events > 0 else "fewer"
        text += (
            f", {what} than chance explains (ratio {ratio[0]:.2f}, 95 % interval {ratio[1]:.2f} to "
            f"{ratio[2]:.2f})"
        )
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or pair is None:
        return f"{text}; whether high and low ones are right could not be estimated."
    found = {
        0: "high and low ones were not found to be too extreme or too moderate",
        1: "they are too moderate: high ones should be higher, low ones lower",
        -1: "they are too extreme: high ones should be lower, low ones higher",
    }[side_of(pair, 1.0)]
    return (
        f"{text}; {found} (calibration slope {slope:.2f}, 95 % interval {pair[0]:.2f} to "
        f"{pair[1]:.2f}; 1 is ideal)."
    )


def for_whom(patients: int, measured: str, enough: Sequence[bool], external: bool) -> str:
    """A sentence on whom an outcome of any kind was measured on.

    Args:
        patients: how many.
        measured: what is known of them, such as ``known class``.
        enough: for each combination of modalities, whether enough patients have it.
        external: they are another cohort, instead of the test patients of a run.
    """
    who = "patients of this cohort" if external else "test patients"
    text = f"For whom: measured on {patients} {who} with a {measured}"
    if len(enough) > 1:
        common = {0: "none is", 1: "1 is"}.get(sum(enough), f"{sum(enough)} are")
        text += (
            f"; of the {len(enough)} combinations of modalities that they have, {common} common enough to "
            "be measured alone"
        )
    if external:
        return f"{text}."
    return f"{text}. {ELSEWHERE}"
