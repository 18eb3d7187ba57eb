"""A frozen run on another cohort: the same metrics, and whatever makes them doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hcat_core.errors import DataError
from hcat_core.evaluation.analysis import by_pattern, score_group
from hcat_core.evaluation.subgroups import subgroups
from hcat_core.evaluation.summary import label_counts, score_tasks
from hcat_core.recipe import build
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.new_patients import Files, outside_training, read_new_cohort
from hcat_core.runs.predict import Answers, answer
from hcat_core.runs.trained_run import TrainedRun


@dataclass(frozen=True)
class Evaluation:
    """``document`` holds no patient id; ``answers`` is what was predicted."""

    document: dict[str, Any]
    answers: Answers


def evaluate_run(run: TrainedRun, catalog: Catalog, files: Files, groups: Sequence[str]) -> Evaluation:
    """Predict and score; weights of censoring come from the cohort itself.

    Raises:
        DataError: for a cohort without outcomes, or as the readers and ``align`` do.
        UsageError: for a group's name that no file knows.
    """
    cohort, report, recipe = read_new_cohort(run, catalog, files, outcomes=True)
    fingerprint = cohort.fingerprint()
    warnings = outside_training(run, cohort)
    nothing = ~cohort.present.any(dim=1)
    if nothing.any():
        warnings.append(f"{int(nothing.sum())} patients have no modality and are left out")
        cohort = cohort[~nothing]
    if cohort.targets is None:
        raise DataError("an evaluation needs outcomes: --targets FILE.")
    if not bool((cohort.targets.labels >= 0).any()):
        raise DataError("no patient's outcome is known. Are the ids of the outcomes file the same ones?")
    if fingerprint == run.training.data:
        warnings.append(
            "this is the cohort that the run was trained on: most of these patients are not new to it"
        )
    answers = answer(run, cohort, explain=False)
    table, seed = run.recipe.evaluation, run.recipe.seed
    thresholds = run.fitted.thresholds
    scores = score_tasks(cohort, answers.predicted, thresholds, cohort.targets, table.bootstrap, seed)
    whole = score_group(cohort, answers.predicted, thresholds, cohort.targets, 0, seed)
    targets = build.build_targets_reader(recipe, catalog)
    by_group: dict[str, Any] = {}
    for name in groups:
        by_group[name] = {}
        for group, rows in subgroups(cohort, name, targets).items():
            some = answers.predicted[rows]
            picked = cohort[torch.from_numpy(rows)]
            by_group[name][group] = score_group(
                picked, some, thresholds, cohort.targets, table.bootstrap, seed
            )
    document = {
        "run_folder": str(run.folder.path),
        "patients": len(cohort),
        "data": fingerprint,
        "modalities": list(run.layout.names),
        "sources": {m.name: m.source for m in report.modalities},
        "labels": label_counts(cohort),
        "warnings": warnings,
        "metrics": {
            task: {**scores[task], **{k: whole[task][k] for k in ("mean_predicted", "observed")}}
            for task in scores
        },
        "patterns": by_pattern(
            cohort, answers.predicted, thresholds, cohort.targets, table.bootstrap, seed
        ),
        "groups": by_group,
    }
    return Evaluation(document, answers)
