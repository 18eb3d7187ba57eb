"""The keys that the table of a component may have: the keyword parameters of its constructor."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model

from hcat_core import interfaces
from hcat_core.errors import Problem, UsageError
from hcat_core.registry.component import Component, Kind

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
    """A parameter that is a component, or a list or dictionary of components."""

    kind: Kind
    shape: Shape
    default: object


@dataclass(frozen=True)
class Parameters:
    """The keyword-only parameters of a constructor: plain values as a model, components as ``nested``."""

    model: type[BaseModel]
    nested: Mapping[str, Nested]

    @property
    def names(self) -> tuple[str, ...]:
        """All keys that the table may have apart from ``use``."""
        return (*self.model.model_fields, *self.nested)

    @property
    def paths(self) -> tuple[str, ...]:
        """Keys whose values are paths, which are relative to the cohort's root."""
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


def load_parameters(component: Component, key: str) -> Parameters | Problem:
    """The parameters of a component, or the problem with loading them."""
    try:
        return parameters(component.load())
    except Exception as error:  # code of third parties may raise anything
        return Problem(key, f'"{component.name}" cannot be loaded: {type(error).__name__}: {error}')


def required_parameters(component: Component) -> Parameters:
    """The parameters of a component.

    Raises:
        UsageError: for a component that cannot be loaded.
    """
    spec = load_parameters(component, component.name)
    if isinstance(spec, Problem):
        raise UsageError(f"{component.kind} {spec.message}")
    return spec


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


def _is_path(annotation: object) -> bool:
    return annotation is Path or Path in typing.get_args(annotation)
