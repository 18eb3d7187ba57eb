"""Where recipes fail: folds without a model, and folds that are predicted worst."""

from hcat_core.experiments.compare_recipes.failures import failed_folds, worst_folds
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores


def scored(name, fold, auc, events=20, patients=60):
    scores = FoldScores({"auc": auc, "events": events, "patients": patients})
    return FoldResult(name, 0, fold, {"survival": scores})


def texts(table):
    return [[cell.text for cell in row] for row in table.cells]


def test_failed_folds_are_named_with_their_reason():
    results = [scored("a", 0, 0.7), FoldResult("b", 1, 2, {}, "one outcome is missing")]
    assert texts(failed_folds(results)) == [["b", "2", "3", "one outcome is missing"]]
    assert failed_folds(results[:1]) is None


def test_the_worst_folds_come_first_with_their_best_and_worst_recipe():
    aucs = {0: (0.8, 0.7), 1: (0.5, 0.6), 2: (0.9, 0.9), 3: (0.6, 0.7)}
    results = [scored(n, f, auc) for f, pair in aucs.items() for n, auc in zip("ab", pair, strict=True)]
    rows = texts(worst_folds(results, "survival"))
    assert [row[1] for row in rows] == ["2", "4", "1"]
    assert rows[0] == ["1", "2", "20/60", "0.550", "b", "a"]


def test_folds_of_few_patients_are_no_evidence():
    assert worst_folds([scored("a", 0, 0.1, events=9)], "survival") is None
    assert worst_folds([scored("a", 0, 0.1, events=55)], "survival") is None
