"""Which components a recipe uses, those in nested tables too, and which package each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hcat_core.recipe.component_tables import NamedComponent, components_in
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import STORES_PATIENTS


def used_components(recipe: Recipe, catalog: Catalog) -> list[dict[str, str]]:
    """Key, kind, name, distribution and version of each component, in the order of the recipe."""
    result = []
    for used in (*_readers(recipe, catalog), *_method(recipe, catalog), *_baselines(recipe, catalog)):
        provider = catalog.registries[used.kind].entries[used.name].provider
        result.append(
            {
                "key": used.key,
                "kind": used.kind,
                "name": used.name,
                "distribution": provider.distribution,
                "version": provider.version,
            }
        )
    return result


def components_that_store_patients(recipe: Recipe, catalog: Catalog) -> list[str]:
    """Kind and name of each component whose fitted state holds rows of training patients."""
    return [
        f"{used.kind} {used.name}"
        for used in _method(recipe, catalog)
        if STORES_PATIENTS in catalog.find(used.kind, used.name).tags
    ]


def components_weighted_for_censoring(recipe: Recipe) -> list[str]:
    """Keys of the components that weight known labels for censoring: those with ``ipcw = true``."""
    tables: dict[str, object] = {"estimator": recipe.estimator}
    if recipe.is_neural:
        tables["heads"] = recipe.heads
    return [key for root, table in tables.items() for key in _weighted(root, table)]


def _weighted(key: str, value: object) -> Iterator[str]:
    """Keys of the tables within a value in which ``ipcw`` is true."""
    if isinstance(value, Mapping):
        if value.get("ipcw") is True:
            yield key
        for name, inner in value.items():
            yield from _weighted(f"{key}.{name}", inner)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _weighted(f"{key}.{place}", inner)


def _readers(recipe: Recipe, catalog: Catalog) -> Iterator[NamedComponent]:
    for name, table in recipe.cohort.modalities.items():
        yield from components_in(catalog, "reader", table, f"cohort.modalities.{name}")
    if recipe.cohort.targets is not None:
        yield NamedComponent(
            "cohort.targets", "reader", recipe.cohort.targets.use, recipe.cohort.targets.reader
        )


def _method(recipe: Recipe, catalog: Catalog) -> Iterator[NamedComponent]:
    """What predicts: the estimator, and what it trains."""
    yield from components_in(catalog, "estimator", recipe.estimator, "estimator")
    if recipe.is_neural:
        yield from components_in(catalog, "imputer", recipe.imputer, "imputer")
        yield from components_in(catalog, "fusion", recipe.fusion, "fusion")
        for name, table in recipe.heads.items():
            yield from components_in(catalog, "head", table, f"heads.{name}")
        for place, table in enumerate(recipe.losses):
            yield from components_in(catalog, "loss", table, f"losses.{place}")


def _baselines(recipe: Recipe, catalog: Catalog) -> Iterator[NamedComponent]:
    for place, name in enumerate(recipe.evaluation.baselines):
        if catalog.registries["estimator"].find(name) is not None:
            yield NamedComponent(f"evaluation.baselines.{place}", "estimator", name, {"use": name})
