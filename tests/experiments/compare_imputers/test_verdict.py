"""The verdict on imputers: the best one by CRPS, or that none was found to be."""

from dataclasses import replace

import pytest

from hcat_core.experiments.compare_imputers.results import ImputationScores, ImputerResult
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE, Setting
from hcat_core.experiments.compare_imputers.verdict import imputer_verdict

SCORES = ImputationScores(
    r2=0.3, crps=0.5, coverage_90=0.9, coverage_50=0.5, width_90=3.0, hidden_cells=10, by_modality={},
    brier_binary=None, by_pattern={}, energy_distance=None,
)  # fmt: skip


def scored(name, crps, auc=None, **scores):
    """One result for each CRPS, of seeds 0, 1, ..."""
    return [
        ImputerResult(
            name, Setting("mcar", 0.3, seed), scores=replace(SCORES, crps=one, **scores),
            auc={} if auc is None else {"survival": auc},
        )
        for seed, one in enumerate(crps)
    ]  # fmt: skip


def test_an_imputer_whose_error_is_lower_on_every_seed_is_best():
    results = [
        *scored(ORACLE, [0.1, 0.1, 0.1]), *scored(LIMIT, [0.2, 0.2, 0.2], r2=0.4),
        *scored("mean", [0.60, 0.62, 0.61]), *scored("gaussian", [0.50, 0.51, 0.50]),
    ]  # fmt: skip
    verdict = imputer_verdict(results)
    assert (verdict.word, verdict.best, verdict.title) == (
        "an imputer is better", "gaussian", "gaussian imputes best.",
    )  # fmt: skip
    text = " ".join(verdict.sentences)
    assert "its CRPS is 0.503" in text and "next best, mean, is 0.107 higher (95 % interval +0." in text
    assert "30 % of the variance" in text and "40 % is what this many patients allow" in text


def test_imputers_that_take_turns_are_not_told_apart():
    verdict = imputer_verdict([*scored("a", [0.50, 0.60, 0.55]), *scored("b", [0.60, 0.50, 0.56])])
    assert verdict.title == "No detectable difference between a and b."


def test_one_seed_decides_nothing():
    verdict = imputer_verdict([*scored("a", [0.5]), *scored("b", [0.9])])
    assert verdict.word == "not known" and "single random seed" in verdict.title


@pytest.mark.parametrize(
    ("coverage", "said"), [(0.9, "as they should"), (0.7, "too narrow"), (0.99, "too wide")]
)
def test_intervals_that_do_not_hold_are_named(coverage, said):
    verdict = imputer_verdict(scored("a", [0.5, 0.5], coverage_90=coverage))
    assert any(said in sentence for sentence in verdict.sentences)


def test_the_worth_to_a_prediction_is_that_over_leaving_gaps():
    gaps = [
        replace(one, scores=replace(one.scores, crps=None, r2=None))
        for one in scored("none", [0.5, 0.5], 0.70)
    ]
    verdict = imputer_verdict([*scored("a", [0.5, 0.5], 0.72), *scored("b", [0.6, 0.6], 0.72), *gaps])
    assert any("is given the gaps: +0.020" in sentence for sentence in verdict.sentences)


def test_a_failed_seed_is_left_out_and_no_imputer_at_all_is_not_known():
    failed = ImputerResult("a", Setting("mcar", 0.3, 2), error="no luck")
    assert imputer_verdict([*scored("a", [0.5, 0.5]), failed]).best == "a"
    assert imputer_verdict([failed]).title == "Not known: no imputer was scored."
