"""The bands of ROC and precision-recall curves, and the net benefit of decision curves."""

import numpy as np
import pytest
from sklearn import metrics

from hcat_core.report.performance_figures import (
    GRID,
    _resampled_counts,
    _resampled_precision,
    _resampled_roc,
    net_benefit,
)


def test_the_curves_of_bootstrap_samples_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    label = (rng.random(40) < 0.4).astype(int)
    probability = np.round(rng.random(40) / 2 + label / 4, 1)  # with ties
    cuts = np.unique(probability)[::-1]
    roc, precisions = _resampled_roc(probability, label), _resampled_precision(probability, label)
    for row, (events, free) in enumerate(zip(*_resampled_counts(probability, label), strict=True)):
        counts = [np.diff(events).astype(int), np.diff(free).astype(int)]
        assert [count.sum() for count in counts] == [label.sum(), 40 - label.sum()]
        p = np.concatenate([np.repeat(cuts, count) for count in counts])
        y = np.repeat([1, 0], [count.sum() for count in counts])
        fpr, tpr, _ = metrics.roc_curve(y, p)
        precision, recall, _ = metrics.precision_recall_curve(y, p)
        np.testing.assert_allclose(roc[row], np.interp(GRID, fpr, tpr), atol=1e-12)
        by_recall = np.interp(GRID, recall[::-1], precision[::-1])
        np.testing.assert_allclose(precisions[row], by_recall, atol=1e-12)


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
