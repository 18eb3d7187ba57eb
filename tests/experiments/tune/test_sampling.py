"""Values that a search draws."""

import sys
from dataclasses import replace

import pytest

from hcat_core.errors import UsageError
from hcat_core.experiments.tune.sampling import TrialSampler, require_optuna
from hcat_core.experiments.tune.space import on_one_line, short_names
from hcat_core.experiments.tune.space_check import space_of
from hcat_core.recipe.search_tables import TuneTable

SPACE = {
    "estimator.rounds": {"low": 5, "high": 500, "log": True},
    "estimator.learning_rate": {"low": 0.0123456, "high": 0.5},
    "estimator.depth": {"choices": [1, 2, 3]},
}


@pytest.fixture
def sampler(recipe, catalog):
    """A function that makes a sampler of a space."""

    def make(space=SPACE, seed=0, **tune_table):
        table = TuneTable.model_validate({"space": space, **tune_table})
        checked = space_of(replace(recipe, tune=table), catalog)
        return TrialSampler(checked, table, seed)

    return make


def test_values_are_readable_and_in_their_ranges(sampler):
    one = sampler(sampler="random")
    for number in range(12):
        settings, recipe = one.ask(number)
        rate, rounds = settings["estimator.learning_rate"], settings["estimator.rounds"]
        assert 0.0123456 <= rate <= 0.5 and rate == float(f"{rate:.4g}")
        assert isinstance(rounds, int) and 5 <= rounds <= 500 and settings["estimator.depth"] in (1, 2, 3)
        assert (recipe.estimator["rounds"], recipe.estimator["learning_rate"]) == (rounds, rate)


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_seed_gives_the_same_values_from_the_same_scores(sampler, kind):
    def values():
        one = sampler(seed=5, sampler=kind, random_trials=2)
        result = []
        for first in (1, 5, 9):
            result += [on_one_line(one.ask(number)[0]) for number in range(first, first + 4)]
            for number in range(first, first + 4):
                one.tell(number, number / 10)
        return result

    assert values() == values()


def test_tpe_draws_near_what_was_good(sampler):
    def mean_rate(kind):
        one = sampler(sampler=kind, random_trials=6)
        rates = []
        for number in range(24):
            rates.append(one.ask(number)[0]["estimator.learning_rate"])
            one.tell(number, -rates[-1])
        return sum(rates[12:]) / 12

    assert mean_rate("tpe") < 0.12 < 0.2 < mean_rate("random")


def test_what_was_tried_is_drawn_again_while_there_is_something_new(sampler):
    one = sampler({"estimator.depth": {"choices": [1, 2, 3]}})
    drawn = [one.ask(number)[0]["estimator.depth"] for number in range(4)]
    assert sorted(drawn[:3]) == [1, 2, 3] and drawn[3] in (1, 2, 3)
    for number in range(4):
        one.tell(number, 0.5)


def test_values_that_do_not_go_together_are_drawn_again(recipe, catalog, sampler, monkeypatch):
    one = sampler()
    recipe_of = type(one.space).recipe

    def refuse(self, settings):
        return recipe_of(
            self, {**settings, "estimator.leaf": 0} if settings["estimator.depth"] < 3 else settings
        )

    monkeypatch.setattr(type(one.space), "recipe", refuse)
    assert {one.ask(number)[0]["estimator.depth"] for number in range(3)} == {3}
    assert one.refused > 0
    monkeypatch.setattr(
        type(one.space), "recipe", lambda self, settings: recipe_of(self, {"estimator.leaf": 0})
    )
    with pytest.raises(UsageError, match="do not go together: narrow tune.space"):
        one.ask(3)


def test_the_key_that_moves_scores_has_the_largest_share(sampler):
    one = sampler(sampler="random")
    for number in range(20):
        settings, _ = one.ask(number)
        one.tell(number, float(settings["estimator.depth"]))
    shares = one.importance()
    assert next(iter(shares)) == "estimator.depth" and shares["estimator.depth"] > 0.8
    assert sampler().importance() == {}


def test_without_optuna_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r'pip install "hcat-core\[tune\]"'):
        require_optuna()


def test_keys_are_shown_by_what_tells_them_apart():
    keys = ["estimator.use", "imputer.use", "training.lr", "estimator.model.use"]
    assert list(short_names(keys).values()) == ["estimator.use", "imputer.use", "lr", "model.use"]
