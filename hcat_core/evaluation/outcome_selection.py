"""Some of a cohort's outcomes alone, for an estimator that cannot predict the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Prediction
from hcat_core.layout import Layout
from hcat_core.recipe.outcome_kinds import kinds_of
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog


def predictable_columns(recipe: Recipe, catalog: Catalog, layout: Layout) -> tuple[int, ...]:
    """Places in the task axis of the outcomes that a recipe's estimator can predict."""
    component = catalog.registries["estimator"].find(recipe.estimator["use"])
    if component is None:
        return tuple(range(len(layout.tasks)))
    kinds = kinds_of(component)
    return tuple(column for column, task in enumerate(layout.tasks) if task.kind in kinds)


def with_columns(cohort: Cohort, columns: Sequence[int]) -> Cohort:
    """The same patients with the outcomes in these columns alone."""
    layout = cohort.layout
    if len(columns) == len(layout.tasks):
        return cohort
    at = list(columns)
    targets = cohort.targets
    if targets is not None:
        values = None if targets.values is None else targets.values[:, at]
        targets = Targets(targets.labels[:, at], targets.time[:, at], targets.event[:, at], values)
    tasks = tuple(layout.tasks[column] for column in columns)
    return replace(cohort, layout=replace(layout, tasks=tasks), targets=targets)


def prediction_of_columns(prediction: Prediction, columns: Sequence[int]) -> Prediction:
    """The predictions of the outcomes in these columns."""
    at = list(columns)

    def pick(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[:, at]

    probability = prediction.event_probability[:, at]
    return Prediction(
        probability, pick(prediction.curve), pick(prediction.interval), pick(prediction.value)
    )
