"""What a component is given while it is fitted, and how its tensors are kept afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImputerEpoch:
    """How far the fitting of an imputer's network is.

    Attributes:
        imputer: what is fitted, in words for a person.
        epoch: number of passes over the training patients that are done.
        epochs: number of passes at most.
        crps: of the best state so far, on hidden blocks; NaN where there is nothing to compare by.
    """

    imputer: str
    epoch: int
    epochs: int
    crps: float


@dataclass(frozen=True)
class FitContext:
    """What a component may use while it is fitted, beside its patients: seed, device, how to report.

    Attributes:
        seed: of all that is random.
        device: where to compute.
        progress: shows a line of text.
        imputer_epoch: shows how far the fitting of an imputer is; calling it is optional.
    """

    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Callable[[str], None] = lambda message: None
    imputer_epoch: Callable[[ImputerEpoch], None] = lambda epoch: None


@runtime_checkable
class StatefulComponent(Protocol):
    """A component with tensors that belong into checkpoints; every ``nn.Module`` is one."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Everything that was fitted or trained, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> object:
        """Restore what ``state_dict`` gave."""
        ...
