"""Which components a recipe names, nested ones too, and whose code they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind


def used_components(recipe: Recipe, catalog: Catalog) -> list[dict[str, str]]:
    """Key, kind, name, distribution and version of each, in the order of the recipe."""
    found = []
    for key, kind, name in _tables(recipe, catalog):
        entry = catalog.registries[kind].entries[name]
        found.append(
            {
                "key": key,
                "kind": kind,
                "name": name,
                "distribution": entry.provider.distribution,
                "version": entry.provider.version,
            }
        )
    return found


def _tables(recipe: Recipe, catalog: Catalog) -> Iterator[tuple[str, Kind, str]]:
    for name, table in recipe.cohort.modalities.items():
        yield from _inside("reader", table, f"cohort.modalities.{name}", catalog)
    if recipe.cohort.targets is not None:
        yield "cohort.targets", "reader", recipe.cohort.targets.use
    yield from _inside("estimator", recipe.estimator, "estimator", catalog)
    if recipe.is_neural:
        yield from _inside("imputer", recipe.imputer, "imputer", catalog)
        yield from _inside("fusion", recipe.fusion, "fusion", catalog)
        for name, table in recipe.heads.items():
            yield from _inside("head", table, f"heads.{name}", catalog)
        for place, table in enumerate(recipe.losses):
            yield from _inside("loss", table, f"losses.{place}", catalog)
    for place, name in enumerate(recipe.evaluation.baselines):
        if catalog.registries["estimator"].find(name) is not None:
            yield f"evaluation.baselines.{place}", "estimator", name


def _inside(
    kind: Kind, table: Mapping[str, Any], key: str, catalog: Catalog
) -> Iterator[tuple[str, Kind, str]]:
    """The component of a checked table, and those in it."""
    name = str(table["use"])
    yield key, kind, name
    spec = load_parameters(catalog.find(kind, name), key)
    for parameter, nested in spec.nested.items() if isinstance(spec, Parameters) else ():
        value = table.get(parameter)
        if nested.shape == "one":
            parts = {parameter: value}
        elif isinstance(value, list):
            parts = {f"{parameter}.{place}": inner for place, inner in enumerate(value)}
        else:
            parts = {f"{parameter}.{part}": inner for part, inner in (value or {}).items()}
        for part, inner in parts.items():
            if isinstance(inner, Mapping):
                yield from _inside(nested.kind, inner, f"{key}.{part}", catalog)
