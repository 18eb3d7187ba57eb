"""``Layout``: what the axes of a cohort mean, its modalities and its tasks.

Axes everywhere: N patients, M modalities, D the widest modality, T tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

CURVE_STEPS = 12
TaskKind = Literal["event", "class", "continuous"]


@dataclass(frozen=True)
class Modality:
    """One kind of embedding: its name, its width, and the names of its features if known."""

    name: str
    width: int
    features: tuple[str, ...] = ()

    def feature(self, column: int) -> str:
        """The name of a column for messages."""
        return self.features[column] if self.features else f"{self.name}[{column}]"


@dataclass(frozen=True)
class Task:
    """One column of outcomes: an event within ``horizon_days``, a property without a time, or a number.

    An outcome of several classes, such as a subtype, is one column for each class: 1 for patients of the
    class, 0 for those of another. Whatever predicts or scores events does so for these columns too, and
    ``Layout.outcomes`` says which belong together.

    Attributes:
        name: of the task.
        horizon_days: until when the event counts; None for a task of labels that no time belongs to, such
            as a mutation.
        outcome: name of the event, for output.
        competing: the task whose event, if it comes first, makes this one impossible.
        times: columns of time and event; tasks that share them have several horizons of one event. None
            where only labels are known.
        kind: ``event`` for an event or a property of two values, ``class`` for one class of several,
            ``continuous`` for a number, which has no labels but ``Targets.values``.
        family: of a class, the name of the outcome that it is a class of.
        category: of a class, its value as written in the file.
        unit: of a number, for output: ``years``; empty where it has none.
    """

    name: str
    horizon_days: float | None
    outcome: str
    competing: str | None = None
    times: tuple[str, str] | None = None
    kind: TaskKind = "event"
    family: str | None = None
    category: str | None = None
    unit: str = ""

    @property
    def output_name(self) -> str:
        """The name of the column of predictions: ``p_death_5y``, ``p_msi``, ``p_subtype_luad``, ``age``.

        Those that begin with ``p_`` are probabilities; that of a number is the expected value in its unit.
        """
        if self.kind == "continuous":
            return self.outcome
        if self.horizon_days is None:
            return f"p_{self.outcome}"
        years = self.horizon_days / 365.25
        if abs(years - round(years)) * 365.25 <= 2:
            return f"p_{self.outcome}_{round(years)}y"
        return f"p_{self.outcome}_{round(self.horizon_days)}d"

    @property
    def horizon(self) -> float:
        """``horizon_days`` of a task with times, which always has one.

        Raises:
            ValueError: for a task without a horizon.
        """
        if self.horizon_days is None:
            raise ValueError(f"the task {self.name} has no horizon: no time belongs to its labels")
        return self.horizon_days

    @property
    def horizons(self) -> tuple[float, ...]:
        """The horizon that a head is asked for; none for a task without one."""
        return () if self.horizon_days is None else (self.horizon_days,)

    @property
    def within(self) -> str:
        """`` within 1826 days`` for sentences; nothing without a horizon."""
        return "" if self.horizon_days is None else f" within {self.horizon_days:g} days"

    @property
    def class_name(self) -> str:
        """Of a class, its value as written in the file; of any other task, its name."""
        return self.name if self.category is None else self.category

    @property
    def curve_days(self) -> tuple[float, ...]:
        """The times of a risk curve: twelve equal steps up to the horizon; none without a horizon."""
        if self.horizon_days is None:
            return ()
        return tuple(self.horizon_days * step / CURVE_STEPS for step in range(1, CURVE_STEPS + 1))


@dataclass(frozen=True)
class Outcome:
    """One outcome of a recipe, and its columns among the T tasks: several for an outcome of classes.

    Attributes:
        name: as in ``cohort.targets.tasks``, and that by which heads name it.
        kind: of its tasks.
        columns: places of its tasks in the task axis, in order.
    """

    name: str
    kind: TaskKind
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What the axes mean: modalities in recipe order, and tasks.

    ``absent`` names modalities of the recipe that have no file in this run.
    """

    modalities: tuple[Modality, ...]
    tasks: tuple[Task, ...] = ()
    absent: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The modalities' names, in order."""
        return tuple(m.name for m in self.modalities)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The modalities' widths, in order; cells beyond a width are padding."""
        return tuple(m.width for m in self.modalities)

    @property
    def widest(self) -> int:
        """D, the width of the widest modality."""
        return max(self.widths)

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in order."""
        return tuple(t.name for t in self.tasks)

    @cached_property
    def event_columns(self) -> tuple[int, ...]:
        """Places in the task axis of events, with times or without: not of classes and numbers."""
        return tuple(place for place, task in enumerate(self.tasks) if task.kind == "event")

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of the recipe in order; the tasks of a family are one outcome."""
        columns: dict[str, list[int]] = {}
        for place, task in enumerate(self.tasks):
            columns.setdefault(task.family or task.name, []).append(place)
        return tuple(Outcome(n, self.tasks[at[0]].kind, tuple(at)) for n, at in columns.items())

    @cached_property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Columns of the classes of each outcome that has several."""
        return tuple(outcome.columns for outcome in self.outcomes if outcome.kind == "class")

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Columns of the tasks that are numbers."""
        return tuple(column for column, task in enumerate(self.tasks) if task.kind == "continuous")

    def outcome(self, name: str) -> Outcome:
        """The outcome of this name.

        Raises:
            ValueError: for a name that none has.
        """
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise ValueError(
            f"{name!r} is no outcome; there are {', '.join(one.name for one in self.outcomes)}"
        )

    @cached_property
    def cells(self) -> Tensor:
        """(M, D) bool on the CPU, False on padding."""
        ends = torch.tensor(self.widths, device="cpu").unsqueeze(1)
        return torch.arange(self.widest, device="cpu") < ends

    def as_json(self) -> dict[str, object]:
        """Plain values, for a file's header."""
        return {
            "modalities": [
                {"name": m.name, "width": m.width, "features": list(m.features)} for m in self.modalities
            ],
            "tasks": [asdict(task) for task in self.tasks],
            "absent": list(self.absent),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Layout:
        """Restore what ``as_json`` gave.

        Raises:
            KeyError, TypeError: for values that are not a layout's.
        """
        return cls(
            tuple(Modality(m["name"], m["width"], tuple(m["features"])) for m in values["modalities"]),
            tuple(_task(task) for task in values["tasks"]),
            tuple(values["absent"]),
        )


def _task(values: Mapping[str, Any]) -> Task:
    """A task from plain values, in which a tuple has become a list."""
    times = values.get("times")
    return Task(**{**values, "times": None if times is None else tuple(times)})
