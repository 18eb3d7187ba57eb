"""Score a trained run on another cohort, without fitting anything again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.errors import DataError
from hcat_core.evaluation.analysis import PatternScores, score_patterns
from hcat_core.evaluation.cohort_counts import OutcomeCounts, count_outcomes
from hcat_core.evaluation.other_outcomes import OtherScores, others_as_json, score_others
from hcat_core.evaluation.other_verdicts import verdict_of_other
from hcat_core.evaluation.scores import ScoringSettings, TaskScores, score_tasks, tasks_as_json
from hcat_core.evaluation.subgroups import subgroups
from hcat_core.evaluation.verdict import Verdict, verdict_of
from hcat_core.runs.new_patients import NewPatients
from hcat_core.runs.predict import PatientPredictions, predict_patients
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.text.counted import counted


@dataclass(frozen=True)
class Evaluation:
    """A trained run on another cohort.

    Attributes:
        run_folder: of the trained run.
        data: fingerprint of the cohort.
        report: of reading the cohort.
        warnings: what makes the scores doubtful.
        trained_on: the model learnt from most of these patients.
        labels: events by task.
        metrics: scores of events by task.
        patterns: scores by missingness pattern.
        groups: scores of events by the name of a grouping, group and task.
        cohort: the patients that were scored, with their outcomes.
        predictions: of every patient. Neither they nor the cohort are part of the JSON document.
        others: scores of classes and numbers by outcome.
        other_groups: the same by the name of a grouping, group and outcome.
    """

    run_folder: str
    data: str
    report: ReadReport
    warnings: Sequence[str]
    trained_on: bool
    labels: Mapping[str, OutcomeCounts]
    metrics: Mapping[str, TaskScores]
    patterns: Sequence[PatternScores]
    groups: Mapping[str, Mapping[str, Mapping[str, TaskScores]]]
    cohort: Cohort
    predictions: PatientPredictions
    others: Mapping[str, OtherScores] = field(default_factory=dict)
    other_groups: Mapping[str, Mapping[str, Mapping[str, OtherScores]]] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """Whether predictions of each outcome can be used for patients like these; events come first."""
        found = [
            verdict_of(task, scores, {}, self.patterns, external=True)
            for task, scores in self.metrics.items()
        ]
        found += [
            verdict_of_other(outcome, other, {}, self.patterns, external=True)
            for outcome, other in self.others.items()
        ]
        if self.trained_on:
            because = "most of these patients were used for training"
            found = [replace(verdict, word="not known", because=because) for verdict in found]
        return found

    def as_json(self) -> dict[str, object]:
        """The document of ``hcat evaluate``; no patient ids."""
        cohort = self.cohort
        document: dict[str, object] = {
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "run_folder": self.run_folder,
            "patients": len(cohort),
            "data": self.data,
            "modalities": list(cohort.layout.names),
            "sources": {m.name: m.source for m in self.report.modalities},
            "labels": {task: asdict(counts) for task, counts in self.labels.items()},
            "warnings": list(self.warnings),
            "metrics": tasks_as_json(self.metrics),
            "patterns": [pattern.as_json() for pattern in self.patterns],
            "groups": {
                name: {group: tasks_as_json(scores) for group, scores in groups.items()}
                for name, groups in self.groups.items()
            },
        }
        if self.others:
            document["other_outcomes"] = others_as_json(self.others)
            document["other_groups"] = {
                name: {group: others_as_json(scores) for group, scores in groups.items()}
                for name, groups in self.other_groups.items()
            }
        return document


def evaluate_run(run: TrainedRun, patients: NewPatients, groups: Sequence[str]) -> Evaluation:
    """Predict and score every patient with a modality.

    The distribution of censoring is estimated on the cohort itself.

    Args:
        run: whose model, recalibration and thresholds are used as they are.
        patients: N patients with outcomes.
        groups: columns of the outcomes, or features, whose groups are scored separately.

    Raises:
        DataError: for a cohort without outcomes.
        UsageError: for a group that is neither a column nor a feature.
    """
    cohort, warnings = patients.cohort, list(patients.warnings)
    fingerprint = cohort.fingerprint()
    without = ~cohort.present.any(dim=1)
    if without.any():
        warnings.append(
            f"{counted(int(without.sum()), 'patient has', 'patients have')} no modality: left out"
        )
        cohort = cohort[~without]
    if cohort.targets is None:
        raise DataError("an evaluation needs outcomes: --targets FILE.")
    known_values = cohort.targets.values is not None and bool(cohort.targets.values.isfinite().any())
    if not known_values and not bool((cohort.targets.labels >= 0).any()):
        raise DataError(
            "no patient's outcome is known. Does the outcomes file use the same patient ids as the others?"
        )
    trained_on = fingerprint == run.training.data
    if trained_on:
        warnings.append(
            "this is the cohort that the run was trained on: the scores are too optimistic, because most "
            "of these patients were used for training"
        )
    predictions = predict_patients(run, cohort, explain=False)
    predicted = predictions.predicted
    settings = ScoringSettings(
        run.fitted.thresholds, cohort.targets, run.recipe.evaluation.bootstrap, run.recipe.seed
    )
    by_group: dict[str, dict[str, dict[str, TaskScores]]] = {}
    others_by_group: dict[str, dict[str, dict[str, OtherScores]]] = {}
    for name in groups:
        parts = {
            group: (cohort[torch.from_numpy(rows)], predicted[rows], settings)
            for group, rows in subgroups(cohort, name, patients.outcomes, patients.missing).items()
        }
        by_group[name] = {group: score_tasks(*part) for group, part in parts.items()}
        others_by_group[name] = {group: score_others(*part) for group, part in parts.items()}
    return Evaluation(
        run_folder=str(run.folder.path),
        data=fingerprint,
        report=patients.report,
        warnings=warnings,
        trained_on=trained_on,
        labels=count_outcomes(cohort),
        metrics=score_tasks(cohort, predicted, settings),
        patterns=score_patterns(cohort, predicted, settings),
        groups=by_group,
        cohort=cohort,
        predictions=predictions,
        others=score_others(cohort, predicted, settings),
        other_groups=others_by_group,
    )
