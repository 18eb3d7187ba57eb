"""A component's docstring and parameters, read from its source without importing it.

Importing a component imports torch or scikit-learn, which takes seconds. Its constructor's signature needs
neither, as long as types come from a few light modules. Where they do not, or the source is unusual in any
other way, nothing is read here, and the component is imported.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hcat_core.recipe.parameters import PROTOCOLS, Keyword, Parameters, parameters_from
from hcat_core.registry.component import Component

LIGHT_MODULES = ("typing", "collections.abc", "pathlib", "pydantic", "hcat_core.registry.parameter_types")
PROTOCOL_NAMES = {name: module for module, name in PROTOCOLS}


class UnusualSourceError(Exception):
    """The source has something that only importing it can resolve."""


@dataclass(frozen=True)
class ComponentSource:
    """A component's documentation and parameters, as its source has them."""

    documentation: str
    parameters: Parameters


def read_source(component: Component) -> ComponentSource | None:
    """The docstring and the parameters of a component's class; None where it must be imported."""
    module, _, name = component.target.partition(":")
    try:
        names = _Names.of(module)
        cls = names.classes[name]
        documentation = ast.get_docstring(cls)
        if documentation is None or cls.decorator_list:
            return None
        return ComponentSource(documentation, parameters_from(name, _keywords(cls, names)))
    except Exception:  # importing the component shows what is wrong with it
        return None


def _source_file(module: str) -> Path:
    """The file of a module that was not imported; the packages around it are."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UnusualSourceError(module)
    return Path(spec.origin)


def _keywords(cls: ast.ClassDef, names: _Names) -> Iterable[Keyword]:
    """The keyword-only arguments of the class's constructor."""
    constructor, names = _constructor(cls, names)
    arguments = constructor.args
    if constructor.decorator_list or arguments.kwarg is not None:
        raise UnusualSourceError(cls.name)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.annotation is None:
            raise UnusualSourceError(argument.arg)
        hint = names.evaluate(argument.annotation)
        if isinstance(hint, str):  # an annotation in quotes
            raise UnusualSourceError(argument.arg)
        yield Keyword(argument.arg, hint, ... if default is None else names.evaluate(default))


def _constructor(cls: ast.ClassDef, names: _Names) -> tuple[ast.FunctionDef, _Names]:
    """The class's ``__init__``, or that of its only base class, with the names of the module it is in."""
    for node in cls.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return node, names
    (base,) = cls.bases
    if not isinstance(base, ast.Name):
        raise UnusualSourceError(cls.name)
    if base.id in names.classes:
        return _constructor(names.classes[base.id], names)
    module, name = names.imported[base.id]
    others = _Names.of(module)
    return _constructor(others.classes[name], others)


class _Names:
    """The values of a module's names, found when they are asked for.

    Args:
        body: the statements of the module.
    """

    def __init__(self, body: Iterable[ast.stmt]) -> None:
        self.imported: dict[str, tuple[str, str]] = {}
        self.assigned: dict[str, ast.expr] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        for statement in body:
            if isinstance(statement, ast.ImportFrom) and statement.level == 0 and statement.module:
                for alias in statement.names:
                    self.imported[alias.asname or alias.name] = (statement.module, alias.name)
            elif isinstance(statement, ast.ClassDef):
                self.classes[statement.name] = statement
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self._assign(target.id, statement.value)

    @classmethod
    def of(cls, module: str) -> _Names:
        """The names of a module that is not imported."""
        return cls(ast.parse(_source_file(module).read_text(encoding="utf-8")).body)

    def evaluate(self, expression: ast.expr) -> object:
        """The value of an annotation or a default.

        Raises:
            UnusualSourceError: for a name that only importing the module can resolve.
        """
        values = {
            node.id: self._value(node.id) for node in ast.walk(expression) if isinstance(node, ast.Name)
        }
        return eval(compile(ast.Expression(expression), "<source>", "eval"), {"__builtins__": {}}, values)

    def _assign(self, name: str, value: ast.expr) -> None:
        if name in self.assigned or name in self.imported:
            raise UnusualSourceError(name)
        self.assigned[name] = value

    def _value(self, name: str) -> object:
        if name in self.assigned:
            return self.evaluate(self.assigned[name])
        if name in self.imported:
            return _import_light(*self.imported[name])
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise UnusualSourceError(name)


def _import_light(module: str, name: str) -> object:
    """A name of a module that is quick to import, or an empty class in place of a core Protocol."""
    if module.startswith(("hcat_core.interfaces", "hcat_core.reading")) and name in PROTOCOL_NAMES:
        return type(name, (), {"__module__": PROTOCOL_NAMES[name]})
    if module not in LIGHT_MODULES:
        raise UnusualSourceError(f"{module}.{name}")
    value: object = getattr(importlib.import_module(module), name)
    return value
