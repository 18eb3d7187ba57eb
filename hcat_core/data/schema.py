"""The recipe's tables ``cohort`` and ``split``: which files are read, and how patients are split."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from hcat_core.registry.parameter_types import Count, Fraction, Positive, Table

TimeUnit = Literal["days", "months", "years"]
CohortName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
OutcomeKind = Literal["event", "multiclass", "continuous"]


class EventValues(Table):
    """Which values of a column mean that the event happened, and which that it did not: every one of them.

    A value in neither list is an error, so that no spelling is taken for what it is not.
    """

    event: list[str | float]
    """Values that mean that the event happened."""
    none: list[str | float]
    """Values that mean that it did not happen, or was not seen."""


class TaskTable(Table):
    """One outcome: an event, a class of several, or a number.

    An event has a column of labels, or time and event to derive them from, or both.
    """

    kind: OutcomeKind = "event"
    """``event`` for an event, or a property that a patient has or not; ``multiclass`` for one of several
    classes, in the column ``label``; ``continuous`` for a number, in the column ``value``."""
    classes: list[str | float] | None = None
    """The values of ``label`` that are classes, in the order of the output; all that occur when not given.
    Only for ``multiclass``."""
    value: str | None = None
    """A column of numbers; only for ``continuous``."""
    unit: str | None = None
    """Unit of ``value``, for the output: ``years``."""
    allow: list[float] = []
    """Numbers in ``value`` that look like codes for "not known", such as -999, and are values."""
    horizon_days: Positive | None = None
    """Until when the event counts. A task with a label alone needs none: mutations, subtypes."""
    label: str | None = None
    """A column in which 1 means that the event happened by the horizon, 0 that it did not, -1 unknown; of
    the kind ``multiclass``, a column of classes."""
    label_values: EventValues | None = None
    """What the values of ``label`` mean, where they are not 1 (event), 0 (none) and -1 (unknown)."""
    time: str | None = None
    """A column of times from the start to the event or the last contact."""
    time_unit: TimeUnit | None = None
    """Of ``time`` and ``last_contact``; that of ``cohort.targets`` when not given."""
    last_contact: str | None = None
    """A column of times of last contact, where ``time`` is empty for patients without the event:
    ``days_to_last_followup`` beside ``days_to_death``."""
    event: str | None = None
    """A column in which 1 means that the event happened, and 0 that the patient was censored."""
    event_values: EventValues | None = None
    """What the values of ``event`` mean, where they are not 1, 0 and -1."""
    censored: str | None = None
    """Instead of ``event``: a column in which 1 means that the patient was censored, and 0 the event."""
    outcome: str | None = None
    """Name of the event in the output (``p_death_5y``); the task's name when not given."""
    competing: str | None = None
    """Another task whose event makes this one impossible, as death makes recurrence."""

    @property
    def status(self) -> str | None:
        """The column of events or of censorings."""
        return self.event if self.censored is None else self.censored

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the task names."""
        named = (self.label, self.value, self.time, self.last_contact, self.event, self.censored)
        return tuple(column for column in named if column is not None)


class TargetsTable(Table):
    """The file of outcomes, and the columns of each task."""

    path: str
    """The file of outcomes, relative to ``cohort.root``."""
    use: str = "h5"
    """Name of the reader; in a recipe, by the ending of the file's name when not given."""
    patient_id: str | None = None
    """The column of ids, where it does not have one of the usual names."""
    time_unit: TimeUnit = "days"
    """Of the times of all tasks that do not give their own. Months have 30.4375 days, years 365.25."""
    decimal: Literal[".", ","] | None = None
    """The decimal mark of a text table, where it is not certain; only for the reader ``table``."""
    missing: list[str | float] = []
    """What stands for "not known" in outcome, group and split columns, beside an empty cell: ``["NA"]``."""
    tasks: dict[str, TaskTable]
    """One table for each outcome, by name: see ``hcat show task``."""

    @property
    def reader(self) -> dict[str, object]:
        """The component table of the reader."""
        table = {
            "use": self.use,
            "path": self.path,
            "patient_id": self.patient_id,
            "decimal": self.decimal,
        }
        return {key: value for key, value in table.items() if value is not None}

    def unit(self, task: TaskTable) -> TimeUnit:
        """The unit of a task's times."""
        return self.time_unit if task.time_unit is None else task.time_unit


class DemoTable(Table):
    """The synthetic cohort that is written to ``cohort.root`` if that folder does not exist."""

    patients: Count = 600
    """How many there are."""
    width: Count = 512
    """Features of each modality."""


class CohortTable(Table):
    """The files of one cohort. ``modalities`` holds a reader's component table for each modality."""

    name: CohortName | None = None
    """Its name on top of pages and in the model card; the last two folders of its path when not given.
    Removed when a recipe that extends this one, or the command line, names a root or a file."""
    root: str | None = None
    """Folder of relative paths, itself relative to the current one; the recipe's folder when not given."""
    demo: DemoTable | None = None
    """Removed when a recipe that extends this one, or the command line, names a root or a file."""
    modalities: dict[str, Any] = {}
    """A table for each, by name: ``path``, and ``use`` where the file's ending does not name the reader."""
    targets: TargetsTable | None = None
    """The outcomes: see ``hcat show targets``."""
    groups: str | None = None
    """A column of the targets file; records of one group stay in one fold."""
    allow: list[str] = []
    """Features that are not checked for leakage."""
    absent: list[str] = []
    """Modalities of the model that this run has no file for."""


class SplitTable(Table):
    """Shares of patients for validation and test, stratified by the labels of all tasks."""

    validation: Fraction = 0.15
    """Share of patients that choose epochs, thresholds and recalibration."""
    test: Fraction = 0.15
    """Share of patients that are only scored."""
    column: str | None = None
    """A column of the targets file with train, validation or test for each patient; replaces the shares."""
