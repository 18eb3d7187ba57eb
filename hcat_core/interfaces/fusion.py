"""The contract of fusions, what they may have beside it, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces.imputer import Imputation


@dataclass(frozen=True)
class Fused:
    """One patient, one vector: ``pooled`` (N, H), ``tokens`` (N, K, H), ``projection`` (N, P) or None.

    ``weights`` (N, M) is how much each modality counted in the pooling, and ``gates`` (N, M) in [0, 1] how
    far each is relied on; None where the fusion does not give them.
    """

    pooled: Tensor
    tokens: Tensor
    projection: Tensor | None = None
    weights: Tensor | None = None
    gates: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Fused:
        """The same with ``function`` applied to every tensor that is there."""
        return Fused(
            function(self.pooled),
            function(self.tokens),
            None if self.projection is None else function(self.projection),
            None if self.weights is None else function(self.weights),
            None if self.gates is None else function(self.gates),
        )


@runtime_checkable
class PreparedFusion(Protocol):
    """A fusion that takes what it needs from training patients before the first step."""

    def prepare(self, train: Cohort) -> None:
        """Take statistics of (N,) standardised patients without targets."""
        ...


@runtime_checkable
class GatedFusion(Protocol):
    """A fusion with gates, whose few parameters are trained with a learning rate of their own."""

    def gate_parameters(self) -> Iterable[torch.nn.Parameter]:
        """The parameters of the gates."""
        ...

    def quality_gates(self, quality: Tensor) -> Tensor:
        """(N, M) gates of measured blocks of a quality (N, M) in [0, 1], whatever their content."""
        ...


@runtime_checkable
class Fusion(Protocol):
    """Combines the modalities of each patient; ``width`` is H of what it returns."""

    width: int

    def __call__(self, batch: Cohort, imputation: Imputation) -> Fused:
        """Fuse a batch."""
        ...
