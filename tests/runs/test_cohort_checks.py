"""What a run checks in its cohort before it trains, and with which of its patients."""

import numpy as np
import pandas as pd
import pytest

from hcat_core.errors import DataError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.cohort_checks import check_cohort
from hcat_core.runs.recipe_cohort import given_by
from hcat_core.runs.run import run_recipe

CATALOG = load_catalog()
RECIPE = """
seed = 5
[cohort]
modalities.a = { path = "a.csv" }
groups = "site"
targets = { path = "out.csv", missing = ["NOT KNOWN"], tasks.t.label = "y" }
[estimator]
use = "logistic"
[evaluation]
bootstrap = 0
baselines = []
"""


@pytest.fixture
def checked(tmp_path):
    """Check the cohort of 60 patients, with settings: recipe, cohort and what was found."""
    rng, ids = np.random.default_rng(0), [f"P{row:02d}" for row in range(60)]
    site = np.where(np.arange(60) < 20, "NOT KNOWN", [f"s{row // 2}" for row in range(60)])
    side = np.where(np.arange(60) % 3, "train", "NOT KNOWN")
    outcomes = pd.DataFrame({"patient_id": ids, "y": np.arange(60) % 2, "site": site, "side": side})
    outcomes.to_csv(tmp_path / "out.csv", index=False)
    pd.DataFrame({"patient_id": ids, "x": rng.normal(size=60)}).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "r.toml").write_text(RECIPE)

    def check(*sets):
        recipe, _ = load_recipe(tmp_path / "r.toml", CATALOG, sets=sets)
        given = given_by(recipe, CATALOG)
        return recipe, given.cohort, check_cohort(recipe, given)

    return check


def test_the_patients_that_are_checked_are_those_that_the_run_trains_on(checked, tmp_path):
    recipe, cohort, check = checked()
    run_recipe(recipe, CATALOG, outdir=tmp_path / "run", say=lambda message: None)
    written = pd.read_csv(tmp_path / "run" / "predictions.csv")
    test = {cohort.patient_ids[row] for row in check.require_split().test.tolist()}
    assert test == set(written.patient_id[written.split == "test"])
    assert test != {cohort.patient_ids[row] for row in checked("seed=6")[2].require_split().test.tolist()}


def test_patients_whose_group_is_not_known_are_groups_alone(checked):
    _, cohort, _ = checked()
    assert len(set(cohort.groups[:20])) == 20 and len(set(cohort.groups[20:])) == 20


def test_a_side_that_is_not_known_is_none(checked):
    _, _, check = checked("split.column=side")
    assert check.split is None
    assert "20 patients have none of train, validation, test: no value (20)" in check.refusal
    with pytest.raises(DataError, match="no value"):
        check.require_split()
