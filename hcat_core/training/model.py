"""imputer -> fusion -> heads, as one module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, concatenate
from hcat_core.interfaces import (
    AdditiveEstimator,
    EvidenceHead,
    Fused,
    Fusion,
    Head,
    Imputation,
    Imputer,
    Outputs,
    Prediction,
    StatefulComponent,
    TimedHead,
)
from hcat_core.layout import CURVE_STEPS, Layout, Outcome
from hcat_core.storage.tensor_names import without_prefix


class EvidenceUse(nn.Module):
    """How the evidence is used beside gates, with which it is fitted: which blocks, and how strongly.

    Attributes:
        factor: (T,) by which the evidence of each task is multiplied.
        least_quality: (M,) quality of a block below which it is no evidence.

    Args:
        layout: of M modalities and T tasks.
    """

    factor: Tensor
    least_quality: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(len(layout.tasks)))
        self.register_buffer("least_quality", torch.zeros(len(layout.modalities)))

    def usable(self, cohort: Cohort) -> Cohort:
        """The patients without the blocks that are no evidence."""
        worse = cohort.present & (cohort.quality < self.least_quality)
        return cohort.hide(worse) if worse.any() else cohort

    def total(self, gated: Tensor) -> Tensor:
        """(N, M, T) contributions behind their gates -> (N, T) evidence."""
        return gated.sum(dim=1) * self.factor


class HcatModel(nn.Module):
    """Imputer, fusion and heads as one module; a component need not be an ``nn.Module``.

    Args:
        layout: axes of every batch.
        imputer: fills gaps.
        fusion: one vector per patient.
        heads: by name; ``tasks`` says which outcome each predicts.
        tasks: head name -> name of the outcome.
        imputer_gradient: whether the gradient of the prediction reaches the imputer. Without it imputations
            are statements about the missing data alone; with it they are informed by the outcome.
        evidence: a model that is a sum over modalities, to whose logits or log hazards the heads add what
            the fusion finds; None for heads that predict alone.
    """

    def __init__(
        self,
        layout: Layout,
        imputer: Imputer,
        fusion: Fusion,
        heads: Mapping[str, Head],
        tasks: Mapping[str, str],
        *,
        imputer_gradient: bool = False,
        evidence: AdditiveEstimator | None = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.imputer = imputer
        self.fusion = fusion
        self.heads = dict(heads)
        self.tasks = dict(tasks)
        self.imputer_gradient = imputer_gradient
        self.evidence = evidence
        self.evidence_use = EvidenceUse(layout)
        # A plain dict hides its modules from torch: this one exists for .to(), .train(), parameters().
        self.head_modules = nn.ModuleDict(
            {name: head for name, head in heads.items() if isinstance(head, nn.Module)}
        )

    def forward(
        self, batch: Cohort, second: Cohort | None = None, contributions: Tensor | None = None
    ) -> Outputs:
        """Impute and fuse a batch, and with it ``second``, another view of the same patients.

        Args:
            batch: N patients.
            second: the same patients under another modality mask and other noise.
            contributions: (N, M, T) of the evidence; those that it computes for the batch where None.
        """
        n = len(batch)
        both = batch if second is None else concatenate(batch.without_targets(), second.without_targets())
        imputation = self.impute(both)
        fused = self.fusion(both, imputation if self.imputer_gradient else _detached(imputation))
        fused = fused.map(Tensor.float)  # under autocast a fusion may compute it in less
        other = None
        if second is not None:
            fused, other = fused.map(lambda rows: rows[:n]), fused.map(lambda rows: rows[n:])
            imputation = replace(
                imputation,
                emb=imputation.emb[:n],
                std=imputation.std[:n],
                filled=imputation.filled[:n],
            )
        if contributions is None:
            contributions = self.contributions(batch)
        return Outputs(
            raw=self._raw(fused, contributions),
            heads=self.heads,
            fused=fused,
            imputation=imputation,
            second_view=other,
        )

    def contributions(self, batch: Cohort) -> Tensor | None:
        """(N, M, T) what each modality adds to the prediction by itself; None without evidence."""
        if self.evidence is None:
            return None
        return self.evidence.contributions(self.evidence_use.usable(batch.without_targets()))

    def impute(self, batch: Cohort) -> Imputation:
        """The imputation of a batch; the imputer does not see targets."""
        return self.imputer(batch.without_targets())

    def fuse(self, batch: Cohort, imputation: Imputation, contributions: Tensor | None = None) -> Outputs:
        """Fusion and heads alone, for an imputation and contributions of the evidence that are given."""
        fused = self.fusion(batch, imputation)
        raw = self._raw(fused, contributions)
        return Outputs(raw=raw, heads=self.heads, fused=fused, imputation=imputation)

    def _raw(self, fused: Fused, contributions: Tensor | None) -> dict[str, Tensor]:
        """Raw outputs of every head, with the evidence of its task added.

        A modality's contribution counts as far as its gate is open.
        """
        raw = {name: head(fused).float() for name, head in self.heads.items()}
        if contributions is None:
            return raw
        gates = 1.0 if fused.gates is None else fused.gates.unsqueeze(2)
        evidence = self.evidence_use.total(gates * contributions)
        for name, outputs in raw.items():
            own = evidence_of(self.layout.outcome(self.tasks[name]), evidence)
            raw[name] = add_evidence(self.heads[name], outputs, own)
        return raw

    def imputer_trains(self) -> bool:
        """Whether the imputer is trained together with the predictor."""
        return isinstance(self.imputer, nn.Module) and any(
            parameter.requires_grad for parameter in self.imputer.parameters()
        )

    def predict(self, outputs: Outputs) -> Prediction:
        """Of every task: (N, T) probabilities, curves (N, T, 12) from heads that know time, and values.

        Where several heads share an outcome, the first one in the recipe predicts it.
        """
        pooled = outputs.fused.pooled
        layout, n = self.layout, pooled.shape[0]  # len() cannot be traced
        curve = pooled.new_full((n, len(layout.tasks), CURVE_STEPS), float("nan"))
        number = curve.new_full((n, len(layout.tasks), 3), float("nan"))  # value, and ends of its interval
        for name in self.predicting_heads():
            head, outcome = self.heads[name], layout.outcome(self.tasks[name])
            at, first = list(outcome.columns), layout.tasks[outcome.columns[0]]
            if isinstance(head, TimedHead):
                risk = head.predict(outputs.raw[name], first.curve_days).event_probability
                curve = curve.to(torch.promote_types(curve.dtype, risk.dtype))
                curve[:, at[0]] = risk.to(curve.dtype)
                continue
            predicted = head.predict(outputs.raw[name], first.horizons)
            curve[:, at, -1] = predicted.event_probability.to(curve.dtype)
            if predicted.value is not None and predicted.interval is not None:
                values = torch.cat([predicted.value.unsqueeze(2), predicted.interval], dim=2)
                number[:, at] = values.to(number.dtype)
        if not layout.numbers:
            return Prediction(curve[:, :, -1], curve)
        return Prediction(curve[:, :, -1], curve, number[:, :, 1:], number[:, :, 0])

    def first_heads(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs of the head that predicts each outcome."""
        return {name: raw[name] for name in self.predicting_heads() if name in raw}

    def predicting_heads(self) -> tuple[str, ...]:
        """Names of the heads that predict an outcome: of several, the first one of the recipe."""
        first: dict[str, str] = {}
        for name in self.heads:
            first.setdefault(self.tasks[name], name)
        return tuple(first.values())

    def parts(self) -> dict[str, object]:
        """Every component, by the prefix of its tensors' names in a checkpoint."""
        heads = {f"heads.{name}": head for name, head in self.heads.items()}
        parts = {"imputer": self.imputer, "fusion": self.fusion, **heads}
        if self.evidence is not None:
            parts |= {"evidence": self.evidence, "evidence_use": self.evidence_use}
        return parts

    def state(self) -> dict[str, Tensor]:
        """All fitted and trained tensors by ``part.tensor``, on the CPU."""
        return {
            f"{part}.{name}": tensor.detach().cpu().contiguous()
            for part, component in self.parts().items()
            for name, tensor in _state_of(component).items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` gave."""
        for part, component in self.parts().items():
            if isinstance(component, StatefulComponent):
                component.load_state_dict(without_prefix(f"{part}.", state))


def evidence_of(outcome: Outcome, evidence: Tensor) -> Tensor:
    """The part of the evidence (N, T) that is of one outcome: (N,), or (N, K) of K classes."""
    return (
        evidence[:, list(outcome.columns)] if outcome.kind == "class" else evidence[:, outcome.columns[0]]
    )


def add_evidence(head: object, raw: Tensor, evidence: Tensor) -> Tensor:
    """A head's raw outputs (N, ...) with the evidence of its outcome, (N,) or (N, K), added."""
    evidence = evidence.to(raw.dtype)
    if isinstance(head, EvidenceHead):
        return head.add_evidence(raw, evidence)
    if evidence.ndim == raw.ndim:
        return raw + evidence
    return raw + evidence.reshape(-1, *[1] * (raw.ndim - 1))


def _state_of(component: object) -> Mapping[str, Tensor]:
    """The tensors of a component; none for a head or fusion without state."""
    return component.state_dict() if isinstance(component, StatefulComponent) else {}


def _detached(imputation: Imputation) -> Imputation:
    return replace(imputation, emb=imputation.emb.detach(), std=imputation.std.detach())
