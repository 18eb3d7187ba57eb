"""Outputs that are closed, full or no longer read; memory, file sizes and workers at their end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hcat_core.cli.failures import explained
from hcat_core.cli.main import main
from hcat_core.cli.streams import StandardStream
from hcat_core.errors import StorageError

QUICK = (
    "--set=imputer.use=mean", "--d_model=16", "--n_heads=2", "--epochs=2", "--set=evaluation.baselines=[]",
    "--set=evaluation.bootstrap=0", "--set=evaluation.mc_samples=2", "--set=estimator.members=1",
    "--set=estimator.evidence=false",
)  # fmt: skip
RECIPE = Path(__file__).parents[2] / "recipes" / "enhanced.toml"
FULL = Path("/dev/full")


def shell(line, folder):
    hcat = f"{sys.executable} -m hcat_core"
    return subprocess.run(
        ["bash", "-c", line.replace("HCAT", hcat)], cwd=folder, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not FULL.exists(), reason="no full device here")
@pytest.mark.parametrize("command", ["list-components", "list-components --json", "--help", "recipes"])
def test_a_full_device_as_stdout_is_exit_4_with_a_sentence(tmp_path, command):
    done = shell(f"HCAT {command} > /dev/full", tmp_path)
    assert done.returncode == 4
    assert "cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_a_closed_stream_is_no_reason_to_stop(tmp_path, closed):
    done = shell(f"HCAT list-components {closed}", tmp_path)
    assert done.returncode == 0 and done.stderr == ""


def test_a_run_whose_reader_goes_away_goes_on(tmp_path, cohort_folder):
    line = (
        f"(HCAT run {RECIPE} --set=cohort.root={cohort_folder} {' '.join(QUICK)} --outdir=run; echo $? >&2)"
    )
    done = shell(f"{line} | head -1", tmp_path)
    assert done.stderr.splitlines()[-1] == "0"
    assert (tmp_path / "run" / "trained.safetensors").is_file()


def test_files_that_may_not_grow_stop_a_run_with_the_name_of_the_limit(tmp_path, cohort_folder):
    line = (
        f"ulimit -f 40; HCAT run {RECIPE} --set=cohort.root={cohort_folder} {' '.join(QUICK)} --outdir=run"
    )
    done = shell(line, tmp_path)
    assert done.returncode == 3  # reading shares memory with its worker, which is a file to the limit
    assert "a limit on the size of files (ulimit -f)" in done.stderr
    assert list(tmp_path.rglob(".*")) == []


def test_files_that_may_not_grow_are_a_full_disk_to_what_writes_alone(tmp_path):
    done = shell("ulimit -f 40; HCAT synth files --patients 200 --width 64", tmp_path)
    assert done.returncode == 4
    assert "File too large" in done.stderr and "ulimit -f" in done.stderr
    assert list(tmp_path.iterdir()) == []


class Gone:
    """A stream whose reader has gone, or whose device is full."""

    encoding = "utf-8"

    def __init__(self, number):
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    def isatty(self):
        return False

    def fileno(self):
        raise OSError("none")


@pytest.mark.parametrize("number", [32, 5])  # no reader, no terminal
def test_what_nobody_reads_any_more_is_dropped(monkeypatch, number):
    monkeypatch.setattr(sys, "stdout", Gone(number))
    stream = StandardStream("stdout")
    assert stream.write("x") == 1 and stream.gone
    stream.write("y")
    stream.flush()


@pytest.mark.parametrize("number", [28, 27, 122])
def test_a_device_that_takes_no_more_is_told(monkeypatch, number):
    monkeypatch.setattr(sys, "stdout", Gone(number))
    with pytest.raises(StorageError, match=f"stdout cannot be written: {os.strerror(number)}"):
        StandardStream("stdout").write("x")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (MemoryError(), 4, "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 4, "memory ran out"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 4, "fewer patients"),
        (
            OSError(36, "File name too long", "x"),
            4,
            "x cannot be used: File name too long. Give it a shorter",
        ),
        (PermissionError(13, "no", b"\xff"), 4, "Permission denied. Ask for the right"),
        (OSError(28, "full"), 4, "the output cannot be written"),
    ],
)
def test_what_the_machine_refuses_is_explained(error, code, told):
    known = explained(error)
    assert known.exit_code == code and told in str(known)


@pytest.mark.parametrize("error", [OSError(), OSError(9, "bad"), RuntimeError("no"), KeyError("x")])
def test_what_only_its_author_can_explain_is_an_internal_error(error):
    assert explained(error) is None


def test_memory_that_runs_out_ends_a_command_with_4(hcat, monkeypatch):
    from hcat_core.cli import list_components

    def greedy(*_):
        raise MemoryError

    monkeypatch.setattr(list_components, "open_catalog", greedy)
    code, _, err = hcat("list-components")
    assert code == 4 and err.startswith("hcat: memory ran out.")


def test_a_recipe_whose_path_holds_a_null_character_is_refused_with_its_key(hcat, tmp_path):
    for key, line in {
        "cohort.root": 'cohort.root = "a\\u0000"',
        "cohort.modalities.clinical.path": 'cohort.modalities.clinical.path = "a\\u0000b"',
        "outdir": 'outdir = "a\\u0000"',
        "cohort.targets.tasks.survival.label": 'cohort.targets.tasks.survival.label = "\\u0000"',
    }.items():
        (tmp_path / "null.toml").write_text(f'extends = "{RECIPE}"\n{line}\n')
        code, _, err = hcat("inspect", "null.toml")
        assert code == 2 and "null.toml" in err and key in err and "null character" in err


def test_stored_patients_are_told_under_q_in_the_summary_and_in_the_report(small_run):
    code, _, err = small_run("-q", "--set=imputer.use=knn", "--epochs=1")
    told = "imputer knn keeps training patients in its state"
    assert code == 0 and err.count(told) == 1
    summary = json.loads(Path("run/enhanced_hcat_training_summary.json").read_text())
    assert any(finding.startswith(told) for finding in summary["analysis"]["leakage"]["findings"])
    assert told in Path("run/report.html").read_text()


@pytest.mark.slow
def test_workers_end_with_a_comparison_that_is_killed(tmp_path, cohort_folder):
    line = [
        sys.executable, "-m", "hcat_core", "compare", str(RECIPE), f"--set=cohort.root={cohort_folder}",
        "--jobs=2", "--folds=2", "--repeats=20", "--outdir=compared",
    ]  # fmt: skip
    printed = tmp_path / "printed.txt"
    with (
        printed.open("w") as file,
        subprocess.Popen(line, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT) as first,
    ):
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and first.poll() is None and not _results(tmp_path):
            time.sleep(0.2)
        workers = _workers(first.pid)  # in the middle of their jobs
        assert len(workers) >= 2, (first.poll(), printed.read_text())
        first.send_signal(signal.SIGKILL)
    _, living = psutil.wait_procs(workers, timeout=8)
    assert not living


def _results(folder):
    """Files of jobs that are done."""
    return list((folder / "compared").rglob("*.json"))


def _workers(parent):
    """Processes of joblib that ``parent`` has started."""
    try:
        return [child for child in psutil.Process(parent).children() if _is_worker(child)]
    except psutil.NoSuchProcess:
        return []


def _is_worker(process):
    try:
        return any("popen_loky" in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@pytest.mark.parametrize("named", ["spatial", "clinical"])
def test_a_file_named_over_a_root_replaces_that_modality_and_keeps_the_others(
    hcat, finished_run, cohort_folder, tmp_path, named
):
    import shutil

    import h5py

    other = tmp_path / "other.h5"
    shutil.copy(cohort_folder / f"{named}.h5", other)
    with h5py.File(other, "r+") as file:
        file["embedding"][...] += 1
    root = ("--root", cohort_folder, "--no-explain", "--json")
    plain = json.loads(hcat("predict", finished_run, *root)[1])["patients"]
    code, out, _ = hcat("predict", finished_run, *root, f"--{named}", other)
    changed = json.loads(out)["patients"]
    assert code == 0 and [p["modalities"] for p in changed] == [p["modalities"] for p in plain]
    differ = [a["tasks"] != b["tasks"] for a, b in zip(plain, changed, strict=True)]
    assert differ == [named in p["modalities"] for p in plain]


def test_impute_and_evaluate_keep_the_others_of_a_root_too(hcat, finished_run, cohort_folder):
    clinical = cohort_folder / "clinical.h5"
    where = ("--root", cohort_folder, "--clinical", clinical)
    assert hcat("impute", finished_run, *where, "--outdir", "a", "-q")[0] == 0
    assert hcat("impute", finished_run, "--root", cohort_folder, "--outdir", "b", "-q")[0] == 0
    assert Path("a/spatial.h5").read_bytes() == Path("b/spatial.h5").read_bytes()
    both = [json.loads(hcat("evaluate", finished_run, *w, "--json")[1]) for w in (where, where[:2])]
    assert both[0]["data"] == both[1]["data"] and both[0]["metrics"] == both[1]["metrics"]


def test_a_modality_without_a_measured_cell_is_named_with_its_file(hcat, cohort_folder, tmp_path):
    import shutil

    import h5py
    import numpy as np

    shutil.copytree(cohort_folder, "none")
    for name in ("clinical", "semantic", "temporal", "pathological", "spatial"):
        file = Path(f"none/{name}.h5")
        with h5py.File(file, "r+") as content:
            content["embedding"][...] = np.nan
        code, _, err = hcat("inspect", RECIPE, f"--set=cohort.root={tmp_path / 'none'}")
        if name != "spatial":  # the last of them
            assert code == 0, err
            assert f"{file}: no patient has a measured value of {file.stem}" in err
            assert hcat("inspect", RECIPE, f"--set=cohort.root={tmp_path / 'none'}", "--strict")[0] == 3
    assert code == 3 and "no patient has a measured value in any modality" in err and str(file) in err
    assert main(["run", str(RECIPE), f"--set=cohort.root={tmp_path / 'none'}", "--outdir=run", "-q"]) == 3
    assert not Path("run").exists()


def test_two_evaluations_into_one_folder_do_not_mix(finished_run, cohort_folder, tmp_path):
    command = [
        sys.executable,
        "-m",
        "hcat_core",
        "evaluate",
        str(finished_run),
        "--root",
        str(cohort_folder),
    ]
    started = [
        subprocess.Popen([*command, "--outdir=ev", "-q"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [one.communicate()[1] for one in started]
    assert sorted(one.returncode for one in started) == [0, 2]
    assert any("ev is in use by process" in error or "ev is not empty" in error for error in errors)
    assert sorted(path.name for path in (tmp_path / "ev").iterdir()) == [
        "evaluation.html",
        "evaluation.json",
        "predictions.csv",
    ]
