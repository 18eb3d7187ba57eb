"""What pydantic found wrong, in a user's words: the dotted key, what was expected, what was there."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hcat_core.errors import Problem
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

M = TypeVar("M", bound=BaseModel)

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_DATE = "\0date"  # JSON has no dates: one is a table that no model has a place for


def check_table(
    model: type[M], values: Mapping[str, object], key: str, unknown: str
) -> tuple[M | None, list[Problem]]:
    """Validate a table strictly: ``"50"`` is no number and ``1`` is not true.

    Args:
        model: of the table.
        values: as TOML gives them.
        key: dotted key of the table, "" at the top.
        unknown: what to say of a key that the model does not have.
    """
    try:
        text = json.dumps(dict(values), default=_without_json)
        return model.model_validate_json(text, strict=True), []
    except ValidationError as error:
        schema = model.model_json_schema()
        found = [_problem(e, schema, key, unknown) for e in error.errors()]
        # A union reports once for each of its members.
        return None, list(dict.fromkeys(found))


def _problem(error: Any, schema: Mapping[str, Any], key: str, unknown: str) -> Problem:
    location, given = error["loc"], _shown(error["input"])
    if _DATE in location:
        location = location[: location.index(_DATE)]
        given = "a date or time"
    path, here = _locate(schema, location)
    dotted = ".".join([key, *path] if key else path)
    if error["type"] == "extra_forbidden" and _DATE not in error["loc"]:
        parent, known = _locate(schema, location[:-1])
        said = unknown if len(parent) == 0 else "no such key."
        return Problem(dotted, said + did_you_mean(path[-1], known.get("properties", {})))
    if error["type"] == "missing" and _DATE not in error["loc"]:
        return Problem(dotted, f"is needed: {expected(here)}")
    if error["type"] == "finite_number":
        return Problem(dotted, f"expected {expected(here)} that is finite, got {given}")
    return Problem(dotted, f"expected {expected(here)}, got {given}")


def _locate(
    schema: Mapping[str, Any], location: Sequence[str | int]
) -> tuple[list[str], Mapping[str, Any]]:
    """Follow an error's location through the schema; names of union members are not part of a key."""
    definitions = schema.get("$defs", {})
    node: Mapping[str, Any] = schema
    path: list[str] = []
    for part in location:
        node = _deref(node, definitions)
        if "anyOf" in node:
            options = [_deref(option, definitions) for option in node["anyOf"]]
            node = next((o for o in options if o.get("type") in ("object", "array")), node)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif isinstance(node.get("additionalProperties"), Mapping):
            node = node["additionalProperties"]
        elif part not in ("use",) and node.get("type") not in ("object", None):
            continue
        path.append(str(part))
    return path, _deref(node, definitions)


def _deref(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    return definitions[reference.rsplit("/", 1)[-1]] if reference else node


def expected(node: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema: ``a number in [0, 1)``."""
    if "anyOf" in node:
        options = [expected(o) for o in node["anyOf"] if o.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "enum" in node:
        return "one of " + ", ".join(json.dumps(value) for value in node["enum"])
    if "const" in node:
        return json.dumps(node["const"])
    if node.get("format") == "path":
        return "a path"
    text = _TYPES.get(str(node.get("type")), "another value")
    if node.get("type") == "array" and "type" in node.get("items", {}):
        text += f" of {_TYPES[node['items']['type']].removeprefix('a ')}s"
    return text + _range(node)


def _range(node: Mapping[str, Any]) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    lower = low if low is not None else above
    upper = high if high is not None else below
    if lower is not None and upper is not None:
        return f" in {'[' if low is not None else '('}{lower:g}, {upper:g}{')' if high is None else ']'}"
    if lower is not None:
        return f" {'of at least' if low is not None else 'above'} {lower:g}"
    if upper is not None:
        return f" {'of at most' if high is not None else 'below'} {upper:g}"
    return ""


def _without_json(value: object) -> object:
    """A date as ``_DATE`` says; nothing else of TOML's is unknown to JSON."""
    if isinstance(value, datetime.date | datetime.time):
        return {_DATE: f"the {'time' if isinstance(value, datetime.time) else 'date'} {value}"}
    return str(value)


def _shown(value: object) -> str:
    if isinstance(value, Mapping) and _DATE in value:
        return str(value[_DATE])
    return shown(value)
