"""The recipe tables that say what is read and how patients are split: ``cohort`` and ``split``."""

from __future__ import annotations

from typing import Any

from hcat_core.registry.parameter_types import Count, Fraction, Positive, Table


class TaskTable(Table):
    """One outcome: a ready label, or a time and an event to derive it from, or both (checked)."""

    horizon_days: Positive
    label: str | None = None
    time: str | None = None
    event: str | None = None
    outcome: str | None = None
    """What happens, for the output's name (``p_death_5y``); the task's name when not given."""
    competing: str | None = None
    """Another task, whose event makes this one impossible, as death does a recurrence."""


class TargetsTable(Table):
    """Where outcomes are read from: one file, columns by task."""

    path: str
    use: str = "h5"
    """A reader, checked against the catalog as those of the modalities are."""
    patient_id: str | None = None
    tasks: dict[str, TaskTable]

    @property
    def reader(self) -> dict[str, object]:
        """The table of the reader, without what is not its own."""
        own = {"use": self.use, "path": self.path, "patient_id": self.patient_id}
        return {key: value for key, value in own.items() if value is not None}


class DemoTable(Table):
    """The synthetic cohort that is written to ``cohort.root`` once, when nothing is there."""

    patients: Count = 600
    width: Count = 512


class CohortTable(Table):
    """Files of one cohort. ``modalities`` holds reader tables, checked against their readers."""

    root: str | None = None
    """Where relative paths start; relative itself to the caller. The recipe's folder when not given."""
    demo: DemoTable | None = None
    """Gone as soon as a child recipe or the command line names a root or a file."""
    modalities: dict[str, Any] = {}
    targets: TargetsTable | None = None
    groups: str | None = None
    """A column of the targets file: records of one group never cross folds."""
    allow: list[str] = []
    """Features that pass the leakage guard, whatever they are called and however much they tell."""
    absent: list[str] = []
    """Modalities that the model knows and this run has no file for."""


class SplitTable(Table):
    """Patient-level, stratified on all tasks at once."""

    validation: Fraction = 0.15
    test: Fraction = 0.15
    column: str | None = None
    """A column of the targets file that says train, validation or test; the shares are then not used."""
