"""Find the components of a run that cannot be traced, where the whole pipeline cannot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Fused, Head, Imputation, TracedBatch, traceable_form
from hcat_core.layout import Layout
from hcat_core.recipe.component_tables import components_in, construct
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.export.tracing import trace
from hcat_core.text.quoting import one_line
from hcat_core.training.model import HcatModel
from hcat_core.training.traceable_ensemble import contributions_form

LONGEST_REASON = 120  # letters of a message, of which torch writes pages
Inputs = tuple[Tensor, ...]


def untraceable_components(
    recipe: Recipe, catalog: Catalog, model: HcatModel, example: Cohort
) -> list[str]:
    """``key = "name": reason`` of each component of a model that cannot be traced by itself.

    Of an imputer that cannot because of one that it starts from, the latter is named.

    Args:
        recipe: of the run.
        catalog: of components.
        model: of one member, fitted.
        example: at least two patients.
    """
    layout = model.layout
    inputs: Inputs = (example.emb, example.measured, example.quality)
    found = []
    why = _reason(partial(_of_imputer, layout, model.imputer), inputs)
    if why:
        found += _nested(recipe, catalog, layout, inputs) or [_line("imputer", recipe.imputer["use"], why)]
    if model.evidence is not None:
        form = contributions_form(model.evidence)
        why = _reason(lambda: _OnBatch(layout, form, lambda part, batch: part(batch)), inputs)
        found += [_line("estimator.evidence", recipe.estimator["evidence"]["use"], why)] * bool(why)
    why = _reason(lambda: _OnBatch(layout, model.fusion, _pooled), inputs)
    found += [_line("fusion", recipe.fusion["use"], why)] * bool(why)
    fused = _fused(model, example)
    for name, head in model.heads.items():
        horizons = layout.tasks[layout.task_names.index(model.tasks[name])].horizons
        why = _reason(partial(_OnFused, head, horizons), (fused.pooled, fused.tokens))
        found += [_line(f"heads.{name}", recipe.heads[name]["use"], why)] * bool(why)
    return found


class _OnBatch(nn.Module):
    """A component as a module of (emb, measured, quality).

    Args:
        layout: of the patients.
        component: its tensors are those of this module where it is one.
        compute: what the component is asked for.
    """

    def __init__(
        self, layout: Layout, component: Any, compute: Callable[[Any, TracedBatch], object]
    ) -> None:
        super().__init__()
        self.layout = layout
        self.component = component
        self.compute = compute
        self.eval()

    def forward(self, emb: Tensor, measured: Tensor, quality: Tensor) -> object:
        """What the component computes."""
        return self.compute(self.component, TracedBatch.of(self.layout, emb, measured, quality))


class _OnFused(nn.Module):
    """A head as a module of (pooled, tokens).

    Args:
        head: of one task.
        horizons: that it is asked for.
    """

    def __init__(self, head: Head, horizons: tuple[float, ...]) -> None:
        super().__init__()
        self.head = head
        self.horizons = horizons
        self.eval()

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """(N, 1) probabilities."""
        return self.head.predict(self.head(Fused(pooled, tokens)), self.horizons).event_probability


def _of_imputer(layout: Layout, imputer: object) -> nn.Module:
    return _OnBatch(layout, traceable_form(imputer), _cells)


def _nested(recipe: Recipe, catalog: Catalog, layout: Layout, inputs: Inputs) -> list[str]:
    """Those of the imputers that the recipe's starts from which cannot be traced, not fitted."""
    found = []
    for part in list(components_in(catalog, "imputer", recipe.imputer, "imputer"))[1:]:
        imputer = construct(catalog, part.kind, part.table, (layout,), Path.cwd())
        why = _reason(partial(_of_imputer, layout, imputer), inputs)
        found += [_line(part.key, part.name, why)] * bool(why)
    return found


def _reason(make: Callable[[], nn.Module], inputs: Inputs) -> str:
    """Why a module cannot be made or traced; empty where it can."""
    try:
        trace(make(), inputs)
    except Exception as error:  # a component may raise anything, and torch many kinds of errors
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return one_line(lines[0], LONGEST_REASON)
    return ""


def _line(key: str, name: str, why: str) -> str:
    return f'{key} = "{name}": {why}'


def _cells(imputer: Any, batch: TracedBatch) -> tuple[Tensor, Tensor, Tensor]:
    imputation: Imputation = imputer(batch)
    return imputation.emb, imputation.std, imputation.filled


def _pooled(fusion: Any, batch: TracedBatch) -> Tensor:
    """(N, H) the fused vector of patients whose gaps are filled with 0."""
    gaps = ~batch.measured & batch.layout.cells
    pooled: Tensor = fusion(batch, Imputation(batch.emb, torch.where(gaps, 1.0, 0.0), gaps)).pooled
    return pooled


@torch.no_grad()
def _fused(model: HcatModel, example: Cohort) -> Fused:
    return model.fuse(example, model.impute(example), model.contributions(example)).fused
