"""A component's documentation and parameters, as ``hcat show`` prints them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from hcat_core.recipe.component_source import read_source
from hcat_core.recipe.parameters import Parameters, required_parameters
from hcat_core.recipe.validation import expected
from hcat_core.registry.component import Component, with_article


@dataclass(frozen=True)
class ParameterRow:
    """A recipe key of a component, its type in words, and its default value or ``(needed)``."""

    name: str
    type: str
    default: object


@dataclass(frozen=True)
class Documentation:
    """A class's docstring, and the keys of its recipe table in the order of the constructor."""

    text: str
    parameters: tuple[ParameterRow, ...]


def document_component(component: Component) -> Documentation:
    """Documentation and parameters of a component.

    They are read from its source where that suffices: importing it may take seconds.

    Raises:
        UsageError: for a component that cannot be loaded.
    """
    source = read_source(component)
    if source is not None:
        return Documentation(source.documentation, _rows(source.parameters))
    parameters = required_parameters(component)
    text = inspect.getdoc(component.load()) or "It has no documentation."
    return Documentation(text, _rows(parameters))


def _rows(parameters: Parameters) -> tuple[ParameterRow, ...]:
    schema = parameters.model.model_json_schema()
    rows = []
    for name, field in parameters.model.model_fields.items():
        default = "(needed)" if field.is_required() else field.default
        rows.append(ParameterRow(name, expected(schema["properties"][name]), default))
    for name, nested in parameters.nested.items():
        plural = "" if nested.shape == "one" else f", a {nested.shape} of them"
        default = "(needed)" if nested.default is ... else nested.default
        rows.append(ParameterRow(name, f"table of {with_article(nested.kind)}{plural}", default))
    return tuple(rows)
