"""What imputers and losses declare about training, so that a recipe is checked before data is read.

A component that declares nothing is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class ImputerTraining:
    """How the imputer of one recipe table is trained.

    Attributes:
        jointly: whether weights of it are to learn beside the predictor.
        unread: keys of the table that change nothing, each with the reason.
        losses: names of the losses that it computes while it learns beside the predictor; empty where it
            does not say.
    """

    jointly: bool
    unread: Mapping[str, str] = field(default_factory=dict)
    losses: Sequence[str] = ()


@runtime_checkable
class DeclaringImputer(Protocol):
    """An imputer whose class declares how it is trained."""

    @classmethod
    def declare_training(cls, table: Mapping[str, object], /) -> ImputerTraining:
        """What follows from a recipe table that is complete with defaults."""
        ...


@runtime_checkable
class ImputerLoss(Protocol):
    """A loss that weighs what the imputer computes while it trains beside the predictor."""

    @staticmethod
    def weighs_imputer_loss(name: str, /) -> bool:
        """Whether the imputer's loss of this name is part of it."""
        ...
