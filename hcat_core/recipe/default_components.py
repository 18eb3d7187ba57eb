"""The components that a recipe means where it does not name one."""

from __future__ import annotations

from hcat_core.recipe.loading import NEURAL
from hcat_core.recipe.toml_text import Tree

DEFAULT_FUSION = "enhanced_hcat"
_DEFAULTS = {"fusion": DEFAULT_FUSION, "estimator": NEURAL}


def name_default_components(tree: Tree) -> None:
    """Add ``use`` to the tables fusion and estimator where they have keys and no ``use``, in place."""
    for kind, name in _DEFAULTS.items():
        table = tree.get(kind)
        if isinstance(table, dict) and "use" not in table:
            tree[kind] = {"use": name, **table}
