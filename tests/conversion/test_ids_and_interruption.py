"""``hcat convert`` writes ids as the files spell them, and a killed conversion leaves nothing behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from hcat_core.cli.main import main

IDS = {
    "leading zeros": [f"{i + 1:03d}" for i in range(40)],
    "upper case": [f"PAT-{i}" for i in range(40)],
    "blanks": [f"Pat {i}" for i in range(40)],
    "decimals": [f"{i}.0" for i in range(40)],
    "umlauts": [f"Müller {i}" for i in range(40)],
}


def write_cohort(folder, ids, of_outcomes=None):
    """A table of features, one of outcomes, and a recipe."""
    rng = np.random.default_rng(7)
    outcomes = {"days": rng.integers(60, 4000, len(ids)), "dead": np.arange(len(ids)) % 2}
    pd.DataFrame({"patient_id": of_outcomes or ids, **outcomes}).to_csv(folder / "out.csv", index=False)
    features = {"age": rng.integers(40, 80, len(ids)), "psa": rng.normal(5, 1, len(ids))}
    pd.DataFrame({"patient_id": ids, **features}).to_csv(folder / "clin.csv", index=False)
    (folder / "r.toml").write_text(
        '[cohort]\nmodalities.clinical = { use = "table", path = "clin.csv" }\n'
        'targets = { use = "table", path = "out.csv", tasks.survival = { time = "days", event = "dead", '
        'horizon_days = 1826, outcome = "death" } }\n[estimator]\nuse = "logistic"\n'
    )


def ids_in(place, to):
    """The ids of the features and those of the outcomes, as the files of a layout hold them."""
    if to == "csv":
        files = (place / "clinical.csv", place / "outcomes.csv")
        return [pd.read_csv(file, dtype=str)["patient_id"].tolist() for file in files]
    if to == "h5mu":
        with h5py.File(place) as file:
            indices = ("mod/clinical/obs/_index", "obs/_index")
            return [[one.decode() for one in file[name][:]] for name in indices]
    dataset = {"h5": "patient_id", "h5ad": "obs/_index"}[to]
    found = []
    for name in ("clinical", "outcomes"):
        with h5py.File(place / f"{name}.{to}") as file:
            found.append([one.decode() for one in file[dataset][:]])
    return found


@pytest.mark.parametrize("to", ["csv", "h5", "h5ad", "h5mu"])
@pytest.mark.parametrize("spelling", IDS)
def test_ids_are_written_as_they_came(tmp_path, spelling, to):
    write_cohort(tmp_path, IDS[spelling])
    place = tmp_path / ("o.h5mu" if to == "h5mu" else "o")
    assert main(["convert", str(tmp_path / "r.toml"), str(place), "--to", to, "-q"]) == 0
    assert ids_in(place, to) == [IDS[spelling]] * 2


def test_of_two_spellings_of_a_patient_the_first_is_written(tmp_path):
    write_cohort(tmp_path, IDS["leading zeros"], [str(i + 1) for i in range(40)])
    assert main(["convert", str(tmp_path / "r.toml"), str(tmp_path / "o"), "--to", "csv", "-q"]) == 0
    assert ids_in(tmp_path / "o", "csv") == [IDS["leading zeros"]] * 2


@pytest.mark.parametrize("to", ["csv", "h5mu"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_a_conversion_that_was_ended_leaves_nothing_after_the_next(tmp_path, number, to):
    write_cohort(tmp_path, IDS["leading zeros"])
    place = "o.h5mu" if to == "h5mu" else "o"
    command = [sys.executable, "-m", "hcat_core", "convert", "r.toml", place, "--to", to, "-q"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as first:
        while first.poll() is None and not list(Path(tmp_path).glob(".o*.partial/content/*")):
            time.sleep(0.001)
        first.send_signal(number)
    if number != signal.SIGKILL:
        assert list(tmp_path.glob(".o*")) == []
    if first.returncode:
        assert first.returncode in (-9, 129, 143) and not (tmp_path / place).exists()
        assert subprocess.run(command, cwd=tmp_path).returncode == 0
    assert list(tmp_path.glob(".o*")) == []
    assert (tmp_path / place).exists()
