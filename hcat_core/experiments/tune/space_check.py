"""What is wrong with a search space: found before data is read, with the recipe's other problems."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hcat_core.errors import Problem, RecipeError
from hcat_core.experiments.tune.space import Dimension, SearchSpace, in_order
from hcat_core.recipe.loading import apply_sets, read_recipe_tree
from hcat_core.recipe.method_keys import METHOD_TABLES
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.recipe.search_tables import TuneTable, check_ranges, flatten_space
from hcat_core.recipe.toml_text import Tree
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

MOST_COMBINATIONS = 64  # of components in which a value is tried before it is a problem
DRAWS = 20  # of all other values, likewise

EMPTY = Problem(
    "tune.space",
    "is needed: the values to try, by key of the recipe, such as "
    '"training.lr" = { low = 1e-4, high = 1e-2, log = true }',
)


def load_searched_recipe(
    path: Path, catalog: Catalog, sets: Sequence[str]
) -> tuple[Recipe, SearchSpace, list[str]]:
    """Load a recipe and what it says a search may change.

    Returns:
        The recipe, its space, and warnings as of ``load_recipe``.

    Raises:
        RecipeError: with all problems of both.
    """
    try:
        recipe, warnings = load_recipe(path, catalog, sets=sets)
    except RecipeError as error:
        tree, _ = apply_sets(read_recipe_tree(path), sets)
        more = _of_a_broken_recipe(tree, path, catalog)
        known = {problem.key for problem in error.problems}
        raise RecipeError(
            error.source, [*error.problems, *(one for one in more if one.key not in known)]
        ) from None
    return recipe, space_of(recipe, catalog), warnings


def space_of(recipe: Recipe, catalog: Catalog, caller: Path | None = None) -> SearchSpace:
    """The space that the table ``[tune]`` of a recipe describes.

    Args:
        recipe: without problems of its own.
        catalog: of components.
        caller: folder of relative paths; by default the current one.

    Raises:
        RecipeError: for keys that the recipe cannot have, and values that it refuses.
    """
    base = {key: value for key, value in recipe.as_dict().items() if key != "tune"}
    space = SearchSpace(recipe.source, base, in_order(recipe.tune.space), catalog, caller or Path.cwd())
    problems = check_ranges(recipe.tune) or space_problems(space)
    if problems:
        raise RecipeError(recipe.source, problems)
    whole = [replace(one, whole=_is_whole(space, one)) for one in space.dimensions]
    return replace(space, dimensions=tuple(whole))


def space_problems(space: SearchSpace) -> list[Problem]:
    """Keys that the recipe cannot have with any of the components, and values that it refuses with all."""
    if not space.dimensions:
        return [EMPTY]
    known = set(space.problems({}))  # of the recipe itself
    problems = []
    for dimension in space.dimensions:
        for value in dimension.choices or dimension.bounds:
            refused = _refusal(space, dimension, value, known)
            if refused is not None:
                problems.append(refused)
    return list(dict.fromkeys(problems))


def _refusal(
    space: SearchSpace, dimension: Dimension, value: object, known: set[Problem]
) -> Problem | None:
    """Why a value cannot be used; what is refused is added to ``known``, so that it is said once."""
    first: list[Problem] = []
    applicable = False
    for settings in _combinations(space, dimension, value):
        applicable = True
        found = [one for one in space.problems(settings) if one not in known]
        if not found:
            return None
        by_itself = next((one for one in found if one.key == dimension.key), None)
        if by_itself is not None:
            return Problem(f"tune.space.{dimension.key}", by_itself.message)
        first = first or found
    if not applicable:
        return Problem(f"tune.space.{dimension.key}", _unknown(space, dimension.key))
    known.update(first)
    text = f"{shown(value)}: {first[0].key}: {first[0].message}"
    return Problem(f"tune.space.{dimension.key}", text)


def _combinations(space: SearchSpace, dimension: Dimension, value: object) -> Iterator[dict[str, object]]:
    """Settings with the value: with each combination of components, then with all other keys drawn."""
    others = [one for one in space.dimensions if one.names_components and one != dimension]
    few = replace(
        space, dimensions=tuple(one for one in space.dimensions if one in others or one == dimension)
    )
    product = itertools.product(*(one.choices for one in others))
    for combination in itertools.islice(product, MOST_COMBINATIONS):
        chosen = {one.key: given for one, given in zip(others, combination, strict=True)}
        chosen[dimension.key] = value
        settings = few.choose(lambda one, chosen=chosen: chosen[one.key])  # type: ignore[misc]
        if dimension.key in settings:
            yield settings
    rng = random.Random(0)
    for _ in range(DRAWS):
        settings = space.choose(lambda one: value if one == dimension else _drawn(one, rng))
        if dimension.key in settings:
            yield settings


def _drawn(dimension: Dimension, rng: random.Random) -> object:
    return rng.choice(dimension.choices or dimension.bounds)


def _unknown(space: SearchSpace, key: str) -> str:
    """The message for a key that the recipe cannot have with any choice of components."""
    if key.partition(".")[0] not in METHOD_TABLES:
        known = _every_key(space)
        inside = sorted(
            (one for one in known if one.endswith(f".{key}")), key=lambda one: (one.count("."), one)
        )
        suggestion = f' Did you mean "{inside[0]}"?' if inside else ""
        return f"a search changes keys of {', '.join(METHOD_TABLES)}.{suggestion}"
    near = [one for one in _every_key(space) if one.partition(".")[0] == key.partition(".")[0]]
    return f"the recipe has no such key, with none of the components.{did_you_mean(key, near)}"


def _every_key(space: SearchSpace) -> set[str]:
    components = [one for one in space.dimensions if one.names_components]
    few = replace(space, dimensions=tuple(components))
    product = itertools.product(*(one.choices for one in components))
    known: set[str] = set()
    for combination in itertools.islice(product, MOST_COMBINATIONS):
        chosen = {one.key: given for one, given in zip(components, combination, strict=True)}
        known |= few.keys(few.choose(lambda one, chosen=chosen: chosen[one.key]))  # type: ignore[misc]
    return known


def _is_whole(space: SearchSpace, dimension: Dimension) -> bool:
    """Whether a key takes whole numbers only: it refuses the half above the smallest one."""
    if dimension.choices or not all(isinstance(bound, int) for bound in dimension.bounds):
        return False
    half = dimension.bounds[0] + 0.5
    settings = next(iter(_combinations(space, dimension, half)))
    return any(one.key == dimension.key for one in space.problems(settings))


def _of_a_broken_recipe(tree: Tree, path: Path, catalog: Catalog) -> list[Problem]:
    """Problems of the space of a recipe that has others, where its ranges can be read."""
    tree = copy.deepcopy(tree)
    flatten_space(tree)
    given = tree.pop("tune", None)
    tune, problems = check_table(
        TuneTable, given if isinstance(given, dict) else {}, "tune", "no such key."
    )
    if tune is None or problems or check_ranges(tune):
        return []
    return space_problems(SearchSpace(str(path), tree, in_order(tune.space), catalog, Path.cwd()))
