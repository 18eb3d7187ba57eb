"""The figures of one task's test patients with their captions, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

from hcat_core.layout import Task
from hcat_core.report import captions, performance_figures
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.risk_groups import RiskGroups, risk_groups
from hcat_core.report.svg import Captioned
from hcat_core.report.words import NO_TEST_PATIENTS, too_few


@dataclass(frozen=True)
class TaskFigures:
    """Figures of one task's test patients.

    Attributes:
        task: whose figures they are.
        none: why there are no figures of discrimination, calibration and decisions; empty where there are.
        discrimination: ROC and precision-recall curves.
        calibration: observed and predicted shares of events.
        decision: net benefit.
        risk: curves by group of predicted risk, or why there are none.
    """

    task: Task
    none: str
    discrimination: tuple[Captioned, ...]
    calibration: Captioned | None
    decision: Captioned | None
    risk: RiskGroups | str

    @property
    def names(self) -> tuple[str, ...]:
        """What is drawn, in words."""
        drawn: list[str] = []
        if not self.none:
            drawn += ["ROC curve", "precision-recall curve", "calibration curve", "decision curve"]
        if isinstance(self.risk, RiskGroups):
            drawn.append("share with the event over time by group of predicted risk")
        return tuple(drawn)


def task_figures(inputs: ReportInputs, column: int) -> TaskFigures:
    """Draw the figures of one task's test patients."""
    task, known = inputs.cohort.layout.tasks[column], inputs.known_test_outcomes(column)
    risk = risk_groups(inputs, column)
    if known.few:
        none = too_few(task.name, known) if len(inputs.split.test) else NO_TEST_PATIENTS
        return TaskFigures(task, none, (), None, None, risk)
    name, resampling = f"task{column}", inputs.resampling
    return TaskFigures(
        task,
        "",
        (
            Captioned(
                performance_figures.roc_figure(name, task.name, known, resampling),
                captions.roc(inputs, known),
            ),
            Captioned(
                performance_figures.precision_recall_figure(name, task.name, known, resampling),
                captions.precision_recall(inputs, known),
            ),
        ),
        Captioned(
            performance_figures.calibration_figure(name, task.name, known),
            captions.calibration_figure(task.name, known),
        ),
        Captioned(
            performance_figures.decision_figure(name, task.name, known),
            captions.decision_figure(task.name, known),
        ),
        risk,
    )
