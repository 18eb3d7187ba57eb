"""Whether a run's predictions of a task can be used, in a word and three sentences.

The word follows from three questions that test patients answer: does the model rank them better than
chance, and than the best simple model? Are its probabilities right? For whom was that measured? A model is

- not known, where test patients are too few, or the interval of its AUC holds 0.5;
- not usable, where the best simple model is better beyond noise, or the calibration slope's interval lies
  wholly on one side of 1: then the probabilities are too extreme, or too moderate;
- usable otherwise: for patients like these, until it was measured on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hcat_core.evaluation.analysis import PatternScores
from hcat_core.evaluation.baselines import BaselineScores, best_simple_model
from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH

Word = Literal["usable", "not usable", "not known"]


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
    def title(self) -> str:
        """The task, the word and its reason in one line."""
        return f"{self.task}: {self.word}{', because ' if self.because else ''}{self.because}"


def verdict_of(
    task: str,
    scores: TaskScores,
    baselines: Mapping[str, Mapping[str, BaselineScores]],
    patterns: Sequence[PatternScores],
) -> Verdict:
    """Judge the predictions of one task.

    Args:
        task: its name.
        scores: of the test patients.
        baselines: scores of simple models on the same patients, by model and task.
        patterns: scores by missingness pattern, of the same patients.
    """
    if not scores.patients:
        return Verdict(task, "not known", ("No test patient has a known outcome: nothing was measured.",))
    if scores.rarer_outcome < FEWEST_OF_EACH:
        return Verdict(task, "not known", (_too_few(scores),))
    if scores.auc_95 is None:
        reason = "There is no interval to judge by: the recipe has evaluation.bootstrap = 0."
        return Verdict(task, "not known", (reason,))
    best = best_simple_model(task, baselines)
    word: Word = "usable"
    if _side(scores.auc_95, 0.5) <= 0:
        word = "not known"
    if _worse(best) or _side(scores.calibration_slope_95, 1.0):
        word = "not usable"
    reasons = (_discrimination(scores, best), _calibration(scores), _for_whom(task, scores, patterns))
    return Verdict(task, word, reasons)


def _side(pair: Sequence[float] | None, value: float) -> int:
    """1 where an interval lies wholly above a value, -1 wholly below, 0 where it holds it or is missing."""
    if pair is None:
        return 0
    return 1 if pair[0] > value else -1 if pair[1] < value else 0


def _worse(best: tuple[str, BaselineScores] | None) -> bool:
    return best is not None and best[1].difference is not None and best[1].difference[2] < 0


def _too_few(scores: TaskScores) -> str:
    free = scores.patients - scores.events
    return (
        f"Of {scores.patients} test patients with a known outcome {scores.events} had the event and {free} "
        f"did not: too few to measure anything ({FEWEST_OF_EACH} of either are needed, and of groups where "
        "records are grouped)."
    )


def _discrimination(scores: TaskScores, best: tuple[str, BaselineScores] | None) -> str:
    assert scores.auc is not None and scores.auc_95 is not None
    low, high = scores.auc_95
    text = f"It ranks patients with an AUC of {scores.auc:.2f} (95 % interval {low:.2f} to {high:.2f})"
    if low <= 0.5:
        text += ", which does not exclude a model no better than chance"
    if best is None:
        return f"{text}; no simple model was fitted to compare it with."
    name, other = best
    difference, low, high = other.difference or (0.0, 0.0, 0.0)
    how = "better than" if low > 0 else "worse than" if high < 0 else "not detectably different from"
    return (
        f"{text}, {how} the best simple model, {name} (AUC {other.auc:.2f}; difference {difference:+.3f}, "
        f"{low:+.3f} to {high:+.3f})."
    )


def _calibration(scores: TaskScores) -> str:
    assert scores.mean_predicted is not None and scores.observed is not None
    text = f"It predicted the event for {scores.mean_predicted:.0%}, and {scores.observed:.0%} had it"
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or pair is None:
        return f"{text}; a calibration slope could not be estimated."
    found = {
        0: "probabilities were not found too extreme or too moderate",
        1: "the probabilities are too moderate: high ones should be higher, low ones lower",
        -1: "the probabilities are too extreme: high ones should be lower, low ones higher",
    }[_side(pair, 1.0)]
    return f"{text}; {found} (calibration slope {slope:.2f}, {pair[0]:.2f} to {pair[1]:.2f})."


def _for_whom(task: str, scores: TaskScores, patterns: Sequence[PatternScores]) -> str:
    text = (
        f"Measured on {scores.patients} test patients with a known outcome, {scores.events} of them with "
        "the event"
    )
    if len(patterns) > 1:
        enough = sum(one.tasks[task].rarer_outcome >= FEWEST_OF_EACH for one in patterns)
        text += (
            f"; of {len(patterns)} combinations of modalities among them, {enough} had enough patients to "
            "be measured alone"
        )
    return f"{text}. At another hospital it has to be measured again (hcat evaluate)."
