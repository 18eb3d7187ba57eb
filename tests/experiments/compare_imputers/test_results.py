"""An imputer's result survives its JSON file."""

import json
from dataclasses import replace

import pytest

from hcat_core.experiments.compare_imputers.results import (
    BlockScores,
    ImputationScores,
    ImputerResult,
    PatternScores,
)
from hcat_core.experiments.compare_imputers.settings import Setting

SCORES = ImputationScores(
    r2=0.5,
    crps=0.4,
    coverage_90=0.9,
    coverage_50=None,
    width_90=3.0,
    hidden_cells=120,
    by_modality={"clinical": BlockScores(0.5, 0.4, None)},
    brier_binary=None,
    by_pattern={"clinical+spatial": PatternScores(40, 0.5, 0.4, 0.9)},
    energy_distance=None,
)
RESULT = ImputerResult(
    "gaussian",
    Setting("mar", 0.3, 2),
    scores=SCORES,
    auc={"survival": 0.7},
    fit_seconds=1.5,
    transform_seconds=0.1,
)


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        replace(RESULT, scores=replace(SCORES, brier_binary=0.2)),
        replace(RESULT, name="oracle", fit_seconds=None, transform_seconds=None),
    ],
)
def test_a_result_is_written_and_read(result):
    assert ImputerResult.from_json(json.loads(json.dumps(result.as_json()))) == result


def test_a_failed_job_has_a_name_a_setting_and_an_error_alone():
    assert list(ImputerResult("mean", Setting("mcar", 0.3, 0), "no luck").as_json()) == [
        "name",
        "setting",
        "error",
    ]


def test_a_progress_line_shows_imputer_setting_and_r2():
    assert RESULT.label + RESULT.score == "gaussian, mar, seed 2  R2 0.500"
