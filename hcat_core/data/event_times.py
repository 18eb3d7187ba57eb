"""Times of one task in days, and what is strange about them."""

from __future__ import annotations

import numpy as np

from hcat_core.data.column import Column, number_column
from hcat_core.data.follow_up_names import unit_in_name
from hcat_core.data.schema import TargetsTable, TaskTable, TimeUnit
from hcat_core.errors import DataError
from hcat_core.text.counted import counted

DAYS = {"days": 1.0, "months": 30.4375, "years": 365.25}
"""Days of each unit; a month is a twelfth of a year."""

LONGEST = 150 * 365.25  # days; nobody was followed for longer
LONG = 50 * 365.25  # half of a cohort hardly ever was
PLAUSIBLE = 60 * 365.25  # the longest follow-up that a message supposes


def times_in_days(column: Column, unit: TimeUnit) -> np.ndarray:
    """(R,) float32 days, NaN where a cell is empty.

    Raises:
        DataError: for cells that are no numbers, negative times, or times beyond 150 years, with their
        rows.
    """
    numbers = number_column(column, "times")
    if column.durations and unit != "days":
        raise DataError(
            f"{column.source}: column {column.name} holds durations, which need no unit: leave out "
            f'time_unit = "{unit}".'
        )
    days = numbers * DAYS[unit]
    negative = np.flatnonzero(days < 0)
    if len(negative):
        same = np.unique(numbers[negative])
        hint = (
            f" If {same[0]:g} means not known: cohort.targets.missing = [{same[0]:g}]."
            if len(same) == 1
            else ""
        )
        raise DataError(
            f"{column.source}: column {column.name}: {_times(len(negative))} negative: "
            f"{column.listed(negative)}. A time is how long a patient was followed, from the start to the "
            f"event or the last contact.{hint}"
        )
    beyond = np.flatnonzero(days > LONGEST)
    if len(beyond):
        question = "hours, or dates as numbers" if unit == "days" else "days: is time_unit right"
        raise DataError(
            f"{column.source}: column {column.name}: {_times(len(beyond))} beyond 150 years if they are "
            f"{unit}: {column.listed(beyond)}. Are they {question}?"
        )
    return days.astype(np.float32)


def strange_times(
    source: str, name: str, task: TaskTable, targets: TargetsTable, time: np.ndarray, event: np.ndarray
) -> list[str]:
    """Findings about times that may be in another unit, or end before anything could be seen.

    Args:
        source: the file.
        name: of the task.
        task: its columns and horizon.
        targets: the table of all tasks.
        time: (N,) days.
        event: (N,) as in ``Targets.event``.
    """
    known = time[np.isfinite(time)]
    if task.time is None or task.horizon_days is None or not len(known):
        return []
    key, unit = f"cohort.targets.tasks.{name}", targets.unit(task)
    where = f"{source}: task {name}:"
    in_name = unit_in_name(task.time)
    found = []
    ends_early = horizon_beyond(float(known.max()), task.horizon_days, task.time, unit)
    if ends_early is not None:
        found.append(f"{where} {ends_early}")
    elif task.time_unit is None and in_name not in (None, unit):
        found.append(
            f"{where} the times of {task.time} are taken as {unit}, and its name says {in_name}: give "
            f'{key}.time_unit = "{in_name}", or "{unit}".'
        )
    if np.median(known) > LONG:
        found.append(
            f"{where} half of the times in {task.time} are longer than {LONG / 365.25:g} years if they "
            f"are {unit}: are they hours, or dates as numbers?"
        )
    at_once = int(((time == 0) & (event > 0)).sum())
    if at_once:
        found.append(
            f"{where} {counted(at_once, 'patient has', 'patients have')} an event at time 0 in "
            f"{task.time}. It counts as an event at the horizon, and not where times are compared: a "
            "follow-up of no length has no order. Is it the right start?"
        )
    return found


def horizon_beyond(longest: float, horizon: float, column: str, unit: TimeUnit | None) -> str | None:
    """The finding that nobody was followed to the horizon, and whether the unit may be another.

    Args:
        longest: time, in days.
        horizon: in days.
        column: of times.
        unit: in which the column was read; None where that is not known.
    """
    if longest >= horizon:
        return None
    length = longest / DAYS[unit or "days"]
    factors = {"months": 1.0, "years": 1.0} if unit is None else DAYS
    likely = [other for other in factors if other != unit and horizon <= length * DAYS[other] <= PLAUSIBLE]
    in_name = unit_in_name(column)
    likely = [in_name] if in_name in likely and in_name is not None else likely
    text = (
        f"the longest time of {column} is {length:g} {unit or 'days'}, before the horizon of {horizon:g} "
        "days: nobody was followed that long"
    )
    if not likely:
        return f"{text}. Shorten horizon_days, or correct time_unit."
    keys = " or ".join(f'time_unit = "{other}"' for other in likely)
    return f"{text}. Are the times {' or '.join(likely)}? Then give the task {keys}."


def _times(number: int) -> str:
    return "1 time is" if number == 1 else f"{number} times are"
