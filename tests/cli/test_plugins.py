"""A plugin is code: it is listed without being imported, and imported only where it is let in."""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

import hcat_core as api
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.discovery import NO_PLUGINS, Allowed, Provider, strictest

RECIPES = Path(__file__).parents[2] / "recipes"
SPY = """
from pathlib import Path
from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl

Path(__file__).with_name("imported").touch()

@hookimpl
def hcat_components():
    return [Component("imputer", "spy/mean", "hcat_builtin.imputers.mean:MeanImputer", "the mean")]
"""


@pytest.fixture
def spy(tmp_path, monkeypatch):
    """An installed plugin; returns whether it was imported."""
    folder = tmp_path / "site"
    info = folder / "spy_dist-3.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spy-dist\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text("[hcat]\nspy = spy_plugin\n")
    (folder / "spy_plugin.py").write_text(SPY)
    monkeypatch.syspath_prepend(folder)
    yield (folder / "imported").exists
    sys.modules.pop("spy_plugin", None)


@pytest.fixture
def recipe(tmp_path, cohort_folder):
    """Write a recipe on top of the logistic baseline."""

    def write(text="", name="mine.toml", parent=RECIPES / "baselines" / "logistic.toml"):
        path = tmp_path / name
        path.write_text(f'extends = "{parent}"\n{text}\n[cohort]\nroot = "{cohort_folder}"\n')
        return path

    return write


def test_plugins_are_listed_from_their_metadata_alone(hcat, spy):
    code, out, _ = hcat("list-components", "--plugins", "--json")
    assert code == 0
    listed = {p["name"]: p for p in json.loads(out)["plugins"]}
    assert listed["spy"] == {
        "name": "spy",
        "module": "spy_plugin",
        "distribution": "spy-dist",
        "version": "3.1",
    }
    assert "builtin" in listed
    assert "spy-dist" in hcat("list-components", "--plugins")[1]
    assert not spy()
    assert "spy/mean" in hcat("list-components")[1]
    assert spy()


def test_no_plugins_imports_none(hcat, spy, recipe, monkeypatch):
    for arguments in (("list-components",), ("inspect", recipe())):
        code, out, _ = hcat(*arguments, "--no-plugins")
        assert code == 0 and "spy/mean" not in out
    code, _, err = hcat("show", "imputer", "spy/mean", "--no-plugins")
    assert code == 2
    assert '"spy/mean" is of the plugin spy (spy-dist 3.1), which --no-plugins does not allow' in err
    monkeypatch.setenv("HCAT_NO_PLUGINS", "1")
    assert hcat("list-components", "--json")[0] == 0
    assert not spy()


def test_a_run_imports_no_plugin_that_its_recipe_does_not_let_in(hcat, spy, recipe, tmp_path):
    parent = recipe("plugins = []", "parent.toml")
    child = recipe("[evaluation]\nbaselines = []\nbootstrap = 0", "child.toml", parent)
    code, _, err = hcat("run", child, "--outdir=run")
    assert code == 0, err
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert [p["entry_point"] for p in facts["plugins"]] == ["builtin"]
    assert facts["plugins_left_out"] == ["spy (spy-dist 3.1)"]
    assert "plugins = []" in (tmp_path / "run" / "recipe.toml").read_text()
    # The run folder keeps the list, and whoever predicts from it keeps to it.
    assert hcat("predict", "run", f"--clinical={RECIPES}/none.h5")[0] == 3
    assert hcat("evaluate", "run", "--root", tmp_path)[0] == 3
    # Nor do other commands import what the recipe does not allow.
    assert hcat("inspect", child)[0] == 0
    assert hcat("convert", child, "converted", "--to=h5")[0] == 0
    assert hcat("compare", child, "--folds=2", "--repeats=1", "--no-baselines", "--jobs=1")[0] == 0
    assert not spy()


def test_a_component_of_a_plugin_that_is_not_let_in_is_a_problem_of_the_recipe(hcat, spy, recipe):
    text = 'plugins = ["other"]\n[imputer]\nuse = "spy/mean"'
    path = recipe(text, parent=RECIPES / "enhanced.toml")
    code, _, err = hcat("run", path, "--outdir=run")
    assert code == 2
    assert f'which plugins = ["other"] of {path} does not allow' in err
    assert not spy()
    code, _, err = hcat("inspect", path, "--set=plugins=[]")
    assert code == 2 and "which plugins = [] of" in err
    assert not spy()
    assert hcat("inspect", path, '--set=plugins=["spy"]')[0] == 0
    assert spy()


@pytest.mark.parametrize("name", ["spy", "spy-dist", "Spy_Dist"])
def test_a_plugin_is_let_in_by_its_own_name_or_its_distributions(hcat, spy, recipe, name):
    path = recipe(f'plugins = ["{name}"]\n[imputer]\nuse = "spy/mean"', parent=RECIPES / "enhanced.toml")
    assert hcat("inspect", path)[0] == 0
    assert spy()


def test_a_list_that_is_none_lets_nothing_in_and_is_refused(hcat, spy, recipe):
    code, _, err = hcat("run", recipe('plugins = "spy"'))
    assert code == 2 and "expected a list of plugins' names" in err
    assert not spy()


def test_the_environment_says_whose_code_a_run_was(hcat, spy, recipe, tmp_path):
    text = """
        plugins = ["spy"]
        [imputer]
        use = "iterative"
        first = { use = "spy/mean" }
        [evaluation]
        baselines = ["logistic"]
        mc_samples = 0
        bootstrap = 0
    """
    path = recipe(text, parent=RECIPES / "enhanced.toml")
    code, _, err = hcat("run", path, "--outdir=run", "--epochs=1", "--d_model=16", "--n_heads=2")
    assert code == 0, err
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    plugins = {p["entry_point"]: p for p in facts["plugins"]}
    assert (plugins["spy"]["distribution"], plugins["spy"]["version"]) == ("spy-dist", "3.1")
    assert plugins["builtin"]["distribution"] == "hcat-core"
    used = {c["key"]: (c["kind"], c["name"], c["distribution"], c["version"]) for c in facts["components"]}
    assert used["imputer.first"] == ("imputer", "spy/mean", "spy-dist", "3.1")
    assert used["imputer"][:3] == ("imputer", "iterative", "hcat-core")
    assert set(used) == {
        *(
            f"cohort.modalities.{m}"
            for m in ("clinical", "semantic", "temporal", "pathological", "spatial")
        ),
        *("cohort.targets", "estimator", "estimator.evidence", "imputer", "imputer.first", "fusion"),
        *("heads.survival", "heads.recurrence", *(f"losses.{place}" for place in range(3))),
        "evaluation.baselines.0",
    }
    assert "spy (spy-dist 3.1)" in (tmp_path / "run" / "report.html").read_text()


def test_a_comparison_lets_in_what_every_recipe_does(hcat, spy, recipe):
    free = recipe('[imputer]\nuse = "spy/mean"', "free.toml", RECIPES / "enhanced.toml")
    strict = recipe("plugins = []", "strict.toml")
    code, _, err = hcat("compare", free, strict, "--outdir=c")
    assert code == 2 and f"which plugins = [] of {strict} does not allow" in err
    assert not spy()


def test_python_imports_no_plugin_that_a_recipe_does_not_let_in(spy, recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = recipe("plugins = []\n[evaluation]\nbaselines = []\nbootstrap = 0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", api.FindingWarning)
        cohort = api.Cohort.from_files(path)
        api.inspect(cohort, path)
        api.fit(cohort, path, outdir="run")
        api.load("run").predict(cohort)
        api.compare(cohort, [path], folds=2, repeats=1, baselines=False)
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"])
    assert len(api.Cohort.from_frames({"rna": frame})) == 2
    assert not spy()
    free = recipe("", "free.toml")
    monkeypatch.setenv("HCAT_NO_PLUGINS", "1")
    api.Cohort.from_files(free)
    assert not spy()
    monkeypatch.delenv("HCAT_NO_PLUGINS")
    api.Cohort.from_files(free)
    assert spy()


def test_python_warns_of_a_plugin_that_fails_to_load_as_a_command_does(hcat, spy, recipe, tmp_path):
    plugin = tmp_path / "site" / "spy_plugin.py"
    plugin.write_text("raise RuntimeError('no licence')\n")
    _, _, err = hcat("inspect", recipe())
    with pytest.warns(api.FindingWarning) as caught:
        api.Cohort.from_files(recipe())
    message = str(caught[0].message)
    assert "spy (spy-dist 3.1) failed to load: RuntimeError: no licence" in message
    assert f"hcat: warning: {message}" in err


def test_lists_are_joined_to_the_strictest():
    one, other = Allowed((("a", "b-c"),), "one"), Allowed((("B_C", "d"),), "other")
    both = strictest([one, None, other])
    let_in = [name for name in ("a", "b-c", "d") if both.permits(Provider(name, "m"))]
    assert let_in == ["b-c"]
    assert both.source == "one and other"
    assert strictest([None]) is None


def test_a_stranger_who_calls_itself_builtin_is_a_stranger():
    assert NO_PLUGINS.permits(Provider("builtin", "hcat_builtin", "hcat-core", "0.1.0"))
    assert not NO_PLUGINS.permits(Provider("builtin", "evil", "evil-dist", "1.0"))


def test_a_program_that_has_imported_everything_still_gets_the_error(spy, recipe):
    from hcat_core.errors import RecipeError

    path = recipe('plugins = []\n[imputer]\nuse = "spy/mean"', parent=RECIPES / "enhanced.toml")
    catalog = load_catalog()
    assert catalog.registries["imputer"].find("spy/mean") is not None
    with pytest.raises(RecipeError, match="does not allow"):
        load_recipe(path, catalog)
