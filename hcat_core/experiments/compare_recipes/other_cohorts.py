"""Which recipes of a comparison name other data than the first, on whose cohort all are fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hcat_core.recipe.recipe import Recipe

MOST_LISTED = 5


def other_cohort_warnings(recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """A sentence for each recipe whose ``[cohort]`` differs from that of the first recipe.

    Args:
        recipes: in the order of the comparison; the first one gives the cohort.
    """
    first, *others = recipes
    return tuple(
        f"{other.source}: its cohort is not used, though it differs from that of {first.source}: "
        f"{_listed(differences)}. All recipes are compared on the patients, modalities and outcomes of "
        f'{first.source}. For a recipe of another method on that cohort, write extends = "{first.source}"; '
        "for other data, a comparison of their own."
        for other in others
        if (differences := cohort_differences(first, other))
    )


def cohort_differences(first: Recipe, other: Recipe) -> list[str]:
    """The keys of ``[cohort]`` in which two recipes differ, dotted, and which of them has no such key."""
    return list(_differences("cohort", _cohort(first), _cohort(other)))


def _cohort(recipe: Recipe) -> dict[str, Any]:
    """The table ``cohort`` with whole paths, so that one file named in two ways is the same."""
    table: dict[str, Any] = _with_whole_paths(recipe.as_dict()["cohort"], recipe.root)
    return {key: value for key, value in table.items() if key not in ("demo", "name", "root")}


def _with_whole_paths(table: Mapping[str, Any], root: Path) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            whole[key] = _with_whole_paths(value, root)
        else:
            whole[key] = str(root / value) if key == "path" and isinstance(value, str) else value
    return whole


def _differences(key: str, first: object, other: object) -> Iterator[str]:
    if isinstance(first, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*first, *other]):
            inner = f"{key}.{name}"
            if name not in other:
                yield f"{inner} (only in the first)"
            elif name not in first:
                yield f"{inner} (not in the first)"
            else:
                yield from _differences(inner, first[name], other[name])
    elif first != other:
        yield key


def _listed(differences: Sequence[str]) -> str:
    more = len(differences) - MOST_LISTED
    return ", ".join(differences[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
