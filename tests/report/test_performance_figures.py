"""Curves, bands and bins of performance figures, which are weighted as the scores in the tables are."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from hcat_core.metrics.intervals import Resampling
from hcat_core.report import performance_figures
from hcat_core.report.inputs import KnownOutcomes
from hcat_core.report.performance_figures import (
    GRID,
    band_resamples,
    calibration_bins,
    net_benefit,
    precision_recall_curve,
    resampled_precision,
    resampled_roc,
    roc_curve,
    share_of_events,
)

RESAMPLING = Resampling(40, 0)


def outcomes(patients=60, weighted=True, groups=None, seed=0):
    """Patients with ties of their probabilities; those with the event have smaller weights."""
    rng = np.random.default_rng(seed)
    label = (rng.random(patients) < 0.5).astype(int)
    probability = np.round(rng.random(patients) / 2 + label / 4, 1)
    weights = np.where(label == 1, 1.2, rng.uniform(2, 3, patients)) if weighted else np.ones(patients)
    return KnownOutcomes(probability, label, weights, groups)


def test_curves_and_table_are_of_one_estimand(inputs):
    made = inputs()
    for column, task in enumerate(made.cohort.layout.task_names):
        known, scores = made.known_test_outcomes(column), made.summary.metrics["test"][task]
        assert known.weighted
        fpr, tpr = roc_curve(known)
        assert np.trapezoid(tpr, fpr) == pytest.approx(scores.auc)
        recall, precision = precision_recall_curve(known)
        assert -np.sum(np.diff(recall) * precision[:-1]) == pytest.approx(scores.average_precision)
        assert share_of_events(known) == pytest.approx(scores.observed)
        assert abs(share_of_events(known) - known.label.mean()) > 0.02


def test_the_curves_of_bootstrap_samples_are_those_of_scikit_learn(monkeypatch):
    known = outcomes()
    drawn = []

    def recorded(rng, event, groups, resamples):
        drawn.append(original(rng, event, groups, resamples))
        return drawn[-1]

    original = performance_figures.resampled_counts
    monkeypatch.setattr(performance_figures, "resampled_counts", recorded)
    roc, precisions = resampled_roc(known, RESAMPLING), resampled_precision(known, RESAMPLING)
    order = np.argsort(-known.probability, kind="stable")
    p, y, w = known.probability[order], known.label[order], known.weights[order]
    for row, counts in enumerate(drawn[0]):
        assert counts.sum() == len(y) and counts[y == 1].sum() == y.sum()
        fpr, tpr, _ = metrics.roc_curve(y, p, sample_weight=counts * w)
        np.testing.assert_allclose(roc[row], np.interp(GRID, fpr, tpr), atol=1e-12)
        precision, recall, _ = metrics.precision_recall_curve(y, p, sample_weight=counts * w)
        by_recall = np.interp(GRID, recall[::-1], precision[::-1])
        np.testing.assert_allclose(precisions[row], by_recall, atol=1e-12)


def test_a_band_needs_twenty_of_either_outcome_and_resamples():
    assert band_resamples(outcomes(60), RESAMPLING) == 40
    assert band_resamples(outcomes(60), Resampling(5000, 0)) == performance_figures.RESAMPLES
    assert band_resamples(outcomes(30), RESAMPLING) == 0 == band_resamples(outcomes(60), Resampling(0, 0))
    assert len(resampled_roc(outcomes(30), RESAMPLING)) == 0


def test_bands_of_groups_are_wider_than_those_of_as_many_patients():
    alone = outcomes(400, seed=1)
    copies = KnownOutcomes(
        np.repeat(alone.probability, 4), np.repeat(alone.label, 4), np.repeat(alone.weights, 4), None
    )
    grouped = replace(copies, groups=np.repeat(np.arange(400), 4))

    def width(known):
        low, high = np.quantile(resampled_roc(known, Resampling(300, 0)), [0.025, 0.975], axis=0)
        return (high - low)[10:60].mean()

    assert width(grouped) == pytest.approx(2 * width(copies), rel=0.25)  # four times the variance
    assert width(grouped) == pytest.approx(width(alone), rel=0.25)


def test_calibration_intervals_are_wilsons_of_the_effective_number_of_patients():
    plain = outcomes(60, weighted=False)
    bins = calibration_bins(plain)
    rows = np.array_split(np.argsort(plain.probability, kind="stable"), len(bins.observed))[2]
    n, share = len(rows), plain.label[rows].mean()
    z = performance_figures.Z_95
    for end in (bins.low[2], bins.high[2]):  # the shares at which a score test is just significant
        assert abs(share - end) == pytest.approx(z * np.sqrt(end * (1 - end) / n))
    known = outcomes(60)
    weighted, w = calibration_bins(known), known.weights[rows]
    share = np.average(known.label[rows], weights=w)
    assert weighted.observed[2] == pytest.approx(share) and share < bins.observed[2]
    n = w.sum() ** 2 / (w**2).sum()  # Kish's
    for end in (weighted.low[2], weighted.high[2]):
        assert abs(share - end) == pytest.approx(z * np.sqrt(end * (1 - end) / n))


def test_calibration_intervals_count_the_records_of_a_group_once():
    alone = outcomes(96, weighted=False)
    copies = KnownOutcomes(
        *(np.repeat(v, 4) for v in (alone.probability, alone.label, alone.weights)), None
    )
    grouped = calibration_bins(replace(copies, groups=np.repeat(np.arange(96), 4)))
    assert grouped.high - grouped.low == pytest.approx(
        calibration_bins(alone).high - calibration_bins(alone).low
    )
    assert (
        (grouped.high - grouped.low) > (calibration_bins(copies).high - calibration_bins(copies).low)
    ).all()


def test_net_benefit_of_a_perfect_model_and_of_treating_everyone_and_no_one():
    y = np.array([1] * 30 + [0] * 70)
    cuts = np.array([0.1, 0.5, 0.8])
    equal_weights = np.ones(100)
    assert net_benefit(y.astype(float), y, equal_weights, cuts) == pytest.approx([0.3, 0.3, 0.3])
    everyone = net_benefit(np.ones(100), y, equal_weights, cuts)
    assert everyone == pytest.approx(0.3 - 0.7 * cuts / (1 - cuts))
    assert net_benefit(np.zeros(100), y, equal_weights, cuts) == pytest.approx([0, 0, 0])
    # A patient with weight 2 counts twice.
    twice = np.r_[np.full(30, 2.0), np.ones(70)]
    assert net_benefit(np.ones(100), y, twice, cuts) == pytest.approx(
        0.6 / 1.3 - 0.7 / 1.3 * cuts / (1 - cuts)
    )
