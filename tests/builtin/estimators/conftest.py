"""A cohort, and recipes of every estimator, for the tests of estimators."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hcat_core.cohort import Cohort
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, fit_estimator, neural_parts_of

SMALL_MODEL = [
    "imputer.use=mean",
    "fusion.d_model=16",
    "fusion.n_heads=2",
    "fusion.n_global_layers=1",
    "training.epochs=3",
    "training.lr=1e-3",
    "evaluation.mc_samples=4",
]
TABLES = {
    "logistic": ("baselines/logistic.toml", []),
    "random_forest": ("baselines/random_forest.toml", ["estimator.trees=60"]),
    "hist_gradient_boosting": ("baselines/hist_gradient_boosting.toml", []),
    "coxnet": ("baselines/coxnet.toml", []),
    "late_fusion": ("baselines/late_fusion.toml", ["estimator.model={use='logistic'}"]),
    "survival_forest": ("baselines/coxnet.toml", ["estimator={use='survival_forest', trees=60}"]),
    "stack": (
        "baselines/coxnet.toml",
        ["estimator={use='stack', members=[{use='logistic'},{use='coxnet'}]}"],
    ),
    "evidence": ("baselines/coxnet.toml", ["estimator={use='evidence', widest=100}"]),
    "neural": ("enhanced.toml", [*SMALL_MODEL, "estimator={use='neural', members=2}"]),
}


@dataclass(frozen=True)
class Estimators:
    cohort: Cohort
    catalog: Catalog
    recipes: Path = Path(__file__).resolve().parents[3] / "recipes"
    tables: dict[str, tuple[str, list[str]]] = field(default_factory=lambda: TABLES)
    small_model: list[str] = field(default_factory=lambda: SMALL_MODEL)

    @property
    def train(self) -> Cohort:
        return self.cohort[slice(0, 300)]

    @property
    def validation(self) -> Cohort:
        return self.cohort[slice(300, 360)]

    @property
    def test(self) -> Cohort:
        return self.cohort[slice(360, 500)]

    def recipe(self, name: str) -> Recipe:
        path, sets = self.tables[name]
        return load_recipe(self.recipes / path, self.catalog, sets=sets)[0]

    def fitted(
        self, name: str, train: Cohort | None = None, validation: Cohort | None = None
    ) -> tuple[Fitted, Recipe, TrainingContext]:
        """A fitted estimator, its recipe, and the context that it was fitted in."""
        recipe = self.recipe(name)
        context = TrainingContext(0, parts=neural_parts_of(recipe, self.catalog))
        train = self.train if train is None else train
        validation = self.validation if validation is None else validation
        return fit_estimator(recipe, self.catalog, train, validation, context), recipe, context


@pytest.fixture(scope="session")
def estimators() -> Estimators:
    widths = {"clinical": 10, "semantic": 80, "temporal": 12, "pathological": 14, "spatial": 70}
    cohort = to_cohort(generate(SynthSpec(patients=500, widths=widths, clusters=2, seed=3)))
    return Estimators(cohort, load_catalog())
