"""Test patients in three groups of predicted risk, followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.metrics.survival import aalen_johansen, causes
from hcat_core.report.cohort_figures import GROUPS, risk_group_figure
from hcat_core.report.formatting import counted
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.words import too_few

FEWEST_IN_GROUP = 5
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class RiskGroups:
    """One task's test patients by predicted risk.

    Attributes:
        figure: SVG of the share with the event over time.
        at_risk: name of each group, and how many of its patients are still followed at each of ``years``.
        years: of the table of patients at risk, as text.
        competing: the task with the competing event, if any.
        patients: number of test patients with a known time.
        events: number of them with the event at any time, after the horizon too.
        competing_events: number with the competing event first.
        censored: number censored.
        cuts: the two probabilities that divide the groups.
    """

    figure: str
    at_risk: Sequence[tuple[str, Sequence[int]]]
    years: Sequence[str]
    competing: str | None
    patients: int
    events: int
    competing_events: int
    censored: int
    cuts: tuple[float, float]


def risk_groups(inputs: ReportInputs, column: int) -> RiskGroups | str:
    """Divide one task's test patients at the thirds of the predictions for training patients.

    A sentence says why there are no curves: too few outcomes, no event times, or fewer than
    ``FEWEST_IN_GROUP`` test patients in a group.
    """
    task, outcomes = inputs.cohort.layout.tasks[column], inputs.known_test_outcomes(column)
    known, time, cause = causes(inputs.targets[inputs.split.test], column)
    if not len(inputs.split.test):
        return "No curves: there are no test patients."
    if task.horizon_days is None:
        return f"No curves: {task.name} is a label that no time belongs to."
    if not known.any():
        return "No curves: event times of the test patients are unknown."
    if outcomes.few:
        return f"No curves: {too_few(task.name, outcomes)}"
    train = inputs.predicted.probability[inputs.split.train.numpy(), column]
    low, high = np.quantile(train, [1 / 3, 2 / 3])
    p = inputs.predicted.probability[inputs.split.test.numpy(), column][known.numpy()]
    group = np.digitize(p, [low, high])
    fewest = int(min(np.bincount(group, minlength=3)))
    if fewest < FEWEST_IN_GROUP:
        has = counted(fewest, "test patient")
        return f"No curves: one of the three groups has {has}, and {FEWEST_IN_GROUP} are needed."
    days = np.linspace(0, min(float(time.max()), 1.5 * task.horizon), 200)
    marks = np.linspace(0, task.horizon, 6)
    curves, at_risk = [], []
    for number, name in enumerate(GROUPS):
        t, c = time[group == number], cause[group == number]
        share = aalen_johansen(t, c, days)
        curves.append((days, share))
        at_risk.append((name, [int((t >= mark).sum()) for mark in marks]))
    return RiskGroups(
        figure=risk_group_figure(
            f"task{column}", task.name, task.horizon, curves, task.competing is not None
        ),
        at_risk=at_risk,
        years=[f"{mark / DAYS_PER_YEAR:.1f}" for mark in marks],
        competing=task.competing,
        patients=len(time),
        events=int((cause == 1).sum()),
        competing_events=int((cause == 2).sum()),
        censored=int((cause == 0).sum()),
        cuts=(float(low), float(high)),
    )
