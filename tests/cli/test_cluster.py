import hashlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from hcat_core.errors import TrainingError
from hcat_core.experiments.jobs import Backend, run_jobs

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


@pytest.fixture(scope="module")
def scheduler():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


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
    recipes = (RECIPES / "enhanced.toml", RECIPES / "baselines" / "logistic.toml")
    command = ("compare", *recipes, f"--set=cohort.root={cohort_folder}", *SMALL, "-q")
    assert hcat(*command, "--jobs=1", "--outdir=one")[0] == 0
    code, _, err = hcat(*command, "--backend=dask", f"--scheduler={scheduler}", "--outdir=two")
    assert (code, err) == (0, "")
    one, two = hashes(tmp_path / "one" / "folds"), hashes(tmp_path / "two" / "folds")
    assert len(one) == 4 and one == two
    assert (tmp_path / "one/comparison.csv").read_text() == (tmp_path / "two/comparison.csv").read_text()


def test_imputers_compared_on_two_dask_workers_have_one_processs_results(hcat, scheduler, tmp_path):
    command = ("compare-imputers", *IMPUTERS, "--imputer=gaussian", "--imputer=mean", "-q")
    assert hcat(*command, "--jobs=1", "--outdir=one")[0] == 0
    assert hcat(*command, "--backend=dask", f"--scheduler={scheduler}", "--outdir=two")[0] == 0
    one, two = hashes(tmp_path / "one" / "jobs"), hashes(tmp_path / "two" / "jobs")
    assert len(one) == 8 and one == two


def test_a_cluster_that_does_not_answer_is_said_at_once(hcat, monkeypatch):
    monkeypatch.setattr("hcat_core.experiments.jobs.PATIENCE", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = hcat("compare-imputers", *IMPUTERS, "--backend=dask", f"--scheduler={address}")
    assert code == 2
    assert err.startswith(f"hcat: --scheduler {address}: no Dask scheduler answers there")


def test_without_the_extra_it_is_said_what_to_install(hcat, monkeypatch):
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


class Numbered:
    def __init__(self, key):
        self.name = self.key = key


def answer(job):
    return {"name": job.name, "error": None, "answer": 42}


@pytest.mark.parametrize(
    "left", ["", "{", '{"job": "a", "name"', "[]", "{}", '{"error": null}', '{"job": "b", "error": null}',
             '{"job": "a", "error": "no luck"}']
)  # fmt: skip
def test_only_a_whole_result_of_the_same_job_is_taken_as_finished(tmp_path, left):
    def run_again():
        told = []
        records = run_jobs(
            [Numbered("a")], answer, (), tmp_path, backend=Backend(), finished=lambda *all: told.append(all)
        )
        return records[0]["answer"], len(told)

    (tmp_path / "a.json").write_text(left)
    assert run_again() == (42, 1)
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("42", "43"))
    assert run_again() == (43, 1)  # what is finished is read


def killed(job):
    if job.key == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(job)


def test_a_killed_process_ends_a_comparison_with_one_message(tmp_path):
    jobs = [Numbered("a"), Numbered("b")]
    with pytest.raises(TrainingError, match="a process was killed"):
        run_jobs(jobs, killed, (), tmp_path, backend=Backend(2), finished=lambda *told: None)
    assert not (tmp_path / "b.json").exists()


def test_a_worker_that_dies_of_a_job_ends_a_comparison_on_a_cluster(scheduler, tmp_path):
    on_cluster = Backend(scheduler=scheduler)
    with pytest.raises(TrainingError, match="could not be done there: KilledWorker"):
        run_jobs([Numbered("b")], killed, (), tmp_path, backend=on_cluster, finished=lambda *told: None)
    assert not (tmp_path / "b.json").exists()


class Named(Numbered):
    def __init__(self, name, key):
        self.name, self.key = name, key


@pytest.mark.parametrize("kept", [False, True])
def test_one_job_under_two_names_is_done_once_and_told_as_both(tmp_path, kept):
    told, ran = [], []

    def once(job):
        ran.append(job.key)
        return answer(job)

    jobs = [Named("first", "a"), Named("second", "a")]
    for _ in range(1 + kept):
        told.clear()
        records = run_jobs(
            jobs, once, (), tmp_path, backend=Backend(), finished=lambda *said: told.append(said)
        )
    assert [record["name"] for record in records] == ["first", "second"]
    assert [(record["name"], done) for record, done, _ in told] == [("first", 1), ("second", 2)]
    assert ran == ["a"]
