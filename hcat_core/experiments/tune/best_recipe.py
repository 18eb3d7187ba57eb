"""The best recipe of a search as a file that ``hcat run`` takes, with a comment that says what it is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import tomli_w

from hcat_core.experiments.tune.results import TuningResult
from hcat_core.experiments.tune.sentences import sentences
from hcat_core.recipe.recipe import Recipe
from hcat_core.text.quoting import printable

WIDTH = 100


def best_recipe_text(result: TuningResult, before: Recipe, best: Recipe) -> str:
    """The recipe with the best values; its first lines say which keys were changed, and what that is worth.

    Args:
        result: of the search.
        before: the recipe as it was.
        best: with the best values of the search on all patients.
    """
    lines = ["hcat run best.toml", ""]
    lines += [f"{result.recipe} with the values that did best in a search on all patients."]
    lines += [line for sentence in sentences(result) for line in textwrap.wrap(sentence, WIDTH)]
    settings, old = result.final.best.settings, before.as_dict()
    lines += ["", "Values that were chosen:" if settings else "No value was changed."]
    lines += [
        f"  {key} = {_toml(value)}  (before: {_toml(_at(old, key))})" for key, value in settings.items()
    ]
    comment = "\n".join(f"# {printable(line)}".rstrip() for line in lines)
    tables = {key: value for key, value in best.as_dict().items() if key != "tune"}
    return f"{comment}\n\n{tomli_w.dumps(tables)}"


def _at(tree: object, key: str) -> object:
    """The value at a dotted key; None where there is none."""
    for part in key.split("."):
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdecimal() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree


def _toml(value: object) -> str:
    """A value on one line of TOML; ``not set`` for none."""
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_toml(one)}" for key, one in value.items() if one is not None)
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return tomli_w.dumps({"value": value}).partition("= ")[2].strip()
