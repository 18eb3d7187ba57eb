"""An imputer that nothing trains, or with a key that nothing reads, is refused before data is read."""

import pytest

from hcat_builtin.imputers.attention import AttentionImputer
from hcat_core.errors import RecipeError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

RECIPE = """
[cohort.modalities.a]
use = "h5"
path = "a.h5"
[cohort.targets]
path = "a.h5"
[cohort.targets.tasks.death]
label = "death"
horizon_days = 365
[imputer]
use = "vae"
[fusion]
use = "enhanced_hcat"
[heads.death]
use = "binary"
[[losses]]
use = "bce"
head = "death"
[[losses]]
use = "kl"
[[losses]]
use = "imputation"
"""
WITHOUT_LOSSES = ("losses.1.weight=0", "losses.2.weight=0.0")
JOINT = "imputer.frozen=false"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture
def load(catalog, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return lambda *sets: load_recipe(path, catalog, sets=sets)


def problems(load, *sets):
    with pytest.raises(RecipeError) as refused:
        load(*sets)
    return {problem.key: problem.message for problem in refused.value.problems}


@pytest.mark.parametrize("name", ["vae", "attention"])
def test_an_imputer_that_is_to_learn_with_the_predictor_needs_a_loss_or_the_gradient(load, name):
    use = f"imputer.use={name}"
    message = problems(load, use, JOINT, *WITHOUT_LOSSES)["imputer"]
    assert message.startswith("nothing trains it beside the predictor")
    assert '"imputation"' in message and "training.imputer_gradient = true" in message
    load(use, JOINT, WITHOUT_LOSSES[0])  # one loss is enough
    load(use, JOINT, *WITHOUT_LOSSES, "training.imputer_gradient=true")
    load(use, *WITHOUT_LOSSES)  # frozen


def test_a_learning_rate_without_epochs_is_refused_also_in_a_nested_imputer(load):
    sets = ("imputer.fit_epochs=0", "imputer.lr=0.1", JOINT)
    assert "fit_epochs, which is 0" in problems(load, *sets)["imputer.lr"]
    nested = ("imputer.use=iterative", 'imputer.first={use="vae",fit_epochs=0,lr=0.1}')
    assert list(problems(load, *nested)) == ["imputer.first.lr"]
    load("imputer.lr=0.1")


def test_a_saved_recipe_with_all_defaults_filled_in_loads_again(load, catalog, tmp_path):
    recipe, _ = load("imputer.fit_epochs=0", JOINT)
    (tmp_path / "saved.toml").write_text(recipe.to_toml())
    assert load_recipe(tmp_path / "saved.toml", catalog)[0].imputer == recipe.imputer


def test_losses_of_an_imputer_that_does_not_learn_may_stay_in_the_recipe(load):
    assert not load()[1] and not load("imputer.use=mean")[1]


def test_an_imputer_that_declares_nothing_is_not_refused(load, monkeypatch):
    from hcat_core.imputation.corrected import CorrectedImputer

    monkeypatch.delattr(CorrectedImputer, "declare_training")
    recipe, warnings = load(JOINT, *WITHOUT_LOSSES, "imputer.fit_epochs=0", "imputer.lr=0.1")
    assert recipe.imputer["lr"] == 0.1 and not warnings


def test_a_loss_that_the_imputer_does_not_compute_trains_nothing(load):
    only_kl = (JOINT, "losses.2.weight=0")
    assert list(problems(load, "imputer.use=attention", *only_kl)) == ["imputer"]
    load("imputer.use=vae", *only_kl)


def test_the_gradient_of_the_prediction_cannot_reach_weights_that_do_not_learn(load):
    gradient = "training.imputer_gradient=true"
    for sets in ((), ("imputer.use=gaussian",)):
        message = problems(load, gradient, *sets, *WITHOUT_LOSSES)["training.imputer_gradient"]
        assert message.startswith("changes nothing")
    load(gradient, JOINT)


def test_keys_of_networks_that_nothing_trains_are_refused(load):
    sets = ("imputer.fit_epochs=0", "imputer.kl_warmup=77", "imputer.hidden=64")
    assert sorted(problems(load, *sets)) == ["imputer.hidden", "imputer.kl_warmup"]
    load(*sets, JOINT)
    load(*sets[1:])


def test_a_head_whose_loss_has_no_weight_is_not_trained(load):
    assert list(problems(load, "losses.0.weight=0.0")) == ["heads.death"]


def test_an_imputer_that_does_not_say_which_losses_it_computes_may_have_any(load, monkeypatch):
    monkeypatch.setattr(AttentionImputer, "loss_names", ())
    load("imputer.use=attention", JOINT, "losses.2.weight=0")
