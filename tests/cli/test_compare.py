import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from hcat_builtin.estimators import survival_forest
from hcat_builtin.estimators.random_forest import RandomForestEstimator
from hcat_core.cli.main import main
from hcat_core.experiments.compare_recipes.other_cohorts import other_cohort_warnings
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.storage.folder_lock import folder_lock
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

BASELINES = Path(__file__).resolve().parents[2] / "recipes" / "baselines"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "c"
    write_cohort(folder, generate(preset_spec("demo", patients=200, width=10)))
    return folder


def compare(hcat, cohort, outdir, *extra):
    recipes = [str(BASELINES / f"{name}.toml") for name in ("coxnet", "logistic")]
    return hcat(
        "compare", *recipes, "--set", f"cohort.root={cohort}", "--folds", "3", "--repeats", "1",
        "--no-baselines", "--jobs", "1", "--outdir", str(outdir), *extra,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(cohort, tmp_path_factory):
    """The folder of a finished comparison; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "c"
    assert compare(lambda *arguments: main(list(arguments)), cohort, folder, "-q") == 0
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the finished comparison, to give the same command again."""
    return shutil.copytree(finished, tmp_path / "c")


@pytest.fixture
def few_trees(monkeypatch):
    """Forests of a few trees, where what they predict is not the subject."""

    def make(self, seed):
        return RandomForestClassifier(n_estimators=20, min_samples_leaf=5, random_state=seed)

    monkeypatch.setattr(RandomForestEstimator, "make_classifier", make)
    real = survival_forest.new_forest
    monkeypatch.setattr(survival_forest, "new_forest", lambda trees, *others: real(20, *others))


def test_two_recipes_on_the_same_folds(hcat, cohort, again, tmp_path):
    code, out, err = compare(hcat, cohort, again, "--json")
    assert code == 0
    found = json.loads(out)
    assert list(found["recipes"]) == ["coxnet", "logistic"]
    survival = found["recipes"]["coxnet"]["survival"]
    assert 0.5 < survival["auc"]["mean"] < 1 and survival["auc"]["folds"] == 3
    assert 0.5 < survival["c_index"]["mean"] < 1 and survival["integrated_brier"]["mean"] < 0.25
    assert survival["pooled_calibration"]["slope_95"][0] < survival["pooled_calibration"]["slope_95"][1]
    assert set(survival["auc_fall_without"]) == {
        "clinical", "semantic", "temporal", "pathological", "spatial",
    }  # fmt: skip
    # A model of labels has no curve: it gets no integrated Brier score, rather than a made-up one.
    assert found["recipes"]["logistic"]["survival"]["integrated_brier"] is None
    assert {d["what"] for d in found["differences"]} == {"all modalities", "two hidden"}
    assert (tmp_path / "c" / "comparison.csv").read_text().startswith("recipe,task,folds,auc,auc_sd")

    rows = np.concatenate(
        [
            json.loads(path.read_text())["tasks"]["survival"]["rows"]
            for path in (tmp_path / "c" / "folds").iterdir()
        ]
    )
    assert (np.bincount(rows) == 2).all()  # every patient once for each recipe


def test_what_is_done_is_not_run_again_and_half_a_file_is(hcat, cohort, again, tmp_path, monkeypatch):
    before = (tmp_path / "c" / "comparison.json").read_text()
    files = sorted((tmp_path / "c" / "folds").iterdir())
    assert len(files) == 6
    files[0].write_text(files[0].read_text()[:50])
    from hcat_core.experiments.compare_recipes import comparison

    ran = []
    real = comparison.run_job
    monkeypatch.setattr(comparison, "run_job", lambda job, *shared: ran.append(job) or real(job, *shared))
    code, _, _ = compare(hcat, cohort, tmp_path / "c")
    assert code == 0 and len(ran) == 1
    assert (tmp_path / "c" / "comparison.json").read_text() == before


def test_ctrl_c_says_what_is_kept_and_how_it_goes_on(hcat, cohort, tmp_path, monkeypatch):
    from hcat_core.experiments.compare_recipes import comparison

    real, begun = comparison.run_job, []

    def third_is_stopped(job, *shared):
        begun.append(job)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(job, *shared)

    monkeypatch.setattr(comparison, "run_job", third_is_stopped)
    code, _, err = compare(hcat, cohort, tmp_path / "c")
    assert code == 130
    assert (
        f"2 of 6 jobs are done and kept in {tmp_path / 'c'}/. Run the same command again to go on." in err
    )
    assert len(list((tmp_path / "c" / "folds").iterdir())) == 2
    assert not list((tmp_path / "c").glob(".lock*"))


def test_a_comparison_in_a_folder_in_use_names_the_holder_and_writes_nothing(hcat, cohort, tmp_path):
    folder = tmp_path / "c"
    with folder_lock(folder):
        told = [
            compare(hcat, cohort, folder),
            hcat("compare-imputers", "--imputer=mean", "--seeds=1", "--jobs=1", "--outdir", folder),
            hcat("compare-imputers", BASELINES / "logistic.toml", f"--set=cohort.root={cohort}",
                 "--imputer=mean", "--seeds=1", "--jobs=1", "--outdir", folder),
        ]  # fmt: skip
        assert {p.name for p in folder.iterdir()} == {".lock", ".lock-holder"}
    for code, _, err in told:
        assert code == 2 and f"{folder} is in use by process {os.getpid()} on " in err


def test_nothing_of_the_table_is_cut_off(hcat, cohort, again):
    _, out, _ = compare(hcat, cohort, again)
    assert "…" not in out and "no detectable difference" in out
    assert "slope (95 %)" in out and "mean of tasks, two hidden" in out


def test_the_tables_fit_a_narrow_terminal_and_fill_a_wide_one(hcat, cohort, again, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, narrow, _ = compare(hcat, cohort, again)
    tables = narrow[narrow.index("survival: means") : narrow.index("Best here")]
    assert max(len(line) for line in tables.splitlines()) <= 80
    assert "survival: calibration of all folds together" in tables
    monkeypatch.setenv("COLUMNS", "120")
    _, wide, _ = compare(hcat, cohort, again)
    assert "calibration of all folds together" not in wide
    assert any("Uno C" in line and "slope (95 %)" in line for line in wide.splitlines())


def test_the_best_recipe_is_named_with_its_corrected_auc(hcat, cohort, again, tmp_path):
    _, out, _ = compare(hcat, cohort, again)
    found = json.loads((tmp_path / "c" / "comparison.json").read_text())["selection"]
    assert found["candidates"] == ["coxnet", "logistic"] and found["winner"] in found["candidates"]
    score = found["score"]
    low, high = score["corrected_95"]
    assert low < score["corrected"] < high and score["corrected"] < score["apparent"] + 0.01
    assert (
        f"Best here: {found['winner']}, mean AUC {score['apparent']:.3f}; corrected for having been chosen "
        f"among 2: {score['corrected']:.3f} [{low:.3f}, {high:.3f}]."
    ) in out


def test_it_ends_with_a_verdict_and_a_page_that_says_the_same(hcat, cohort, again, tmp_path):
    _, out, _ = compare(hcat, cohort, again)
    verdict = json.loads((tmp_path / "c" / "comparison.json").read_text())["verdict"]
    *_, last = out.splitlines()
    assert last == f"open {tmp_path / 'c' / 'compare.html'}" and verdict["title"] in out
    page = (tmp_path / "c" / "compare.html").read_text()
    assert all(sentence in page for sentence in (verdict["title"], *verdict["sentences"]))
    assert "No recipe failed on any fold." in page and "by how much the AUC falls" in page
    assert "<script" not in page and "src=" not in page and "url(http" not in page


def test_no_patient_is_named_in_what_is_written(finished):
    files = list(finished.rglob("*.*"))
    assert len(files) > 6
    for path in files:
        assert "P001" not in path.read_text()


@pytest.mark.usefixtures("few_trees")
def test_the_baselines_stand_beside_a_recipe_by_default(hcat, cohort, tmp_path):
    code, out, _ = hcat(
        "compare", str(BASELINES / "logistic.toml"), "--set", f"cohort.root={cohort}", "--folds", "2",
        "--repeats", "1", "--jobs", "1", "--outdir", str(tmp_path / "c"), "--json",
    )  # fmt: skip
    found = json.loads(out)
    # The first recipe has no times: there is nothing for coxnet to learn from.
    assert code == 0
    assert list(found["recipes"]) == [
        "logistic",
        "random_forest",
        "hist_gradient_boosting",
        "survival_forest",
    ]


@pytest.mark.usefixtures("few_trees")
def test_a_recipe_with_the_name_of_a_baseline_stays(hcat, cohort, tmp_path):
    own = tmp_path / "random_forest.toml"
    own.write_text(f'extends = "{(BASELINES / "logistic.toml").as_posix()}"\n')
    code, out, _ = hcat(
        "compare", str(own), "--set", f"cohort.root={cohort}", "--folds", "2", "--repeats", "1",
        "--jobs", "1", "--outdir", str(tmp_path / "c"), "--json",
    )  # fmt: skip
    found = json.loads(out)["recipes"]
    assert code == 0
    assert list(found) == [
        "random_forest",
        "random_forest (baseline)",
        "hist_gradient_boosting",
        "survival_forest",
    ]
    assert found["random_forest"] != found["random_forest (baseline)"]


def test_a_recipe_that_fails_is_reported_and_the_others_go_on(hcat, cohort, tmp_path):
    recipes = [str(BASELINES / f"{name}.toml") for name in ("logistic", "coxnet")]
    code, out, err = hcat(
        "compare", *recipes, "--set", f"cohort.root={cohort}", "--folds", "2", "--repeats", "1",
        "--no-baselines", "--jobs", "1", "--outdir", str(tmp_path / "c"), "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 4 and "has no times" in err
    assert "has no times" in found["recipes"]["coxnet"]["errors"][0]
    assert found["recipes"]["logistic"]["survival"]["auc"]["mean"] > 0.5
    page = (tmp_path / "c" / "compare.html").read_text()
    assert page.count("has no times") == 2
    assert found["verdict"]["word"] == "not known"


COHORT = """
[cohort.modalities.clinical]
path = "clinical.h5"
{second}
[cohort.targets]
path = "clinical.h5"
[cohort.targets.tasks.survival]
label = "surv_5yr_label"
[estimator]
use = "logistic"
"""


@pytest.fixture
def two_recipes(tmp_path, cohort):
    """Writes two recipes of the same folder, the second with other lines; returns their paths."""

    def write(second):
        paths = [tmp_path / "one.toml", tmp_path / "two.toml"]
        for path, lines in zip(paths, ("", second), strict=True):
            path.write_text(f'[cohort]\nroot = "{cohort}"\n' + COHORT.format(second=lines))
        return [load_recipe(path, load_catalog())[0] for path in paths]

    return write


def test_a_recipe_of_other_modalities_is_named_with_the_keys_that_differ(two_recipes):
    (warning,) = other_cohort_warnings(two_recipes('[cohort.modalities.spatial]\npath = "spatial.h5"'))
    assert "two.toml: its cohort is not used" in warning
    assert "one.toml: cohort.modalities.spatial (not in the first)." in warning


def test_the_page_says_first_that_a_recipe_names_another_cohort(hcat, two_recipes, tmp_path):
    two_recipes('[cohort.modalities.spatial]\npath = "spatial.h5"')
    recipes, outdir = [str(tmp_path / f"{name}.toml") for name in ("one", "two")], tmp_path / "c"
    options = ("--folds=3", "--repeats=1", "--no-baselines", "--jobs=1", f"--outdir={outdir}")
    code, _, err = hcat("compare", *recipes, *options)
    page = (outdir / "compare.html").read_text()
    sentence = "two.toml: its cohort is not used"
    assert code == 0 and sentence in err and sentence in page
    assert page.index("Not all recipes were written for these patients") < page.index(sentence)
    assert page.index(sentence) < page.index("For whom: measured on")
    (warning,) = json.loads((outdir / "comparison.json").read_text())["warnings"]
    assert sentence in warning


def test_the_same_files_named_in_two_ways_are_the_same_cohort(two_recipes, cohort):
    recipes = two_recipes("")
    assert other_cohort_warnings(recipes) == ()
    second = recipes[1]
    modality = {**second.cohort.modalities["clinical"], "path": f"{cohort.name}/clinical.h5"}
    targets = second.cohort.targets.model_copy(update={"path": f"{cohort.name}/clinical.h5"})
    table = second.cohort.model_copy(update={"modalities": {"clinical": modality}, "targets": targets})
    moved = replace(second, root=second.root.parent, cohort=table)
    assert other_cohort_warnings([recipes[0], moved]) == ()
