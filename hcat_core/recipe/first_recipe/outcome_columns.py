"""The tasks of a first recipe: columns, units, what values mean, and a horizon that fits the follow-up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.data.column import Column, number_column
from hcat_core.data.columns import PatientColumns, read_patient_columns
from hcat_core.data.event_times import DAYS, LONGEST, horizon_beyond
from hcat_core.data.follow_up_names import (
    is_follow_up,
    plain_name,
    says_censoring,
    says_event,
    unit_in_name,
)
from hcat_core.data.outcomes import derive_labels
from hcat_core.data.schema import TimeUnit
from hcat_core.recipe.first_recipe.coding import Coding, coding_of
from hcat_core.recipe.first_recipe.document import Line
from hcat_core.recipe.first_recipe.files import CohortFile
from hcat_core.recipe.first_recipe.questions import Interview, Question
from hcat_core.recipe.first_recipe.wanted import Wanted
from hcat_core.recipe.first_recipe.words import unknown_words

YEAR = 365.25
HORIZONS = (1826, 1096, 731, 365, 183, 91)  # days; the longest that fits is proposed
FEWEST_EACH = 10  # patients with the event, and without it, that a horizon needs to be proposed
UNITS: tuple[TimeUnit, ...] = ("days", "months", "years")
_DEATH = re.compile(r"(?:.*_)?(?:os|dead|died|death|deceased|vital|survival|alive|living)(?:_.*)?")
_RECURRENCE = re.compile(r"(?:.*_)?(?:recur\w*|relapse\w*|dfs|rfs|dfi)(?:_.*)?")
_PROGRESSION = re.compile(r"(?:.*_)?(?:progress\w*|pfs|pfi)(?:_.*)?")


@dataclass(frozen=True)
class TaskText:
    """One task: its name, the lines of its table, and whether it has times.

    ``missing`` are the values of its columns that mean "not known".
    """

    name: str
    lines: tuple[Line, ...]
    timed: bool
    missing: tuple[str | float, ...] = ()


def tasks_of(wanted: Wanted, file: CohortFile, interview: Interview) -> list[TaskText]:
    """The tasks that the options and the columns of the file of outcomes make.

    Raises:
        DataError: for columns that do not exist, contradict each other, or hold no times.
    """
    time, status = _columns(wanted, file, interview)
    wants_times = time is not None and status is not None
    names = [time, status, wanted.last_contact] if wants_times else []
    read = read_patient_columns(
        file.reader, [name for name in (*names, *wanted.labels) if name is not None]
    )
    tasks = []
    if time is not None and status is not None:
        tasks.append(_timed(wanted, file, read, (time, status), interview))
    horizon = None if wants_times else wanted.horizon_days
    tasks += [_labelled(wanted, read.columns[label], label, horizon, interview) for label in wanted.labels]
    return [task for task in tasks if task is not None]


def _columns(wanted: Wanted, file: CohortFile, interview: Interview) -> tuple[str | None, str | None]:
    """The columns of time and of status; both None where the user wants labels alone."""
    status = wanted.event or wanted.censored
    if wanted.labels and wanted.time is None and status is None:
        return None, None
    names = () if file.survey is None else tuple(one.name for one in file.survey.columns)
    taken = wanted.outcome_columns
    times = [name for name in names if name not in taken and is_follow_up(name) and _may_be_time(name)]
    events = [
        name
        for name in names
        if name not in (*taken, *times) and (says_event(name) or says_censoring(name) or is_follow_up(name))
    ]
    time = interview.answer(
        wanted.time,
        Question(
            "--time",
            f"the column of {file.path.name} with how long each patient was followed",
            tuple(times),
            names,
        ),
    )
    text = f"the column of {file.path.name} that says who had the event (--censored if 1 is censored)"
    status = interview.answer(status, Question("--event", text, tuple(events), names))
    return time, status


def _may_be_time(name: str) -> bool:
    return unit_in_name(name) is not None or "time" in plain_name(name).split("_")


def _timed(
    wanted: Wanted, file: CohortFile, read: PatientColumns, columns: tuple[str, str], interview: Interview
) -> TaskText | None:
    time, status = (read.columns[name] for name in columns)
    censored = _is_censored(wanted, status, interview)
    chosen = _values_for(wanted, status.name)
    coding = coding_of(status, chosen, "censored" if censored else "event", interview)
    missing = _unknown_in(time)
    unit = _unit(wanted, time, missing, interview)
    if coding is None or censored is None or unit is None:
        return None
    event = _events(status, coding, censored)
    days = _numbers(time, missing) * DAYS[unit]
    last = _last_contact(wanted, read, file, (days, event), interview)
    if last is not None:
        column = read.columns[last] if last in read.columns else _column(file, last)
        contact = _numbers(column, _unknown_in(column)) * DAYS[unit]
        days = np.where((event == 0) & np.isfinite(contact), contact, days)
    horizon = _horizon(wanted, days, event, (time.name, unit), interview)
    if horizon is None:
        return None
    name = wanted.outcome or _event_name((*columns,))
    interview.say(f"task {name}: {_counts(days, event, horizon)}")
    lines = [Line("time", time.name), *_unit_line(unit)]
    if last is not None:
        lines.append(Line("last_contact", last, "the time of those without the event"))
    key = "censored" if censored and coding.is_usual else "event"
    note = "1 = censored, 0 = the event" if key == "censored" else "1 = the event, 0 = censored"
    lines.append(Line(key, status.name, note if coding.is_usual else ""))
    if not coding.is_usual:
        lines.append(Line("event_values", coding.as_values()))
    lines.append(Line("horizon_days", horizon, _counts(days, event, horizon)))
    return TaskText(name, tuple(lines), True, (*coding.missing, *missing))


def _labelled(
    wanted: Wanted, column: Column, label: str, horizon: float | None, interview: Interview
) -> TaskText | None:
    coding = coding_of(column, _values_for(wanted, label), "label", interview)
    if coding is None:
        return None
    lines = [Line("label", label, "1 = yes, 0 = no" if coding.is_usual else "")]
    if not coding.is_usual:
        lines.append(Line("label_values", coding.as_values()))
    if horizon is not None:
        lines.append(Line("horizon_days", horizon))
    name = _task_name(label)
    interview.say(f"task {name}: {label}" + ("" if horizon is None else f" within {horizon:g} days"))
    return TaskText(name, tuple(lines), False, coding.missing)


def _is_censored(wanted: Wanted, status: Column, interview: Interview) -> bool | None:
    """Whether 1 means censored; None where name and option say the opposite of each other."""
    coded = any(isinstance(value, str) for value, _ in status.counted(np.flatnonzero(status.filled)))
    if wanted.event is not None and says_censoring(status.name) and not coded:
        interview.refuse(
            "--event", f"the name {status.name} says that 1 is censored: --censored {status.name}"
        )
        return None
    if wanted.censored is not None and says_event(status.name):
        interview.refuse(
            "--censored", f"the name {status.name} says that 1 is the event: --event {status.name}"
        )
        return None
    return not coded and (wanted.censored is not None or says_censoring(status.name))


def _values_for(wanted: Wanted, column: str) -> list[str]:
    """The values that the user says mean the event: those with the column's name, else those without."""
    named = [value.partition("=") for value in wanted.event_values]
    own = [value for name, equals, value in named if equals and name == column]
    others = {*wanted.outcome_columns}
    return own or [
        value
        for value, (name, equals, _) in zip(wanted.event_values, named, strict=True)
        if not (equals and name in others)
    ]


def _unknown_in(column: Column) -> tuple[str | float, ...]:
    """Words of a column of times that mean "not known"."""
    words = [str(value) for value, _ in column.counted(column.not_numbers)]
    return tuple(unknown_words(words))


def _numbers(column: Column, missing: Sequence[str | float]) -> np.ndarray:
    """(N,) numbers, NaN for what is not known.

    Raises:
        DataError: for other words.
    """
    known = np.array([value not in missing for value in column.values], bool)
    numbers = np.full(len(known), np.nan)
    numbers[known] = number_column(column[np.flatnonzero(known)], "times")
    return numbers


def _events(status: Column, coding: Coding, censored: bool) -> np.ndarray:
    """(N,) 1 the event, 0 none, -1 not known."""
    if coding.is_usual:
        events = np.where(status.filled, status.numbers, -1).astype(int)
        return np.where(events < 0, events, 1 - events) if censored else events
    meaning = {value: 1 for value in coding.event} | {value: 0 for value in coding.none}
    return np.array([meaning.get(value, -1) for value in status.values], int)


def _unit(
    wanted: Wanted, time: Column, missing: Sequence[str | float], interview: Interview
) -> TimeUnit | None:
    if time.durations:
        return "days"
    if wanted.time_unit is not None:
        return wanted.time_unit
    named = unit_in_name(time.name)
    if named is not None:
        interview.say(f"{time.name}: in {named}, as its name says")
        return named
    numbers = _numbers(time, missing)
    longest = float(np.nanmax(numbers)) if np.isfinite(numbers).any() else 0.0
    if longest * DAYS["months"] > LONGEST:
        interview.say(f"{time.name}: in days, because {longest:g} months or years are longer than a life")
        return "days"
    text = f"the unit of {time.name}, whose longest time is {longest:g}: days, months or years"
    answer = interview.answer(None, Question("--time-unit", text, possible=tuple(UNITS)))
    unit: TimeUnit | None = next((one for one in UNITS if one == answer), None)
    if answer is not None and unit is None:
        interview.refuse("--time-unit", text)
    return unit


def _unit_line(unit: TimeUnit) -> list[Line]:
    return [] if unit == "days" else [Line("time_unit", unit)]


def _last_contact(
    wanted: Wanted,
    read: PatientColumns,
    file: CohortFile,
    outcomes: tuple[np.ndarray, np.ndarray],
    interview: Interview,
) -> str | None:
    """The column of times of those without the event, where most of them have no time."""
    days, event = outcomes
    if wanted.last_contact is not None:
        return wanted.last_contact
    without = event == 0
    if not without.any() or np.isfinite(days[without]).mean() > 0.5:
        return None
    names = () if file.survey is None else tuple(one.name for one in file.survey.columns)
    likely = [
        name for name in names if name not in read.columns and re.search(r"last|follow", plain_name(name))
    ]
    text = "the column of times of patients without the event: most have none in the column of times"
    return interview.answer(None, Question("--last-contact", text, tuple(likely)))


def _column(file: CohortFile, name: str) -> Column:
    return read_patient_columns(file.reader, [name]).columns[name]


def _horizon(
    wanted: Wanted, days: np.ndarray, event: np.ndarray, column: tuple[str, TimeUnit], interview: Interview
) -> float | None:
    known = days[np.isfinite(days)]
    longest = float(known.max()) if len(known) else 0.0
    if wanted.horizon_days is not None:
        beyond = horizon_beyond(longest, wanted.horizon_days, *column)
        if beyond is not None:
            interview.refuse("--horizon", beyond)
            return None
        return wanted.horizon_days
    for horizon in HORIZONS:
        labels = derive_labels(days, event, horizon)
        enough = min(int((labels == one).sum()) for one in (0, 1)) >= FEWEST_EACH
        if enough and 2 * int((labels >= 0).sum()) >= len(known):
            interview.say(f"horizon: {horizon} days is the longest at which half of the patients are known")
            return horizon
    text = f"until when the event counts, such as 5y, 24m or 730d; the longest time is {longest:g} days"
    answer = interview.answer(None, Question("--horizon", text))
    return None if answer is None else horizon_in_days(answer)


def horizon_in_days(text: str) -> float | None:
    """Days of a horizon such as ``5y``, ``24m``, ``730d`` or ``730``; None where it is none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([dmy]?)\w*\s*", text.lower())
    if match is None or not float(match[1]):
        return None
    days = float(match[1]) * {"y": YEAR, "m": DAYS["months"]}.get(match[2], 1.0)
    return round(days) if days >= 1 else days


def _counts(days: np.ndarray, event: np.ndarray, horizon: float) -> str:
    labels = derive_labels(days, event, horizon)
    counts = [int((labels == one).sum()) for one in (1, 0, -1)]
    return f"{counts[0]} with the event by {horizon:g} days, {counts[1]} without, {counts[2]} unknown"


def _event_name(columns: Iterable[str]) -> str:
    plain = [plain_name(name) for name in columns]
    for name, pattern in (("recurrence", _RECURRENCE), ("progression", _PROGRESSION), ("death", _DEATH)):
        if any(pattern.fullmatch(one) for one in plain):
            return name
    return "event"


def _task_name(column: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", plain_name(column)).strip("_-")[:64] or "label"
