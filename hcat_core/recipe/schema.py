"""The fixed tables of a recipe: cohort, split, training, evaluation. Every key, its range, its default.

Component tables (``imputer``, ``fusion``, ...) are not here: their keys are their constructors'.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """A recipe table: unknown keys are problems, values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class TrainingTable(Table):
    """The loop. ``lr`` per step of AdamW, ``moddrop`` the chance that a present modality is hidden."""

    epochs: Count = 50
    batch: Count = 32
    lr: Positive = 5e-5
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    restart_epochs: Count = 10
    restart_factor: Count = 2
    grad_clip: Positive = 1.0
    early_stop_patience: Count = 10
    monitor: Literal["auc", "f1"] = "auc"
    moddrop: Fraction = 0.2
    moddrop_mode: Literal["per_sample", "per_batch"] = "per_sample"
    emb_noise: Annotated[float, Field(ge=0)] = 0.05
    imputer_gradient: bool = False
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    """Of the matrix products of training; weights, their sums and all evaluation stay float32."""


class EvaluationTable(Table):
    """What happens after training: MC-dropout samples a patient, bootstrap resamples an interval.

    ``baselines`` are estimators fitted beside the recipe's own, at their defaults, for the report.
    """

    mc_samples: Annotated[int, Field(ge=0)] = 16
    bootstrap: Annotated[int, Field(ge=0)] = 1000
    baselines: list[str] = ["logistic", "random_forest"]


TABLES: dict[str, type[Table]] = {
    "cohort": CohortTable,
    "split": SplitTable,
    "training": TrainingTable,
    "evaluation": EvaluationTable,
}


def elsewhere(key: str) -> str:
    """`` It is a key of [training].``, for a key that was put into the wrong table; else nothing."""
    found = [name for name, model in TABLES.items() if key in model.model_fields]
    return f" It is a key of [{found[0]}]." if found else ""
