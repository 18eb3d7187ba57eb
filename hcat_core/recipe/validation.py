"""Check a table by its pydantic model; problems name the key, what was expected and what was given."""

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
_DATE = "\0date"  # JSON has no dates: they become tables with this key, which no model has


def check_table(
    model: type[M], values: Mapping[str, object], key: str, unknown: str
) -> tuple[M | None, list[Problem]]:
    """Validate a table strictly: ``"50"`` is no number and ``1`` is not true.

    Args:
        model: the model of the table.
        values: the table as TOML gives it.
        key: dotted key of the table, "" at the top level.
        unknown: the message for a key that the model does not have.
    """
    try:
        text = json.dumps(dict(values), default=_date_as_table)
        return model.model_validate_json(text, strict=True), []
    except ValidationError as error:
        schema = model.model_json_schema()
        problems = [_problem(e, schema, key, unknown) for e in error.errors()]
        # A union reports an error for each of its members.
        return None, list(dict.fromkeys(problems))


def _problem(error: Any, schema: Mapping[str, Any], key: str, unknown: str) -> Problem:
    location, given = error["loc"], _shown(error["input"])
    if _DATE in location:
        location = location[: location.index(_DATE)]
        given = "a date or time"
    path, here = _locate(schema, location)
    dotted = ".".join([key, *path] if key else path)
    if error["type"] == "extra_forbidden" and _DATE not in error["loc"]:
        parent, known = _locate(schema, location[:-1])
        message = unknown if len(parent) == 0 else "no such key."
        return Problem(dotted, message + did_you_mean(path[-1], known.get("properties", {})))
    if error["type"] == "missing" and _DATE not in error["loc"]:
        return Problem(dotted, f"is needed: {expected(here)}")
    if error["type"] == "finite_number":
        return Problem(dotted, f"expected {expected(here)} that is finite, got {given}")
    return Problem(dotted, f"expected {expected(here)}, got {given}")


def _locate(
    schema: Mapping[str, Any], location: Sequence[str | int]
) -> tuple[list[str], Mapping[str, Any]]:
    """Follow an error's location through the schema, leaving out the names of union members."""
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
    """Describe the values that a JSON schema allows, such as ``a number in [0, 1)``."""
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


def _date_as_table(value: object) -> object:
    """A date or time as a table with the key ``_DATE``; JSON has all other types of TOML."""
    if isinstance(value, datetime.date | datetime.time):
        return {_DATE: f"the {'time' if isinstance(value, datetime.time) else 'date'} {value}"}
    return str(value)


def _shown(value: object) -> str:
    if isinstance(value, Mapping) and _DATE in value:
        return str(value[_DATE])
    return shown(value)
