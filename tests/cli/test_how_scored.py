"""The last words of a run: who chose the thresholds, and whether anyone was only scored."""

import pytest

from hcat_core.cli.run_progress import _how_scored
from hcat_core.cli.score_cells import shown, why_left_out


def summary(validation, test, times=False, weighted=(), competing=None, **run):
    unweighted = {"auc": 0.7} if times else None
    return {
        "run": {"weighted_for_censoring": list(weighted), **run},
        "metrics": {"validation": {"survival": {"patients": validation, "unweighted": unweighted}}},
        "data": {"split": {"test": {"patients": test}}},
        "recipe": {"cohort": {"targets": {"tasks": {"recurrence": {"competing": competing}}}}},
    }


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (summary(20, 20, held_out="validation patients"), ("chosen on validation patients", "scored once")),
        (summary(0, 20, held_out="nobody"), ("thresholds are 0.5", "scored once")),
        (summary(0, 0, held_out="nobody"), ("thresholds are 0.5", "no test patients")),
        (summary(0, 20, held_out="inner folds"), ("in inner folds", "scored once")),
        (summary(0, 20, held_out="estimator"), ("The estimator chose thresholds itself", "scored once")),
    ],
)
def test_a_run_ends_with_what_was_done(of, said):
    assert all(part in _how_scored(of) for part in said)
    assert "weighted" not in _how_scored(of) and "cumulative" not in _how_scored(of)


def test_it_says_what_was_weighted_for_censoring_and_what_competes():
    text = _how_scored(summary(0, 20, True, ["heads.survival"], "survival", held_out="inner folds"))
    assert "Scores are weighted for censoring. Training of heads.survival was weighted, too." in text
    assert "recurrence: the probability of the event before that of survival" in text


def test_scores_of_few_patients_are_not_shown_and_it_says_so():
    scores = {
        "patients": 30,
        "events": 9,
        "rarer_outcome": 9,
        "auc": 0.7,
        "auc_95": None,
        "c_index": 0.6,
        "c_index_95": None,
    }
    scores |= {"calibration_slope": None, "calibration_slope_95": None, "f1": 0.5, "brier": 0.2}
    more = {**scores, "events": 10, "rarer_outcome": 10}
    assert shown(scores)["auc"] is None and shown(scores)["brier"] == 0.2
    assert shown(more) == more
    assert why_left_out([more]) == [] and "fewer than 10" in why_left_out([more, scores])[0]
