"""The values that a search may choose, and the recipe that a choice of them makes.

A key that names a component (``imputer.use``), or holds whole tables, decides which other keys there are.
Such keys are chosen first; then each other key, where the recipe has it.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcat_core.errors import Problem, RecipeError
from hcat_core.recipe.loading import drop_neural_tables, set_key
from hcat_core.recipe.method_keys import method_keys
from hcat_core.recipe.recipe import Recipe, check_recipe
from hcat_core.recipe.search_tables import RangeTable
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog

Settings = Mapping[str, object]
"""Values by dotted key, in the order in which they are set."""


@dataclass(frozen=True)
class Dimension:
    """A key of the recipe and the values that it may take.

    Attributes:
        key: dotted key.
        values: its choices or its range.
        whole: whether numbers of the range are whole.
    """

    key: str
    values: RangeTable
    whole: bool = False

    @property
    def choices(self) -> Sequence[object]:
        """The values to choose among; none for a range."""
        return self.values.choices or ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest number of a range; whole where both are."""
        low, high = self.values.low, self.values.high
        assert low is not None and high is not None
        return (int(low), int(high)) if low.is_integer() and high.is_integer() else (low, high)

    @property
    def in_words(self) -> str:
        """The values that it may take."""
        if self.choices:
            return ", ".join(as_text(one) for one in self.choices)
        low, high = self.bounds
        kind = "whole numbers " if self.whole else ""
        return f"{kind}{low:g} to {high:g}{', by the logarithm' if self.values.log else ''}"

    @property
    def names_components(self) -> bool:
        """Whether a value decides which other keys there are."""
        tables = any(isinstance(one, dict | list) for one in self.choices)
        return tables or (self.key.endswith(".use") and bool(self.choices))


@dataclass(frozen=True)
class SearchSpace:
    """The dimensions of a search on a recipe.

    Attributes:
        source: the recipe's file, for messages.
        base: tables of the recipe, without ``tune``.
        dimensions: those that name components first, outer ones before inner ones.
        catalog: of components.
        caller: folder of relative paths in the recipe.
    """

    source: str
    base: Tree
    dimensions: tuple[Dimension, ...]
    catalog: Catalog
    caller: Path

    def choose(self, value_of: Callable[[Dimension], object]) -> dict[str, object]:
        """Choose a value for each key that the recipe has, given the components chosen so far.

        Args:
            value_of: called for each such dimension, in order.
        """
        settings: dict[str, object] = {}
        keys = self.keys(settings)
        for dimension in self.dimensions:
            if dimension.key in keys:
                settings[dimension.key] = value_of(dimension)
                if dimension.names_components:
                    keys = self.keys(settings)
        return settings

    def keys(self, settings: Settings) -> frozenset[str]:
        """The keys that the method may have with these values."""
        return frozenset(method_keys(self.tree(settings), self.catalog))

    def tree(self, settings: Settings) -> Tree:
        """The tables of the recipe with these values."""
        tree = copy.deepcopy(self.base)
        for key, value in settings.items():
            set_key(tree, key.split("."), copy.deepcopy(value))
        if "estimator" in tree:
            drop_neural_tables(tree, tree["estimator"])
        return tree

    def problems(self, settings: Settings) -> list[Problem]:
        """What is wrong with the recipe with these values."""
        return check_recipe(self.tree(settings), self.catalog, Path(self.source), self.caller)[1]

    def recipe(self, settings: Settings) -> Recipe:
        """The recipe with these values.

        Raises:
            RecipeError: for values that do not go together.
        """
        recipe, problems = check_recipe(self.tree(settings), self.catalog, Path(self.source), self.caller)
        if recipe is None or problems:
            raise RecipeError(self.source, problems)
        return recipe


def in_order(space: Mapping[str, RangeTable]) -> tuple[Dimension, ...]:
    """Dimensions in the order in which they are chosen."""
    made = [Dimension(key, values) for key, values in space.items()]
    depth = {one.key: one.key.count(".") if one.names_components else math.inf for one in made}
    return tuple(sorted(made, key=lambda one: depth[one.key]))


def as_text(value: object) -> str:
    """One value of a recipe, without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def on_one_line(settings: Settings, names: Mapping[str, str] | None = None) -> str:
    """Values by key, or by another name of each key."""
    return ", ".join(f"{(names or {}).get(key, key)}={as_text(value)}" for key, value in settings.items())


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """By key, its last part, or as many of its last parts as tell it from the other keys."""
    names = {}
    for key in keys:
        parts = key.split(".")
        endings = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        names[key] = next(
            one
            for one in endings
            if one == key or sum(f".{other}".endswith(f".{one}") for other in keys) == 1
        )
    return names
