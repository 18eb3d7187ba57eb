"""The fixed tables of a recipe: cohort, split, training, evaluation. Every key, its range, its default.

Component tables (``imputer``, ``fusion``, ...) are not here: their keys are their constructors'.
"""

from __future__ import annotations

from typing import Literal

from hcat_core.data.schema import CohortTable, SplitTable
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, NonNegative, Positive, Table


class TrainingTable(Table):
    """The loop. ``lr`` per step of AdamW, ``moddrop`` the chance that a present modality is hidden."""

    epochs: Count = 50
    batch: Count = 32
    lr: Positive = 5e-5
    weight_decay: NonNegative = 1e-4
    restart_epochs: Count = 10
    restart_factor: Count = 2
    grad_clip: Positive = 1.0
    early_stop_patience: Count = 10
    monitor: Literal["auc", "f1"] = "auc"
    moddrop: Fraction = 0.2
    moddrop_mode: Literal["per_sample", "per_batch"] = "per_sample"
    emb_noise: NonNegative = 0.05
    imputer_gradient: bool = False
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    """Of the matrix products of training; weights, their sums and all evaluation stay float32."""


class EvaluationTable(Table):
    """What happens after training: MC-dropout samples a patient, bootstrap resamples an interval.

    ``baselines`` are estimators fitted beside the recipe's own, at their defaults, for the report.
    """

    mc_samples: CountOrZero = 16
    bootstrap: CountOrZero = 1000
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
