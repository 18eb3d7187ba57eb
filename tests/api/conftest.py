"""A small cohort as DataFrames: expression, a clinical table with categories, follow-up in months."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hcat_core as hcat

QUICK = {"evaluation.bootstrap": 0, "evaluation.baselines": [], "evaluation.mc_samples": 4}
SMALL_NETWORK = {
    **QUICK,
    "estimator.members": 2,
    "training.epochs": 1,
    "fusion.d_model": 16,
    "fusion.n_heads": 2,
    "imputer.fit_epochs": 2,
    "imputer.first.fit_epochs": 2,
}
OUTCOME = {"time": "months", "event": "dead", "time_unit": "months", "horizons": {"death_2y": 730}}


def _make_frames(patients=90, seed=0):
    """Frames ``clinical``, ``rna`` (some patients lack it) and ``seen``."""
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"P{row:03d}" for row in range(patients)], name="patient_id")
    risk = rng.normal(size=patients)
    genes = {f"GENE{place}": rng.normal(size=patients) + risk for place in range(4)}
    clinical = {
        "age": rng.integers(30, 90, patients).astype(float),
        "sex": np.where(rng.random(patients) < 0.5, "f", "m"),
        "stage": pd.Categorical(rng.choice(["I", "II", "III"], patients)),
        "smoker": rng.random(patients) < 0.4,
    }
    clinical["age"][::11] = np.nan
    event, censored = rng.exponential(25 * np.exp(-risk)), rng.uniform(5, 80, patients)
    seen = {
        "months": np.minimum(event, censored).round(2),
        "dead": (event <= censored).astype(int),
        "site": rng.choice(list("abcd"), patients),
    }
    return {
        "clinical": pd.DataFrame(clinical, index=ids),
        "rna": pd.DataFrame(genes, index=ids).drop(index=ids[::3]),
        "seen": pd.DataFrame(seen, index=ids),
    }


@pytest.fixture(autouse=True)
def _findings_are_no_errors():
    """Small cohorts are warned of; tests of warnings catch them themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        yield


@pytest.fixture(scope="session")
def quick():
    """Settings of a run without intervals and baselines."""
    return QUICK


@pytest.fixture(scope="session")
def small_network_settings():
    """Settings of a network that trains in seconds."""
    return SMALL_NETWORK


@pytest.fixture(scope="session")
def make_frames():
    """The function that makes frames of a number of patients."""
    return _make_frames


@pytest.fixture(scope="session")
def cohort_of():
    """The function that makes the cohort of frames."""
    return _cohort_of


@pytest.fixture(scope="session")
def frames():
    return _make_frames()


def _cohort_of(frames, **others):
    """The cohort of the frames of ``make_frames``."""
    modalities = {name: frame for name, frame in frames.items() if name != "seen"}
    return hcat.Cohort.from_frames(modalities, outcomes=frames["seen"], **{**OUTCOME, **others})


@pytest.fixture(scope="session")
def cohort(frames):
    return _cohort_of(frames)


@pytest.fixture(scope="session")
def run(cohort):
    """``small_cohort``, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        return hcat.fit(cohort, "small_cohort", set=QUICK)


@pytest.fixture(scope="session")
def network(cohort):
    """A small network with two members and an imputer, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        return hcat.fit(cohort, "hancock", set=SMALL_NETWORK)
