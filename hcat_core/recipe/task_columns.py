"""Check the columns of each task: what belongs together, and names that say the opposite."""

from __future__ import annotations

from collections.abc import Iterator

from hcat_core.data.column import cell_key
from hcat_core.data.follow_up_names import says_censoring, says_event
from hcat_core.data.schema import EventValues, TargetsTable, TaskTable
from hcat_core.errors import Problem
from hcat_core.text.quoting import shown


def check_task_columns(task: TaskTable, key: str) -> list[Problem]:
    """Report what one task's columns lack, and what contradicts itself.

    Args:
        task: its columns.
        key: of the task in the recipe.
    """
    own = _together if task.kind == "event" else _without_time
    found = (*_other_kinds(task, key), *own(task, key), *_directions(task, key))
    return [Problem(at, message) for at, message in found]


def check_shared_columns(targets: TargetsTable) -> list[Problem]:
    """Report columns that two tasks read in different ways."""
    problems = []
    units: dict[str, tuple[str, str]] = {}
    directions: dict[str, tuple[str, str]] = {}
    for name, task in targets.tasks.items():
        key = f"cohort.targets.tasks.{name}"
        if task.time is not None:
            first, unit = units.setdefault(task.time, (name, targets.unit(task)))
            if unit != targets.unit(task):
                message = (
                    f"{shown(task.time)} is in {unit} for {shown(first)}, and in {targets.unit(task)} here"
                )
                problems.append(Problem(f"{key}.time_unit", message))
        if task.status is not None and task.event_values is None:
            own = "event" if task.censored is None else "censored"
            first, direction = directions.setdefault(task.status, (name, own))
            if direction != own:
                message = (
                    f"{shown(task.status)} is the {direction} column of {shown(first)}: it cannot be both"
                )
                problems.append(Problem(f"{key}.{own}", message))
    return problems


KEYS_OF = {
    "event": (),
    "multiclass": ("classes", "label"),
    "continuous": ("value", "unit", "allow"),
}
"""Keys that belong to one kind of outcome, beside those of events."""

COMMON = ("kind", "outcome")


def _other_kinds(task: TaskTable, key: str) -> Iterator[tuple[str, str]]:
    """Keys that do not belong to the task's kind."""
    of_others = [name for kind, names in KEYS_OF.items() for name in names if kind != task.kind]
    if task.kind == "event":
        wrong = [name for name in of_others if name != "label" and name in task.model_fields_set]
    else:
        own = (*COMMON, *KEYS_OF[task.kind])
        wrong = [name for name in type(task).model_fields if name in task.model_fields_set - set(own)]
    for name in wrong:
        if getattr(task, name) in (None, []):
            continue
        owner = next((kind for kind, names in KEYS_OF.items() if name in names and kind != task.kind), None)
        if name == "label" or owner is None:
            owner = "event"
        yield f"{key}.{name}", f'belongs to an outcome of the kind "{owner}", and this one is "{task.kind}"'


def _without_time(task: TaskTable, key: str) -> Iterator[tuple[str, str]]:
    """What an outcome of classes, or of numbers, lacks."""
    if task.kind == "continuous":
        if task.value is None:
            yield f"{key}.value", "is needed: the column of numbers"
        return
    if task.label is None:
        yield f"{key}.label", "is needed: the column of classes"
    classes = task.classes
    if classes is None:
        return
    if len(classes) < 2:
        yield f"{key}.classes", "needs at least two classes"
    seen: set[str | float] = set()
    for value in classes:
        if str(value).strip() == "":
            yield f"{key}.classes", "an empty text is no class: it means not known"
        if cell_key(value) in seen:
            yield f"{key}.classes", f"{shown(value)} is there twice"
        seen.add(cell_key(value))


def _together(task: TaskTable, key: str) -> Iterator[tuple[str, str]]:
    if task.event is not None and task.censored is not None:
        yield f"{key}.censored", "stands instead of event, and both are given: remove one"
    elif (task.time is None) != (task.status is None):
        yield key, "time and event (or censored) belong together, but only one is given"
    elif task.label is None and task.time is None:
        yield key, "is needed: a label, or time and event (or censored)"
    elif task.time is not None and task.horizon_days is None:
        yield f"{key}.horizon_days", "is needed where there are times: until which day the event counts"
    if task.time is None and task.time_unit is not None:
        yield f"{key}.time_unit", "belongs to time, which is not given"
    if task.time is None and task.last_contact is not None:
        yield f"{key}.last_contact", "belongs to time, which is not given"
    if task.time is not None and task.time == task.last_contact:
        yield f"{key}.last_contact", "is the column of time: leave it out"
    yield from _values(task.label_values, "label", task.label is not None, key)
    yield from _values(task.event_values, "event", task.event is not None, key)


def _values(values: EventValues | None, column: str, given: bool, key: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the values that a column's cells may have."""
    if values is None:
        return
    if not given:
        yield f"{key}.{column}_values", f"belongs to {column}, which is not given"
    if not values.event or not values.none:
        yield f"{key}.{column}_values", "event and none each need at least one value"
    both = {cell_key(value) for value in values.event} & {cell_key(value) for value in values.none}
    for value in sorted(both, key=str):
        yield f"{key}.{column}_values", f"{shown(value)} is in event and in none"


def _directions(task: TaskTable, key: str) -> Iterator[tuple[str, str]]:
    """Columns whose name says the opposite of what the task takes them for."""
    name = shown(task.status)
    reverse = "event_values = { event = [0], none = [1] }"
    if task.event is not None and task.event_values is None and says_censoring(task.event):
        yield (
            f"{key}.event",
            f"the name {name} says that 1 means censored, as in the tables of MCAT, PORPOISE and "
            "SurvPath, and an event column has 1 for the event. If 1 is censored, write censored = "
            f"{name} instead of event; if 1 is the event, add event_values = {{ event = [1], none = [0] }}",
        )
    if task.censored is not None and says_event(task.censored):
        yield (
            f"{key}.censored",
            f"the name {name} says that 1 means the event. If so, write event = {name} instead of "
            f"censored; if 1 is censored, write event = {name} and {reverse}",
        )
