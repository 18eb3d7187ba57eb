"""A fold's result survives its JSON file."""

import json

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores

SCORES = FoldScores(
    {"patients": 3, "auc": 0.75, "c_index": None, "calibration_slope_95": [0.5, 1.5]},
    rows=[4, 7, 9],
    probability=[0.1, 0.2, 0.3],
    known_weights=[1.0, 1.0, 0.0],
    subsets={"clinical": None, "clinical+spatial": 0.75},
)


def test_a_result_is_written_and_read():
    result = FoldResult("coxnet", 1, 2, {"survival": SCORES})
    assert FoldResult.from_json(json.loads(json.dumps(result.as_json()))) == result


def test_a_progress_line_shows_recipe_fold_and_auc():
    result = FoldResult("coxnet", 1, 2, {"survival": SCORES, "recurrence": FoldScores({"auc": None})})
    assert result.label + result.score == "coxnet, repeat 2, fold 3  survival AUC 0.750"
