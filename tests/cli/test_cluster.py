import hashlib
import json
import socket
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
TIMES = ("fit_seconds", "transform_seconds")
SMALL = (
    "--set=fusion.d_model=16",
    "--set=fusion.n_heads=2",
    "--set=imputer.use=mean",
    "--set=training.epochs=1",
    "--set=evaluation.mc_samples=2",
    "--folds=2",
    "--repeats=1",
    "--no-baselines",
)
IMPUTERS = ("--patients=150", "--width=8", "--preset=linear", "--seeds=2", "--mechanism=mcar")


def hashes(folder):
    """Of each result, without how long it took."""
    found = {}
    for path in sorted(folder.iterdir()):
        record = {k: v for k, v in json.loads(path.read_text()).items() if k not in TIMES}
        found[path.name] = hashlib.sha256(json.dumps(record).encode()).hexdigest()
    return found


def test_a_comparison_on_two_dask_workers_has_one_processs_results(
    hcat, cohort_folder, scheduler, tmp_path
):
    small = tmp_path / "small.toml"
    fewer = 'use = "neural"\nmembers = 2\nevidence.trees = 10'
    small.write_text(f'extends = "{RECIPES / "enhanced.toml"}"\n[estimator]\n{fewer}\n')
    recipes = (small, RECIPES / "baselines" / "logistic.toml")
    command = ("compare", *recipes, f"--set=cohort.root={cohort_folder}", *SMALL, "-q")
    assert hcat(*command, "--jobs=1", "--outdir=one")[0] == 0
    code, _, err = hcat(*command, "--backend=dask", f"--scheduler={scheduler}", "--outdir=two")
    assert code == 0 and all("(Riley et al. 2020)" in line for line in err.splitlines())  # few patients
    one, two = hashes(tmp_path / "one" / "folds"), hashes(tmp_path / "two" / "folds")
    assert len(one) == 4 and one == two
    assert (tmp_path / "one/comparison.csv").read_text() == (tmp_path / "two/comparison.csv").read_text()


def test_imputers_compared_on_two_dask_workers_have_one_processs_results(hcat, scheduler, tmp_path):
    command = ("compare-imputers", *IMPUTERS, "--imputer=gaussian", "--imputer=mean", "-q")
    assert hcat(*command, "--jobs=1", "--outdir=one")[0] == 0
    assert hcat(*command, "--backend=dask", f"--scheduler={scheduler}", "--outdir=two")[0] == 0
    one, two = hashes(tmp_path / "one" / "jobs"), hashes(tmp_path / "two" / "jobs")
    assert len(one) == 8 and one == two


def test_a_cluster_that_does_not_answer_is_an_error_at_once(hcat, monkeypatch):
    monkeypatch.setattr("hcat_core.experiments.jobs.PATIENCE", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = hcat("compare-imputers", *IMPUTERS, "--backend=dask", f"--scheduler={address}")
    assert code == 2
    assert err.startswith(f"hcat: --scheduler {address}: no Dask scheduler answers there")


def test_without_the_extra_the_error_names_what_to_install(hcat, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = hcat("compare-imputers", *IMPUTERS, "--backend=dask", "--scheduler=tcp://host:8786")
    assert code == 2
    assert 'pip install "hcat-core[cluster]"' in err


@pytest.mark.parametrize(
    "options", [("--backend=dask",), ("--scheduler=tcp://host:8786",), ("--jobs=2", "--backend=dask")]
)
def test_options_that_do_not_go_together_are_refused(hcat, options):
    code, _, err = hcat("compare-imputers", *IMPUTERS, *options)
    assert code == 2 and "--scheduler" in err
