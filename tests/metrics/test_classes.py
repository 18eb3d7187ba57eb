"""Scores of classes are scikit-learn's, and their intervals are as wide as those of a bootstrap."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.classes import (
    KnownClasses,
    class_calibration_slope,
    class_metrics,
    class_numbers,
    macro_auc,
    macro_auc_interval,
    macro_aucs,
    paired_macro_auc_difference,
)
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.resampling import resampled_counts

RNG = np.random.default_rng(3)
SHARES = np.array([0.5, 0.3, 0.2])


def drawn(n=300, skill=1.0, stretch=1.0, seed=0):
    """Patients whose classes have the probabilities that a marker gives, with stretched logarithms."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, n, p=SHARES)
    marker = rng.normal(size=(n, 3)) + skill * np.eye(3)[label]
    exact = np.log(SHARES) + skill * marker
    return KnownClasses(softmax(stretch * exact, axis=1), label)


KNOWN = drawn()
RESAMPLING = Resampling(400, 0)


def test_scores_are_those_of_scikit_learn():
    p, y = KNOWN.probability, KNOWN.label
    found = class_metrics(KNOWN, RESAMPLING)
    assert found.auc == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert found.log_loss == pytest.approx(metrics.log_loss(y, p))
    assert found.accuracy == metrics.accuracy_score(y, p.argmax(axis=1))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y, p.argmax(axis=1)))
    assert found.brier == pytest.approx(((p - np.eye(3)[y]) ** 2).sum() / len(y))
    assert np.array_equal(found.confusion, metrics.confusion_matrix(y, p.argmax(axis=1)))
    for name in ("auc", "log_loss", "brier", "accuracy", "balanced_accuracy"):
        low, high = getattr(found, f"{name}_95")
        assert low < getattr(found, name) < high


def test_the_interval_of_the_macro_auc_is_that_of_a_bootstrap_within_classes():
    rng, y = np.random.default_rng(1), KNOWN.label
    auc = macro_aucs(KNOWN, resampled_counts(rng, y, None, 2000))
    low, high = macro_auc_interval(KNOWN, RESAMPLING)
    assert high - low == pytest.approx(np.diff(np.quantile(auc, [0.025, 0.975]))[0], rel=0.1)
    assert macro_aucs(KNOWN, np.ones((1, len(y))))[0] == pytest.approx(macro_auc(KNOWN).auc)


def test_the_influences_of_the_patients_of_one_class_add_up_to_nothing():
    influence = macro_auc(KNOWN).influence
    for k in range(3):
        assert abs(influence[KNOWN.label == k].sum()) < 1e-12


def test_records_of_one_group_widen_every_interval():
    copies = KnownClasses(np.repeat(KNOWN.probability, 3, axis=0), np.repeat(KNOWN.label, 3))
    groups = np.repeat(np.arange(len(KNOWN.label)), 3)
    grouped = KnownClasses(copies.probability, copies.label, groups)
    of_groups = class_metrics(grouped, Resampling(400, 0, groups))
    alone, once = class_metrics(copies, RESAMPLING), class_metrics(KNOWN, RESAMPLING)
    for name in ("auc_95", "log_loss_95", "accuracy_95"):
        width, naive, right = (np.diff(getattr(one, name))[0] for one in (of_groups, alone, once))
        assert width > 1.4 * naive and width == pytest.approx(right, rel=0.2)


def test_the_difference_of_two_models_is_paired():
    better, worse = drawn(skill=1.5), drawn(skill=0.7)
    worse = KnownClasses(worse.probability, better.label)
    difference, low, high = paired_macro_auc_difference(better, worse, RESAMPLING)
    assert difference == pytest.approx(macro_auc(better).auc - macro_auc(worse).auc) and low > 0
    assert paired_macro_auc_difference(better, better, RESAMPLING)[0] == 0
    own = np.diff(macro_auc_interval(better, RESAMPLING))[0]
    nearly = KnownClasses(0.99 * better.probability + 0.01 / 3, better.label)
    _, low, high = paired_macro_auc_difference(better, nearly, RESAMPLING)
    assert high - low < own / 5


def test_a_class_without_patients_is_left_out_of_the_means():
    two = KNOWN.label < 2
    part = KnownClasses(KNOWN.probability[two], KNOWN.label[two])
    each = [metrics.roc_auc_score(part.label == k, part.probability[:, k]) for k in (0, 1)]
    found = class_metrics(part, RESAMPLING)
    assert found.auc == pytest.approx(np.mean(each))
    assert found.confusion[2] == (0, 0, 0)


@pytest.mark.parametrize(("rarest", "given"), [(9, False), (10, True)])
def test_there_is_no_interval_and_no_slope_with_fewer_than_ten_of_a_class(rarest, given):
    rows = np.r_[np.flatnonzero(KNOWN.label < 2)[:60], np.flatnonzero(KNOWN.label == 2)[:rarest]]
    part = KnownClasses(KNOWN.probability[rows], KNOWN.label[rows])
    found = (macro_auc_interval(part, RESAMPLING), class_calibration_slope(part))
    assert [one is not None for one in found] == [given, given]


def test_one_class_alone_and_no_patients_have_no_auc():
    one = KnownClasses(KNOWN.probability[KNOWN.label == 0], KNOWN.label[KNOWN.label == 0])
    none = KnownClasses(KNOWN.probability[:0], KNOWN.label[:0])
    assert class_metrics(one, RESAMPLING).auc is None and one.rarest == 0
    assert class_metrics(none, RESAMPLING).log_loss is None


def test_records_of_one_group_are_no_further_patients_to_the_interval_of_the_slope():
    groups = np.repeat(np.arange(len(KNOWN.label)), 3)
    tripled = KnownClasses(np.repeat(KNOWN.probability, 3, axis=0), np.repeat(KNOWN.label, 3), groups)
    slope, ends = class_calibration_slope(KNOWN)
    of_groups, grouped_ends = class_calibration_slope(tripled)
    assert of_groups == pytest.approx(slope, abs=1e-4)
    assert np.diff(grouped_ends)[0] == pytest.approx(np.diff(ends)[0], rel=1e-3)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_the_slope_undoes_how_far_probabilities_were_stretched(stretch):
    slope, (low, high) = class_calibration_slope(drawn(n=2000, stretch=stretch))
    assert low < 1 / stretch < high and low < slope < high
    assert (high - low) * stretch < 0.4


def test_with_two_classes_the_slope_is_that_of_one_event():
    rng = np.random.default_rng(0)
    z = rng.normal(size=3000)
    y = rng.random(3000) < 1 / (1 + np.exp(-0.7 * z))
    p = 1 / (1 + np.exp(-z))
    slope, ends = class_calibration_slope(KnownClasses(np.stack([1 - p, p], axis=1), y.astype(int)))
    event = calibration(p, y.astype(int))
    assert slope == pytest.approx(event.calibration_slope, abs=0.02)
    assert np.diff(ends)[0] == pytest.approx(np.diff(event.calibration_slope_95)[0], rel=0.05)


def test_the_same_probabilities_for_everyone_have_no_slope():
    constant = KnownClasses(np.tile(np.ones(3) / 3, (300, 1)), KNOWN.label)
    assert class_calibration_slope(constant) is None


def test_classes_are_read_from_labels_of_one_versus_rest():
    labels = np.array([[0, 1, 0], [-1, -1, -1], [1, 0, 0]])
    assert class_numbers(labels).tolist() == [1, -1, 0]
