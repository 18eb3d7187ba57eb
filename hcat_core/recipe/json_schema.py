"""A JSON schema of recipes, by which editors complete keys and mark mistakes while a recipe is written.

A recipe may extend another, and need not repeat what that one has: the schema asks for no key, and says of
each what it may be. ``hcat inspect`` checks the whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hcat_core.errors import UsageError
from hcat_core.recipe.component_source import read_source
from hcat_core.recipe.parameters import Nested, required_parameters
from hcat_core.recipe.schema import TABLES
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import KINDS, Component, Kind

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that TOML editors know
NAMES: Schema = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
REMOVED: Schema = {"const": False, "description": "Removes what the extended recipe has here."}
RESERVED: Mapping[Kind, Schema] = {
    "head": {"task": {"type": "string", "description": "The task that this head predicts."}},
    "loss": {
        "head": {"type": "string", "description": "The head that this loss trains."},
        "weight": {"type": "number", "description": "Factor of this loss in the sum."},
    },
}
"""Keys of a component's table that belong to the recipe."""


def recipe_schema(catalog: Catalog) -> Schema:
    """The schema of a recipe with the components of ``catalog``; those that cannot be loaded allow any key.

    Raises:
        ValueError: as pydantic does, for a parameter whose type has no JSON schema.
    """
    definitions: Schema = {}
    for kind in KINDS:
        definitions[kind] = _kind(catalog, kind)
    for name, table in TABLES.items():
        schema = table.model_json_schema(ref_template="#/definitions/{model}")
        definitions |= {inner: _partial(one) for inner, one in schema.pop("$defs", {}).items()}
        definitions[name] = _partial(schema)
    modalities = {"type": "object", "propertyNames": NAMES, "additionalProperties": _or_false("reader")}
    definitions["cohort"]["properties"]["modalities"] = modalities
    definitions["tune"]["properties"]["space"] = _space()
    properties: Schema = {
        "extends": {"type": "string", "description": "Path of the recipe that this one changes."},
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "outdir": {"type": "string", "description": "The run folder."},
        "plugins": {"type": "array", "items": {"type": "string"}},
        **{name: _or_false(name) for name in TABLES},
        **{kind: _or_false(kind) for kind in ("estimator", "imputer", "fusion")},
        "heads": {"type": "object", "propertyNames": NAMES, "additionalProperties": _or_false("head")},
        "losses": {"anyOf": [{"type": "array", "items": {"$ref": "#/definitions/loss"}}, REMOVED]},
    }
    return {
        "$schema": DIALECT,
        "title": "hcat recipe",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "definitions": definitions,
    }


def _space() -> Schema:
    """Ranges by key, which may also be tables in each other."""
    group: Schema = {"type": "object", "additionalProperties": {"type": "object"}}
    return {
        "type": "object",
        "description": "Values to try, by the dotted key of the method that takes them.",
        "additionalProperties": {"anyOf": [{"$ref": "#/definitions/RangeTable"}, group, REMOVED]},
    }


def _kind(catalog: Catalog, kind: Kind) -> Schema:
    """A table of any component of one kind: its keys depend on its ``use``."""
    registry = catalog.registries[kind]
    components = [entry.component for entry in registry if entry.component.name in registry.offered]
    summaries = {"enum": [one.name for one in components], "description": f"The {kind}."}
    branches = []
    for component in components:
        keys = _keys(component)
        if keys is None:
            continue
        table = {"use": True, **keys, **RESERVED.get(kind, {})}
        branches.append(
            {
                "if": {"properties": {"use": {"const": component.name}}, "required": ["use"]},
                "then": {
                    "description": component.summary,
                    "properties": table,
                    "additionalProperties": False,
                },
            }
        )
    return {"type": "object", "properties": {"use": summaries}, "allOf": branches}


def _keys(component: Component) -> Schema | None:
    """The keys of a component's table; None where it cannot be loaded."""
    source = read_source(component)
    try:
        parameters = source.parameters if source is not None else required_parameters(component)
    except UsageError:
        return None
    properties = dict(parameters.model.model_json_schema().get("properties", {}))
    return {**properties, **{name: _nested(nested) for name, nested in parameters.nested.items()}}


def _nested(nested: Nested) -> Schema:
    one: Schema = {"$ref": f"#/definitions/{nested.kind}"}
    if nested.shape == "list":
        return {"type": "array", "items": one}
    if nested.shape == "dict":
        return {"type": "object", "propertyNames": NAMES, "additionalProperties": one}
    return {"anyOf": [one, REMOVED]} if nested.default is None else one


def _or_false(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/definitions/{name}"}, REMOVED]}


def _partial(schema: Mapping[str, Any]) -> Schema:
    """The schema of a table of which a recipe may give some keys, and remove inner tables and lists."""
    properties = {
        name: one if _is_plain(one) else {"anyOf": [_removable(one), REMOVED]}
        for name, one in schema.get("properties", {}).items()
    }
    kept = {key: value for key, value in schema.items() if key not in ("required", "title", "description")}
    text = inspect.cleandoc(str(schema.get("description", "")))
    return {**kept, "properties": properties, **({"description": text} if text else {})}


def _removable(schema: Mapping[str, Any]) -> Schema:
    """A dictionary of tables of which each may be removed, too."""
    inner = schema.get("additionalProperties")
    if not isinstance(inner, Mapping):
        return dict(schema)
    return {**schema, "propertyNames": NAMES, "additionalProperties": {"anyOf": [inner, REMOVED]}}


def _is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether the values of a key are neither tables nor lists."""
    options: Iterable[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return not any("$ref" in one or one.get("type") in ("object", "array") for one in options)
