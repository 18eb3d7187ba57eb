"""imputer -> fusion -> heads, as one module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from hcat_core.cohort import CURVE_STEPS, Cohort, Layout, concatenate
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


class HcatModel(nn.Module):
    """Imputer, fusion and heads as one module; a component need not be an ``nn.Module``.

    Args:
        layout: axes of every batch.
        imputer: fills gaps.
        fusion: one vector a patient.
        heads: by name; ``tasks`` says which task each predicts.
        tasks: head name -> task name.
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
        return None if self.evidence is None else self.evidence.contributions(batch.without_targets())

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
        evidence = (gates * contributions).sum(dim=1)
        for name, outputs in raw.items():
            column = self.layout.task_names.index(self.tasks[name])
            of_task = evidence[:, column].to(outputs.dtype)
            head = self.heads[name]
            if isinstance(head, EvidenceHead):
                raw[name] = head.add_evidence(outputs, of_task)
            else:
                raw[name] = outputs + of_task.reshape(-1, *[1] * (outputs.ndim - 1))
        return raw

    def imputer_trains(self) -> bool:
        """Whether the imputer is trained together with the predictor."""
        return isinstance(self.imputer, nn.Module) and any(
            parameter.requires_grad for parameter in self.imputer.parameters()
        )

    def predict(self, outputs: Outputs) -> Prediction:
        """(N, T) event probabilities, and their curves (N, T, 12) from heads that know time.

        Where several heads share a task, the first one in the recipe predicts it.
        """
        curves: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            task = self.layout.tasks[self.layout.task_names.index(self.tasks[name])]
            if task.name in curves:
                continue
            if isinstance(head, TimedHead):
                curves[task.name] = head.predict(outputs.raw[name], task.curve_days).event_probability
            else:
                last = head.predict(outputs.raw[name], (task.horizon_days,)).event_probability
                unknown = last.new_full((len(last), CURVE_STEPS - 1), float("nan"))
                curves[task.name] = torch.cat([unknown, last], dim=1)
        pooled = outputs.fused.pooled
        nothing = pooled.new_full((len(pooled), CURVE_STEPS), float("nan"))
        curve = torch.stack([curves.get(t, nothing) for t in self.layout.task_names], dim=1)
        return Prediction(curve[:, :, -1], curve)

    def first_heads(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs of the head that predicts each task: the first one of the recipe."""
        first: dict[str, str] = {}
        for name in self.heads:
            first.setdefault(self.tasks[name], name)
        return {name: raw[name] for name in first.values() if name in raw}

    def parts(self) -> dict[str, object]:
        """Every component, by the prefix of its tensors' names in a checkpoint."""
        heads = {f"heads.{name}": head for name, head in self.heads.items()}
        evidence = {} if self.evidence is None else {"evidence": self.evidence}
        return {"imputer": self.imputer, "fusion": self.fusion, **heads, **evidence}

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
            prefix = f"{part}."
            tensors = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            if isinstance(component, StatefulComponent):
                component.load_state_dict(tensors)


def _state_of(component: object) -> Mapping[str, Tensor]:
    """The tensors of a component; none for a head or fusion without state."""
    return component.state_dict() if isinstance(component, StatefulComponent) else {}


def _detached(imputation: Imputation) -> Imputation:
    return replace(imputation, emb=imputation.emb.detach(), std=imputation.std.detach())
