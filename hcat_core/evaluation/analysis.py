"""A closer look at test patients: by missingness pattern, by subset of modalities, by modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.evaluation.headline import Headline, Observed
from hcat_core.evaluation.other_outcomes import OtherScores, others_as_json, score_others
from hcat_core.evaluation.scores import ScoringSettings, TaskScores, score_tasks, tasks_as_json
from hcat_core.evaluation.shapley import MOST_MODALITIES, shapley_of, value_of_subsets
from hcat_core.interfaces import Prediction
from hcat_core.layout import Layout
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.ratio_intervals import ratio_intervals

# -------------------------------------------------------------------- by missingness pattern


@dataclass(frozen=True)
class PatternScores:
    """Scores of the patients of one missingness pattern.

    Attributes:
        present: M booleans, True for a modality that these patients have.
        patients: how many they are.
        tasks: scores of events by task.
        others: scores of other outcomes.
    """

    present: tuple[bool, ...]
    patients: int
    tasks: Mapping[str, TaskScores]
    others: Mapping[str, OtherScores] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        tasks = tasks_as_json(self.tasks)
        document = {"present": list(self.present), "patients": self.patients, "tasks": tasks}
        return document | ({"other_outcomes": others_as_json(self.others)} if self.others else {})


def score_patterns(cohort: Cohort, predicted: Prediction, settings: ScoringSettings) -> list[PatternScores]:
    """Score the patients of each missingness pattern, the most frequent pattern first."""
    result = []
    for pattern, patients in count_patterns(cohort.present):
        rows = (cohort.present == torch.tensor(pattern)).all(dim=1)
        scored = cohort[rows], predicted[rows.numpy()], settings
        result.append(PatternScores(pattern, patients, score_tasks(*scored), score_others(*scored)))
    return result


# --------------------------------------------------------------- by subset and by modality


Pair = tuple[float, float]
Means = Mapping[str, Mapping[str, float]]
Intervals = Mapping[str, Mapping[str, Pair | None]]
"""Both by outcome and modality."""


@dataclass(frozen=True)
class SubsetScores:
    """AUC by outcome, of a number R2, when only the modalities in ``kept`` are shown.

    Attributes:
        kept: names of the modalities.
        tasks: AUC or R2 by outcome (``headline``); None where it is not defined.
        intervals: its 95 % interval by outcome; None with few patients.
    """

    kept: tuple[str, ...]
    tasks: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float] | None]


@dataclass(frozen=True)
class ModalityAnalysis:
    """What each modality contributes, by hiding what patients have.

    Attributes:
        subsets: all 2^M - 1 subsets of modalities, the largest first.
        shapley: by outcome and modality, the mean absolute Shapley value of patients who have the modality;
            of classes, half the sum over them: the probability that moves from one class to another.
        shapley_95: their 95 % intervals; None where few patients have the modality.
        leave_one_out: by outcome and modality, the fall of the AUC, or of R2, when the modality is hidden
            from everyone.
        leave_one_out_95: their 95 % intervals, of paired differences; None with few patients.
        patients: how many were looked at; drawn from the test patients where there are very many.
    """

    subsets: Sequence[SubsetScores]
    shapley: Means
    shapley_95: Intervals
    leave_one_out: Means
    leave_one_out_95: Intervals
    patients: int

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        return {
            "subsets": [
                {"kept": list(s.kept), "tasks": dict(s.tasks), "tasks_95": dict(s.intervals)}
                for s in self.subsets
            ],
            "importance": {
                "shapley": self.shapley,
                "shapley_95": self.shapley_95,
                "leave_one_out": self.leave_one_out,
                "leave_one_out_95": self.leave_one_out_95,
                "patients": self.patients,
            },
        }


def analyse_modalities(
    predict: Callable[[Cohort], np.ndarray],
    cohort: Cohort,
    base_rate: Sequence[float],
    settings: ScoringSettings,
) -> ModalityAnalysis | None:
    """Score every subset of modalities, and compute what each modality contributes to each outcome.

    None for more modalities than can be enumerated, and without patients or targets.

    Args:
        predict: cohort -> (N, T) probabilities, and values of numbers.
        cohort: N patients with targets.
        base_rate: T mean predictions, for a patient who has none of a subset's modalities.
        settings: outcomes of training patients, resamples.
    """
    layout = cohort.layout
    m = len(layout.modalities)
    if m > MOST_MODALITIES or cohort.targets is None or not len(cohort):
        return None
    values = value_of_subsets(predict, cohort, np.array(base_rate))
    observed = Observed.of(cohort, settings)
    found = [
        {one.outcome.name: one.headline(values[:, subset]) for one in observed} for subset in range(2**m)
    ]
    by_size = sorted(range(1, 2**m), key=lambda subset: (-subset.bit_count(), subset))
    subsets = [
        SubsetScores(
            tuple(n for i, n in enumerate(layout.names) if subset >> i & 1),
            {name: one.value for name, one in found[subset].items()},
            {name: one.interval for name, one in found[subset].items()},
        )
        for subset in by_size
    ]
    contributions = _contributions(shapley_of(values), cohort, settings.resampling(cohort))
    falls = _falls(found, layout)
    return ModalityAnalysis(
        subsets, *contributions, falls, _fall_intervals(values, observed, layout), len(cohort)
    )


def _contributions(shapley: np.ndarray, cohort: Cohort, resampling: Resampling) -> tuple[Means, Intervals]:
    """Mean size, by outcome and modality, of (N, T, M) Shapley values of patients who have the modality.

    And their intervals over resampled patients.
    """
    size = {
        outcome.name: np.abs(shapley[:, list(outcome.columns)]).sum(axis=1)
        / (2 if outcome.kind == "class" else 1)
        for outcome in cohort.layout.outcomes
    }
    has = cohort.present.numpy().astype(float)
    there = {name: place for place, name in enumerate(cohort.layout.names) if has[:, place].any()}
    means: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, Pair | None]] = {}
    for outcome, values in size.items():
        ends = ratio_intervals(values * has, has, resampling)
        means[outcome] = {
            name: float((values * has)[:, at].sum() / has[:, at].sum()) for name, at in there.items()
        }
        intervals[outcome] = {name: ends[at] for name, at in there.items()}
    return means, intervals


def _fall_intervals(values: np.ndarray, observed: Sequence[Observed], layout: Layout) -> Intervals:
    """Paired intervals of falls, from (N, 2^M, T) predictions with each subset of modalities."""
    everything, names = values.shape[1] - 1, layout.names if len(layout.names) > 1 else ()
    return {
        one.outcome.name: {
            name: one.difference(values[:, everything], values[:, everything & ~(1 << place)])
            for place, name in enumerate(names)
        }
        for one in observed
    }


def _falls(found: Sequence[Mapping[str, Headline]], layout: Layout) -> dict[str, dict[str, float]]:
    """By outcome and modality, how much lower the headline is without it; ``found`` is by subset."""
    m, everything = len(layout.modalities), len(found) - 1
    falls: dict[str, dict[str, float]] = {outcome.name: {} for outcome in layout.outcomes}
    for place, name in enumerate(layout.names):
        for outcome in falls:
            full, without = (found[n][outcome].value for n in (everything, everything & ~(1 << place)))
            if m > 1 and full is not None and without is not None:
                falls[outcome][name] = full - without
    return falls
