"""The JSON document of a run: its keys are public."""

from hcat_core.data.data_quality import QualityChecks
from hcat_core.data.leakage import LeakCheck
from hcat_core.evaluation.imputation_quality import ImputationAnalysis
from hcat_core.evaluation.summary import Analysis, FitSummary, MemberSummary, TrainingSummary
from hcat_core.metrics.recalibration import Recalibration

LEAKS = LeakCheck(features=9, allowed=1, named=8, alone={"survival": 7}, gaps=())
QUALITY = QualityChecks(duplicates=("blood",), zeros=("blood", "clinical"))
LINE = Recalibration((0.1, 0.0), (0.9, 1.0))


def test_a_neural_run_gives_its_training_and_another_estimator_its_name():
    member = MemberSummary(3, True, {"average": 2}, {"metric": "auc", "average": 0.7})
    training = TrainingSummary([member], False, 12)
    neural = FitSummary("neural", [0.5, 0.4], LINE, "validation patients", training).as_json()
    assert neural == {
        "epochs": 3,
        "stopped_early": True,
        "best_epoch": {"average": 2},
        "best_validation": {"metric": "auc", "average": 0.7},
        "outcome_informed_imputation": False,
        "parameters": 12,
        "thresholds": [0.5, 0.4],
        "recalibration": {"intercept": (0.1, 0.0), "slope": (0.9, 1.0)},
        "held_out": "validation patients",
        "weighted_for_censoring": [],
    }
    other = FitSummary(
        "logistic", [0.5, 0.4], LINE, "inner folds", weighted_for_censoring=["estimator"]
    ).as_json()
    assert list(other) == ["estimator", "thresholds", "recalibration", "held_out", "weighted_for_censoring"]
    assert other["weighted_for_censoring"] == ["estimator"]


def test_the_analysis_has_only_the_parts_that_were_computed():
    bare = Analysis(["a copy"], ["days"], LEAKS, QUALITY).as_json()
    assert bare == {
        "leakage": {
            "findings": ["a copy"],
            "allowed": ["days"],
            "checked": {"features": 9, "allowed": 1, "named": 8, "alone": {"survival": 7}, "gaps": ()},
            "quality_checked": {"duplicates": ("blood",), "zeros": ("blood", "clinical")},
        }
    }
    some = Analysis(
        [], [], LEAKS, QUALITY, patterns=[], imputation=ImputationAnalysis({}, {}, 0), baselines={}
    ).as_json()
    assert list(some) == [
        "leakage",
        "patterns",
        "imputation",
        "imputation_patients",
        "imputation_references",
        "baselines",
    ]
