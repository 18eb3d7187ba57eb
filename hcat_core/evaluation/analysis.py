"""A closer look at test patients: by missingness pattern, by subset of modalities, by modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.evaluation.scores import ScoringSettings, TaskScores, score_tasks, tasks_as_json
from hcat_core.evaluation.shapley import MOST_MODALITIES, shapley_of, value_of_subsets
from hcat_core.interfaces import Prediction
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.discrimination import weighted_auc
from hcat_core.metrics.intervals import auc_interval

# -------------------------------------------------------------------- by missingness pattern


@dataclass(frozen=True)
class PatternScores:
    """Scores of the patients of one missingness pattern.

    Attributes:
        present: M booleans, True for a modality that these patients have.
        patients: how many they are.
        tasks: scores by task.
    """

    present: tuple[bool, ...]
    patients: int
    tasks: Mapping[str, TaskScores]

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        tasks = tasks_as_json(self.tasks)
        return {"present": list(self.present), "patients": self.patients, "tasks": tasks}


def score_patterns(cohort: Cohort, predicted: Prediction, settings: ScoringSettings) -> list[PatternScores]:
    """Score the patients of each missingness pattern, the most frequent pattern first."""
    result = []
    for pattern, patients in count_patterns(cohort.present):
        rows = (cohort.present == torch.tensor(pattern)).all(dim=1)
        tasks = score_tasks(cohort[rows], predicted[rows.numpy()], settings)
        result.append(PatternScores(pattern, patients, tasks))
    return result


# --------------------------------------------------------------- by subset and by modality


@dataclass(frozen=True)
class SubsetScores:
    """AUC by task when only the modalities in ``kept`` are shown.

    Attributes:
        kept: names of the modalities.
        tasks: AUC by task; None where it is not defined.
        intervals: its 95 % interval by task; None with few patients of either outcome.
    """

    kept: tuple[str, ...]
    tasks: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float] | None]


@dataclass(frozen=True)
class ModalityAnalysis:
    """What each modality contributes, by hiding what patients have.

    Attributes:
        subsets: all 2^M - 1 subsets of modalities, the largest first.
        shapley: by task and modality, the mean absolute Shapley value of patients who have the modality.
        leave_one_out: by task and modality, the fall of the AUC when the modality is hidden from everyone.
        patients: how many were looked at; drawn from the test patients where there are very many.
    """

    subsets: Sequence[SubsetScores]
    shapley: Mapping[str, Mapping[str, float]]
    leave_one_out: Mapping[str, Mapping[str, float]]
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
                "leave_one_out": self.leave_one_out,
                "patients": self.patients,
            },
        }


def analyse_modalities(
    predict: Callable[[Cohort], np.ndarray],
    cohort: Cohort,
    base_rate: Sequence[float],
    settings: ScoringSettings,
) -> ModalityAnalysis | None:
    """Score every subset of modalities, and compute each modality's contribution.

    None for more modalities than can be enumerated, and without patients or targets.

    Args:
        predict: cohort -> (N, T) probabilities.
        cohort: N patients with targets.
        base_rate: T mean predictions, for a patient who has none of a subset's modalities.
        settings: outcomes of training patients, resamples.
    """
    layout = cohort.layout
    m = len(layout.modalities)
    if m > MOST_MODALITIES or cohort.targets is None or not len(cohort):
        return None
    values = value_of_subsets(predict, cohort, np.array(base_rate))
    labels = cohort.targets.labels.numpy()
    weights = all_known_weights(layout, cohort.targets, settings.train)
    resampling = settings.resampling(cohort)
    aucs, intervals = [], []
    for subset in range(2**m):
        scored = [
            (task, (values[:, subset, column], labels[:, column], weights[:, column]))
            for column, task in enumerate(layout.task_names)
        ]
        aucs.append({task: weighted_auc(*outcomes) for task, outcomes in scored})
        intervals.append({task: auc_interval(*outcomes, resampling) for task, outcomes in scored})
    by_size = sorted(range(1, 2**m), key=lambda subset: (-subset.bit_count(), subset))
    subsets = [
        SubsetScores(
            tuple(n for i, n in enumerate(layout.names) if subset >> i & 1), aucs[subset], intervals[subset]
        )
        for subset in by_size
    ]
    leave_one_out: dict[str, dict[str, float]] = {task: {} for task in layout.task_names}
    contributions: dict[str, dict[str, float]] = {task: {} for task in layout.task_names}
    shapley = shapley_of(values)
    everything = 2**m - 1
    for place, name in enumerate(layout.names):
        has = cohort.present[:, place].numpy()
        for column, task in enumerate(layout.task_names):
            full, without = aucs[everything][task], aucs[everything & ~(1 << place)][task]
            if m > 1 and full is not None and without is not None:
                leave_one_out[task][name] = full - without
            if has.any():
                contributions[task][name] = float(np.abs(shapley[has, column, place]).mean())
    return ModalityAnalysis(subsets, contributions, leave_one_out, len(cohort))
