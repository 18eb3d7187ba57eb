"""The table ``[tune]`` of a recipe: the values that a search may give to keys of its method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from hcat_core.errors import Problem
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.parameter_types import Count, CountOrZero, Table


class RangeTable(Table):
    """The values of one key in a search: a list of choices, or all numbers from ``low`` to ``high``."""

    choices: list[Any] | None = None
    """Values to choose among: numbers, texts, true and false, or whole tables."""
    low: float | None = None
    """Smallest number of a range."""
    high: float | None = None
    """Largest number of a range."""
    log: bool = False
    """Whether a range is searched by the logarithm, as suits learning rates and penalties."""


class TuneTable(Table):
    """What ``hcat tune`` searches; other commands do not use it."""

    space: dict[str, RangeTable] = {}
    """Values to try, by the dotted key of the method that takes them."""
    sampler: Literal["tpe", "random"] = "tpe"
    """``tpe`` draws values near those of good trials (tree-structured Parzen estimator), ``random`` draws
    them anywhere."""
    random_trials: CountOrZero = 8
    """Trials of a search that ``tpe`` draws anywhere, before it learns from their scores."""
    trials_per_round: Count = 4
    """Trials that are chosen together, before the score of any of them is known, and run together."""


def flatten_space(tree: Tree) -> None:
    """Write the keys of ``tune.space`` as texts with dots, in place, also where tables are in each other.

    TOML reads ``"fusion.d_model" = {...}`` as one key and ``fusion.d_model = {...}`` as a table in a table.
    """
    tune = tree.get("tune")
    if isinstance(tune, dict) and isinstance(tune.get("space"), dict):
        tree["tune"] = {**tune, "space": _flat(tune["space"], "")}


def check_ranges(tune: TuneTable) -> list[Problem]:
    """What is wrong with ranges by themselves: no values, too many kinds of values, bounds in disorder."""
    problems = []
    for key, values in tune.space.items():
        reason = _reason(values)
        if reason is not None:
            problems.append(Problem(f"tune.space.{key}", reason))
    return problems


def _flat(space: Mapping[str, Any], before: str) -> Tree:
    result: Tree = {}
    for key, value in space.items():
        group = isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values())
        result |= _flat(value, f"{before}{key}.") if group else {f"{before}{key}": value}
    return result


def _reason(values: RangeTable) -> str | None:
    if values.choices is not None:
        if values.low is not None or values.high is not None or values.log:
            return "has choices, and low, high or log: give either a list or a range"
        distinct = [one for place, one in enumerate(values.choices) if one not in values.choices[:place]]
        few = len(distinct) < 2 or len(distinct) < len(values.choices)
        return "choices are two or more different values" if few else None
    if values.low is None or values.high is None:
        return "needs choices = [...], or low and high"
    if not values.low < values.high:
        return f"low ({values.low:g}) is not below high ({values.high:g})"
    if values.log and values.low <= 0:
        return f"a range by the logarithm begins above 0, not at {values.low:g}"
    if not math.isfinite(values.high - values.low):
        return "the range is too wide"
    return None
