"""The recipe's tables ``cohort`` and ``split``: which files are read, and how patients are split."""

from __future__ import annotations

from typing import Any

from hcat_core.registry.parameter_types import Count, Fraction, Positive, Table


class TaskTable(Table):
    """One outcome: a column of labels, or time and event to derive them from, or both."""

    horizon_days: Positive
    label: str | None = None
    time: str | None = None
    event: str | None = None
    outcome: str | None = None
    """Name of the event in the output (``p_death_5y``); the task's name when not given."""
    competing: str | None = None
    """Another task whose event makes this one impossible, as death makes recurrence."""


class TargetsTable(Table):
    """The file of outcomes, and the columns of each task."""

    path: str
    use: str = "h5"
    """Name of the reader."""
    patient_id: str | None = None
    tasks: dict[str, TaskTable]

    @property
    def reader(self) -> dict[str, object]:
        """The component table of the reader."""
        table = {"use": self.use, "path": self.path, "patient_id": self.patient_id}
        return {key: value for key, value in table.items() if value is not None}


class DemoTable(Table):
    """The synthetic cohort that is written to ``cohort.root`` if that folder does not exist."""

    patients: Count = 600
    width: Count = 512


class CohortTable(Table):
    """The files of one cohort. ``modalities`` holds a reader's component table for each modality."""

    root: str | None = None
    """Folder of relative paths, itself relative to the current one; the recipe's folder when not given."""
    demo: DemoTable | None = None
    """Removed when a recipe that extends this one, or the command line, names a root or a file."""
    modalities: dict[str, Any] = {}
    targets: TargetsTable | None = None
    groups: str | None = None
    """A column of the targets file; records of one group stay in one fold."""
    allow: list[str] = []
    """Features that are not checked for leakage."""
    absent: list[str] = []
    """Modalities of the model that this run has no file for."""


class SplitTable(Table):
    """Shares of patients for validation and test, stratified by the labels of all tasks."""

    validation: Fraction = 0.15
    test: Fraction = 0.15
    column: str | None = None
    """A column of the targets file with train, validation or test for each patient; replaces the shares."""
