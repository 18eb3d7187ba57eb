"""Whether one recipe is better than the others, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hcat_core.evaluation.verdict import ELSEWHERE
from hcat_core.experiments.compare_recipes.differences import (
    ALL_MODALITIES,
    LEVEL,
    MEAN_OF_TASKS,
    Difference,
    too_few_folds,
)
from hcat_core.experiments.compare_recipes.selection import Selection

Word = Literal["a recipe is better", "no detectable difference", "not known"]
CLAIMED = ("better", "worse")
NAMES = {"AUC": "AUC", "R2": "R²"}  # of scores, in sentences


@dataclass(frozen=True)
class ComparisonVerdict:
    """What a comparison found.

    Attributes:
        word: of one kind of result.
        title: the answer in one line.
        sentences: by how much, how certain, and for whom.
    """

    word: Word
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """On whom a comparison was made: patients, and test folds by how often they were made anew."""

    patients: int
    folds: int
    repeats: int

    def in_words(self) -> str:
        """A sentence for whom the verdict holds."""
        times = "once" if self.repeats == 1 else f"{self.repeats} times"
        return (
            f"For whom: measured on {self.patients} patients of one cohort, divided {times} into "
            f"{self.folds} parts; each part was predicted by models that were fitted to the others. "
            f"{ELSEWHERE}"
        )


def comparison_verdict(
    differences: Sequence[Difference],
    selection: Selection | None,
    measured: Measured,
    of_numbers: Sequence[Difference] = (),
) -> ComparisonVerdict:
    """Judge the differences to the first recipe with all modalities; of several tasks, those of their mean.

    A difference is claimed only where the test that allows for the number of recipes finds it. Differences
    of R2 decide where no outcome has an AUC; elsewhere they are told beside those of the AUC.

    Args:
        differences: of all tasks.
        selection: the best recipe, where one could be chosen.
        measured: on whom.
        of_numbers: differences of R2 by number.
    """
    main = main_differences(differences) or main_differences(of_numbers)
    beside = [] if not main or main[0].measure == "R2" else _beside(of_numbers)
    tested = [one for one in main if one.p is not None]
    if not tested:
        return ComparisonVerdict("not known", _not_known(main), (*beside, measured.in_words()))
    better, worse = ([one for one in tested if one.verdict == word] for word in CLAIMED)
    sentences = [_claimed(one) for one in (*better, *worse)]
    rest = [one for one in tested if one.verdict not in CLAIMED]
    if rest:
        sentences.append(_undecided(rest, bool(better or worse)))
    if selection is not None:
        sentences.append(_best(selection))
    word: Word = "a recipe is better" if better or worse else "no detectable difference"
    title = _title(better, worse, tested, " in the AUC" if beside else "")
    return ComparisonVerdict(word, title, (*sentences, *beside, measured.in_words()))


def main_differences(differences: Sequence[Difference]) -> list[Difference]:
    """Those that the verdict rests on: with all modalities, of the only task or the mean of several."""
    whole = [one for one in differences if one.what == ALL_MODALITIES]
    means = [one for one in whole if one.task == MEAN_OF_TASKS]
    return means or whole


def as_json(verdict: ComparisonVerdict) -> dict[str, Any]:
    """Plain values."""
    return {"word": verdict.word, "title": verdict.title, "sentences": list(verdict.sentences)}


def _not_known(differences: Sequence[Difference]) -> str:
    if not differences:
        return "Nothing to compare: fewer than two recipes were scored on the same folds."
    few = [one.folds for one in differences if one.too_few_folds]
    if len(few) == len(differences):
        return f"Not known: {too_few_folds(max(few))} which recipe is better."
    return "Not known: there are too few patients to tell recipes apart."


def _beside(of_numbers: Sequence[Difference]) -> list[str]:
    """A sentence on each number, where its differences are tested."""
    tested = [one for one in of_numbers if one.what == ALL_MODALITIES and one.p is not None]
    sentences = []
    for task in dict.fromkeys(one.task for one in tested):
        own = [one for one in tested if one.task == task]
        claimed = [_claimed(one) for one in own if one.verdict in CLAIMED]
        between = f"between {own[0].other} and {_names(own)}"
        sentences += claimed or [f"No detectable difference in the R² of {task} {between}."]
    return sentences


def _title(
    better: Sequence[Difference], worse: Sequence[Difference], tested: Sequence[Difference], by: str
) -> str:
    """The answer in one line; ``by`` names the score where there are several."""
    first = tested[0].other
    if better:
        verb = "is" if len(better) == 1 else "are"
        return f"{_names(better)} {verb} better than {first}{by}."
    if not worse:
        return f"No detectable difference{by} between {first} and {_names(tested)}."
    if len(worse) == len(tested):
        return f"{first} is better than {_names(worse)}{by}."
    return f"{first} is better than {_names(worse)}{by}, and not detectably different from the others."


def _claimed(one: Difference) -> str:
    does = "predicts values" if one.measure == "R2" else "ranks patients"
    return f"{one.name} {does} {one.verdict} than {one.other}: {_in_words(one)}."


def _undecided(rest: Sequence[Difference], others: bool) -> str:
    """By how much the recipes without a claim differ, and what could have been found."""
    largest = max(rest, key=lambda one: abs(one.mean))
    assert largest.low is not None and largest.high is not None
    least = (largest.high - largest.low) / 2
    which = f"{'Of the others the' if others else 'The'} largest difference is that of {largest.name}"
    text = (
        f"{which}: {_in_words(largest)}. With these patients a difference of less than about {least:.2f} "
        "cannot be told from chance."
    )
    alone = [one for one in rest if one.p is not None and one.p < LEVEL]
    if alone:
        text += f" {_names(alone)} would differ from {rest[0].other} if no other recipe had been compared."
    return text


def _in_words(one: Difference) -> str:
    """By how much a recipe differs from the first one."""
    assert one.low is not None and one.high is not None
    name = NAMES[one.measure]
    what = f"mean {name} of the tasks" if one.task == MEAN_OF_TASKS else f"{name} of {one.task}"
    direction = "higher" if one.mean > 0 else "lower"
    return (
        f"its {what} is {abs(one.mean):.3f} {direction} (95 % interval of the difference {one.low:+.3f} to "
        f"{one.high:+.3f})"
    )


def _best(selection: Selection) -> str:
    score, name = selection.score, NAMES[selection.measure]
    low, high = score.corrected_95
    return (
        f"The highest {name} was that of {selection.winner}, {score.apparent:.3f}. The highest of "
        f"{len(selection.candidates)} is in part luck: of other patients of this cohort expect "
        f"{score.corrected:.2f} (95 % interval {low:.2f} to {high:.2f})."
    )


def _names(differences: Sequence[Difference]) -> str:
    *first, last = [one.name for one in differences]
    return f"{', '.join(first)} and {last}" if first else last
