"""TOML text -> one plain dictionary: ``extends`` followed, tables merged, ``--set`` applied."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem, RecipeError

Tree = dict[str, Any]
ASSEMBLY = ("imputer", "fusion", "heads", "losses", "training")  # what the estimator ``neural`` trains
NEURAL = "neural"
TARGETS = ["cohort", "targets"]


def read_recipe_tree(path: Path) -> Tree:
    """The recipe at ``path`` merged over the parents that it extends.

    Raises:
        RecipeError: for a file that is missing or no TOML, or parents that go in a circle.
    """
    chain: list[Path] = []
    trees: list[Tree] = []
    here = path
    while True:
        resolved = here.resolve()
        if resolved in chain:
            raise RecipeError(str(path), [Problem("extends", f"{here} extends itself")])
        chain.append(resolved)
        tree = _parse(here, path)
        parent = tree.pop("extends", None)
        trees.append(tree)
        if parent is None:
            break
        if not isinstance(parent, str):
            raise RecipeError(str(here), [Problem("extends", "expected the path of one recipe")])
        here = here.parent / parent
    merged: Tree = {}
    for tree in reversed(trees):
        cohort = tree.get("cohort")
        if isinstance(cohort, dict) and "root" in cohort:
            drop_demo(merged)
        if "estimator" in tree:
            drop_assembly(merged, tree["estimator"])
        merged = merge(merged, tree)
    return merged


def drop_demo(tree: Tree) -> None:
    """Whoever names data of their own must never get the demo's, not even by a slip in the path."""
    if isinstance(tree.get("cohort"), dict):
        tree["cohort"].pop("demo", None)


def uses_neural(table: object) -> bool:
    """Is this estimator table, or one inside it, that of the neural assembly?"""
    if isinstance(table, list):
        return any(uses_neural(inner) for inner in table)
    if not isinstance(table, Mapping):
        return False
    return table.get("use") == NEURAL or any(uses_neural(inner) for inner in table.values())


def drop_assembly(tree: Tree, estimator: object) -> None:
    """Another estimator takes the place of the neural assembly that it inherits, unless it holds one."""
    if not uses_neural(estimator):
        for name in ASSEMBLY:
            tree.pop(name, None)


def merge(base: Tree, over: Tree) -> Tree:
    """``over`` on top of ``base``: tables merge; a table whose ``use`` differs replaces whole."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not _other_component(old, value):
            result[key] = merge(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def apply_sets(tree: Tree, sets: Sequence[str]) -> tuple[Tree, list[Problem]]:
    """Apply ``a.b=v`` settings. Those of a ``use`` come first, and drop the old component's keys.

    ``v`` is a TOML value; what is none is taken as text, so that ``imputer.use=mean`` needs no quotes.
    A number in the path is a place in a list: ``losses.0.weight=0.5``.
    """
    tree = copy.deepcopy(tree)
    problems: list[Problem] = []
    parsed: list[tuple[list[str], object]] = []
    for text in sets:
        key, equals, said = text.partition("=")
        if not equals or not key.strip():
            problems.append(Problem("--set", f'expected KEY=VALUE, got "{text}"'))
            continue
        parsed.append((key.strip().split("."), _value(said.strip())))
    parsed.sort(key=lambda item: (item[0][-1] != "use", len(item[0]) if item[0][-1] == "use" else 0))
    if any(path == ["cohort", "root"] for path, _ in parsed):
        drop_demo(tree)
    named = [{path[-1]: value} for path, value in parsed if path[0] == "estimator"]
    if any("use" in table for table in named):
        drop_assembly(tree, named)
    for path, value in parsed:
        problem = set_key(tree, path, value)
        if problem:
            problems.append(Problem(".".join(path), problem))
    return tree, problems


def set_key(tree: Tree, path: Sequence[str], value: object) -> str | None:
    """Set one dotted key in place; tables on the way are made. Returns what went wrong, if anything."""
    node: Any = tree
    for part in path[:-1]:
        if isinstance(node, list):
            if not part.isdigit() or int(part) >= len(node):
                return f"the list has {len(node)} entries, 0 to {len(node) - 1}; there is no {part}"
            node = node[int(part)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            return f'"{part}" is inside a value, not a table'
    if not isinstance(node, dict):
        return "names a place inside a value, not a key of a table"
    if path[-1] == "use" and node.get("use") != value:
        kept = {"tasks": node["tasks"]} if path[:-1] == TARGETS and "tasks" in node else {}
        node.clear()
        node |= kept  # the tasks of the targets are not their reader's
    node[path[-1]] = value
    return None


def _parse(path: Path, asked: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        key = "extends" if path != asked else "file"
        raise RecipeError(str(asked), [Problem(key, f"there is no recipe at {path}")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(str(path), [Problem("file", f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(str(path), [Problem("toml", str(error))]) from None


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _other_component(old: Tree, new: Tree) -> bool:
    return "use" in new and new["use"] != old.get("use")
