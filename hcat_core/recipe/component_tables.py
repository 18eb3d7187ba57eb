"""Recipe tables of components, those nested in them included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hcat_core.errors import UsageError
from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind

USUAL_PARTS: Mapping[Kind, str] = {"imputer": "gaussian", "estimator": "logistic"}
"""What a component is built from where it needs another one and none is named."""


def smallest_table(
    catalog: Catalog,
    kind: Kind,
    name: str,
    values: Mapping[str, Any],
    *,
    part: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A recipe table with which a component can be built by its name alone.

    Args:
        catalog: where the component is looked up.
        kind: of the component.
        name: of the component.
        values: parameters to set, for those of them that the component has.
        part: the table of each component that this one needs; ``USUAL_PARTS`` when not given.

    Raises:
        UsageError: for a component that is unknown or cannot be loaded.
    """
    spec = load_parameters(catalog.find(kind, name), name)
    if not isinstance(spec, Parameters):
        raise UsageError(spec.message)
    table: dict[str, Any] = {"use": name}
    table |= {key: value for key, value in values.items() if key in spec.names}
    for key, nested in spec.nested.items():
        if nested.default is ... and nested.kind in USUAL_PARTS:
            inner = dict(part or {"use": USUAL_PARTS[nested.kind]})
            table[key] = inner if nested.shape == "one" else [inner]
    return table
