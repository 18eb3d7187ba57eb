"""What the outcomes of a run are, in sentences: labels, censoring, competing events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hcat_core.cohort import Task
from hcat_core.metrics.survival import causes, kaplan_meier
from hcat_core.report.formatting import counted, listed
from hcat_core.report.inputs import ReportInputs


def label_rules(inputs: ReportInputs) -> str:
    """How labels follow from what was observed: only the rules that applied to a task of this run."""
    layout = inputs.cohort.layout
    tasks = [layout.tasks[column] for column in layout.event_columns]
    timed = [layout.tasks[column] for column in layout.event_columns if inputs.timed(column)]
    without_horizon = [task.name for task in tasks if task.horizon_days is None]
    untimed = [task.name for task in tasks if task not in timed and task.name not in without_horizon]
    competing = [task.name for task in timed if task.competing is not None]
    text = "" if all(task.horizon_days is None for task in tasks) else "Outcomes at the horizon."
    if timed:
        names = "" if len(timed) == len(tasks) else f" ({listed([task.name for task in timed])})"
        text += f" Patients censored before the horizon{names} count as unknown, not as event-free."
    if competing:
        text += f" Patients with the competing event first ({listed(competing)}) count as event-free."
    if untimed:
        text += f" Labels of {listed(untimed)} are those of the file; event times are unknown."
    if without_horizon:
        text += f" Labels of {listed(without_horizon)} are those of the file, and no time belongs to them."
    return text.strip()


def competing_in_short(inputs: ReportInputs) -> list[str]:
    """For each task in which another event may come first: what its probability is."""
    return [
        f"{task.name}: the probability is the cumulative incidence, that of the event within "
        f"{task.horizon:g} days and before the competing one ({task.competing})."
        for task, _, _ in _competing(inputs)
    ]


def competing_events(inputs: ReportInputs) -> list[str]:
    """The same, with how many had the competing event first, and what the probability is not."""
    sentences = []
    for (task, time, cause), short in zip(_competing(inputs), competing_in_short(inputs), strict=True):
        first = int((cause == 2).sum())
        by_horizon = int(((cause == 2) & (time <= task.horizon)).sum())
        sentences.append(
            f"{short} {counted(first, 'patient')} had the competing event first, {by_horizon} of them by "
            "the horizon. Labels, weights and scores are those of the cumulative incidence, too. The net "
            "probability, as if the competing event never came first, is another quantity: a second task "
            f'on the same columns, without competing = "{task.competing}", estimates it '
            "(docs/how-to/own-data.md)."
        )
    return sentences


def _competing(inputs: ReportInputs) -> Iterator[tuple[Task, np.ndarray, np.ndarray]]:
    """Each task in which another event may come first, with the times and causes that are known."""
    for column, task in enumerate(inputs.cohort.layout.tasks):
        _, time, cause = causes(inputs.targets, column)
        if task.competing is not None and len(time):
            yield task, time, cause


def weighted_tasks(inputs: ReportInputs) -> list[str]:
    """The tasks whose known outcomes are weighted for censoring in any table or figure."""
    sides = inputs.summary.metrics.values()
    return [
        task
        for task in inputs.cohort.layout.task_names
        if any(scores[task].unweighted is not None for scores in sides if task in scores)
    ]


def weighting(inputs: ReportInputs) -> str:
    """Whom known outcomes represent; empty where each patient counts once."""
    weighted = weighted_tasks(inputs)
    if not weighted:
        return ""
    of = "" if len(weighted) == len(inputs.cohort.layout.outcomes) else f" of {listed(weighted)}"
    return (
        f"Known outcomes{of} are weighted by the inverse probability of censoring, so that they represent "
        "patients censored before the horizon, too."
    )


def follow_up(inputs: ReportInputs, column: int) -> float | None:
    """Median days of follow-up by reverse Kaplan-Meier (Schemper and Smith 1996).

    None without times, and where more than half were followed to a last day that is not a censoring.
    """
    _, time, cause = causes(inputs.targets, column)
    if not len(time):
        return None
    days = np.unique(time)
    reached = kaplan_meier(time, (cause == 0).astype(int), days) <= 0.5
    return float(days[reached.argmax()]) if reached.any() else None
