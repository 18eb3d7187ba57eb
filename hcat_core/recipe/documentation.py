"""Documentation and keys of a component, or of a fixed table of a recipe, as ``hcat show`` prints them."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass

from hcat_core.recipe.component_source import read_source
from hcat_core.recipe.parameters import Parameters, required_parameters
from hcat_core.recipe.validation import expected
from hcat_core.registry.component import Component, with_article
from hcat_core.registry.parameter_types import Table


@dataclass(frozen=True)
class KeyRow:
    """A recipe key, its type in words, its default value or ``(needed)``, and what it means.

    The meaning is "" for keys of components, whose documentation describes them.
    """

    name: str
    type: str
    default: object
    meaning: str = ""


@dataclass(frozen=True)
class Documentation:
    """A class's docstring, and the keys of its recipe table in the order of its definition."""

    text: str
    parameters: tuple[KeyRow, ...]


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


def document_table(table: type[Table]) -> Documentation:
    """Documentation and keys of a fixed table of a recipe."""
    schema = table.model_json_schema()
    rows = []
    for name, field in table.model_fields.items():
        default = "(needed)" if field.is_required() else field.get_default(call_default_factory=True)
        node = schema["properties"][name]
        kind = "table" if "$ref" in json.dumps(node) else expected(node)
        meaning = " ".join((field.description or "").split()).replace("``", "")
        rows.append(KeyRow(name, kind, default, meaning))
    return Documentation(inspect.getdoc(table) or "", tuple(rows))


def _rows(parameters: Parameters) -> tuple[KeyRow, ...]:
    schema = parameters.model.model_json_schema()
    rows = []
    for name, field in parameters.model.model_fields.items():
        default = "(needed)" if field.is_required() else field.default
        rows.append(KeyRow(name, expected(schema["properties"][name]), default))
    for name, nested in parameters.nested.items():
        plural = "" if nested.shape == "one" else f", a {nested.shape} of them"
        default = "(needed)" if nested.default is ... else nested.default
        rows.append(KeyRow(name, f"table of {with_article(nested.kind)}{plural}", default))
    return tuple(rows)
