"""The tables of a recipe that are the same for all components: their keys, ranges and defaults.

The keys of component tables (``imputer``, ``fusion``, ...) are the parameters of the components.
"""

from __future__ import annotations

from typing import Literal

from hcat_core.data.schema import CohortTable, SplitTable
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, NonNegative, Positive, Table


class TrainingTable(Table):
    """Settings of the training loop; ``moddrop`` is the probability that a present modality is hidden.

    ``monitor`` is the score of validation patients that decides which epoch is the best. With
    ``likelihood``, the state before the first epoch takes part: training that does not help is undone.
    """

    epochs: Count = 50
    batch: Count = 32
    lr: Positive = 5e-5
    gate_lr: Positive = 2e-2
    weight_decay: NonNegative = 1e-4
    restart_epochs: Count = 10
    restart_factor: Count = 2
    grad_clip: Positive = 1.0
    early_stop_patience: Count = 10
    monitor: Literal["likelihood", "auc", "f1"] = "auc"
    moddrop: Fraction = 0.2
    moddrop_mode: Literal["per_sample", "per_batch"] = "per_sample"
    emb_noise: NonNegative = 0.05
    imputer_gradient: bool = False
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of matrix products in training; weights, sums and all evaluation stay float32."""


class EvaluationTable(Table):
    """Settings of the evaluation.

    ``mc_samples`` are draws of what is missing, with Monte Carlo dropout where there is one member;
    ``bootstrap`` resamples per interval, and ``baselines`` estimators that are fitted with default
    parameters for comparison.
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
    """The sentence `` It is a key of [training].`` for a key in the wrong table, else an empty string."""
    tables = [name for name, model in TABLES.items() if key in model.model_fields]
    return f" It is a key of [{tables[0]}]." if tables else ""
