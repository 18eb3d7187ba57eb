"""A cohort that is given in Python as the table ``cohort`` of a recipe, checked like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hcat_core.api.frames import ReadFrame
from hcat_core.api.outcome_columns import OutcomeColumns
from hcat_core.data.schema import CohortTable
from hcat_core.errors import Problem, RecipeError, UsageError
from hcat_core.recipe.checks import check_modalities, check_tasks
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog


@dataclass(frozen=True)
class GivenFrames:
    """What a cohort is made of.

    Attributes:
        frames: by modality.
        outcomes: None for a cohort without.
        columns: of the outcomes.
        time_unit: of their times.
        groups: column of groups, or None.
        missing: words that mean "not known" in the outcomes.
    """

    frames: Mapping[str, ReadFrame]
    outcomes: ReadFrame | None
    columns: OutcomeColumns
    time_unit: str = "days"
    groups: str | None = None
    missing: Sequence[str | float] = ()


def cohort_table(given: GivenFrames, catalog: Catalog) -> CohortTable:
    """The table ``cohort``, with everything checked that needs no look at the data.

    Raises:
        RecipeError: with all problems.
        UsageError: for columns of outcomes without outcomes.
    """
    tree: dict[str, Any] = {"modalities": {name: dict(one.table) for name, one in given.frames.items()}}
    if given.outcomes is not None:
        tree["targets"] = {
            **given.outcomes.table,
            "time_unit": given.time_unit,
            "missing": list(given.missing),
            "tasks": given.columns.as_tables(),
        }
    elif given.columns.given or given.groups is not None:
        raise UsageError("columns of outcomes are named, and no outcomes are given: outcomes = DataFrame.")
    if given.groups is not None:
        tree["groups"] = given.groups
    table, problems = check_table(CohortTable, _plain(tree), "cohort", "no such key.")
    if table is not None:
        modalities, more = check_modalities(table, catalog)
        problems += more + ([] if table.targets is None else check_tasks(table.targets))
        table = table.model_copy(update={"modalities": modalities})
    if problems or table is None:
        raise RecipeError("cohort of DataFrames", [_in_words(problem) for problem in problems])
    return table


def _in_words(problem: Problem) -> Problem:
    """A problem under the name that the argument has in Python."""
    return Problem(problem.key.removeprefix("cohort.targets.").removeprefix("cohort."), problem.message)


def _plain(value: Any) -> Any:
    """Values of numpy as those of Python."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
