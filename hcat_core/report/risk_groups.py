"""Test patients in three groups of predicted risk, followed over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Task
from hcat_core.data.event_times import DAYS
from hcat_core.metrics.group_tests import compare_groups
from hcat_core.metrics.survival import aalen_johansen, causes
from hcat_core.report.formatting import counted, number
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.page_tables import PageTable, TableRow, numbers, texts
from hcat_core.report.risk_figure import GROUPS, GroupCurve, TimeAxis, risk_figure
from hcat_core.report.svg import Captioned
from hcat_core.report.words import too_few

FEWEST_IN_GROUP = 5
RESAMPLES = 200
YEARS_FROM = 2.5 * DAYS["years"]  # a horizon from which on times are in years
MOST_MARKS = 7  # of the table of patients at risk
STEPS = {"months": (1, 2, 3, 6, 12), "years": (1, 2, 5, 10, 20)}


@dataclass(frozen=True)
class RiskGroups:
    """One task's test patients by predicted risk.

    Attributes:
        figure: share with the event over time, with its caption.
        at_risk: how many patients of each group are still followed.
        test: whether the groups differ, in a sentence; empty where that could not be tested.
    """

    figure: Captioned
    at_risk: PageTable
    test: str


@dataclass(frozen=True)
class _Followed:
    """n test patients with a known time: days, what ended them (cause), and their group (0, 1 or 2)."""

    time: np.ndarray
    cause: np.ndarray
    group: np.ndarray


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
    followed, axis = _Followed(time, cause, group), time_axis(task.horizon_days)
    resamples = min(RESAMPLES, inputs.resampling.resamples) if inputs.groups is None else 0
    curves = _curves(followed, task.horizon_days, resamples, inputs.resampling.seed)
    svg = risk_figure(f"task{column}", task, curves, axis)
    caption = _caption(task, followed, (float(low), float(high)), resamples)
    test = "" if inputs.groups is not None else _tested(followed)
    return RiskGroups(Captioned(svg, caption), _at_risk(followed, task.horizon_days, axis), test)


def time_axis(horizon: float) -> TimeAxis:
    """Years for a long horizon, else months."""
    unit = "years" if horizon >= YEARS_FROM else "months"
    return TimeAxis(unit, DAYS[unit])


def _curves(followed: _Followed, horizon: float, resamples: int, seed: int) -> list[GroupCurve]:
    """The share with the event by group, with its pointwise band from bootstrap samples of patients."""
    days = np.linspace(0, min(float(followed.time.max()), 1.5 * horizon), 200)
    rng, curves = np.random.default_rng(seed), []
    for number_of, name in enumerate(GROUPS):
        rows = np.flatnonzero(followed.group == number_of)
        time, cause = followed.time[rows], followed.cause[rows]
        drawn = [rng.integers(0, len(rows), len(rows)) for _ in range(resamples)]
        again = np.array([aalen_johansen(time[one], cause[one], days) for one in drawn])
        band = np.quantile(again, [0.025, 0.975], axis=0) if resamples else None
        curves.append(GroupCurve(name, days, aalen_johansen(time, cause, days), band))
    return curves


def _at_risk(followed: _Followed, horizon: float, axis: TimeAxis) -> PageTable:
    """How many patients of each group are still followed at whole months or years up to the horizon."""
    end = round(horizon / axis.days, 6)
    step = next((one for one in STEPS[axis.unit] if end / one < MOST_MARKS), STEPS[axis.unit][-1])
    marks = [mark for mark in range(0, int(end + 0.05) + 1, step)]
    rows: list[TableRow] = []
    for number_of, name in enumerate(GROUPS):
        time = followed.time[followed.group == number_of]
        rows.append([name, *(str(int((time >= mark * axis.days).sum())) for mark in marks)])
    caption = f"Patients still followed, by {axis.unit} of follow-up."
    return PageTable([*texts("predicted risk"), *numbers(*map(str, marks))], rows, caption)


def _tested(followed: _Followed) -> str:
    found = compare_groups(followed.time, followed.cause, followed.group)
    if found is None:
        return ""
    p = "p < 0.001" if found.p < 0.001 else f"p = {number(found.p)}"
    differ = "differ" if found.p < 0.05 else "were not found to differ"
    return f"The three groups {differ} in how often the event comes ({found.name}, {p})."


def _caption(task: Task, followed: _Followed, cuts: tuple[float, float], resamples: int) -> str:
    """What the curves are of."""
    events, competing, censored = (int((followed.cause == c).sum()) for c in (1, 2, 0))
    text = (
        "Test patients in three groups of predicted risk, divided at the thirds of the training patients' "
        f"predictions ({number(cuts[0], 2)} and {number(cuts[1], 2)}). Of "
        f"{counted(len(followed.time), 'patient')} with a known time {events} had the event at any time, "
    )
    if task.competing is not None:
        text += f"{competing} had the competing event first ({task.competing}), "
    text += f"{censored} were censored."
    if task.competing is not None:
        text += (
            " The curves are the cumulative incidence (Aalen and Johansen), and so is what the predicted "
            "probability is compared with."
        )
    if resamples:
        text += f" Bands are pointwise 95 % intervals of {resamples} bootstrap samples of patients."
    return f"{text} The dashed line marks the horizon."
