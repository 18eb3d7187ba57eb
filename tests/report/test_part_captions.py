"""What the report says of the imputer and of the parts of a network."""

from dataclasses import replace

import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.evaluation.gates import GateRange, GateSummary
from hcat_core.evaluation.imputation_quality import ImputationAnalysis, ImputationQuality
from hcat_core.report import captions, part_captions
from hcat_core.report.page import render
from hcat_core.training.residual_weight import ResidualWeight

GATES = GateRange(9, 0.1, 0.5, 0.9)

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_imputers_that_are_beside_it_are_named(analysed, looked_at):
    made = analysed()
    assert "Beside it: the training mean." in part_captions.imputation(made)
    analysis = made.summary.analysis.imputation
    both = replace(analysis, references=analysis.references | {"gaussian": analysis.references["mean"]})
    text = part_captions.imputation(looked_at(made, imputation=both))
    assert "Beside it: the training mean and the imputer gaussian, a closed form." in text
    assert "Beside it" not in part_captions.imputation(
        looked_at(made, imputation=replace(analysis, references={}))
    )


def test_coverage_is_explained_where_there_is_one(analysed, looked_at):
    made = analysed()
    assert "Coverage is" in part_captions.imputation(made)
    without = ImputationAnalysis({"clinical": ImputationQuality(9, 0.4, 0.3)}, {}, 9)
    assert "Coverage" not in part_captions.imputation(looked_at(made, imputation=without))


def test_it_is_said_where_some_of_very_many_patients_were_drawn(analysed, looked_at):
    made = analysed()
    for caption in (part_captions.imputation, captions.subsets):
        assert "drawn at random" not in caption(made)
    found = made.summary.analysis
    some = looked_at(
        made,
        imputation=replace(found.imputation, patients=50, fitted_on=20),
        modalities=replace(found.modalities, patients=50),
    )
    assert "Blocks are those of 50 test patients, drawn at random." in part_captions.imputation(some)
    assert "fitted on 20 training patients, drawn at random" in part_captions.imputation(some)
    assert "these are 50 of the test patients, drawn at random" in captions.subsets(some)
    assert render(some).count("these are 50 of the test patients") == 2  # subsets and Shapley values


def test_the_mean_is_compared_on_the_modalities_that_were_imputed():
    model = {"clinical": ImputationQuality(9, 0.1, 0.6), "semantic": ImputationQuality(9)}
    mean = {"clinical": ImputationQuality(9, 0.0, 0.5), "semantic": ImputationQuality(9, 0.0, 0.9)}
    warning = ImputationAnalysis(model, {"mean": mean}, 9).warning()
    assert warning is not None and "CRPS on hidden blocks 0.600, of the mean 0.500" in warning
    better = {"clinical": ImputationQuality(9, 0.1, 0.4), "semantic": ImputationQuality(9)}
    assert ImputationAnalysis(better, {"mean": mean}, 9).warning() is None


def test_the_reason_for_no_imputation_is_the_right_one(inputs, split, looked_at):
    assert "The estimator neural returns no imputation" in part_captions.no_imputation(inputs())
    alone = looked_at(inputs(), imputation=ImputationAnalysis({}, {}, 0))
    assert "no test patient has two" in part_captions.no_imputation(alone)
    assert "no test patient has two" in render(alone)
    everyone = Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)
    assert "no test patients" in part_captions.no_imputation(inputs(split=everyone))


def test_the_correction_is_chosen_by_held_out_patients_only_where_there_are_some(inputs):
    def made(*weights):
        correction = dict(zip(("survival", "recurrence"), weights, strict=True))
        training = replace(inputs().summary.run.training, evidence="evidence", correction=correction)
        return inputs(run={"training": training})

    chosen, unknown = ResidualWeight(0.5, 0.01, 0.002, 40), ResidualWeight(0.0, 0.0, 0.0, 0)
    assert "highest likelihood of patients that it was not trained on" in part_captions.evidence(
        made(chosen, chosen)
    )
    text = part_captions.evidence(made(unknown, unknown))
    assert "No held-out patients could choose" in text and "likelihood" not in text
    assert part_captions.evidence(inputs()) == ""
    assert "has neither gates nor a correction" in render(inputs())
    assert "has neither gates nor a correction" not in render(made(chosen, chosen))


def test_gates_of_imputed_blocks_are_named_where_there_are_some(inputs, looked_at):
    measured = {"clinical": GateSummary(GATES, None)}
    both = {"clinical": GateSummary(GATES, GATES, -0.4)}
    text = part_captions.gates(looked_at(inputs(), gates=both))
    assert "and of imputed ones" in text and "Spearman's correlation" in text
    text = part_captions.gates(looked_at(inputs(), gates=measured))
    assert "imputed" not in text and "correlation" not in text
    assert part_captions.gates(inputs()) == ""
