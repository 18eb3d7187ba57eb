"""Which columns hold the outcomes of a cohort that is given in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hcat_core.cohort import Task
from hcat_core.errors import UsageError
from hcat_core.text.spelling import did_you_mean

COLUMNS = ("time", "event", "censored", "label", "last_contact", "event_values", "label_values")


@dataclass(frozen=True)
class OutcomeColumns:
    """Columns of the outcomes, as keys of a recipe's task have them.

    Attributes:
        columns: ``time``, ``event``, ``censored``, ``label``, ``event_values``, ... where they are given.
        horizon_days: until when the event counts.
        horizons: the same by the name of a task each.
        tasks: complete tables of tasks by name, in place of all others.
    """

    columns: Mapping[str, Any]
    horizon_days: float | None = None
    horizons: Mapping[str, float] | None = None
    tasks: Mapping[str, Mapping[str, Any]] | None = None

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
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown:
            each = " ".join(f"{name!r} is no argument.{did_you_mean(name, COLUMNS)}" for name in unknown)
            raise UsageError(f"columns of outcomes: {each}")
        return cls(columns, horizon_days, horizons, tasks)

    @property
    def given(self) -> bool:
        """Whether any is."""
        return bool(self._columns or self.horizons or self.tasks or self.horizon_days is not None)

    def as_tables(self) -> dict[str, dict[str, Any]]:
        """The tables ``cohort.targets.tasks`` of a recipe.

        Raises:
            UsageError: for columns beside ``tasks``, and for none.
        """
        columns = self._columns
        if self.tasks is not None:
            if columns or self.horizons or self.horizon_days is not None:
                named = ", ".join([*columns, *(["horizons"] if self.horizons else [])] or ["horizon_days"])
                raise UsageError(f"tasks holds all columns and horizons: leave out {named}.")
            return {name: dict(table) for name, table in self.tasks.items()}
        if self.horizons is not None and self.horizon_days is not None:
            raise UsageError("give horizons, {NAME: DAYS, ...}, or horizon_days, not both.")
        if not columns:
            raise UsageError(
                "which columns of the outcomes hold them? Give time and event (or censored), or label."
            )
        if self.horizons is not None:
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


def _outcome(name: str, days: float) -> str:
    """The name without the horizon that is added to it in output: ``death`` of ``death_5y``."""
    added = Task(name, float(days), name).output_name.removeprefix(f"p_{name}")
    return name.removesuffix(added) or name
