"""Weights for censoring: patients with a known outcome represent all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hcat_core.data.outcomes import derive_labels
from hcat_core.metrics.censoring import censoring_survival, known_weights
from hcat_core.metrics.discrimination import binary_metrics, weighted_auc
from hcat_core.metrics.survival import aalen_johansen, kaplan_meier
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_recipe_cohort

RECIPES = Path(__file__).parents[2] / "recipes"
HANCOCK = Path(__file__).parents[3] / "shared" / "data" / "hancock" / "h5"


def with_labels(made, time, cause, horizon):
    labels = torch.from_numpy(derive_labels(time, cause, horizon))[:, None]
    return replace(made, labels=labels)


def test_weighted_known_outcomes_have_the_event_share_of_kaplan_meier(patients, targets):
    _, time, event = patients(400)
    found = with_labels(targets(time, event), time, event, 500.0)
    labels = found.labels[:, 0].numpy()
    weights = known_weights(found, 0, 500.0, found)
    assert (weights[labels < 0] == 0).all() and (weights[labels >= 0] >= 1).all()
    share = 1 - kaplan_meier(time, event, np.array([500.0]))[0]
    assert (weights * (labels == 1)).sum() / len(labels) == pytest.approx(share, abs=1e-6)
    assert weights.sum() / len(labels) == pytest.approx(1, abs=1e-6)
    assert labels[labels >= 0].mean() > share + 0.05
    timeless = replace(found, time=torch.full_like(found.time, torch.nan))
    assert (known_weights(timeless, 0, 500.0, timeless) == (labels >= 0)).all()


def test_with_competing_events_they_have_that_of_aalen_and_johansen(patients, targets):
    rng = np.random.default_rng(2)
    time = np.ceil(rng.exponential(600, 500) / 20) * 20
    cause = rng.choice([0, 1, 2], 500, p=[0.3, 0.3, 0.4])
    found = with_labels(targets(time, cause), time, cause, 500.0)
    labels, weights = found.labels[:, 0].numpy(), known_weights(found, 0, 500.0, found)
    assert (labels[(cause == 2)] == 0).all()  # they can no longer have the event
    incidence = aalen_johansen(time, cause, np.array([500.0]))[0]
    assert np.average(labels == 1, weights=weights) == pytest.approx(incidence, abs=1e-9)
    censored = np.where(cause == 2, 0, cause)  # what was done before: deaths as censorings
    as_censored = with_labels(targets(time, censored), time, censored, 500.0)
    net = np.average(
        as_censored.labels[:, 0] == 1, weights=known_weights(as_censored, 0, 500.0, as_censored)
    )
    assert net > incidence + 0.02


@pytest.mark.parametrize("competing", [False, True])
def test_weighted_scores_are_those_of_the_uncensored_cohort(targets, competing):
    """Unweighted, precision is that of a cohort with more events; 20,000 patients, seed 3."""
    rng = np.random.default_rng(3)
    risk = rng.normal(size=20_000)
    scales = (np.exp(-risk) * 1500, 2500 if competing else 1e9, 900)
    event, other, lost = (rng.exponential(scale, 20_000) for scale in scales)
    truth = (event <= 500) & (event < other)
    time = np.minimum.reduce([event, other, lost])
    cause = np.where(time == event, 1, np.where(time == other, 2, 0))
    found = with_labels(targets(time, cause), time, cause, 500.0)
    p, labels = 1 / (1 + np.exp(-risk)), found.labels[:, 0].numpy()
    weights = known_weights(found, 0, 500.0, found)
    of_all = binary_metrics(p, truth.astype(int), 0.6)
    weighted, plain = binary_metrics(p, labels, 0.6, weights), binary_metrics(p, labels, 0.6)
    for score in ("auc", "average_precision", "f1", "sensitivity", "specificity", "brier", "accuracy"):
        assert getattr(weighted, score) == pytest.approx(getattr(of_all, score), abs=0.015), score
    assert plain.average_precision > of_all.average_precision + 0.04
    assert plain.f1 > of_all.f1 + 0.03
    assert weighted.auc == weighted_auc(p, labels, weights)


@pytest.mark.skipif(not HANCOCK.is_dir(), reason="the HANCOCK files are not here")
def test_hancocks_risk_of_a_recurrence_in_two_years_is_aalen_and_johansens():
    """.193; Kaplan and Meier, for whom deaths are censorings, have .202, and known labels .226 or .207."""
    catalog = load_catalog()
    recipe = load_recipe(RECIPES / "hancock.toml", catalog, sets=[f"cohort.root={HANCOCK}"])[0]
    cohort, _ = read_recipe_cohort(recipe, catalog)
    labels = cohort.targets.labels[:, 1].numpy()
    weights = known_weights(cohort.targets, 1, 730.0, cohort.targets)
    assert np.average(labels == 1, weights=weights) == pytest.approx(0.193, abs=5e-4)


def test_no_patient_counts_for_more_than_twenty():
    """Nine in ten are censored early: the chance not to be is below one in twenty at the end."""
    time, cause = np.arange(1.0, 101.0), np.zeros(100, dtype=int)
    survival = censoring_survival(time, cause, np.array([1.0, 50.0, 96.0, 97.0, 200.0]))
    assert survival.tolist() == pytest.approx([1.0, 0.51, 0.05, 0.05, 0.05])
