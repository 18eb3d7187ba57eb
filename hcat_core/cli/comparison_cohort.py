"""The cohort of commands that cross-validate, with what its quality says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hcat_core.cli.console import Output
from hcat_core.errors import UsageError

if TYPE_CHECKING:
    from hcat_core.cohort import Cohort
    from hcat_core.recipe.recipe import Recipe
    from hcat_core.registry.catalog import Catalog


def read_cohort(recipe: Recipe, catalog: Catalog, output: Output, strict: bool) -> Cohort:
    """The recipe's cohort; findings about its quality are warnings, or errors if ``strict``.

    Too few patients are always a warning.

    Raises:
        UsageError: for a recipe without outcomes.
        DataError: for findings, if ``strict``.
    """
    from hcat_core.experiments.cohort_warnings import cohort_warnings
    from hcat_core.runs.recipe_cohort import read_recipe_cohort

    cohort, report = read_recipe_cohort(recipe, catalog, output.say)
    if cohort.targets is None:
        raise UsageError(f"{recipe.source}: folds are scored by outcomes: give cohort.targets.")
    for warning in cohort_warnings(cohort, report, strict=strict):
        output.warn(warning)
    return cohort
