"""Everything from cells in the units of the files to recalibrated probabilities, as one module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import (
    AdditiveEstimator,
    Imputation,
    TraceableComponent,
    TracedBatch,
    traceable_form,
)
from hcat_core.layout import Layout
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.training.model import HcatModel
from hcat_core.training.neural_training import TrainedMember
from hcat_core.training.traceable_recalibration import TraceableRecalibration


class TraceableEnsemble(nn.Module):
    """One pass of each member at the imputation's mean, averaged and recalibrated.

    N patients, M modalities, D cells of the widest one, T tasks, H steps of a curve.

    Args:
        layout: of the run.
        members: trained.
        recalibration: of the run.
    """

    def __init__(
        self, layout: Layout, members: Sequence[TrainedMember], recalibration: Recalibration
    ) -> None:
        super().__init__()
        self.layout = layout
        first = [_first_alike(members, member) for member in members]
        self.imputer_of = [sorted(set(first)).index(number) for number in first]
        self.imputers = nn.ModuleList(TraceableImputer(members[number]) for number in sorted(set(first)))
        self.members = nn.ModuleList(TraceableMember(member.model) for member in members)
        self.recalibration = TraceableRecalibration(recalibration, layout.tasks)
        self.eval()
        self.requires_grad_(False)

    def forward(self, emb: Tensor, measured: Tensor, quality: Tensor) -> dict[str, Tensor]:
        """Predict N patients.

        Args:
            emb: (N, M, D) float32 in the units of the files; ignored where not measured.
            measured: (N, M, D) bool.
            quality: (N, M) float32 in [0, 1]; ignored where nothing was measured.

        Returns:
            ``probability`` (N, T) and ``curve`` (N, T, H), float64; NaN for a patient without any measured
            cell, and on the curves of tasks whose risk over time is not known.
        """
        patients = TracedBatch.of(self.layout, emb, measured, quality)
        imputed = [imputer(patients) for imputer in self.imputers]
        found = [
            member(*imputed[number]) for member, number in zip(self.members, self.imputer_of, strict=True)
        ]
        probability = torch.stack([one for one, _ in found]).mean(dim=0)
        curve = torch.stack([one for _, one in found]).mean(dim=0)
        probability, curve = self.recalibration(probability, curve)
        anything = patients.present.any(dim=1, keepdim=True)
        return {
            "probability": torch.where(anything, probability, torch.nan),
            "curve": torch.where(anything.unsqueeze(2), curve, torch.nan),
        }


class TraceableImputer(nn.Module):
    """The standardiser and the imputer of a member.

    Args:
        member: trained.
    """

    def __init__(self, member: TrainedMember) -> None:
        super().__init__()
        statistics = member.standardiser.state_dict()
        self.standardiser = Standardiser.from_state({name: t.cpu() for name, t in statistics.items()})
        self.imputer = traceable_form(copy.deepcopy(member.model.imputer))

    def forward(self, patients: Cohort) -> tuple[Cohort, Imputation]:
        """The standardised patients, and their imputation."""
        standard = self.standardiser.apply(patients)
        return standard, self.imputer(standard)


class TraceableMember(nn.Module):
    """Evidence, fusion and heads of a member.

    Args:
        model: of the member.
    """

    def __init__(self, model: HcatModel) -> None:
        super().__init__()
        self.contributions = None if model.evidence is None else contributions_form(model.evidence)
        self.model = copy.deepcopy(model)
        del self.model.imputer  # TraceableImputer has it, which several members may share
        self.model.evidence = None

    def forward(self, batch: Cohort, imputation: Imputation) -> tuple[Tensor, Tensor]:
        """(N, T) probabilities and (N, T, H) curves of standardised patients, float64."""
        prediction = self.model.predict(self.model.fuse(batch, imputation, self._contributions(batch)))
        assert prediction.curve is not None, "the neural model's predictions have one"
        return prediction.event_probability.double(), prediction.curve.double()

    def _contributions(self, batch: Cohort) -> Tensor | None:
        """(N, M, T) of the evidence, without the blocks that are none."""
        if self.contributions is None:
            return None
        worse = batch.present & (batch.quality < self.model.evidence_use.least_quality)
        return self.contributions(batch.hide(worse))


def contributions_form(evidence: AdditiveEstimator) -> Callable[[Cohort], Tensor]:
    """What computes the contributions (N, M, T) of an evidence, in a form that can be traced."""
    return evidence.traceable() if isinstance(evidence, TraceableComponent) else evidence.contributions


def _first_alike(members: Sequence[TrainedMember], member: TrainedMember) -> int:
    """The number of the first member with the same standardiser and imputer, which then compute once."""
    return next(number for number, other in enumerate(members) if _imputes_alike(other, member))


def _imputes_alike(one: TrainedMember, other: TrainedMember) -> bool:
    a, b = (
        {**member.standardiser.state_dict(), **member.model.imputer.state_dict()} for member in (one, other)
    )
    same_names = a.keys() == b.keys()
    return one is other or (same_names and all(torch.equal(a[name], b[name]) for name in a))
