import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcat_core.errors import RecipeError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.recipe.shipped import find_recipe
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def problems(catalog, path=RECIPES / "enhanced.toml", **arguments):
    with pytest.raises(RecipeError) as error:
        load_recipe(path, catalog, **arguments)
    return {p.key: p.message for p in error.value.problems}


def test_every_problem_is_reported_at_once_with_the_nearest_name(catalog):
    found = problems(
        catalog,
        sets=[
            "imputer.use=meen",
            "fusion.dropout=high",
            "fusion.d_modle=3",
            "training.epocs=3",
            "trainig.lr=1",
        ],
    )
    assert found == {
        "imputer.use": 'no imputer is named "meen". Did you mean "mean"?',
        "fusion.dropout": 'expected a number in [0, 1), got "high"',
        "fusion.d_modle": '"enhanced_hcat" has no such parameter. Did you mean "d_model"?',
        "training.epocs": 'no such key. Did you mean "epochs"?',
        "trainig": 'no such table or key. Did you mean "training"?',
    }


def test_the_message_counts_and_aligns(catalog):
    with pytest.raises(RecipeError) as error:
        load_recipe(RECIPES / "enhanced.toml", catalog, sets=["imputer.use=meen", "training.epochs=0"])
    lines = str(error.value).splitlines()
    assert lines[0].endswith("enhanced.toml: 2 problems")
    assert (
        len({line.index(message) for line, message in zip(lines[1:], ("expected", "no imp"), strict=True)})
        == 1
    )


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("training.epochs", '"50"', 'expected a whole number of at least 1, got "50"'),
        ("training.epochs", "1.5", "expected a whole number of at least 1, got 1.5"),
        ("training.lr", "inf", "expected a number above 0"),
        ("training.imputer_gradient", "1", "expected true or false, got 1"),
        ("training.moddrop_mode", "often", 'one of "per_sample", "per_batch"'),
        ("cohort.targets.tasks.survival.horizon_days", "-3", "a number above 0"),
        ("cohort.targets.tasks.survival.time", "days", "time and event (or censored) belong together"),
        ("cohort.modalities.clinical.paht", "x", 'Did you mean "path"?'),
        ("heads.survival.task", "survivl", 'Did you mean "survival"?'),
        ("losses.0.head", "nobody", 'no head is named "nobody"'),
        ("losses.0.weight", "-1", "a number of at least 0"),
        ("losses.9.weight", "1", "the list has 3 entries"),
        ("seed", "-1", "a whole number in [0, 2147483647]"),
        ("imputer", "mean", "expected a table"),
        ("split.test", "0.9", "leave no patient for training"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(catalog, key, value, says):
    found = problems(catalog, sets=[f"{key}={value}"])
    assert says in " ".join(found.values()), found


def test_set_wins_over_the_recipe_and_options_over_set(catalog):
    recipe, _ = load_recipe(
        RECIPES / "enhanced.toml",
        catalog,
        sets=["training.lr=1e-3", "training.batch=8"],
        options={"lr": 1e-2},
    )
    assert recipe.training.lr == 1e-2
    assert recipe.training.batch == 8


def test_setting_use_drops_the_old_components_keys(catalog):
    recipe, _ = load_recipe(
        RECIPES / "enhanced.toml",
        catalog,
        sets=["losses.0.gamma=1.0", "losses.0.use=focal", "losses.0.head=survival"],
    )
    assert recipe.losses[0] == {"use": "focal", "head": "survival", "gamma": 1.0, "weight": 1.0}


def test_a_child_recipe_merges_tables_and_replaces_another_component_whole(catalog, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text(
        f'extends = "{RECIPES / "enhanced.toml"}"\n[fusion]\nd_model = 64\n[imputer]\nuse = "none"\n'
    )
    recipe, _ = load_recipe(child, catalog)
    assert recipe.fusion["d_model"] == 64
    assert recipe.fusion["n_heads"] == 4
    assert recipe.imputer == {"use": "none"}


def test_false_removes_a_table_or_a_list_of_the_parent(catalog, tmp_path):
    parent = RECIPES / "hancock.toml"
    text = "[cohort.modalities]\nspatial = false\n[fusion]\nbranches = false\n"
    (tmp_path / "child.toml").write_text(f'extends = "{parent}"\n{text}')
    child, _ = load_recipe(tmp_path / "child.toml", catalog)
    assert list(child.cohort.modalities) == ["clinical", "semantic", "temporal", "pathological"]
    assert "branches" not in child.fusion
    sets = ["cohort.modalities.spatial=false", "fusion.branches=false"]
    assert load_recipe(parent, catalog, sets=sets)[0].method() == child.method()


def test_a_modality_that_a_recipe_does_not_have_may_be_removed_from_several_recipes(catalog):
    sets = ["cohort.modalities.cnv=false"]
    plain, removed = (load_recipe(RECIPES / "hancock.toml", catalog, sets=s)[0] for s in ([], sets))
    assert plain.as_dict() == removed.as_dict()


def test_recipes_that_extend_each_other_in_a_circle_are_refused(catalog, tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{other}.toml"\n')
    assert "extends itself" in problems(catalog, tmp_path / "a.toml")["extends"]


@pytest.mark.parametrize("name", ["small_cohort.toml", "small_cohort", "baselines/coxnet.toml"])
def test_a_recipe_may_extend_a_shipped_one_by_its_name(catalog, tmp_path, name):
    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{name}"\nseed = 7\n')
    shipped = load_recipe(find_recipe(Path(name)), catalog)[0].as_dict()
    assert load_recipe(child, catalog)[0].as_dict() == shipped | {"seed": 7}


def test_false_removes_the_demo_beside_a_root_of_ones_own(catalog, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text('extends = "enhanced.toml"\n[cohort]\nroot = "data"\ndemo = false\n')
    assert "demo" not in load_recipe(child, catalog)[0].as_dict()["cohort"]


def test_a_file_beside_the_recipe_comes_before_a_shipped_one(catalog, tmp_path):
    (tmp_path / "small_cohort.toml").write_text(f'extends = "{RECIPES / "hancock.toml"}"\nseed = 5\n')
    (tmp_path / "child.toml").write_text('extends = "small_cohort.toml"\n')
    assert load_recipe(tmp_path / "child.toml", catalog)[0].seed == 5


def test_a_child_that_changes_a_key_of_the_estimator_keeps_the_parents_heads(catalog, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{RECIPES / "enhanced.toml"}"\n[estimator]\nmembers = 2\n')
    recipe, _ = load_recipe(child, catalog)
    parent, _ = load_recipe(RECIPES / "enhanced.toml", catalog)
    assert recipe.estimator == {**parent.estimator, "members": 2}
    assert recipe.heads == parent.heads
    child.write_text(f'extends = "{RECIPES / "enhanced.toml"}"\n[estimator]\nuse = "logistic"\n')
    assert not load_recipe(child, catalog)[0].heads


def test_a_missing_recipe_and_a_missing_parent_are_named(catalog, tmp_path):
    assert "no recipe at" in problems(catalog, tmp_path / "nowhere.toml")["file"]
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    assert "b.toml" in problems(catalog, tmp_path / "a.toml")["extends"]


def test_the_saved_recipe_is_complete_and_gives_itself_again(catalog, tmp_path):
    recipe, _ = load_recipe(RECIPES / "hancock.toml", catalog, caller=tmp_path)
    saved = tmp_path / "elsewhere" / "recipe.toml"
    saved.parent.mkdir()
    saved.write_text(recipe.to_toml())
    again, _ = load_recipe(saved, catalog, caller=Path("/"))
    assert again.as_dict() == recipe.as_dict()
    assert tomllib.loads(saved.read_text())["fusion"]["projection_dim"] == 128


def test_whoever_names_data_never_gets_the_demo(catalog, tmp_path):
    demo, _ = load_recipe(RECIPES / "enhanced.toml", catalog)
    assert demo.cohort.demo is not None
    named, _ = load_recipe(RECIPES / "enhanced.toml", catalog, sets=["cohort.root=mine"])
    assert named.cohort.demo is None
    child, _ = load_recipe(RECIPES / "hancock.toml", catalog)
    assert child.cohort.demo is None
    file, _ = load_recipe(RECIPES / "enhanced.toml", catalog, inputs={"clinical": Path("c.h5")})
    assert file.cohort.demo is None


def test_a_cohorts_name_stays_with_its_data(catalog, tmp_path):
    named = tmp_path / "named.toml"
    named.write_text(f'extends = "{RECIPES / "hancock.toml"}"\n[cohort]\nname = " HANCOCK "\n')
    other, same = tmp_path / "other.toml", tmp_path / "same.toml"
    other.write_text('extends = "named.toml"\n[cohort]\nroot = "elsewhere"\n')
    same.write_text('extends = "named.toml"\nseed = 3\n')

    def name(path, **options):
        return load_recipe(path, catalog, **options)[0].cohort.name

    assert name(named) == name(same) == "HANCOCK"
    assert name(other) is None and name(named, sets=["cohort.root=elsewhere"]) is None
    assert name(named, inputs={"clinical": Path("c.h5")}) is None
    assert name(named, sets=["cohort.root=moved", "cohort.name=HANCOCK"]) == "HANCOCK"
    with pytest.raises(RecipeError, match=r"cohort\.name"):
        load_recipe(named, catalog, sets=["cohort.name=''"])


def test_named_inputs_leave_the_others_absent_and_take_the_outcomes_along(catalog, tmp_path):
    recipe, _ = load_recipe(
        RECIPES / "enhanced.toml",
        catalog,
        sets=["fusion.branches=false"],
        inputs={"spatial": Path("s.h5"), "clinical": Path("c.h5"), "extra": Path("e.csv")},
        caller=tmp_path,
    )
    assert list(recipe.cohort.modalities) == ["clinical", "spatial", "extra"]
    assert recipe.cohort.modalities["clinical"]["path"] == str(tmp_path / "c.h5")
    assert recipe.cohort.modalities["extra"]["use"] == "table"
    assert recipe.cohort.targets.path == str(tmp_path / "c.h5")
    assert set(recipe.cohort.absent) == {"semantic", "temporal", "pathological"}


def test_a_modality_that_was_absent_is_not_when_its_file_is_named(catalog, tmp_path):
    saved = tmp_path / "recipe.toml"
    given, _ = load_recipe(RECIPES / "enhanced.toml", catalog, inputs={"clinical": Path("c.h5")})
    saved.write_text(given.to_toml())
    recipe, _ = load_recipe(saved, catalog, inputs={"clinical": Path("c.h5"), "spatial": Path("s.h5")})
    assert list(recipe.cohort.modalities) == ["clinical", "spatial"]
    assert "spatial" not in recipe.cohort.absent


def test_another_format_of_the_outcomes_keeps_the_tasks(catalog, tmp_path):
    child = tmp_path / "child.toml"
    parent = RECIPES / "hancock.toml"
    child.write_text(f'extends = "{parent}"\n[cohort.targets]\nuse = "table"\npath = "o.csv"\n')
    sets = ["cohort.targets.path=o.csv", "cohort.targets.use=table"]
    before, _ = load_recipe(parent, catalog)
    for recipe, _ in (load_recipe(child, catalog), load_recipe(parent, catalog, sets=sets)):
        assert (recipe.cohort.targets.use, recipe.cohort.targets.path) == ("table", "o.csv")
        assert recipe.cohort.targets.tasks == before.cohort.targets.tasks


def test_outcomes_never_come_from_the_demo_when_a_file_is_named(catalog):
    found = problems(catalog, inputs={"spatial": Path("s.h5")})
    assert "--clinical" in found["cohort.targets.path"]


def test_outcomes_that_are_named_beside_inputs_are_taken_from_where_the_user_is(catalog, tmp_path):
    recipe, _ = load_recipe(
        RECIPES / "enhanced.toml", catalog, inputs={"spatial": Path("s.h5")},
        sets=["cohort.targets.path=outcomes.h5"], caller=tmp_path,
    )  # fmt: skip
    assert recipe.cohort.targets.path == str(tmp_path / "outcomes.h5")


def test_an_option_that_has_nowhere_to_go_is_one_warning(catalog):
    recipe, warnings = load_recipe(
        RECIPES / "enhanced.toml",
        catalog,
        sets=["imputer.use=mean"],
        options={"n_impute_iterations": 5, "epochs": 3},
    )
    assert warnings == ['--n_impute_iterations changes nothing: the imputer "mean" has no n_iterations.']
    assert recipe.training.epochs == 3


def test_advanced_imputation_is_the_iterative_imputer_and_no_advanced_imputation_is_none(catalog):
    sets = ["imputer.use=mean"]
    on, _ = load_recipe(
        RECIPES / "enhanced.toml",
        catalog,
        options={"use_advanced_imputation": True, "n_impute_iterations": 5},
    )
    assert (on.imputer["use"], on.imputer["n_iterations"]) == ("iterative", 5)
    assert on.imputer["first"]["use"] == "vae"
    swapped, _ = load_recipe(
        RECIPES / "enhanced.toml", catalog, sets=sets, options={"use_advanced_imputation": True}
    )
    assert swapped.imputer["use"] == "iterative"
    assert swapped.imputer["first"] == {"use": "mean"}
    off, _ = load_recipe(RECIPES / "enhanced.toml", catalog, options={"use_advanced_imputation": False})
    assert off.imputer["use"] == "none"


def test_the_alphas_weigh_the_losses_they_name(catalog):
    options = {"alpha_surv": 1.5, "alpha_rec": 2.5, "alpha_kl": 4.5, "alpha_impute": 5.5}
    recipe, warnings = load_recipe(RECIPES / "document.toml", catalog, options=options)
    assert not warnings
    assert [loss["weight"] for loss in recipe.losses] == [1.5, 2.5, 4.5, 5.5]
    options = {"alpha_con": 3.5, "alpha_kl": 4.5}
    recipe, warnings = load_recipe(RECIPES / "enhanced.toml", catalog, options=options)
    assert [loss["weight"] for loss in recipe.losses] == [1.0, 1.0, 3.5]
    assert warnings == ['--alpha_kl changes nothing: the recipe has no loss with use = "kl".']


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
def test_any_text_is_a_recipe_or_a_recipe_error(catalog, tmp_path, text):
    path = tmp_path / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(RecipeError):
        load_recipe(path, catalog)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(
        [
            "seed",
            "cohort",
            "split",
            "imputer",
            "fusion",
            "heads",
            "losses",
            "training",
            "evaluation",
            "outdir",
        ]
    ),
    value=VALUES,
)
def test_any_value_in_any_table_is_a_recipe_or_its_problems(catalog, key, value):
    from hcat_core.recipe.loading import read_recipe_tree
    from hcat_core.recipe.recipe import check_recipe

    path = RECIPES / "enhanced.toml"
    tree = {**read_recipe_tree(path), key: value}
    recipe, found = check_recipe(tree, catalog, path, Path.cwd())
    assert (recipe is None) == bool(found)
    assert all(p.key for p in found)


def test_the_reader_of_outcomes_is_looked_up_as_any_other(catalog):
    assert problems(catalog, sets=["cohort.targets.use=tabel", "cohort.targets.path=a.csv"]) == {
        "cohort.targets.use": 'no reader is named "tabel". Did you mean "table"?'
    }
    found = problems(
        catalog, sets=["cohort.targets.use=pt", "cohort.targets.path=a", "cohort.targets.patient_id=x"]
    )
    assert '"pt" has no such parameter' in found["cohort.targets.patient_id"]


def test_another_reader_of_outcomes_leaves_the_tasks(catalog):
    sets = ["cohort.targets.use=table", "cohort.targets.path=a.csv"]
    recipe, _ = load_recipe(RECIPES / "enhanced.toml", catalog, sets=sets)
    assert recipe.cohort.targets.use == "table"
    assert set(recipe.cohort.targets.tasks) == {"survival", "recurrence"}


def test_an_inputs_ending_chooses_its_reader(catalog, tmp_path):
    inputs = {
        "clinical": Path("a.h5mu"),
        "semantic": Path("b.h5ad"),
        "spatial": Path("c.csv"),
        "other": Path("d.pt"),
        "folder": Path("e"),
    }
    sets = ["fusion.branches=false"]
    recipe, _ = load_recipe(RECIPES / "enhanced.toml", catalog, sets=sets, inputs=inputs, caller=tmp_path)
    tables = recipe.cohort.modalities
    assert {name: table["use"] for name, table in tables.items()} == {
        "clinical": "h5mu",
        "semantic": "h5ad",
        "spatial": "table",
        "other": "pt",
        "folder": "h5",
    }
    assert tables["clinical"]["modality"] == "clinical"
    assert recipe.cohort.targets.use == "h5mu"
