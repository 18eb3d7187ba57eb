"""Load a recipe file as one tree of tables: follow ``extends``, merge tables, apply ``--set``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem, RecipeError
from hcat_core.recipe.shipped import did_you_mean_recipe, shipped_recipe
from hcat_core.recipe.toml_text import DEEPEST, Tree, parse_toml, read_toml, values_in
from hcat_core.registry.discovery import Allowed
from hcat_core.text.quoting import shown

NEURAL_TABLES = ("imputer", "fusion", "heads", "losses", "training")  # used by the estimator ``neural``
NEURAL = "neural"
FORMATS = ("cohort", "targets")  # its tasks stay when another reader is chosen


def read_recipe_tree(path: Path) -> Tree:
    """Load a recipe, merged over the recipes that it extends.

    Raises:
        RecipeError: for a file that is missing or not TOML, or recipes that extend each other in a circle.
    """
    chain: list[Path] = []
    trees: list[Tree] = []
    here = path
    while True:
        tree = _read(here, path)
        again = any(here.samefile(earlier) for earlier in chain)
        chain.append(here)
        if again:
            circle = " -> ".join(map(str, chain))
            raise RecipeError(str(path), [Problem("extends", f"a recipe extends itself: {circle}")])
        parent = tree.pop("extends", None)
        trees.append(tree)
        if parent is None:
            break
        if not isinstance(parent, str) or not parent:
            message = f"expected the path of one recipe, got {shown(parent)}"
            raise RecipeError(_named(here, path), [Problem("extends", message)])
        if "://" in parent:
            message = f"expected the path of a recipe, got {shown(parent)}: hcat downloads nothing"
            raise RecipeError(_named(here, path), [Problem("extends", message)])
        here = _parent(here, parent)
    merged: Tree = {}
    for tree in reversed(trees):
        cohort = tree.get("cohort")
        if isinstance(cohort, dict) and "root" in cohort:
            drop_name_and_demo(merged)
            if cohort.get("demo") is False:  # removed with the root already
                tree = {**tree, "cohort": {key: value for key, value in cohort.items() if key != "demo"}}
        if "estimator" in tree:
            # A table without ``use`` changes keys of the estimator that the parent names.
            parent_estimator = merged.get("estimator", {"use": NEURAL})
            both = merge({"estimator": parent_estimator}, {"estimator": tree["estimator"]})
            drop_neural_tables(merged, both.get("estimator"))
        merged = merge(merged, tree)
    return merged


def drop_name_and_demo(tree: Tree) -> None:
    """Remove the cohort's name and the demo, in place, where other data are named.

    Users who name their own data must never get the demo instead, nor a page with the name of others.
    """
    if isinstance(tree.get("cohort"), dict):
        tree["cohort"].pop("demo", None)
        tree["cohort"].pop("name", None)


def uses_neural(table: object) -> bool:
    """Whether an estimator table, or a table inside it, is that of the estimator ``neural``."""
    values = (value for _, _, value in values_in({"estimator": table}))
    return any(isinstance(value, dict) and value.get("use") == NEURAL for value in values)


def drop_neural_tables(tree: Tree, estimator: object) -> None:
    """Remove the tables of the neural estimator, in place, if ``estimator`` does not use them."""
    if not uses_neural(estimator):
        for name in NEURAL_TABLES:
            tree.pop(name, None)


def applicable_sets(tree: Tree, sets: Sequence[str]) -> list[str]:
    """Of settings for several recipes those that one of them can have.

    A setting of the tables of the neural model applies only to recipes that have one.
    """
    if uses_neural(tree.get("estimator", {"use": NEURAL})):
        return list(sets)
    return [text for text in sets if text.split(".")[0].split("=")[0] not in NEURAL_TABLES]


def declared_plugins(path: Path, sets: Sequence[str] = ()) -> Allowed | None:
    """The plugins that a recipe allows, read before any is imported; None if it has no such key.

    A value that is not a list of names allows no plugin; such a recipe is refused when it is checked.

    Raises:
        RecipeError: as ``read_recipe_tree`` does.
    """
    tree, _ = apply_sets(read_recipe_tree(path), sets)
    return allowed_by(tree, str(path))


def allowed_by(tree: Tree, source: str) -> Allowed | None:
    """The plugins that a tree of tables allows; None if it has no such key."""
    if "plugins" not in tree:
        return None
    value = tree["plugins"]
    names = tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
    return Allowed((names,), f"plugins = {shown(list(names))} of {source}")


def merge(base: Tree, over: Tree, at: tuple[str, ...] = ()) -> Tree:
    """Merge the tables of ``over`` into those of ``base``.

    A table that names another component replaces the old one completely. ``false`` in place of a table or a
    list removes it. ``at`` is the path of both tables in the recipe.
    """
    result = dict(base)
    for key, value in over.items():
        old, path = result.get(key), (*at, key)
        if removes(value, old):
            del result[key]
        elif not isinstance(old, dict) or not isinstance(value, dict):
            result[key] = copy.deepcopy(value)
        elif _other_component(old, value) and path != FORMATS:
            result[key] = copy.deepcopy(value)
        else:
            result[key] = merge(old, value, path)
    return result


def removes(value: object, old: object) -> bool:
    """Whether a recipe's value removes what the recipe that it extends has there."""
    return value is False and isinstance(old, dict | list)


def apply_sets(tree: Tree, sets: Sequence[str]) -> tuple[Tree, list[Problem]]:
    """Apply ``KEY=VALUE`` settings. Those of a ``use`` come first, and remove the old component's keys.

    A value that is not TOML is taken as a string, so that ``imputer.use=mean`` needs no quotes. A number in
    the key is a position in a list: ``losses.0.weight=0.5``. ``false`` removes a table or a list.
    """
    tree = copy.deepcopy(tree)
    problems: list[Problem] = []
    parsed: list[tuple[list[str], object]] = []
    for text in sets:
        key, equals, value_text = text.partition("=")
        if not equals or not key.strip():
            problems.append(Problem("--set", f'expected KEY=VALUE, got "{text}"'))
            continue
        path = key.strip().split(".")
        if len(path) > DEEPEST:
            problems.append(Problem("--set", f"{shown(key)} is more than {DEEPEST} tables deep"))
            continue
        parsed.append((path, _value(value_text.strip())))
    parsed.sort(key=lambda item: (item[0][-1] != "use", len(item[0]) if item[0][-1] == "use" else 0))
    if any(path == ["cohort", "root"] for path, _ in parsed):
        drop_name_and_demo(tree)
    named = [{path[-1]: value} for path, value in parsed if path[0] == "estimator"]
    if any("use" in table for table in named):
        drop_neural_tables(tree, named)
    for path, value in parsed:
        problem = set_key(tree, path, value)
        if problem:
            problems.append(Problem(".".join(path), problem))
    return tree, problems


def set_key(tree: Tree, path: Sequence[str], value: object) -> str | None:
    """Set one dotted key in place, making tables on the way. Returns the problem, or None."""
    node: Any = tree
    for part in path[:-1]:
        if isinstance(node, list):
            places = {str(place): inner for place, inner in enumerate(node)}
            if part not in places:
                return f"the list has {len(node)} entries, counted from 0; there is no {shown(part)}"
            node = places[part]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            return f"{shown(part)} is inside a value, not a table"
    if not isinstance(node, dict):
        return "names a place inside a value, not a key of a table"
    if path[-1] == "use" and node.get("use") != value and tuple(path[:-1]) != FORMATS:
        node.clear()
    if removes(value, node.get(path[-1])):
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return None


def _parent(recipe: Path, name: str) -> Path:
    """The recipe that another extends: a file named relative to it, otherwise a shipped recipe."""
    beside = recipe.parent / name
    return beside if beside.exists() else shipped_recipe(name) or beside


def _read(path: Path, asked: Path) -> Tree:
    """Read the requested recipe, or one that it extends."""
    key = "file" if path == asked else "extends"
    try:
        tree = read_toml(path)
    except FileNotFoundError:
        raise RecipeError(
            str(asked), [Problem(key, f"there is no recipe at {path}{did_you_mean_recipe(path)}")]
        ) from None
    if isinstance(tree, Problem):
        raise RecipeError(_named(path, asked), [tree])
    return tree


def _named(path: Path, asked: Path) -> str:
    """The name of a file for messages, with the recipe that extends it."""
    return str(path) if path == asked else f"{path} (which {asked} extends)"


def _value(text: str) -> object:
    tree = parse_toml(f"value = {text}")
    return tree["value"] if isinstance(tree, dict) and len(tree) == 1 else text


def _other_component(old: Tree, new: Tree) -> bool:
    return "use" in new and new["use"] != old.get("use")
