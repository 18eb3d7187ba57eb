"""Differences between recipes, and when one is claimed."""

import numpy as np
import pytest
from scipy import stats

from hcat_core.experiments.compare_recipes.differences import nadeau_bengio, paired_differences
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores


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
