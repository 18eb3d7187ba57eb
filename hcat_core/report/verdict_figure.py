"""The picture below the verdicts: the model's score beside those of the simple models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.other_baselines import REFERENCES, OtherBaseline
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, ValueScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.inputs import few

VERDICT_KINDS = {"usable": "good", "not usable": "bad", "not known": "unknown"}
THIS = "this model"
AUC = ForestScale("AUC of test patients", reference=0.5, ends=(None, 1.0))
R2 = ForestScale("R² of test patients", reference=0.0, ends=(None, 1.0))

OtherBaselines = Mapping[str, Mapping[str, OtherBaseline]]
"""Scores by model and outcome."""


def auc_figure(
    scores: Mapping[str, TaskScores],
    baselines: Mapping[str, Mapping[str, BaselineScores]],
    others: Mapping[str, OtherScores],
    other_baselines: OtherBaselines,
) -> str:
    """Draw the AUC of test patients with its 95 % interval, by outcome and model; of classes the macro AUC.

    An empty string where no outcome has ten patients of either kind, or of each class.
    """
    rows: list[ForestRow] = []
    for task, own in scores.items():
        if few(own):
            continue
        rows += [ForestRow(task), ForestRow(THIS, own.auc, own.auc_95, emphasised=True)]
        simple = {name: tasks[task] for name, tasks in baselines.items() if task in tasks}
        rows += [ForestRow(name, one.auc, one.auc_95) for name, one in simple.items()]
    for outcome, classes in others.items():
        if classes.few or not isinstance(classes, ClassScores):
            continue
        rows += [ForestRow(outcome), ForestRow(THIS, classes.auc, classes.auc_95, emphasised=True)]
        for name, one in _simple(other_baselines, outcome):
            if isinstance(one, ClassScores):
                rows.append(ForestRow(name, one.auc, one.auc_95))
    return forest_figure("verdict", rows, AUC, "AUC of this model and of the simple models, by outcome")


def r2_figure(others: Mapping[str, OtherScores], other_baselines: OtherBaselines) -> str:
    """Draw R2 of test patients with its 95 % interval, by number and model.

    An empty string where no number has twenty patients.
    """
    rows: list[ForestRow] = []
    for outcome, own in others.items():
        if own.few or not isinstance(own, ValueScores):
            continue
        rows += [ForestRow(outcome), ForestRow(THIS, own.r2, own.r2_95, emphasised=True)]
        for name, one in _simple(other_baselines, outcome):
            if isinstance(one, ValueScores):
                rows.append(ForestRow(name, one.r2, one.r2_95))
    return forest_figure(
        "verdict-numbers", rows, R2, "R² of this model and of the simple models, by number"
    )


def _simple(baselines: OtherBaselines, outcome: str) -> Iterator[tuple[str, OtherScores]]:
    """The fitted simple models: references are where the dashed line is."""
    for name, scored in baselines.items():
        if outcome in scored and name not in REFERENCES:
            yield name, scored[outcome].scores
