"""The cohort that a recipe describes, its demo where nothing is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport, assemble_cohort
from hcat_core.errors import UsageError
from hcat_core.recipe import build
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.synth.demo import write_demo

Say = Callable[[str], None]


def read_recipe_cohort(
    recipe: Recipe, catalog: Catalog, say: Say = lambda message: None
) -> tuple[Cohort, ReadReport]:
    """Read the recipe's cohort; write the demo first where the recipe has one and nothing is there.

    Raises:
        UsageError: as ``write_demo_once`` does.
        DataError: as the readers and ``assemble_cohort`` do.
    """
    write_demo_once(recipe, say)
    return assemble_cohort(
        build.build_readers(recipe, catalog),
        build.build_targets_reader(recipe, catalog),
        recipe.cohort.targets,
        recipe.cohort.groups,
        tuple(recipe.cohort.absent),
    )


def write_demo_once(recipe: Recipe, say: Say) -> None:
    """The demo cohort, where the recipe has one and nothing is there.

    Raises:
        UsageError: where it would be written outside of the current directory.
    """
    root = recipe.root
    if recipe.cohort.demo is None or root.exists():
        return
    if not root.is_relative_to(Path.cwd().resolve()):
        raise UsageError(
            f"{recipe.source}: there is no data at {root}, and the demo cohort is written below the "
            "folder that hcat is run in alone. Name your data: --set cohort.root=FOLDER"
        )
    write_demo(root, recipe.cohort.demo, say)
