"""The verdict on a comparison of recipes: which one is better, and by how much, or that none was found."""

import pytest

from hcat_core.experiments.compare_recipes.differences import (
    ALL_MODALITIES,
    MEAN_OF_TASKS,
    TWO_HIDDEN,
    Difference,
)
from hcat_core.experiments.compare_recipes.selection import ChosenScore, Selection
from hcat_core.experiments.compare_recipes.verdict import Measured, comparison_verdict

MEASURED = Measured(patients=763, folds=5, repeats=3)


def difference(name, mean, low, high, p, adjusted=None, task="survival", what=ALL_MODALITIES):
    adjusted = p if adjusted is None else adjusted
    return Difference(name, "first", task, what, mean, 15, low, high, p, adjusted)


BETTER = difference("better", 0.05, 0.02, 0.08, 0.001)
WORSE = difference("worse", -0.05, -0.08, -0.02, 0.001)
ALIKE = difference("alike", 0.01, -0.03, 0.05, 0.6)


@pytest.mark.parametrize(
    ("found", "title"),
    [
        ([BETTER, ALIKE], "better is better than first."),
        ([WORSE], "first is better than worse."),
        ([WORSE, ALIKE], "first is better than worse, and not detectably different from the others."),
        ([ALIKE], "No detectable difference between first and alike."),
        ([], "Nothing to compare: fewer than two recipes were scored on the same folds."),
        (
            [Difference("few", "first", "survival", ALL_MODALITIES, 0.1, 15)],
            "Not known: there are too few patients to tell recipes apart.",
        ),
        (
            [Difference("few", "first", "survival", ALL_MODALITIES, 0.1, 2)],
            "Not known: 2 folds are too few to say which recipe is better.",
        ),
    ],
)
def test_the_title_answers_which_recipe_is_better(found, title):
    assert comparison_verdict(found, None, MEASURED).title == title


def test_a_claim_has_its_size_and_interval_and_the_rest_what_could_have_been_found():
    text = " ".join(comparison_verdict([BETTER, ALIKE], None, MEASURED).sentences)
    assert "its AUC of survival is 0.050 higher (95 % interval of the difference +0.020 to +0.080)" in text
    assert "largest difference is that of alike" in text
    assert "a difference of less than about 0.04 cannot be told from chance" in text
    assert "763 patients" in text and "divided 3 times into 5 parts" in text


def test_several_tasks_are_judged_by_their_mean_and_hidden_modalities_are_not():
    of_tasks = [
        WORSE,
        difference("worse", 0.0, -0.01, 0.01, 0.9, task=MEAN_OF_TASKS),
        difference("worse", -0.2, -0.3, -0.1, 0.001, what=TWO_HIDDEN),
    ]
    verdict = comparison_verdict(of_tasks, None, MEASURED)
    assert verdict.word == "no detectable difference"
    assert "mean AUC of the tasks" in verdict.sentences[0]


def test_a_difference_that_only_holds_if_tested_alone_is_no_claim():
    alone = difference("alone", 0.04, 0.01, 0.07, 0.03, adjusted=0.12)
    verdict = comparison_verdict([alone, ALIKE], None, MEASURED)
    assert verdict.word == "no detectable difference"
    assert "alone would differ from first if no other recipe had been compared" in " ".join(
        verdict.sentences
    )


def test_the_highest_auc_is_corrected_for_having_been_chosen():
    score = ChosenScore(0.75, 0.73, (0.68, 0.78))
    selection = Selection("better", ("first", "better"), score, {"survival": score}, 500)
    text = " ".join(comparison_verdict([BETTER], selection, MEASURED).sentences)
    assert (
        "The highest AUC was that of better, 0.750" in text
        and "expect 0.73 (95 % interval 0.68 to 0.78)" in text
    )
