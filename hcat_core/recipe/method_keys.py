"""The dotted keys of a recipe's method: what a search may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hcat_core.recipe.component_tables import table_keys
from hcat_core.recipe.default_components import name_default_components
from hcat_core.recipe.loading import NEURAL, NEURAL_TABLES, uses_neural
from hcat_core.recipe.schema import TrainingTable
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog

METHOD_TABLES = ("estimator", *NEURAL_TABLES)


def method_keys(tree: Tree, catalog: Catalog) -> tuple[str, ...]:
    """Every key that the method of a tree of tables may have, given or not, in the order of the tables.

    They are the parameters of the components that the tree names, ``use`` of each, the tables themselves,
    and, where the estimator is ``neural``, the keys of ``training``. A table with problems has no keys.
    """
    tree = dict(tree)
    name_default_components(tree)
    keys = [*table_keys(catalog, "estimator", tree.get("estimator", {"use": NEURAL}), "estimator")]
    if uses_neural(tree.get("estimator", {"use": NEURAL})):
        keys += _neural_keys(tree, catalog)
    return tuple(keys)


def _neural_keys(tree: Tree, catalog: Catalog) -> Iterator[str]:
    """The keys of the tables that the neural estimator trains."""
    yield from table_keys(catalog, "imputer", tree.get("imputer", {"use": "none"}), "imputer")
    yield from table_keys(catalog, "fusion", tree.get("fusion"), "fusion")
    heads, losses = tree.get("heads"), tree.get("losses")
    for name, table in heads.items() if isinstance(heads, Mapping) else ():
        yield from table_keys(catalog, "head", table, f"heads.{name}")
    for place, table in enumerate(losses) if isinstance(losses, list) else ():
        yield from table_keys(catalog, "loss", table, f"losses.{place}")
        yield f"losses.{place}.weight"
    yield from (f"training.{name}" for name in TrainingTable.model_fields)
