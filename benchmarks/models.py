"""The models that are timed: Enhanced-HCAT on random patients, and HANCOCK's recipe on its own."""

from __future__ import annotations

from pathlib import Path

import torch
from measuring import MODALITIES

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_recipe_cohort
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.neural_parts import NeuralParts

RECIPES = Path(__file__).parents[1] / "recipes"


def enhanced(patients: int, *sets: str) -> tuple[Recipe, NeuralParts, Cohort]:
    """recipes/enhanced.toml and random patients: five modalities of 512, 30 % of blocks missing."""
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPES / "enhanced.toml", catalog, sets=list(sets))
    cohort = random_cohort(patients, dict.fromkeys(MODALITIES, 512), missing=0.3, gaps=0.02)
    torch.manual_seed(0)
    return recipe, NeuralParts(recipe, catalog), cohort


def hancock(root: str, patients: int) -> tuple[Recipe, NeuralParts, Cohort]:
    """recipes/hancock.toml and the first patients of its cohort, standardised."""
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPES / "hancock.toml", catalog, sets=[f"cohort.root={root}"])
    cohort, _ = read_recipe_cohort(recipe, catalog)
    cohort = Standardiser.fit(cohort).apply(cohort)
    torch.manual_seed(0)
    return recipe, NeuralParts(recipe, catalog), cohort[slice(0, patients)]
