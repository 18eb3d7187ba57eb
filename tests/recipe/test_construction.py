"""Problems that only constructors, and heads with their losses, can find; said with all others."""

from pathlib import Path

import pytest
import torch

from hcat_core.errors import RecipeError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def problems(catalog, *sets, recipe="hancock.toml"):
    with pytest.raises(RecipeError) as error:
        load_recipe(RECIPES / recipe, catalog, sets=sets)
    return {problem.key: problem.message for problem in error.value.problems}


def test_a_number_of_heads_that_does_not_divide_the_width_is_found(catalog):
    assert problems(catalog, "fusion.n_heads=7") == {"fusion": "n_heads = 7 does not divide d_model = 64"}


def test_it_is_said_with_the_problems_of_other_tables(catalog):
    found = problems(catalog, "fusion.n_heads=7", "training.epocs=3", "split.test=2")
    assert set(found) == {"fusion", "training.epocs", "split.test"}


def test_a_binary_loss_on_a_hazard_head_is_found_with_the_loss_that_trains_it(catalog):
    found = problems(catalog, "losses.0.use=bce", "losses.0.head=survival")
    assert set(found) == {"losses.0.use"}
    assert "one logit per patient" in found["losses.0.use"]
    assert 'has use = "discrete_hazard", which "hazard" trains' in found["losses.0.use"]


def test_a_focal_loss_on_a_cox_head_is_found(catalog):
    found = problems(catalog, "losses.0.use=focal", recipe="ablations/head_cox.toml")
    assert "losses.0" in " ".join(found)


def test_branches_that_leave_a_modality_out_are_found(catalog):
    found = problems(catalog, 'fusion.branches={ a = ["clinical", "spatial"] }')
    assert "in no branch: semantic, temporal, pathological" in found["fusion"]


def test_the_width_of_an_imputers_layers_is_found(catalog):
    found = problems(catalog, "imputer={ use = 'vae', hidden = 30 }")
    assert "hidden = 30 must be a multiple of 4" in found["imputer"]


def test_an_estimator_that_is_no_sum_cannot_be_evidence(catalog):
    found = problems(catalog, "estimator.evidence={ use = 'random_forest' }")
    assert "cannot be evidence" in found["estimator"]


def test_a_stack_of_nothing_is_found(catalog):
    assert (
        "at least one member"
        in problems(catalog, "estimator.members=[]", recipe="baselines/stack.toml")["estimator"]
    )


def test_a_readers_keys_that_exclude_each_other_are_found(catalog):
    table = "{ use = 'h5ad', path = 'a.h5ad', layer = 'x', obsm = 'y' }"
    found = problems(catalog, f"cohort.modalities.clinical={table}", recipe="small_cohort.toml")
    assert "name one of them" in found["cohort.modalities.clinical"]


def test_a_contrastive_loss_without_any_difference_between_its_views_is_found(catalog):
    found = problems(catalog, "training.moddrop=0", "training.emb_noise=0")
    assert "the same" in found["losses.2"]


def test_a_contrastive_loss_of_no_weight_needs_no_difference(catalog):
    sets = ["training.moddrop=0", "training.emb_noise=0", "losses.2.weight=0"]
    load_recipe(RECIPES / "hancock.toml", catalog, sets=sets)


def test_a_problem_is_not_said_twice(catalog):
    assert list(problems(catalog, "fusion.n_heads=high")) == ["fusion.n_heads"]


def test_modalities_that_have_no_file_in_this_run_stay_in_their_branches(catalog):
    load_recipe(RECIPES / "hancock.toml", catalog, inputs={"clinical": Path("c.h5")})


def test_the_check_draws_no_random_number_that_a_run_would_have_drawn(catalog):
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    load_recipe(RECIPES / "hancock.toml", catalog)
    assert torch.equal(torch.randn(2), expected)


def test_tables_with_a_stated_default_need_no_use(catalog, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        """
[cohort.modalities]
a = { path = "a.csv" }
b = { path = "b.csv" }
[cohort.targets]
path = "o.csv"
tasks = { msi = { label = "msi" } }
[estimator]
members = 2
[fusion]
d_model = 32
[heads.msi]
use = "binary"
[[losses]]
use = "bce"
head = "msi"
"""
    )
    recipe, _ = load_recipe(path, catalog)
    assert recipe.fusion["use"] == "enhanced_hcat" and recipe.fusion["d_model"] == 32
    assert recipe.estimator["use"] == "neural" and recipe.estimator["members"] == 2


def test_a_network_of_any_size_is_checked_without_taking_its_memory(catalog):
    """A layer of 400,000 x 400,000 weights would take 640 GB."""
    assert problems(catalog, "fusion.d_model=400000", "fusion.n_heads=7") == {
        "fusion": "n_heads = 7 does not divide d_model = 400000"
    }
