"""``Component``: what a plugin says about a class that the catalog can build by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["reader", "imputer", "fusion", "head", "loss", "estimator"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STORES_PATIENTS = "stores-patients"  # tag of a component whose fitted state holds rows of patients
EVERY_HEAD = "every-head"  # tag of a loss that trains all heads, though its table names none


def with_article(kind: Kind) -> str:
    """``an imputer``."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


@dataclass(frozen=True)
class Component:
    """A named, lazy reference to a class: listing it imports neither torch nor the class.

    Attributes:
        kind: which registry it belongs to.
        name: bare for built-ins (``vae``), ``vendor/name`` for third parties.
        target: ``"package.module:Class"``.
        summary: one line for ``hcat list-components``.
        tags: what a user must know: ``trainable``, ``closed-form``, ``draws``, ``stores-patients``,
            ``every-head``.
        expected_failures: conformance check -> why it fails, and that this is meant.
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
            ImportError: when the module or the class is not there.
        """
        module, _, attribute = self.target.partition(":")
        try:
            loaded: type = getattr(importlib.import_module(module), attribute)
        except AttributeError:
            raise ImportError(f"{module} has no {attribute}") from None
        return loaded
