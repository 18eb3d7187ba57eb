"""Names of tensors in a file, whose dots separate the parts that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")  # a tensor, or its shape


def with_prefix(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of one part, under the names that they have among those of all parts."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of one part among those of all, under the names that they have in the part."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
