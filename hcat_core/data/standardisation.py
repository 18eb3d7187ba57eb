"""Per-feature standardisation, fitted on training patients only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout
from hcat_core.storage.tensor_shapes import refuse_other_shapes


@dataclass(frozen=True)
class Standardiser:
    """``mean`` and ``scale``, both (M, D); 0 and 1 on padding and where nothing was measured."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, train: Cohort) -> Standardiser:
        """Mean and population standard deviation of the measured cells; a constant's scale is 1."""
        n = train.measured.sum(dim=0)
        count = n.clamp(min=1).double()
        # In slices of patients: a float64 copy of a large cohort would be twice its size.
        total = sum(part.double().sum(dim=0) for part in train.emb.split(4096))
        mean = torch.as_tensor(total) / count
        squares = sum(
            ((emb.double() - mean).square() * measured).sum(dim=0)
            for emb, measured in zip(train.emb.split(4096), train.measured.split(4096), strict=True)
        )
        scale = (torch.as_tensor(squares) / count).sqrt()
        # Rounding leaves a constant column a spread of the size of float32 errors.
        flat = scale <= 1e-6 * mean.abs().clamp(min=1e-6)
        scale = torch.where(flat | (n == 0), torch.ones_like(scale), scale)
        return cls(mean.float(), scale.float())

    def apply(self, cohort: Cohort) -> Cohort:
        """The cohort in units of standard deviations; cells not measured stay 0."""
        emb = (cohort.emb - self.mean.to(cohort.emb.device)) / self.scale.to(cohort.emb.device)
        return replace(cohort, emb=emb.masked_fill_(~cohort.measured, 0.0))

    def invert(self, emb: Tensor) -> Tensor:
        """(..., M, D) values back in the file's units."""
        return emb * self.scale.to(emb.device) + self.mean.to(emb.device)

    def invert_imputed(self, emb: Tensor) -> Tensor:
        """(..., M, D) imputed values in the file's units, without the errors of float32 arithmetic.

        Values are rounded to multiples of a power of two, at most 1/32768 of the larger of mean and scale,
        so that zeros, counts and codes are what they are in the file and not a millionth beside it.
        """
        size = torch.maximum(self.mean.abs(), self.scale).log2().ceil()
        unit = torch.exp2(size - 16).to(emb.device)
        return (self.invert(emb) / unit).round() * unit

    def state_dict(self) -> dict[str, Tensor]:
        """Both tensors, for the checkpoint."""
        return {"mean": self.mean, "scale": self.scale}

    def refuse_another_layout(self, layout: Layout) -> None:
        """Refuse statistics from a file that are not those of this layout's features.

        Raises:
            ValueError: for tensors of other shapes, or a scale that nothing can be divided by.
        """
        shape = tuple(layout.cells.shape)
        refuse_other_shapes(self.state_dict(), {"mean": shape, "scale": shape})
        if not bool((self.scale > 0).all() and self.scale.isfinite().all() and self.mean.isfinite().all()):
            raise ValueError("a mean or a scale is not finite, or not above zero")

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], prefix: str = "") -> Standardiser:
        """Restore what ``state_dict`` gave, from tensors whose names begin with ``prefix``."""
        return cls(state[f"{prefix}mean"], state[f"{prefix}scale"])
