"""``Component``: the record by which a plugin offers a class under a name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["reader", "imputer", "fusion", "head", "loss", "estimator"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STORES_PATIENTS = "stores-patients"  # tag of a component whose fitted state holds rows of patients
NEEDS_TIMES = "needs-times"  # tag of a head or estimator that learns nothing from labels alone
NOT_IN_RECIPES = "not-in-recipes"  # tag of a component that is made in Python, of what a recipe cannot hold
EVERY_HEAD = "every-head"  # tag of a loss that trains all heads without naming one


def with_article(kind: Kind) -> str:
    """The kind with its indefinite article: ``an imputer``."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


@dataclass(frozen=True)
class Component:
    """A named reference to a class, which is imported only when it is used.

    Attributes:
        kind: reader, imputer, fusion, head, loss or estimator.
        name: ``vendor/name``, or a name without vendor for built-ins (``vae``).
        target: ``"package.module:Class"``.
        summary: one line for ``hcat list-components``.
        tags: properties: ``trainable``, ``closed-form``, ``draws``, ``stores-patients``, ``every-head``,
            ``needs-times``, ``not-in-recipes``.
        expected_failures: conformance checks that fail by design, each with the reason.
    """

    kind: Kind
    name: str
    target: str
    summary: str
    tags: tuple[str, ...] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> type:
        """Import the class.

        Raises:
            ImportError: when the module or the class does not exist.
        """
        module, _, attribute = self.target.partition(":")
        try:
            loaded: type = getattr(importlib.import_module(module), attribute)
        except AttributeError:
            raise ImportError(f"{module} has no {attribute}") from None
        return loaded
