"""A recipe's method for another cohort: heads and losses for its tasks, branches for its modalities."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from hcat_core.data.schema import OutcomeKind
from hcat_core.recipe.toml_text import Tree

OF_KIND: Mapping[OutcomeKind, tuple[str, str]] = {
    "multiclass": ("multiclass", "cross_entropy"),
    "continuous": ("continuous", "gaussian_nll"),
}
"""The head, and the loss that trains it, of an outcome that is no event."""


def for_tasks(tree: Tree, tasks: Mapping[str, OutcomeKind]) -> Tree:
    """A recipe with a head and its losses for every task of another cohort.

    A task without a head gets a copy of the recipe's first head, with copies of the losses that train it;
    an outcome of classes, or of numbers, gets the head and the loss of its kind. Heads of tasks that the
    cohort does not have are left out with their losses; losses that name no head stay. A recipe without
    heads is returned as it is.

    Args:
        tree: the merged tables of a recipe; they are not changed.
        tasks: kinds of the cohort's outcomes by name, in their order.

    Example:
        >>> tree = {"heads": {"survival": {"use": "cox"}}, "losses": [{"use": "cox", "head": "survival"}]}
        >>> for_tasks(tree, {"relapse": "event"})
        {'heads': {'relapse': {'use': 'cox'}}, 'losses': [{'use': 'cox', 'head': 'relapse'}]}
    """
    heads, losses = tree.get("heads"), tree.get("losses", [])
    if not _are_tables(heads) or not heads or not isinstance(losses, list):
        return tree  # without heads, or refused when the recipe is checked
    task_of = {name: table.get("task", name) for name, table in heads.items()}
    pattern = next(iter(heads))
    kept = {name: copy.deepcopy(heads[name]) for name, task in task_of.items() if task in tasks}
    copies: dict[str, dict[str, Any]] = {}
    of_kinds: dict[str, dict[str, Any]] = {}
    more: list[dict[str, Any]] = []
    for task, kind in tasks.items():
        if task in task_of.values():
            continue
        if kind in OF_KIND:
            use, loss = OF_KIND[kind]
            name = _unused(task, {*kept, *copies, *of_kinds})
            of_kinds[name] = {"use": use, **({} if name == task else {"task": task})}
            more.append({"use": loss, "head": name})
        else:
            name = _unused(task, {*kept, *copies})
            table = {key: value for key, value in heads[pattern].items() if key != "task"}
            copies[name] = {**copy.deepcopy(table), **({} if name == task else {"task": task})}
    losses = [*_losses(losses, pattern, kept, copies), *more]
    return {**tree, "heads": kept | copies | of_kinds, "losses": losses}


def for_modalities(tree: Tree, modalities: Collection[str]) -> Tree:
    """A recipe whose fusion groups the modalities of another cohort.

    Modalities that the cohort does not have leave their branches. Where a modality of the cohort is in no
    branch, the grouping is that of other data, and all modalities share one branch.

    Args:
        tree: the merged tables of a recipe; they are not changed.
        modalities: names of the cohort's modalities.
    """
    fusion = tree.get("fusion")
    branches = fusion.get("branches") if isinstance(fusion, dict) else None
    if not isinstance(branches, dict) or not all(isinstance(names, list) for names in branches.values()):
        return tree
    left = {branch: [name for name in names if name in modalities] for branch, names in branches.items()}
    left = {branch: names for branch, names in left.items() if names}
    fusion = {key: value for key, value in tree["fusion"].items() if key != "branches"}
    if {name for names in left.values() for name in names} == set(modalities):
        fusion["branches"] = left
    return {**tree, "fusion": fusion}


def _losses(
    losses: list[Any], pattern: str, kept: Mapping[str, Any], copies: Mapping[str, Any]
) -> list[Any]:
    """The losses of the heads that stay, and of each copy, in the order of the recipe."""
    result = []
    for loss in losses:
        head = loss.get("head") if isinstance(loss, dict) else None
        if head is None or head in kept:
            result.append(copy.deepcopy(loss))
        if head == pattern:
            result += [{**copy.deepcopy(loss), "head": name} for name in copies]
    return result


def _unused(task: str, taken: Collection[str]) -> str:
    """A head's name: that of its task, unless a head of another task is called so."""
    name = task
    while name in taken:
        name += "_head"
    return name


def _are_tables(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(table, dict) for table in value.values())
