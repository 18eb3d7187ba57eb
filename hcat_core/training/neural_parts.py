"""The neural tables of a recipe, ready to be built: what the estimator ``neural`` trains."""

from __future__ import annotations

from dataclasses import dataclass

from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import AdditiveEstimator
from hcat_core.layout import Layout
from hcat_core.recipe import build
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.recipe import Recipe
from hcat_core.recipe.schema import TrainingTable
from hcat_core.registry.catalog import Catalog
from hcat_core.training.model import HcatModel


@dataclass(frozen=True)
class NeuralParts:
    """Imputer, fusion, heads, losses and the training table of one recipe."""

    recipe: Recipe
    catalog: Catalog

    @property
    def training(self) -> TrainingTable:
        """How to train."""
        return self.recipe.training

    @property
    def mc_samples(self) -> int:
        """Draws and dropout samples per patient when predicting."""
        return self.recipe.evaluation.mc_samples

    def build_model(self, layout: Layout, evidence: AdditiveEstimator | None = None) -> HcatModel:
        """Imputer, fusion and heads, for a cohort's layout, beside the evidence that they add to."""
        fusion = build.build_fusion(self.recipe, self.catalog, layout)
        return HcatModel(
            layout,
            Calibrated(layout, build.build_imputer(self.recipe, self.catalog, layout)),
            fusion,
            build.build_heads(self.recipe, self.catalog, layout, fusion.width),
            {name: str(table["task"]) for name, table in self.recipe.heads.items()},
            imputer_gradient=self.recipe.training.imputer_gradient,
            evidence=evidence,
        )

    def build_losses(self, layout: Layout) -> list[WeightedLoss]:
        """The terms of the total."""
        return build.build_losses(self.recipe, self.catalog, layout)
