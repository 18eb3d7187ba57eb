"""What is wrong with a search space is said with the recipe's other problems, before data is read."""

import pytest

from hcat_core.errors import RecipeError
from hcat_core.experiments.tune.space_check import load_searched_recipe

HEAD = 'extends = "{recipes}/{parent}.toml"\n[tune.space]\n'


@pytest.fixture
def load(tmp_path, catalog, recipes):
    """A function that loads a recipe with lines of ``[tune.space]``."""

    def call(lines, parent="baselines/hist_gradient_boosting", **more):
        path = tmp_path / "r.toml"
        path.write_text(HEAD.format(recipes=recipes, parent=parent) + lines)
        return load_searched_recipe(path, catalog, more.get("sets", ()))

    return call


@pytest.fixture
def problems(load):
    """A function that gives the problems of such a recipe by key."""

    def call(*given, **more):
        with pytest.raises(RecipeError) as caught:
            load(*given, **more)
        return {problem.key: problem.message for problem in caught.value.problems}

    return call


def test_whole_numbers_are_those_of_keys_that_take_no_others(load):
    _, space, _ = load(
        'estimator.rounds = { low = 10, high = 40 }\n"estimator.learning_rate" = { low = 1, high = 2 }'
    )
    assert {one.key: one.whole for one in space.dimensions} == {
        "estimator.rounds": True,
        "estimator.learning_rate": False,
    }


@pytest.mark.parametrize(
    "line, key, message",
    [
        ('"estimator.round" = { low = 1, high = 2 }', "estimator.round", 'mean "estimator.rounds"?'),
        ('"rounds" = { low = 1, high = 2 }', "rounds", 'Did you mean "estimator.rounds"?'),
        ('"split.test" = { low = 0.1, high = 0.2 }', "split.test", "changes keys of estimator, imp"),
        ('"estimator.rounds" = { low = 0, high = 9 }', "estimator.rounds", "of at least 1, got 0"),
        ('"estimator.rounds" = { low = 9, high = 1 }', "estimator.rounds", "low (9) is not below high (1)"),
        ('"estimator.rounds" = { low = 0, high = 9, log = true }', "estimator.rounds", "begins above 0"),
        ('"estimator.rounds" = { low = 1 }', "estimator.rounds", "needs choices = [...], or low and high"),
        ('"estimator.rounds" = { choices = [1] }', "estimator.rounds", "two or more different"),
        ('"estimator.rounds" = { choices = [1, 2], log = true }', "estimator.rounds", "list or a range"),
        ('"estimator.leaf" = { choises = [1, 2] }', "estimator.leaf.choises", 'Did you mean "choices"?'),
        ('"estimator.use" = { choices = ["logistic", "forest"] }', "estimator.use", '"random_forest"?'),
        ('"training.lr" = { low = 1e-4, high = 1e-2 }', "training.lr", "the recipe has no such key"),
        ("", "", "is needed: the values to try"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_key_and_the_way_out(problems, line, key, message):
    found = problems(line)
    assert list(found) == [f"tune.space.{key}".rstrip(".")] and message in next(iter(found.values()))


def test_problems_of_the_recipe_and_of_the_space_come_at_once(problems):
    found = problems('"estimator.leef" = { low = 1, high = 2 }\n[split]\ntst = 0.1')
    assert list(found) == ["split.tst", "tune.space.estimator.leef"]


def test_a_value_is_refused_only_where_no_other_values_go_with_it(load, problems):
    heads = '"fusion.n_heads" = { choices = [2, 3] }\n'
    assert "n_heads = 3 does not divide" in problems(heads, "hancock")["tune.space.fusion.n_heads"]
    load(heads + '"fusion.d_model" = { choices = [32, 48] }', "hancock")


def test_keys_of_a_component_are_chosen_with_that_component_only(load):
    lines = (
        '"estimator.rounds" = { low = 10, high = 40 }\n"estimator.trees" = { choices = [10, 20] }\n'
        '"estimator.use" = { choices = ["random_forest", "hist_gradient_boosting"] }'
    )
    _, space, _ = load(lines)
    assert [one.key for one in space.dimensions][0] == "estimator.use"
    chosen = {}
    for use in ("random_forest", "hist_gradient_boosting"):
        settings = space.choose(lambda one, use=use: use if one.key == "estimator.use" else 10)
        chosen[use] = list(settings)
        assert space.recipe(settings).estimator["use"] == use
    assert chosen == {
        "random_forest": ["estimator.use", "estimator.trees"],
        "hist_gradient_boosting": ["estimator.use", "estimator.rounds"],
    }


def test_whole_tables_are_chosen_before_keys_in_them(load):
    lines = (
        '"imputer.first.latent_dim" = { low = 4, high = 8 }\n'
        'imputer.first = { choices = [{ use = "mean" }, { use = "vae", rank = 2 }] }'
    )
    _, space, _ = load(lines, "hancock")
    first = space.dimensions[0]
    assert first.key == "imputer.first"
    assert list(space.choose(lambda one: one.choices[0])) == ["imputer.first"]
    settings = space.choose(lambda one: one.choices[1] if one == first else 4)
    imputer = space.recipe(settings).imputer["first"]
    assert (imputer["use"], imputer["rank"], imputer["latent_dim"]) == ("vae", 2, 4)


def test_another_estimator_takes_the_networks_tables_away(load):
    lines = (
        '"estimator.use" = { choices = ["neural", "logistic"] }\n"training.lr" = { low = 1e-4, high = 1 }'
    )
    _, space, _ = load(lines, "document")
    settings = space.choose(lambda one: "logistic" if one.key == "estimator.use" else 1e-3)
    assert settings == {"estimator.use": "logistic"} and not space.recipe(settings).is_neural


def test_a_setting_on_the_command_line_changes_a_range(load):
    lines = '"estimator.rounds" = { low = 10, high = 40 }'
    _, space, _ = load(lines, sets=["tune.space.estimator.leaf.choices=[5, 9]"])
    assert [one.key for one in space.dimensions] == ["estimator.rounds", "estimator.leaf"]
