"""What lets a component be a part of an exported pipeline, which is tensor operations alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout


@runtime_checkable
class TraceableComponent(Protocol):
    """An imputer or an evidence whose own computation cannot be traced, and that has a form which can.

    ``torch.export`` records tensor operations. It cannot record NumPy, a branch on a tensor's values, or a
    result whose shape depends on them (``cohort[has]``, ``torch.unique``). A component without the method
    ``traceable`` is traced as it is.
    """

    def traceable(self) -> nn.Module:
        """A module that gives, for a ``TracedBatch``, what the fitted component gives in evaluation.

        That of an imputer returns an ``Imputation``, that of an evidence contributions (N, M, T).
        """
        ...


@dataclass(frozen=True)
class TracedBatch(Cohort):
    """A batch of any number N of patients, without ids; ``batch.emb.shape[0]`` is N."""

    def __post_init__(self) -> None:
        """Nothing is checked: N is a symbol."""

    def __len__(self) -> int:
        raise TypeError("the number of patients is not known while tracing: use batch.emb.shape[0]")

    @classmethod
    def of(cls, layout: Layout, emb: Tensor, measured: Tensor, quality: Tensor) -> TracedBatch:
        """A batch from tensors as a caller has them: what was not measured is ignored, NaN included.

        Args:
            layout: of the M modalities, up to D cells wide.
            emb: (N, M, D).
            measured: (N, M, D) bool.
            quality: (N, M) in [0, 1].
        """
        measured = measured & layout.cells.to(measured.device)
        present = measured.any(dim=2)
        return cls(
            patient_ids=(),
            layout=layout,
            emb=torch.where(measured, emb, 0.0),
            measured=measured,
            present=present,
            quality=torch.where(present, quality, 0.0),
            n_rows=present.int(),
        )


def traceable_form(component: Any) -> Any:
    """The form of a component that can be traced: its own, or the component itself."""
    return component.traceable() if isinstance(component, TraceableComponent) else component
