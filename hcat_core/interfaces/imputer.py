"""The contract of imputers, and what they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces.fitting import FitContext
from hcat_core.interfaces.random_numbers import normal


@dataclass(frozen=True)
class Average:
    """A mean as its sum and how much went into it: the parts of a batch add up to the batch's own."""

    total: Tensor
    count: Tensor

    @property
    def value(self) -> Tensor:
        """The mean, a scalar; 0 of nothing."""
        return self.total / self.count.clamp_min(1)


@dataclass(frozen=True)
class Imputation:
    """A batch with its gaps filled.

    Attributes:
        emb: (N, M, D); measured cells bit-identical to the batch's.
        std: (N, M, D) predictive standard deviation, observation noise included; 0 where measured.
        filled: (N, M, D) bool; a missing block left unfilled becomes a mask token in the fusion.
        losses: means by name, ``kl`` and what else the imputer trains on; empty outside training.
    """

    emb: Tensor
    std: Tensor
    filled: Tensor
    losses: Mapping[str, Average] = field(default_factory=dict)

    def interval(self, level: float = 0.9) -> tuple[Tensor, Tensor]:
        """Lower and upper ends (N, M, D) of central predictive intervals; here those of Gaussians.

        Both ends are the cell's value where nothing was filled. An end belongs to the interval: where many
        patients have one value, such as 0, an interval that ends there covers more than ``level``.

        Args:
            level: share of cells that the intervals are to cover, between 0 and 1.
        """
        half = self.std * torch.special.ndtri(torch.tensor((1 + level) / 2)).to(self.std)
        return self.emb - half, self.emb + half

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D) multiple imputations; here independent Gaussians.

        An imputer that overrides this takes its random numbers from ``normal`` and ``categories``: with a
        ``CommonNumbers`` generator every patient then gets the same numbers, so that a prediction does not
        depend on the other patients in the batch.
        """
        noise = normal(
            (n, *self.emb.shape), generator, rows=1, device=self.emb.device, dtype=self.emb.dtype
        )
        return torch.where(self.filled, self.emb + self.std * noise, self.emb)


@runtime_checkable
class Imputer(Protocol):
    """Fills what is missing. It never sees targets: the core removes them first."""

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Learn from training patients; may do nothing (a jointly trained module)."""
        ...

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill a batch."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that was fitted, as flat tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Restore what ``state_dict`` gave."""
        ...
