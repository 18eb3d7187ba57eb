"""A recipe's method on another cohort: its tasks get heads and losses, its modalities a grouping."""

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.recipe.loading import read_recipe_tree
from hcat_core.recipe.recipe import check_recipe
from hcat_core.recipe.retarget import for_modalities, for_tasks
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[2] / "recipes"
TREE = {
    "heads": {"survival": {"use": "discrete_hazard", "bins": 9}, "relapse": {"use": "cox"}},
    "losses": [
        {"use": "hazard", "head": "survival", "weight": 0.7},
        {"use": "cox", "head": "relapse"},
        {"use": "infonce", "weight": 0.1},
    ],
}


def events(*tasks):
    return dict.fromkeys(tasks, "event")


def test_a_task_without_a_head_gets_a_copy_of_the_first_head_and_its_losses():
    tree = for_tasks(TREE, events("death_2y", "relapse"))
    assert tree["heads"] == {"relapse": {"use": "cox"}, "death_2y": {"use": "discrete_hazard", "bins": 9}}
    assert tree["losses"] == [
        {"use": "hazard", "head": "death_2y", "weight": 0.7},
        {"use": "cox", "head": "relapse"},
        {"use": "infonce", "weight": 0.1},
    ]


def test_heads_of_the_same_tasks_stay_as_they_are():
    assert for_tasks(TREE, events("survival", "relapse")) == TREE


def test_a_head_is_known_by_its_task_and_not_by_its_name():
    tree = {"heads": {"a": {"use": "cox", "task": "b"}}, "losses": [{"use": "cox", "head": "a"}]}
    assert for_tasks(tree, events("b")) == tree
    both = for_tasks(tree, events("b", "a"))
    assert both["heads"] == {"a": {"use": "cox", "task": "b"}, "a_head": {"use": "cox", "task": "a"}}
    assert [loss["head"] for loss in both["losses"]] == ["a", "a_head"]


def test_a_recipe_without_heads_stays_as_it_is():
    tree = {"estimator": {"use": "logistic"}}
    assert for_tasks(tree, events("death")) is tree
    assert for_modalities(tree, ["rna"]) is tree


def test_a_copy_shares_no_list_with_the_recipe():
    tree = {"heads": {"a": {"use": "x", "sizes": [1]}}, "losses": [{"use": "y", "head": "a"}]}
    before = copy.deepcopy(tree)
    for_tasks(tree, events("b", "c"))["heads"]["b"]["sizes"].append(2)
    assert tree == before


def test_classes_and_numbers_get_the_head_and_the_loss_of_their_kind():
    tree = for_tasks(TREE, {"subtype": "multiclass", "relapse": "event", "age": "continuous"})
    assert tree["heads"] == {
        "relapse": {"use": "cox"},
        "subtype": {"use": "multiclass"},
        "age": {"use": "continuous"},
    }
    assert [loss["use"] for loss in tree["losses"]] == ["cox", "infonce", "cross_entropy", "gaussian_nll"]


@pytest.mark.parametrize(
    "modalities, branches",
    [
        (["a", "b", "c"], {"one": ["a", "b"], "two": ["c"]}),
        (["b", "c"], {"one": ["b"], "two": ["c"]}),
        (["a"], {"one": ["a"]}),
        (["a", "other"], None),
        (["other"], None),
    ],
)
def test_branches_group_what_the_cohort_has_or_are_dropped(modalities, branches):
    tree = {"fusion": {"use": "enhanced_hcat", "branches": {"one": ["a", "b"], "two": ["c"]}}}
    assert for_modalities(tree, modalities)["fusion"].get("branches") == branches
    assert tree["fusion"]["branches"] == {"one": ["a", "b"], "two": ["c"]}


@given(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
def test_any_tasks_make_shipped_recipes_that_pass_their_checks(tasks):
    for name in ("enhanced.toml", "hancock.toml", "document.toml"):
        tree = read_recipe_tree(RECIPES / name)
        table = {"time": "days", "event": "dead", "horizon_days": 365.0}
        targets = {"path": "o.csv", "tasks": {task: table for task in tasks}}
        tree["cohort"] = {"modalities": {"rna": {"path": "rna.csv"}}, "targets": targets}
        tree = for_modalities(for_tasks(tree, events(*tasks)), ["rna"])
        recipe, problems = check_recipe(tree, load_catalog(), Path(name), Path.cwd())
        assert not problems and recipe is not None
        assert [head["task"] for head in recipe.heads.values()] == tasks
