"""The keys that the table of a component may have: the keyword parameters of its constructor."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, create_model

from hcat_core.errors import Problem, UsageError
from hcat_core.registry.component import Component, Kind

PROTOCOLS: Mapping[tuple[str, str], Kind] = {
    ("hcat_core.reading", "Reader"): "reader",
    ("hcat_core.interfaces.imputer", "Imputer"): "imputer",
    ("hcat_core.interfaces.fusion", "Fusion"): "fusion",
    ("hcat_core.interfaces.head", "Head"): "head",
    ("hcat_core.interfaces.loss", "Loss"): "loss",
    ("hcat_core.interfaces.estimator", "Estimator"): "estimator",
}
"""Kinds by module and name of their Protocols: importing those would import torch."""
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


class Keyword(NamedTuple):
    """One keyword-only argument of a constructor; ``default`` is ``...`` where it has none."""

    name: str
    hint: object
    default: object


@functools.cache
def parameters(cls: type) -> Parameters:
    """Read a constructor's signature, once per class: a search checks many recipes of the same components.

    Raises:
        TypeError: for a keyword-only parameter without an annotation, or ``**kwargs``.
    """
    constructor: Any = cls.__init__  # type: ignore[misc]
    hints = typing.get_type_hints(constructor, include_extras=True)
    keywords = []
    for name, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and constructor is not object.__init__:
            raise TypeError(f"{cls.__name__} takes **{name}: name every parameter")
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if name not in hints:
            raise TypeError(f"{cls.__name__}: annotate the parameter {name}")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        keywords.append(Keyword(name, hints[name], default))
    return parameters_from(cls.__name__, keywords)


def parameters_from(class_name: str, keywords: Iterable[Keyword]) -> Parameters:
    """The parameters that a constructor's keyword-only arguments make."""
    fields: dict[str, Any] = {}
    nested: dict[str, Nested] = {}
    for name, hint, default in keywords:
        component = _component_kind(hint)
        if component is None:
            fields[name] = (hint, default)
        else:
            nested[name] = Nested(*component, default)
    config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
    return Parameters(create_model(class_name, __config__=config, **fields), nested)


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
    kind = _protocol_kind(hint)
    if kind is not None:
        return kind, "one"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (UnionType, typing.Union):
        inner = [a for a in arguments if a is not NoneType]
        return _component_kind(inner[0]) if len(inner) == 1 else None
    if origin not in (list, dict):
        return None
    kind = _protocol_kind(arguments[-1])
    if kind is None:
        return None
    return kind, "list" if origin is list else "dict"


def _protocol_kind(hint: object) -> Kind | None:
    return PROTOCOLS.get((hint.__module__, hint.__qualname__)) if isinstance(hint, type) else None


def _is_path(annotation: object) -> bool:
    return annotation is Path or Path in typing.get_args(annotation)
