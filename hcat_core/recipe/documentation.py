"""Documentation and parameters of a component, read from its class."""

from __future__ import annotations

import inspect

from hcat_core.recipe.parameters import required_parameters
from hcat_core.recipe.validation import expected
from hcat_core.registry.component import Component


def documentation(component: Component) -> str:
    """The docstring of the component's class."""
    return inspect.getdoc(component.load()) or "It has no documentation."


def describe_parameters(component: Component) -> list[dict[str, object]]:
    """List name, type and default of each parameter, in the order of the constructor.

    Raises:
        UsageError: for a component that cannot be loaded.
    """
    spec = required_parameters(component)
    schema = spec.model.model_json_schema()
    rows: list[dict[str, object]] = []
    for name, field in spec.model.model_fields.items():
        rows.append(
            {
                "name": name,
                "type": expected(schema["properties"][name]),
                "default": "(needed)" if field.is_required() else field.default,
            }
        )
    for name, nested in spec.nested.items():
        plural = "" if nested.shape == "one" else f", a {nested.shape} of them"
        default = "(needed)" if nested.default is ... else nested.default
        rows.append({"name": name, "type": f"table of a {nested.kind}{plural}", "default": default})
    return rows
