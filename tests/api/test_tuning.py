"""A search in Python."""

import pytest

import hcat_core as hcat
from hcat_core.errors import RecipeError, UsageError

LOGISTIC = {"estimator": {"use": "logistic"}}
SPACE = {"estimator.components": {"low": 2, "high": 8}, "estimator.widest": {"choices": [1, 16]}}
SMALL = {"trials": 3, "folds": 2, "inner_folds": 2, "baselines": False}


@pytest.fixture(scope="module")
def tuning(cohort):
    lines = []
    with pytest.warns(hcat.FindingWarning):
        found = hcat.tune(cohort, LOGISTIC, SPACE, **SMALL, progress=lines.append)
    assert len(lines) == 3 * 3 and lines[0].startswith("outer fold 1, trial 0: 0.")
    return found


def test_scores_are_of_outer_folds_and_trials_of_inner_ones(tuning):
    assert tuning.scores.index.tolist() == ["recipe_1", "recipe_1 (tuned)"]
    assert tuning.scores["mean"].between(0, 1).all()
    trials = tuning.trials
    assert list(trials.columns) == ["search", "trial", "score", *SPACE]
    assert trials[trials.search == "all patients"]["score"].max() == tuning.optimistic
    assert trials[trials.trial == 0]["estimator.components"].isna().all()


def test_its_repr_says_which_score_to_report(tuning):
    assert "Report this: AUC" in repr(tuning) and "Do not report" in repr(tuning)
    assert "<td>recipe_1 (tuned)</td>" in tuning._repr_html_()


def test_the_best_recipe_can_be_fitted(tuning, cohort, quick):
    run = hcat.fit(cohort, tuning.recipe, set=quick)
    for key, value in tuning.values.items():
        assert run.recipe.estimator[key.removeprefix("estimator.")] == value


@pytest.mark.parametrize(
    "space, others, error, message",
    [
        (None, {}, RecipeError, "tune.space  is needed"),
        ({"estimator.component": {"low": 1, "high": 2}}, {}, RecipeError, '"estimator.components"?'),
        (
            {"estimator.components": {"lowest": 1}},
            {},
            RecipeError,
            "tune.space.estimator.components.lowest",
        ),
        (SPACE, {"trials": 1}, UsageError, "from 2 on"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(cohort, space, others, error, message):
    with pytest.raises(error, match=message):
        hcat.tune(cohort, LOGISTIC, space, **others)
