"""The tables of a recipe that are the same for all components: their keys, ranges and defaults.

The keys of component tables (``imputer``, ``fusion``, ...) are the parameters of the components.
"""

from __future__ import annotations

from typing import Literal

from hcat_core.data.schema import CohortTable, DemoTable, EventValues, SplitTable, TargetsTable, TaskTable
from hcat_core.recipe.search_tables import RangeTable, TuneTable
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, NonNegative, Positive, Table


class TrainingTable(Table):
    """Settings of the training loop of the estimator ``neural``."""

    epochs: Count = 50
    """Passes over the training patients, at most."""
    batch: Count = 32
    """Patients of one step."""
    lr: Positive = 5e-5
    """Learning rate of AdamW."""
    gate_lr: Positive = 2e-2
    """Learning rate of the gates of modalities and imputed blocks."""
    weight_decay: NonNegative = 1e-4
    """Weight decay of AdamW, of matrices only."""
    restart_epochs: Count = 10
    """Epochs until the learning rate starts anew from its highest value (cosine with warm restarts)."""
    restart_factor: Count = 2
    """Factor by which each such period is longer than the one before."""
    grad_clip: Positive = 1.0
    """Largest norm of the gradient of one step."""
    early_stop_patience: Count = 10
    """Epochs without gain after which training stops."""
    monitor: Literal["likelihood", "auc", "f1"] = "auc"
    """Score of the validation patients that decides which epoch is the best. With ``likelihood`` the state
    before the first epoch takes part: training that does not help is undone."""
    moddrop: Fraction = 0.2
    """Probability that a present modality is hidden in a step."""
    moddrop_mode: Literal["per_sample", "per_batch"] = "per_sample"
    """Whether modalities are hidden for each patient alone or for a whole batch."""
    emb_noise: NonNegative = 0.05
    """Standard deviation of noise that is added to standardised cells in training."""
    imputer_gradient: bool = False
    """Whether the prediction's loss trains an imputer that learns beside the predictor; its values are then
    informed by the outcome."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of matrix products in training; weights, sums and all evaluation stay float32."""


class EvaluationTable(Table):
    """Settings of the evaluation."""

    mc_samples: CountOrZero = 16
    """Draws of what is missing for each prediction, with Monte Carlo dropout where there is one member.
    Below 2 there is no interval."""
    bootstrap: CountOrZero = 1000
    """Resamples for each interval; 0 for none."""
    baselines: list[str] = ["logistic", "random_forest"]
    """Estimators that are fitted with default parameters, for comparison."""


TABLES: dict[str, type[Table]] = {
    "cohort": CohortTable,
    "split": SplitTable,
    "training": TrainingTable,
    "evaluation": EvaluationTable,
    "tune": TuneTable,
}

DOCUMENTED_TABLES: dict[str, type[Table]] = {
    "cohort": CohortTable,
    "targets": TargetsTable,
    "task": TaskTable,
    "event_values": EventValues,
    "demo": DemoTable,
    **{name: table for name, table in TABLES.items() if name != "cohort"},
    "range": RangeTable,
}
"""Those of ``TABLES``, and the tables in them: ``cohort.targets``, each of its tasks, ``cohort.demo``, and
the ranges of ``tune.space``."""


def elsewhere(key: str) -> str:
    """The sentence `` It is a key of [training].`` for a key in the wrong table, else an empty string."""
    tables = [name for name, model in TABLES.items() if key in model.model_fields]
    return f" It is a key of [{tables[0]}]." if tables else ""
