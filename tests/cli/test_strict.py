"""``hcat run --strict`` stops at findings about data quality; without it they are told."""

import shutil
from pathlib import Path

import h5py
import pytest

LOGISTIC = Path(__file__).parents[2] / "recipes" / "baselines" / "logistic.toml"


@pytest.fixture
def with_zeros(cohort_folder, tmp_path):
    """The rows 0 and 1 of one modality hold nothing but zeros."""
    shutil.copytree(cohort_folder, tmp_path / "files")
    with h5py.File(tmp_path / "files" / "semantic.h5", "r+") as file:
        file["embedding"][:2] = 0
    return tmp_path / "files"


def test_strict_stops_at_a_finding_before_anything_is_fitted(hcat, with_zeros, tmp_path):
    arguments = ("run", LOGISTIC, "--set=cohort.root=" + str(with_zeros), "--set=evaluation.bootstrap=0")
    code, _, err = hcat(*arguments, "--strict", "--outdir=strict")
    assert code == 3 and "--strict: 1 finding about the cohort" in err
    assert "semantic: nothing but zeros for 2 patients" in err
    assert not (tmp_path / "strict").exists()
    code, _, err = hcat(*arguments, "--outdir=free")
    assert code == 0 and "semantic: nothing but zeros for 2 patients" in err


def test_a_quiet_inspection_prints_findings_alone(hcat, with_zeros):
    code, out, err = hcat("inspect", LOGISTIC, f"--set=cohort.root={with_zeros}", "-q")
    assert (code, out) == (0, "")
    assert "hcat: warning: semantic: nothing but zeros for 2 patients" in err
    loud = hcat("inspect", LOGISTIC, f"--set=cohort.root={with_zeros}")
    assert loud[2] == err and "fingerprint" in loud[1]


def test_strict_has_nothing_against_a_cohort_without_findings(hcat, cohort_folder):
    arguments = ("run", LOGISTIC, "--set=cohort.root=" + str(cohort_folder), "--set=evaluation.bootstrap=0")
    assert hcat(*arguments, "--strict", "--outdir=strict")[0] == 0
