"""Differences between recipes, and when one is claimed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hcat_core.experiments.compare_recipes.differences import (
    Difference,
    holm,
    nadeau_bengio,
    paired_differences,
)
from hcat_core.experiments.compare_recipes.document import difference_notes
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores


def compared(shifts, seed, folds):
    """Differences to the first of several recipes, whose AUCs vary from fold to fold."""
    rng = np.random.default_rng(seed)
    # A fifth of the variance is that of all folds, which share training patients.
    lucky = rng.normal(0, 0.02 * np.sqrt(0.2), len(shifts))
    results = []
    for fold in range(folds):
        for name, (shift, luck) in enumerate(zip(shifts, lucky, strict=True)):
            auc = 0.7 + shift + luck + rng.normal(0, 0.02 * np.sqrt(0.8))
            results.append(FoldResult(str(name), 0, fold, {"survival": FoldScores({"auc": auc})}))
    return paired_differences(results, [str(name) for name in range(len(shifts))], ["survival"], 5)


def test_the_interval_is_that_of_nadeau_and_bengio():
    differences = np.array([0.02, 0.01, 0.03, -0.01, 0.02] * 3)
    test = nadeau_bengio(differences, 5)
    error = differences.std(ddof=1) * np.sqrt(1 / 15 + 1 / 4)
    assert test.high - test.low == pytest.approx(2 * stats.t.ppf(0.975, 14) * error)
    assert (test.low + test.high) / 2 == pytest.approx(differences.mean())


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, "no detectable difference"), (0.2, "better"), (-0.2, "worse")]
)
def test_a_difference_is_claimed_only_when_the_interval_leaves_out_zero(shift, verdict):
    rng = np.random.default_rng(0)
    results = []
    for fold in range(15):
        noise = rng.normal(0, 0.02)
        for name, extra in (("a", 0.0), ("b", shift)):
            auc = 0.7 + noise + extra + rng.normal(0, 0.01)
            results.append(FoldResult(name, fold // 5, fold % 5, {"survival": FoldScores({"auc": auc})}))
    (one,) = paired_differences(results, ["a", "b"], ["survival"], 5)
    assert one.verdict == verdict


def test_the_mean_of_tasks_is_a_row_where_there_are_several():
    aucs = {"a": (0.6, 0.8), "b": (0.7, 0.8)}
    results = [
        FoldResult(
            name,
            0,
            fold,
            {task: FoldScores({"auc": auc}) for task, auc in zip(("x", "y"), pair, strict=True)},
        )
        for fold in range(3)
        for name, pair in aucs.items()
    ]
    x, y, mean = paired_differences(results, ["a", "b"], ["x", "y"], 3)
    assert [x.mean, y.mean, mean.mean] == pytest.approx([0.1, 0.0, 0.05])


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_tests():
    # By hand: the smallest times 4, the next times 3, and so on, none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_among_five_equal_recipes_a_difference_is_seldom_claimed():
    claimed, alone = [], []
    for seed in range(400):
        found = compared(np.zeros(6), seed, folds=15)
        claimed.append(any(d.verdict in ("better", "worse") for d in found))
        alone.append(any(d.low > 0 or d.high < 0 for d in found))
    assert np.mean(claimed) < 0.05 < np.mean(alone)


def test_a_difference_that_only_one_test_alone_would_claim_is_worded_so():
    one = Difference("b", "a", "survival", "all modalities", 0.03, 15, 0.01, 0.05, 0.02, 0.1)
    assert one.verdict == "better if tested alone"
    assert replace(one, mean=-0.03).verdict == "worse if tested alone"
    assert replace(one, p_adjusted=0.04).verdict == "better"
    assert replace(one, p=0.3, p_adjusted=1).verdict == "no detectable difference"


def test_a_task_with_few_patients_is_not_tested():
    results = [
        FoldResult(name, 0, fold, {task: FoldScores({"auc": 0.5 + 0.1 * fold}) for task in ("x", "y")})
        for name in ("a", "b")
        for fold in range(3)
    ]
    x, y, mean = paired_differences(results, ["a", "b"], ["x", "y"], 3, untested=["y"])
    assert x.low is not None and x.verdict == "no detectable difference"
    for one in (y, mean):
        assert (one.low, one.high, one.p, one.verdict) == (None, None, None, "not tested")


def of_folds(aucs):
    """Results of recipe "a", whose AUC is 0.5 on every fold, and of "b" with these AUCs."""
    return [
        FoldResult(name, 0, fold, {"x": FoldScores({"auc": auc if name == "b" else 0.5})})
        for fold, auc in enumerate(aucs)
        for name in ("a", "b")
    ]


@pytest.mark.parametrize(
    ("aucs", "why"),
    [([0.5], "1 fold is too few to say"), ([0.4, 0.41], "2 folds are too few to say")],
)
def test_fewer_than_three_folds_have_no_interval_and_no_verdict_but_say_why(aucs, why):
    (one,) = paired_differences(of_folds(aucs), ["a", "b"], ["x"], 2)
    assert (one.low, one.high, one.p, one.p_adjusted, one.verdict) == (None, None, None, None, why)
    assert one.mean == pytest.approx(np.mean(aucs) - 0.5)
    (note,) = difference_notes([one])
    assert note.startswith(why) and "from 3 test folds on" in note


def test_the_interval_of_a_difference_of_aucs_does_not_leave_what_is_possible():
    (one,) = paired_differences(of_folds([0.0, 0.5, 1.0]), ["a", "b"], ["x"], 3)
    assert (one.low, one.high, one.verdict) == (-1, 1, "no detectable difference")


def test_the_same_difference_on_every_fold_is_no_proof_but_equal_recipes_are_equal():
    (alike,) = paired_differences(of_folds([0.4] * 3), ["a", "b"], ["x"], 3)
    assert (alike.low, alike.p, alike.verdict) == (None, None, "not tested")
    (equal,) = paired_differences(of_folds([0.5] * 3), ["a", "b"], ["x"], 3)
    assert (equal.low, equal.high, equal.verdict) == (0, 0, "no detectable difference")
