"""imputer -> fusion -> heads, as one module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from hcat_core.cohort import CURVE_STEPS, Cohort, Layout, concatenate
from hcat_core.interfaces import (
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
    """Imputer, fusion and heads. Components that are no ``nn.Module`` take part all the same.

    Args:
        layout: axes of every batch.
        imputer: fills gaps.
        fusion: one vector a patient.
        heads: by name; ``tasks`` says which task each predicts.
        tasks: head name -> task name.
        imputer_gradient: may the prediction's gradient shape the imputations? False keeps them a
            statement about the missing data; True (the document's way) makes them outcome-informed.
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
    ) -> None:
        super().__init__()
        self.layout = layout
        self.imputer = imputer
        self.fusion = fusion
        self.heads = dict(heads)
        self.tasks = dict(tasks)
        self.imputer_gradient = imputer_gradient
        # A plain dict hides its modules from torch: this one exists for .to(), .train(), parameters().
        self.head_modules = nn.ModuleDict(
            {name: head for name, head in heads.items() if isinstance(head, nn.Module)}
        )

    def forward(self, batch: Cohort, second: Cohort | None = None) -> Outputs:
        """Impute and fuse a batch, and with it ``second``, another view of the same patients."""
        n = len(batch)
        both = batch if second is None else concatenate(batch.without_targets(), second.without_targets())
        imputation = self.impute(both)
        fused = _in_float32(
            self.fusion(both, imputation if self.imputer_gradient else _detached(imputation))
        )
        fused = _in_float32(fused)
        other = None
        if second is not None:
            fused, other = _rows(fused, slice(0, n)), _rows(fused, slice(n, 2 * n))
            imputation = replace(
                imputation,
                emb=imputation.emb[:n],
                std=imputation.std[:n],
                filled=imputation.filled[:n],
            )
        return Outputs(
            raw={name: head(fused).float() for name, head in self.heads.items()},
            heads=self.heads,
            fused=fused,
            imputation=imputation,
            second_view=other,
        )

    def impute(self, batch: Cohort) -> Imputation:
        """The imputer's answer for a batch whose targets it does not see."""
        return self.imputer(batch.without_targets())

    def fuse(self, batch: Cohort, imputation: Imputation) -> Outputs:
        """Everything behind the imputer, for an imputation made (or drawn) elsewhere."""
        fused = self.fusion(batch, imputation)
        raw = {name: head(fused) for name, head in self.heads.items()}
        return Outputs(raw=raw, heads=self.heads, fused=fused, imputation=imputation)

    def imputer_trains(self) -> bool:
        """Does the imputer learn together with the predictor?"""
        return isinstance(self.imputer, nn.Module) and any(
            parameter.requires_grad for parameter in self.imputer.parameters()
        )

    def predict(self, outputs: Outputs) -> Prediction:
        """(N, T) event probabilities, and their curves (N, T, 12) from heads that know time.

        Where several heads share a task, the first named speaks.
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

    def parts(self) -> dict[str, object]:
        """Every component by the name its state goes under in a checkpoint."""
        heads = {f"heads.{name}": head for name, head in self.heads.items()}
        return {"imputer": self.imputer, "fusion": self.fusion, **heads}

    def state(self) -> dict[str, Tensor]:
        """All fitted and trained tensors, on the CPU, flat, by ``part.tensor``."""
        return {
            f"{part}.{name}": tensor.detach().cpu().contiguous()
            for part, component in self.parts().items()
            for name, tensor in _state_of(component).items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` gave, part by part."""
        for part, component in self.parts().items():
            prefix = f"{part}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            if isinstance(component, StatefulComponent):
                component.load_state_dict(own)


def _state_of(component: object) -> Mapping[str, Tensor]:
    """Heads and fusions without state need no ``state_dict``; imputers have one by contract."""
    return component.state_dict() if isinstance(component, StatefulComponent) else {}


def _detached(imputation: Imputation) -> Imputation:
    return replace(imputation, emb=imputation.emb.detach(), std=imputation.std.detach())


def _in_float32(fused: Fused) -> Fused:
    """What losses add up; under autocast a fusion may have computed it in less."""
    return replace(fused, **{name: tensor.float() for name, tensor in _vectors(fused).items()})


def _vectors(fused: Fused) -> dict[str, Tensor]:
    """What a fusion gave, by name, without what it has not."""
    found = {field.name: getattr(fused, field.name) for field in fields(fused)}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _rows(fused: Fused, rows: slice) -> Fused:
    return Fused(
        pooled=fused.pooled[rows],
        tokens=fused.tokens[rows],
        projection=None if fused.projection is None else fused.projection[rows],
        weights=None if fused.weights is None else fused.weights[rows],
    )
