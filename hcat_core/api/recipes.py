"""The recipe of a method, for a cohort that is given."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_core.api.cohort import Cohort
from hcat_core.api.settings import as_sets
from hcat_core.errors import Problem, RecipeError, UsageError
from hcat_core.recipe.loading import allowed_by, applicable_sets, apply_sets, read_recipe_tree
from hcat_core.recipe.recipe import Recipe, check_recipe
from hcat_core.recipe.retarget import for_modalities, for_tasks
from hcat_core.recipe.shipped import find_recipe
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.discovery import Allowed

Method = str | Path | Mapping[str, Any] | Recipe
"""A shipped recipe's name, a file, the tables of a recipe, or a recipe that was loaded."""

OF_THE_COHORT = ("cohort.allow", "cohort.name")  # keys of the cohort that are not how it is read


def recipe_for(
    cohort: Cohort,
    method: Method,
    settings: Mapping[str, Any] | None,
    catalog: Catalog,
    *,
    of_several: bool = False,
) -> Recipe:
    """The method of a recipe with the cohort that is given in place of its own.

    Heads and losses are those of the cohort's tasks (``retarget.for_tasks``); split, seed, training and
    evaluation are the recipe's.

    Args:
        cohort: with outcomes.
        method: whose cohort is left out.
        settings: changes of its keys, such as ``{"training.epochs": 5}``.
        catalog: of components.
        of_several: the settings are for several methods; those that this one cannot have are left out.

    Raises:
        RecipeError: with all problems.
        UsageError: for a cohort without outcomes, and settings of how it is read.
    """
    if cohort.data.targets is None:
        raise UsageError(
            "this cohort has no outcomes to learn from: give outcomes, and time and event or label."
        )
    source, tree = _tree_of(method)
    texts = as_sets(settings or {})
    texts = applicable_sets(tree, texts) if of_several else texts
    fixed = [t for t in texts if t.startswith("cohort.") and t.partition("=")[0] not in OF_THE_COHORT]
    if fixed:
        raise UsageError(
            f"{fixed[0].partition('=')[0]}: the cohort is the one that is given; of its keys only "
            f"{', '.join(OF_THE_COHORT)} can be set here."
        )
    tree = {key: value for key, value in tree.items() if key not in ("cohort", "outdir")}
    targets = cohort.table.targets
    kinds = {} if targets is None else {name: task.kind for name, task in targets.tasks.items()}
    tree = for_modalities(for_tasks(tree, kinds), cohort.modalities)
    table = cohort.table.model_dump(mode="json", exclude={"root"}, exclude_none=True)
    tree["cohort"] = {**table, "root": str(cohort.root), "allow": list(cohort.table.allow)}
    tree, problems = apply_sets(tree, texts)
    recipe, more = check_recipe(tree, catalog, Path(source), Path.cwd())
    if recipe is None or problems or more:
        raise RecipeError(source, [*problems, *more])
    return recipe


def plugins_of(method: Method, settings: Mapping[str, Any] | None = None) -> Allowed | None:
    """The plugins that a method allows, read before any is imported; None where it does not say.

    Raises:
        RecipeError: for a recipe that cannot be read.
        UsageError: for what is no method, and settings that a recipe cannot hold.
    """
    source, tree = _tree_of(method)
    tree, _ = apply_sets(tree, as_sets(settings or {}))
    return allowed_by(tree, source)


def name_of(method: Method, place: int) -> str:
    """What a comparison calls a method."""
    if isinstance(method, str | Path):
        return Path(method).stem
    source = method.source if isinstance(method, Recipe) else ""
    return Path(source).stem or f"recipe_{place + 1}"


def _tree_of(method: Method) -> tuple[str, Tree]:
    """The name of a recipe for messages, and its tables."""
    if isinstance(method, Recipe):
        tree = {**method.as_dict(), "seed": method.seed}
        return method.source, tree
    if isinstance(method, str | Path):
        path = find_recipe(Path(method))
        return str(path), read_recipe_tree(path)
    if not isinstance(method, Mapping):
        raise UsageError(
            "recipe: the name of a shipped recipe, a file, a dictionary or a Recipe is needed; got "
            f"{type(method).__name__}."
        )
    tree = copy.deepcopy(dict(method))
    if "extends" in tree:
        problem = Problem("extends", "belongs into files: name the recipe, and change its keys by set")
        raise RecipeError("recipe", [problem])
    return "recipe", tree
