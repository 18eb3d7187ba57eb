"""The picture below the verdicts: the model's AUC beside those of the simple models."""

from __future__ import annotations

from collections.abc import Mapping

from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.inputs import few

VERDICT_KINDS = {"usable": "good", "not usable": "bad", "not known": "unknown"}
THIS = "this model"
SCALE = ForestScale("AUC of test patients", reference=0.5, ends=(None, 1.0))


def auc_figure(
    scores: Mapping[str, TaskScores], baselines: Mapping[str, Mapping[str, BaselineScores]]
) -> str:
    """Draw the AUC of test patients with its 95 % interval, by task and model.

    An empty string where no task has ten patients of either outcome.
    """
    rows: list[ForestRow] = []
    for task, own in scores.items():
        if few(own):
            continue
        rows += [ForestRow(task), ForestRow(THIS, own.auc, own.auc_95, emphasised=True)]
        others = {name: tasks[task] for name, tasks in baselines.items() if task in tasks}
        rows += [ForestRow(name, one.auc, one.auc_95) for name, one in others.items()]
    return forest_figure("verdict", rows, SCALE, "AUC of this model and of the simple models, by task")
