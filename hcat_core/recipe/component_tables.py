"""Recipe tables that name a component (``use``) and its parameters, which may hold such tables themselves.

Everything that follows tables into each other is here: check, build, list, and make one with defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem
from hcat_core.recipe.names import check_names
from hcat_core.recipe.parameters import (
    Nested,
    Parameters,
    Shape,
    load_parameters,
    parameters,
    required_parameters,
)
from hcat_core.recipe.schema import elsewhere
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind, with_article
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean


@dataclass(frozen=True)
class Checked:
    """A component table with every default filled in, as plain values; None where it has problems."""

    table: dict[str, Any] | None
    problems: list[Problem]


@dataclass(frozen=True)
class NamedComponent:
    """A component that a recipe uses: the dotted key of its table, its kind, its name and the table."""

    key: str
    kind: Kind
    name: str
    table: Mapping[str, Any]


def check_component(
    catalog: Catalog, kind: Kind, table: object, key: str, reserved: tuple[str, ...] = ()
) -> Checked:
    """Check a table, and the tables in it, against the components that they name.

    Args:
        catalog: the components that there are.
        kind: of the component.
        table: as the recipe has it.
        key: dotted key of the table.
        reserved: keys that belong to the recipe (``task``, ``weight``) and are left alone.
    """
    if not isinstance(table, Mapping):
        return Checked(None, [Problem(key, _not_a_table(catalog, kind, table))])
    spec = _parameters_of_table(catalog, kind, table, key)
    if isinstance(spec, Problem):
        return Checked(None, [spec])
    use = table["use"]
    given = {k: v for k, v in table.items() if k != "use" and k not in reserved}
    plain = {k: v for k, v in given.items() if k not in spec.nested}
    values, problems = check_table(spec.model, plain, key, f'"{use}" has no such parameter.')
    problems = [_suggest_every_name(problem, key, spec) for problem in problems]
    result: dict[str, Any] = {"use": use, **{k: table[k] for k in reserved if k in table}}
    if values is not None:
        result |= values.model_dump(mode="json", exclude_none=True)
    for name, nested in spec.nested.items():
        if nested.default is None and given.get(name) is False:
            continue  # the way to undo a component of the recipe that is extended
        if name in given:
            checked, more = _check_nested(catalog, nested, given[name], f"{key}.{name}")
            result[name] = checked
            problems += more
        elif nested.default is ...:
            problems.append(Problem(f"{key}.{name}", f"is needed: {_expected(nested)}"))
    return Checked(None if problems else result, problems)


def construct(
    catalog: Catalog, kind: Kind, table: Mapping[str, Any], injected: tuple[object, ...], root: Path
) -> Any:
    """Build the component of a checked table: nested ones first, paths resolved against ``root``.

    Raises:
        ValueError: as constructors do, for values that do not fit the data or each other.
    """
    cls = catalog.find(kind, table["use"]).load()
    spec = parameters(cls)
    plain = {k: v for k, v in table.items() if k in spec.model.model_fields}
    model, problems = check_table(spec.model, plain, "", "")
    if model is None:
        raise ValueError("; ".join(f"{p.key} {p.message}" for p in problems))
    arguments: dict[str, Any] = {name: getattr(model, name) for name in spec.model.model_fields}
    for name in spec.paths:
        if arguments[name] is not None:
            arguments[name] = root / arguments[name]
    for name, nested in spec.nested.items():
        if name in table:
            made = {
                part: construct(catalog, nested.kind, inner, injected, root)
                for part, inner, _ in _parts(table[name], nested.shape, name)
            }
            arguments[name] = _joined(made, nested.shape)
    return cls(*injected, **arguments)


def components_in(
    catalog: Catalog, kind: Kind, table: Mapping[str, Any], key: str
) -> Iterator[NamedComponent]:
    """The component of a checked table, then those of the tables in it, in the order of parameters."""
    name = str(table["use"])
    yield NamedComponent(key, kind, name, table)
    spec = load_parameters(catalog.find(kind, name), key)
    for parameter, nested in spec.nested.items() if isinstance(spec, Parameters) else ():
        if table.get(parameter) is None:
            continue
        for _, inner, at in _parts(table[parameter], nested.shape, f"{key}.{parameter}"):
            yield from components_in(catalog, nested.kind, inner, at)


def table_keys(catalog: Catalog, kind: Kind, table: object, key: str) -> Iterator[str]:
    """The dotted keys of a component's table and of the tables in it, given or not, and of these tables.

    The table need not be checked; one that names no component has no keys.
    """
    if not isinstance(table, Mapping):
        return
    spec = _parameters_of_table(catalog, kind, table, key)
    if isinstance(spec, Problem):
        return
    yield from (key, f"{key}.use", *(f"{key}.{name}" for name in spec.model.model_fields))
    for name, nested in spec.nested.items():
        value = table.get(name)
        if isinstance(value, {"one": Mapping, "list": list, "dict": Mapping}[nested.shape]):
            for _, inner, at in _parts(value, nested.shape, f"{key}.{name}"):
                yield from table_keys(catalog, nested.kind, inner, at)
        if nested.shape != "one" or not isinstance(value, Mapping):
            yield f"{key}.{name}"


def default_table(
    catalog: Catalog, kind: Kind, name: str, inner: Mapping[Kind, Mapping[str, Any]]
) -> dict[str, Any]:
    """A table of a component by itself: its required component parameters are tables of ``inner``, by kind.

    Raises:
        UsageError: for a component that does not exist or cannot be loaded.
    """
    table: dict[str, Any] = {"use": name}
    for parameter, nested in required_parameters(catalog.find(kind, name)).nested.items():
        if nested.default is ... and nested.kind in inner:
            part = dict(inner[nested.kind])
            table[parameter] = _joined({part["use"] if nested.shape == "dict" else 0: part}, nested.shape)
    return table


def _parameters_of_table(
    catalog: Catalog, kind: Kind, table: Mapping[str, Any], key: str
) -> Parameters | Problem:
    """The parameters of the component that a table's ``use`` names."""
    use = table.get("use")
    available = ", ".join(catalog.registries[kind].offered)
    if "use" not in table:
        return Problem(f"{key}.use", f"is needed: one of {available}")
    if not isinstance(use, str) or not use:
        return Problem(f"{key}.use", f"expected one of {available}, got {shown(use)}")
    component = catalog.registries[kind].find(use)
    if component is None:
        return Problem(f"{key}.use", catalog.explain_unknown(kind, use))
    return load_parameters(component, f"{key}.use")


def _check_nested(catalog: Catalog, nested: Nested, value: object, key: str) -> tuple[Any, list[Problem]]:
    """The value of a component parameter with defaults filled in, and what is wrong with it."""
    if not isinstance(value, {"one": object, "list": list, "dict": Mapping}[nested.shape]):
        wanted = "list" if nested.shape == "list" else "table"
        return _joined({}, nested.shape), [
            Problem(key, f"expected a {wanted} of tables, got {shown(value)}")
        ]
    problems = check_names(value, key) if nested.shape == "dict" and isinstance(value, Mapping) else []
    tables: dict[str | int, Any] = {}
    for part, inner, at in _parts(value, nested.shape, key):
        checked = check_component(catalog, nested.kind, inner, at)
        problems += checked.problems
        tables[part] = checked.table
    return _joined(tables, nested.shape), problems


def _parts(value: Any, shape: Shape, key: str) -> list[tuple[str | int, Any, str]]:
    """The tables in a component parameter's value: place or name, table, dotted key."""
    if shape == "one":
        return [(0, value, key)]
    parts = enumerate(value) if shape == "list" else value.items()
    return [(part, inner, f"{key}.{part}") for part, inner in parts]


def _joined(parts: Mapping[str | int, Any], shape: Shape) -> Any:
    """The parameter's value from its parts by place or name: the inverse of ``_parts``."""
    if shape == "one":
        return parts.get(0)
    return list(parts.values()) if shape == "list" else dict(parts)


def _not_a_table(catalog: Catalog, kind: Kind, value: object) -> str:
    """The message for a component that is given as something else than a table."""
    message = f"expected a table with use = the {kind}'s name, got {shown(value)}"
    if isinstance(value, str) and catalog.registries[kind].find(value) is not None:
        return f"{message}: write {{ use = {shown(value)} }}"
    if isinstance(value, list):
        return f"{message}: write one table, with single brackets"
    return message


def _expected(nested: Nested) -> str:
    if nested.shape == "one":
        return f"a table with use = the {nested.kind}'s name"
    return f"a {'list' if nested.shape == 'list' else 'table'} of tables, each {with_article(nested.kind)}"


def _suggest_every_name(problem: Problem, key: str, spec: Parameters) -> Problem:
    """Let a misspelt key also be near a component parameter, which the model does not have."""
    if "has no such parameter." not in problem.message:
        return problem
    message = problem.message.split("parameter.", 1)[0] + "parameter."
    name = problem.key.removeprefix(f"{key}.")
    return Problem(problem.key, message + (elsewhere(name) or did_you_mean(name, spec.names)))
