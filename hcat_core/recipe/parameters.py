"""A component's constructor -> the keys its recipe table may have, their types, their defaults."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model

from hcat_core import interfaces
from hcat_core.errors import Problem
from hcat_core.recipe.names import check_names
from hcat_core.recipe.schema import elsewhere
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Component, Kind, with_article
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

PROTOCOLS: dict[object, Kind] = {
    interfaces.Reader: "reader",
    interfaces.Imputer: "imputer",
    interfaces.Fusion: "fusion",
    interfaces.Head: "head",
    interfaces.Loss: "loss",
    interfaces.Estimator: "estimator",
}
Shape = Literal["one", "list", "dict"]


@dataclass(frozen=True)
class Nested:
    """A parameter that is itself a component, or a list or dictionary of them."""

    kind: Kind
    shape: Shape
    default: object


@dataclass(frozen=True)
class Parameters:
    """The keyword-only parameters of one constructor: plain ones as a model, components apart."""

    model: type[BaseModel]
    nested: Mapping[str, Nested]

    @property
    def names(self) -> tuple[str, ...]:
        """Every key the table may have beside ``use``."""
        return (*self.model.model_fields, *self.nested)

    @property
    def paths(self) -> tuple[str, ...]:
        """Keys that are paths, resolved against the cohort's root."""
        return tuple(n for n, f in self.model.model_fields.items() if _is_path(f.annotation))


def parameters(cls: type) -> Parameters:
    """Read a constructor's signature.

    Raises:
        TypeError: for a keyword-only parameter without an annotation, or ``**kwargs``.
    """
    constructor: Any = cls.__init__  # type: ignore[misc]
    hints = typing.get_type_hints(constructor, include_extras=True)
    fields: dict[str, Any] = {}
    nested: dict[str, Nested] = {}
    for name, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and constructor is not object.__init__:
            raise TypeError(f"{cls.__name__} takes **{name}: name every parameter")
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if name not in hints:
            raise TypeError(f"{cls.__name__}: annotate the parameter {name}")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        component = _component_kind(hints[name])
        if component is None:
            fields[name] = (hints[name], default)
        else:
            nested[name] = Nested(*component, default)
    config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
    return Parameters(create_model(cls.__name__, __config__=config, **fields), nested)


@dataclass(frozen=True)
class Checked:
    """A component table with every default filled in, as plain values; None where it has problems."""

    table: dict[str, Any] | None
    problems: list[Problem]


def check_component(
    catalog: Catalog, kind: Kind, table: object, key: str, reserved: tuple[str, ...] = ()
) -> Checked:
    """Check a table against the component that its ``use`` names.

    Args:
        catalog: where to look.
        kind: of the component.
        table: as the recipe has it.
        key: dotted key of the table.
        reserved: keys that belong to the recipe (``task``, ``weight``) and are left alone.
    """
    if not isinstance(table, Mapping):
        return Checked(None, [Problem(key, _no_table(catalog, kind, table))])
    use = table.get("use")
    known = ", ".join(entry.component.name for entry in catalog.registries[kind])
    if "use" not in table:
        return Checked(None, [Problem(f"{key}.use", f"is needed: one of {known}")])
    if not isinstance(use, str) or not use:
        return Checked(None, [Problem(f"{key}.use", f"expected one of {known}, got {shown(use)}")])
    component = catalog.registries[kind].find(use)
    if component is None:
        return Checked(None, [Problem(f"{key}.use", catalog.explain_unknown(kind, use))])
    spec = load_parameters(component, f"{key}.use")
    if isinstance(spec, Problem):
        return Checked(None, [spec])
    own = {k: v for k, v in table.items() if k != "use" and k not in reserved}
    plain = {k: v for k, v in own.items() if k not in spec.nested}
    values, problems = check_table(spec.model, plain, key, f'"{use}" has no such parameter.')
    problems = [_name_all(problem, key, spec) for problem in problems]
    result: dict[str, Any] = {"use": use, **{k: table[k] for k in reserved if k in table}}
    if values is not None:
        result |= values.model_dump(mode="json", exclude_none=True)
    for name, nested in spec.nested.items():
        if name not in own:
            if nested.default is ...:
                problems.append(Problem(f"{key}.{name}", f"is needed: {_shape_in_words(nested)}"))
            continue
        if nested.shape == "dict" and isinstance(own[name], Mapping):
            problems += check_names(own[name], f"{key}.{name}")
        made: dict[str | int, Any] = {}
        for part, inner, at in _nested_tables(own[name], nested.shape, f"{key}.{name}", problems):
            checked = check_component(catalog, nested.kind, inner, at)
            problems += checked.problems
            made[part] = checked.table
        result[name] = _reshape(made, nested.shape)
    return Checked(None if problems else result, problems)


def load_parameters(component: Component, key: str) -> Parameters | Problem:
    """The parameters of a component, or why they are not to be had."""
    try:
        return parameters(component.load())
    except Exception as error:  # a stranger's module may raise anything at all
        return Problem(key, f'"{component.name}" cannot be loaded: {type(error).__name__}: {error}')


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
        if name not in table:
            continue
        made = {
            part: construct(catalog, nested.kind, inner, injected, root)
            for part, inner, _ in _nested_tables(table[name], nested.shape, name, [])
        }
        arguments[name] = _reshape(made, nested.shape)
    return cls(*injected, **arguments)


def _component_kind(hint: object) -> tuple[Kind, Shape] | None:
    if hint in PROTOCOLS:
        return PROTOCOLS[hint], "one"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (UnionType, typing.Union):
        inner = [a for a in arguments if a is not NoneType]
        return _component_kind(inner[0]) if len(inner) == 1 else None
    if origin is list and arguments[0] in PROTOCOLS:
        return PROTOCOLS[arguments[0]], "list"
    if origin is dict and arguments[1] in PROTOCOLS:
        return PROTOCOLS[arguments[1]], "dict"
    return None


def _nested_tables(
    value: Any, shape: Shape, key: str, problems: list[Problem]
) -> Iterator[tuple[str | int, Any, str]]:
    if shape == "one":
        yield 0, value, key
    elif shape == "list" and isinstance(value, list):
        for place, inner in enumerate(value):
            yield place, inner, f"{key}.{place}"
    elif shape == "dict" and isinstance(value, Mapping):
        for name, inner in value.items():
            yield name, inner, f"{key}.{name}"
    else:
        wanted = "list" if shape == "list" else "table"
        problems.append(Problem(key, f"expected a {wanted} of tables, got {shown(value)}"))


def _reshape(made: Mapping[str | int, Any], shape: Shape) -> Any:
    if shape == "one":
        return made.get(0)
    return list(made.values()) if shape == "list" else dict(made)


def _no_table(catalog: Catalog, kind: Kind, value: object) -> str:
    """What to say of a component that is given as something else than a table."""
    said = f"expected a table with use = the {kind}'s name, got {shown(value)}"
    if isinstance(value, str) and catalog.registries[kind].find(value) is not None:
        return f"{said}: write {{ use = {shown(value)} }}"
    if isinstance(value, list):
        return f"{said}: write one table, with single brackets"
    return said


def _shape_in_words(nested: Nested) -> str:
    if nested.shape == "one":
        return f"a table with use = the {nested.kind}'s name"
    return f"a {'list' if nested.shape == 'list' else 'table'} of tables, each {with_article(nested.kind)}"


def _name_all(problem: Problem, key: str, spec: Parameters) -> Problem:
    """A misspelt key may be near a component parameter, which the model does not know of."""
    if "has no such parameter." not in problem.message:
        return problem
    said = problem.message.split("parameter.", 1)[0] + "parameter."
    name = problem.key.removeprefix(f"{key}.")
    return Problem(problem.key, said + (elsewhere(name) or did_you_mean(name, spec.names)))


def _is_path(annotation: object) -> bool:
    return annotation is Path or Path in typing.get_args(annotation)
