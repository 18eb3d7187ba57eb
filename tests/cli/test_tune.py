"""``hcat tune`` from the command line."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hcat_core.cli.console import InertConsole, Output
from hcat_core.cli.main import main
from hcat_core.cli.search_progress import SearchProgress
from hcat_core.experiments.tune.results import Trial
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
extends = "{recipes}/baselines/logistic.toml"
[cohort]
root = "{cohort}"
[tune.space]
"estimator.components" = {{ low = 2, high = 8 }}
"estimator.widest" = {{ choices = [4, 16] }}
"""
SMALL = ("--trials=3", "--folds=2", "--inner-folds=2", "--no-baselines")


@pytest.fixture(scope="module")
def recipe(cohort_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(RECIPE.format(recipes=RECIPES, cohort=cohort_folder))
    return path


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    """The folder of a finished search; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "tuning"
    assert main(["tune", str(recipe), *SMALL, "--jobs=1", f"--outdir={folder}", "-q"]) == 0
    return folder


def test_it_prints_one_line_for_each_trial_and_both_scores(hcat, recipe, finished):
    code, out, err = hcat("tune", recipe, *SMALL, "--jobs=1", "--outdir", finished)
    lines = out.splitlines()
    assert code == 0 and "internal" not in err
    assert len([line for line in lines if "/3  " in line]) == 3 * 3
    assert any(line.startswith("all patients    2/3  0.") and "components=" in line for line in lines)
    assert any(line.startswith("  Report this: AUC, mean of tasks 0.") for line in lines)
    assert any(line.startswith("  Do not report 0.") for line in lines)
    assert lines[-2:] == [f"run it: hcat run {finished}/best.toml", f"open {finished}/tune.html"]
    assert {path.name for path in finished.iterdir()} == {
        "best.toml",
        "jobs",
        "trials.csv",
        "tune.html",
        "tune.json",
    }


def test_json_is_the_document_of_the_folder(hcat, recipe, finished):
    _, out, _ = hcat("tune", recipe, *SMALL, "--jobs=1", "--outdir", finished, "--json", "-q")
    assert json.loads(out) == json.loads((finished / "tune.json").read_text())


def test_the_best_recipe_runs(hcat, finished):
    code, _, err = hcat(
        "run", finished / "best.toml", "--outdir=run", "-q", "--set=evaluation.baselines=[]",
        "--set=evaluation.bootstrap=0", "--set=evaluation.mc_samples=0",
    )  # fmt: skip
    assert code == 0 and "tune" not in err


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(hcat, recipe, finished):
    assert hcat("tune", recipe, *SMALL, "--jobs=2", "--outdir=two", "-q")[0] == 0
    for name in ("tune.json", "trials.csv", "best.toml"):
        assert Path("two", name).read_text() == (finished / name).read_text()


def test_all_mistakes_are_said_before_data_is_read(hcat, recipe, tmp_path):
    path = tmp_path / "wrong.toml"
    text = recipe.read_text().replace("widest", "widset")
    path.write_text(text.replace("[tune.space]", "tost = 1\n[tune.space]"))
    code, out, err = hcat("tune", path, *SMALL, "--set=cohort.root=nowhere")
    assert code == 2 and not out
    assert "cohort.tost" in err and "tune.space.estimator.widset" in err and '"estimator.widest"?' in err
    assert not (tmp_path / "tuning").exists()


def test_other_commands_do_not_use_the_table(hcat, recipe, tmp_path):
    plain = tmp_path / "plain.toml"
    plain.write_text(recipe.read_text().partition("[tune.space]")[0])
    catalog = load_catalog()
    with_space, without = (load_recipe(path, catalog)[0] for path in (recipe, plain))
    assert with_space.method() == without.method() and "tune" not in without.as_dict()
    code, out, err = hcat("inspect", recipe)
    assert code == 0 and "tune" not in out + err


def test_a_recipe_without_a_space_is_told_what_one_is(hcat):
    code, _, err = hcat("tune", RECIPES / "baselines" / "logistic.toml")
    assert code == 2 and "tune.space  is needed: the values to try" in err and "training.lr" in err


def test_the_table_can_be_shown(hcat):
    code, out, _ = hcat("show", "tune", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["keys"]] == [
        "space",
        "sampler",
        "random_trials",
        "trials_per_round",
    ]
    assert "log" in hcat("show", "range")[1]


def test_a_trial_is_one_line_on_a_terminal_of_80_columns():
    file = io.StringIO()
    console = InertConsole(file=file, force_terminal=True, width=80, markup=False, highlight=False)
    keys = [f"estimator.a_rather_long_name_of_a_key_{number}" for number in range(4)]
    planned = SimpleNamespace(
        jobs=4,
        plan=SimpleNamespace(trials=20),
        folds=[SimpleNamespace(name="outer fold 1")],
        space=SimpleNamespace(dimensions=[SimpleNamespace(key=key) for key in keys]),
    )
    progress = SearchProgress(Output(console, as_json=False, quiet=False), planned, "tuning")
    trial = Trial(7, dict.fromkeys(keys, 0.1234), (0.7,))
    progress.trial("outer fold 1", trial, trial)
    (line,) = file.getvalue().splitlines()
    assert len(line) == 80 and line[-1] == "…"
    assert line.startswith("outer fold 1    8/20  0.700   best 0.700   a_rather")
