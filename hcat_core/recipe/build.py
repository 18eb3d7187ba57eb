"""Build the components of a recipe: readers, estimator, imputer, fusion, heads and losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hcat_core.errors import Problem, RecipeError
from hcat_core.interfaces import Estimator, Fusion, Head, Imputer, Loss, Reader
from hcat_core.layout import Layout
from hcat_core.recipe.component_tables import construct
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind


@dataclass(frozen=True)
class WeightedLoss:
    """One term of the total loss: its name in logs, its weight, the loss."""

    name: str
    weight: float
    loss: Loss


def build_readers(recipe: Recipe, catalog: Catalog) -> dict[str, Reader]:
    """Build the reader of each modality, by name, in recipe order."""
    return {
        name: _build(recipe, catalog, "reader", table, (), f"cohort.modalities.{name}")
        for name, table in recipe.cohort.modalities.items()
    }


def build_targets_reader(recipe: Recipe, catalog: Catalog) -> Reader | None:
    """Build the reader of the outcomes; None for a recipe without outcomes."""
    targets = recipe.cohort.targets
    if targets is None:
        return None
    reader: Reader = _build(recipe, catalog, "reader", targets.reader, (), "cohort.targets")
    return reader


def build_estimator(recipe: Recipe, catalog: Catalog, layout: Layout) -> Estimator:
    """Build the estimator, not yet fitted."""
    estimator: Estimator = _build(recipe, catalog, "estimator", recipe.estimator, (layout,), "estimator")
    return estimator


def build_imputer(recipe: Recipe, catalog: Catalog, layout: Layout) -> Imputer:
    """Build the imputer, not yet fitted."""
    imputer: Imputer = _build(recipe, catalog, "imputer", recipe.imputer, (layout,), "imputer")
    return imputer


def build_fusion(recipe: Recipe, catalog: Catalog, layout: Layout) -> Fusion:
    """Build the fusion, not yet trained."""
    fusion: Fusion = _build(recipe, catalog, "fusion", recipe.fusion, (layout,), "fusion")
    return fusion


def build_heads(recipe: Recipe, catalog: Catalog, layout: Layout, width: int) -> dict[str, Head]:
    """Build the heads by name; ``width`` is that of the fused vector."""
    return {
        name: _build(recipe, catalog, "head", table, (layout, table["task"], width), f"heads.{name}")
        for name, table in recipe.heads.items()
    }


def build_losses(recipe: Recipe, catalog: Catalog, layout: Layout) -> list[WeightedLoss]:
    """Build the losses. Each is named after its component, and its head if it has one."""
    losses: list[WeightedLoss] = []
    for place, table in enumerate(recipe.losses):
        name = "_".join(str(table[key]) for key in ("use", "head") if key in table)
        if name in [loss.name for loss in losses]:
            name = f"{name}_{place}"
        loss = _build(recipe, catalog, "loss", table, (layout,), f"losses.{place}")
        losses.append(WeightedLoss(name, float(table["weight"]), loss))
    return losses


def _build(
    recipe: Recipe,
    catalog: Catalog,
    kind: Kind,
    table: Mapping[str, Any],
    injected: tuple[object, ...],
    key: str,
) -> Any:
    """Build one component; a ``ValueError`` of its constructor becomes a problem of the recipe."""
    try:
        return construct(catalog, kind, table, injected, recipe.root)
    except ValueError as error:
        raise RecipeError(recipe.source, [Problem(key, str(error))]) from error
