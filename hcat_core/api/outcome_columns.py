"""Which columns hold the outcomes of a cohort that is given in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from hcat_core.errors import UsageError
from hcat_core.layout import Task
from hcat_core.text.spelling import did_you_mean

OTHERS = ("multiclass", "continuous")
COLUMNS = ("time", "event", "censored", "label", "last_contact", "event_values", "label_values")


Named = str | Sequence[str] | Mapping[str, str]
"""A column, several, or columns by the name of the outcome."""


@dataclass(frozen=True)
class OutcomeColumns:
    """Columns of the outcomes, as keys of a recipe's task have them.

    Attributes:
        columns: ``time``, ``event``, ``censored``, ``label``, ``event_values``, ... where they are given.
        horizon_days: until when the event counts.
        horizons: the same by the name of a task each.
        tasks: complete tables of tasks by name, in place of all others.
        multiclass: columns of classes, alone or by the name of the outcome.
        continuous: columns of numbers, likewise.
    """

    columns: Mapping[str, Any]
    horizon_days: float | None = None
    horizons: Mapping[str, float] | None = None
    tasks: Mapping[str, Mapping[str, Any]] | None = None
    multiclass: Named = ()
    continuous: Named = ()

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Any],
        horizon_days: float | None,
        horizons: Mapping[str, float] | None,
        tasks: Mapping[str, Mapping[str, Any]] | None,
    ) -> OutcomeColumns:
        """Of keyword arguments.

        Raises:
            UsageError: for one that names no column of outcomes.
        """
        unknown = [name for name in columns if name not in (*COLUMNS, *OTHERS)]
        if unknown:
            offered = (*COLUMNS, *OTHERS)
            each = " ".join(f"{name!r} is no argument.{did_you_mean(name, offered)}" for name in unknown)
            raise UsageError(f"columns of outcomes: {each}")
        of_events = {name: column for name, column in columns.items() if name in COLUMNS}
        others = {name: columns.get(name) or () for name in OTHERS}
        return cls(of_events, horizon_days, horizons, tasks, **others)

    @property
    def given(self) -> bool:
        """Whether any is."""
        times = self.horizons or self.horizon_days is not None
        return bool(self._columns or times or self.tasks or self.multiclass or self.continuous)

    def as_tables(self) -> dict[str, dict[str, Any]]:
        """The tables ``cohort.targets.tasks`` of a recipe.

        Raises:
            UsageError: for columns beside ``tasks``, and for none.
        """
        if self.tasks is None:
            return self._events() | self._others()
        if self.multiclass or self.continuous or self._columns or self.horizons or self.horizon_days:
            given = {**self._columns, "horizons": self.horizons, "horizon_days": self.horizon_days}
            given |= {"multiclass": self.multiclass, "continuous": self.continuous}
            named = ", ".join(name for name, value in given.items() if value)
            raise UsageError(f"tasks holds all columns and horizons: leave out {named}.")
        return {name: dict(table) for name, table in self.tasks.items()}

    def _others(self) -> dict[str, dict[str, Any]]:
        """The tables of outcomes of classes, and of numbers."""
        classes = {
            name: {"kind": "multiclass", "label": column} for name, column in _by_name(self.multiclass)
        }
        numbers = {
            name: {"kind": "continuous", "value": column} for name, column in _by_name(self.continuous)
        }
        return classes | numbers

    def _events(self) -> dict[str, dict[str, Any]]:
        """The tables of events; none where there are other outcomes alone."""
        columns = self._columns
        if not columns and not self.horizons and (self.multiclass or self.continuous):
            return {}
        if self.horizons is not None and self.horizon_days is not None:
            raise UsageError("give horizons, {NAME: DAYS, ...}, or horizon_days, not both.")
        if not columns:
            raise UsageError(
                "which columns of the outcomes hold them? Give time and event (or censored), or label; "
                "multiclass for classes, continuous for numbers."
            )
        if self.horizons is not None:
            for name, horizon in self.horizons.items():
                if isinstance(horizon, bool) or not isinstance(horizon, Real):
                    raise UsageError(
                        f"horizons: {name} is {horizon!r}; a horizon is a number of days, such as 730."
                    )
            return {
                name: {**columns, "horizon_days": days, "outcome": _outcome(name, days)}
                for name, days in self.horizons.items()
            }
        name = str(columns.get("label") or columns.get("event") or "event")
        days = {} if self.horizon_days is None else {"horizon_days": self.horizon_days}
        return {name: {**columns, **days}}

    @property
    def _columns(self) -> dict[str, Any]:
        return {key: value for key, value in self.columns.items() if value is not None}


def _by_name(columns: Named) -> list[tuple[str, str]]:
    """Names of outcomes and their columns, which are their names where none are given."""
    if isinstance(columns, str):
        columns = [columns]
    given = columns.items() if isinstance(columns, Mapping) else ((column, column) for column in columns)
    return [(str(name), str(column)) for name, column in given]


def _outcome(name: str, days: float) -> str:
    """The name without the horizon that is added to it in output: ``death`` of ``death_5y``."""
    added = Task(name, float(days), name).output_name.removeprefix(f"p_{name}")
    return name.removesuffix(added) or name
