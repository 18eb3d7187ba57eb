"""Searches on outcomes that are no events: what is searched for, and what it is called."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.experiments.compare_recipes import run
from hcat_core.experiments.tune.results import Trial, best_first, score_name
from hcat_core.interfaces import Prediction
from hcat_core.layout import Task


@pytest.fixture
def numbers(cohort, monkeypatch):
    """A cohort with one outcome, a number, and a model that is the closer to it, the more rounds it has."""
    values = np.random.default_rng(0).normal(size=len(cohort))
    layout = replace(cohort.layout, tasks=(Task("score", None, "score", kind="continuous", unit="points"),))
    targets = replace(
        cohort.targets,
        labels=torch.full_like(cohort.targets.labels, -1),
        values=torch.from_numpy(values)[:, None],
    )
    known = dict(zip(cohort.patient_ids, values, strict=True))

    class Fitted:
        thresholds = (0.5,)

        def __init__(self, rounds):
            self.noise = 1 / np.log(rounds + 2)

        def predict(self, patients):
            truth = np.array([[known[one]] for one in patients.patient_ids])
            value = torch.from_numpy(truth + self.noise * np.random.default_rng(1).normal(size=truth.shape))
            none = torch.full_like(value, torch.nan)
            return Prediction(none, value=value)

    monkeypatch.setattr(run, "fit_estimator", lambda recipe, *others: Fitted(recipe.estimator["rounds"]))
    return replace(cohort, layout=layout, targets=targets)


def test_a_search_on_a_number_is_for_r2(search, numbers, tmp_path):
    result = search(tmp_path / "tuning", of=numbers).tuning.result
    assert result.score == "R2" and result.tuned.mean > 0.5
    page = (tmp_path / "tuning" / "tune.html").read_text(encoding="utf-8")
    assert "Report this: R2" in page and "AUC" not in page
    assert "tuned minus as it is" in page


def test_the_score_is_named_after_the_outcomes_that_count(numbers):
    (number,) = numbers.layout.outcomes
    event = replace(number, kind="event")
    assert score_name([number]) == "R2" and score_name([event]) == "AUC"
    assert score_name([replace(number, kind="class")]) == "macro AUC"
    assert score_name([number, number]) == "R2, mean of tasks"
    assert score_name([event, replace(number, kind="class")]) == "AUC, mean of tasks"


def test_the_score_of_a_trial_is_the_mean_of_its_inner_folds():
    assert Trial(1, {}, (0.5, 0.9)).score == pytest.approx(0.7)


def test_a_score_below_zero_is_better_than_a_failure():
    trials = [Trial(0, {}, error="failed"), Trial(1, {}, (-0.5,)), Trial(2, {}, (-0.1,))]
    assert [one.number for one in best_first(trials)] == [2, 1, 0]
