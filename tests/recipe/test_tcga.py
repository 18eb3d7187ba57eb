"""The shipped recipe for cohorts of The Cancer Genome Atlas."""

from pathlib import Path

import pytest

from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_recipe_cohort

RECIPE = Path(__file__).parents[2] / "recipes" / "tcga.toml"
TCGA = Path(__file__).parents[3] / "shared" / "data" / "tcga"
WITHOUT_CNV = "cohort.modalities.cnv=false"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def test_it_has_its_own_modalities_and_one_outcome(catalog):
    recipe, warnings = load_recipe(RECIPE, catalog)
    assert list(recipe.cohort.modalities) == ["clinical", "mutation", "cnv", "rna"]
    task = recipe.cohort.targets.tasks["survival"]
    assert list(recipe.cohort.targets.tasks) == list(recipe.heads) == ["survival"]
    assert (task.time, task.event, task.horizon_days) == ("days_to_death_or_last_info", "death_event", 1826)
    assert recipe.cohort.groups is None and not warnings


def test_a_cohort_without_copy_numbers_needs_one_option(catalog):
    recipe, _ = load_recipe(RECIPE, catalog, sets=[WITHOUT_CNV])
    assert list(recipe.cohort.modalities) == ["clinical", "mutation", "rna"]


@pytest.mark.skipif(not TCGA.is_dir(), reason="the TCGA files are not here")
@pytest.mark.parametrize(
    ("name", "sets", "patients", "deaths"), [("hnsc", [], 416, 178), ("kirp", [WITHOUT_CNV], 260, 35)]
)
def test_it_reads_a_cohort(catalog, name, sets, patients, deaths):
    recipe, _ = load_recipe(RECIPE, catalog, sets=[f"cohort.root={TCGA / name}", *sets])
    cohort, _ = read_recipe_cohort(recipe, catalog)
    assert len(cohort) == patients
    assert cohort.layout.names == tuple(recipe.cohort.modalities)
    assert (cohort.targets.labels == 1).sum() == deaths
