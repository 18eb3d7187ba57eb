import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = (
    "--patients=300",
    "--width=16",
    "--preset=linear",
    "--seeds=2",
    "--mechanism=mcar",
    "--imputer=mean",
    "--imputer=none",
    "--imputer=gaussian",
    "--jobs=1",
)


@pytest.fixture(scope="module")
def without_figures():
    """Figures are drawn here."""


def rows(out):
    return {row["imputer"]: row for row in json.loads(out)["rows"]}


def test_it_compares_with_the_limits_and_writes_table_json_and_figures(hcat, tmp_path):
    code, out, _ = hcat("compare-imputers", *SMALL, "--json")
    assert code == 0
    table = rows(out)
    assert set(table) == {"oracle", "finite-N limit", "mean", "none", "gaussian"}
    assert abs(table["mean"]["r2"]["mean"]) < 0.02
    assert table["mean"]["r2"]["mean"] < table["gaussian"]["r2"]["mean"]
    assert table["gaussian"]["r2"]["mean"] <= table["oracle"]["r2"]["mean"] + 0.01
    assert table["gaussian"]["share_of_limit"]["mean"] > 0.85
    assert table["none"]["auc_over_none"]["mean"] == 0
    assert abs(table["gaussian"]["coverage_90"]["mean"] - 0.9) < 0.04
    folder = tmp_path / "imputer-comparison"
    assert {p.name for p in folder.iterdir()} == {
        "compare-imputers.html",
        "comparison.csv",
        "comparison.json",
        "coverage.png",
        "r2.png",
        "jobs",
    }
    page = (folder / "compare-imputers.html").read_text()
    assert json.loads(out)["verdict"]["best"] == "gaussian"
    assert "Scores by modality and imputer" in page and "the oracle knows" in page
    assert "the values that gaussian imputed, minus that of one that is given the gaps" in page
    assert "<script" not in page and "src=" not in page


def test_what_is_done_is_not_run_again(hcat, tmp_path, monkeypatch):
    hcat("compare-imputers", *SMALL, "-q")
    from hcat_core.experiments.compare_imputers import run

    def never(job, allowed):
        raise AssertionError(f"{job.name} was run again")

    monkeypatch.setattr(run, "run_job", never)
    assert hcat("compare-imputers", *SMALL, "-q")[0] == 0
    jobs = sorted((tmp_path / "imputer-comparison" / "jobs").iterdir())
    jobs[0].write_text('{"half": ')
    code, _, err = hcat("compare-imputers", *SMALL, "-q")
    assert code == 1
    assert "was run again" in err


def test_an_imputer_that_fails_is_reported_and_the_others_go_on(hcat, monkeypatch):
    from hcat_builtin.imputers import mean

    def broken(self, train, validation, context):
        raise RuntimeError("no luck")

    monkeypatch.setattr(mean.MeanImputer, "fit", broken)
    code, out, err = hcat("compare-imputers", *SMALL, "--json")
    assert code == 0
    table = rows(out)
    assert table["mean"]["errors"] == ["RuntimeError: no luck"]
    assert table["gaussian"]["r2"] is not None
    assert "no luck" in err


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_a_users_own_cohort_is_scored_on_hidden_observed_blocks(hcat, cohort_folder, mechanism):
    code, out, _ = hcat(
        "compare-imputers",
        RECIPES / "enhanced.toml",
        f"--set=cohort.root={cohort_folder}",
        *("--imputer=mean", "--imputer=gaussian", "--seeds=2", "--jobs=1"),
        f"--mechanism={mechanism}",
        "--json",
    )
    assert code == 0
    table = rows(out)
    assert set(table) == {"mean", "gaussian"}
    assert all(r["hidden_cells"] > 0 for r in json.loads(out)["records"])


def test_another_cohort_behind_the_same_recipe_is_scored_anew(hcat, cohort_folder, tmp_path):
    shutil.copytree(cohort_folder, tmp_path / "files")
    command = ("compare-imputers", RECIPES / "enhanced.toml", "--set=cohort.root=files", "--mechanism=mcar")
    command += ("--imputer=mean", "--seeds=1", "--jobs=1", "--outdir=c", "--json")
    first = json.loads(hcat(*command)[1])["records"]
    assert json.loads(hcat(*command)[1])["records"] == first
    with h5py.File(tmp_path / "files" / "clinical.h5", "r+") as file:
        file["embedding"][...] *= np.arange(1, len(file["embedding"]) + 1)[:, None]
    assert json.loads(hcat(*command)[1])["records"] != first


def test_an_unknown_imputer_is_a_usage_error(hcat):
    code, _, err = hcat("compare-imputers", "--imputer=gausian")
    assert code == 2
    assert 'Did you mean "gaussian"?' in err


def test_check_prints_each_promise_and_exits_0_when_they_are_kept(hcat):
    code, out, _ = hcat("check", "imputer", "mean")
    assert code == 0
    assert "meant  beats the mean: it is the mean" in out
    code, out, _ = hcat("check", "loss", "bce", "--json")
    assert code == 0
    assert all(r["status"] == "passed" for r in json.loads(out)["results"])


def test_a_failed_promise_is_told_also_under_quiet(hcat, monkeypatch):
    from hcat_builtin.losses import binary

    monkeypatch.setattr(binary.BinaryCrossEntropy, "__call__", lambda self, outputs, batch: None)
    code, out, err = hcat("check", "loss", "bce", "-q")
    assert (code, out) == (1, "") and "hcat: warning: FAIL" in err
