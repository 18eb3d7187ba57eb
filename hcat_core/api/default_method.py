"""The method of a cohort for which none is named: that of ``hcat init``."""

from __future__ import annotations

from hcat_core.api.cohort import Cohort
from hcat_core.api.findings import warn_of
from hcat_core.api.recipes import Method
from hcat_core.recipe.first_recipe.method import FOR_LABELS, FOR_TIMES, method_of
from hcat_core.registry.catalog import Catalog


def method_for(cohort: Cohort, catalog: Catalog, *, warn: bool = True) -> tuple[str, Method]:
    """The name of a method that can learn all outcomes of a cohort, and the method.

    ``small_cohort`` where all outcomes have times. It is a Cox model, so that logistic regression, which
    also learns classes and numbers, takes its place where one has none; a warning says so.

    Args:
        cohort: with or without outcomes.
        catalog: of components.
        warn: whether to warn of the other choice.
    """
    targets = cohort.table.targets
    tasks = {} if targets is None else targets.tasks
    untimed = [name for name, task in tasks.items() if task.time is None]
    if not untimed:
        return FOR_TIMES, FOR_TIMES
    kinds = {name: task.kind for name, task in tasks.items()}
    _, tables = method_of(None, kinds, untimed, list(cohort.modalities), catalog)
    if warn:
        warn_of(
            [
                f"no recipe is named: {FOR_LABELS} is taken, since {FOR_TIMES} is a Cox model and "
                f"{', '.join(untimed)} has no times. Name another: hcat.fit(cohort, RECIPE)"
            ]
        )
    return FOR_LABELS, tables
