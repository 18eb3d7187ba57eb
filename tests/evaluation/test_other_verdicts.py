"""The verdict on classes and numbers: each word where it is due, and its reason."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.evaluation.analysis import score_patterns
from hcat_core.evaluation.other_baselines import compare_others
from hcat_core.evaluation.other_outcomes import score_others
from hcat_core.evaluation.other_verdicts import verdict_of_other


@pytest.fixture
def judged(mixed, settings):
    """Function that judges predictions of an outcome, beside those of another model if given."""

    def judge(outcome, predicted, other=None, rows=None, **changes):
        cohort, own = mixed, predicted
        if rows is not None:
            cohort, own = mixed[torch.from_numpy(rows)], predicted[rows]
        scores = score_others(cohort, own, settings)
        found = {} if other is None else {"ridge": compare_others(cohort, own, other, settings)}
        patterns = score_patterns(cohort, own, settings)
        return verdict_of_other(outcome, scores[outcome], found, patterns, **changes)

    return judge


@pytest.mark.parametrize("outcome", ["subtype", "score"])
def test_a_good_model_is_usable_and_says_for_whom(outcome, judged, predicted):
    verdict = judged(outcome, predicted(), predicted())
    assert verdict.word == "usable" and "no simple model is better" in verdict.because
    assert "not detectably different from the best simple model, ridge" in verdict.reasons[0]
    assert verdict.reasons[2].startswith("For whom: measured on 300 test patients")
    assert "hcat evaluate" in verdict.reasons[2]
    external = judged(outcome, predicted(), external=True).reasons[2]
    assert external.startswith("For whom: measured on 300 patients of this cohort")
    assert "hcat evaluate" not in external


@pytest.mark.parametrize("half", [3.0, 8.0, 30.0])
def test_shares_are_whole_per_cent_with_a_space_before_the_sign(half, judged, predicted):
    for outcome in ("subtype", "score"):
        for reason in judged(outcome, predicted(half=half)).reasons:
            assert re.search(r"\d%|interval 0\.\d+ to 0\.\d+\) of the values", reason) is None
    assert re.search(
        r"interval \d+ to \d+ %\) lie in their 90 % intervals",
        judged("score", predicted(half=half)).reasons[1],
    )


@pytest.mark.parametrize(("stretch", "said"), [(4.0, "too extreme"), (0.25, "too moderate")])
def test_classes_with_wrong_probabilities_are_not_usable(stretch, said, judged, predicted):
    verdict = judged("subtype", predicted(stretch=stretch))
    assert verdict.word == "not usable" and said in verdict.because and said in verdict.reasons[1]


@pytest.mark.parametrize(
    ("half", "word", "said"), [(3.0, "not usable", "too narrow"), (30.0, "usable", "wider")]
)
def test_a_number_whose_intervals_are_too_narrow_is_not_usable(half, word, said, judged, predicted):
    verdict = judged("score", predicted(half=half))
    assert verdict.word == word and said in verdict.reasons[1]


def test_a_number_that_is_worse_than_its_mean_is_not_usable(judged, predicted):
    verdict = judged("score", predicted(shift=30.0))
    assert verdict.word == "not usable" and "mean of the training patients" in verdict.because
    assert "which is worse than that mean" in verdict.reasons[0]


def test_classes_that_are_told_apart_the_wrong_way_round_are_not_usable(judged, predicted):
    wrong = predicted(stretch=-1)
    verdict = judged("subtype", wrong)
    assert verdict.answer == "not usable, because it tells classes apart worse than chance"
    assert "which is worse than chance" in verdict.reasons[0]


@pytest.mark.parametrize("outcome", ["subtype", "score"])
def test_a_model_that_a_simple_one_beats_is_not_usable(outcome, judged, predicted):
    rng = np.random.default_rng(0)
    worse = predicted()
    worse.event_probability[:, 2:5] = torch.from_numpy(
        rng.dirichlet(np.ones(3), len(worse.event_probability))
    )
    worse.value[:] += torch.from_numpy(rng.normal(0, 6, worse.value.shape))
    verdict = judged(outcome, worse, predicted())
    assert verdict.word == "not usable" and "the simple model ridge" in verdict.because


def test_a_constant_prediction_is_not_known_to_be_better_than_chance(judged, predicted):
    constant = predicted(stretch=0)
    verdict = judged("subtype", constant)
    assert verdict.word == "not known" and "no better than chance" in verdict.because


@pytest.mark.parametrize(("outcome", "needed"), [("subtype", "10 of each"), ("score", "20 are needed")])
def test_with_few_patients_nothing_is_known(outcome, needed, judged, predicted):
    verdict = judged(outcome, predicted(), rows=np.arange(15))
    assert verdict.word == "not known" and needed in verdict.reasons[0]
    nobody = judged(outcome, predicted(), rows=np.arange(0))
    assert nobody.word == "not known" and "nothing was measured" in nobody.reasons[0]


def test_without_resamples_there_is_nothing_to_judge_by(mixed, predicted, settings):
    scores = score_others(mixed, predicted(), replace(settings, resamples=0))
    assert "evaluation.bootstrap = 0" in verdict_of_other("score", scores["score"], {}, ()).reasons[0]
