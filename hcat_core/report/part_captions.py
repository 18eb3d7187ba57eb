"""Captions of what the imputer and the parts of a network contribute, or why there is nothing to show."""

from __future__ import annotations

from hcat_core.evaluation.imputation_quality import CLOSED_FORM
from hcat_core.report.formatting import listed
from hcat_core.report.inputs import ReportInputs
from hcat_core.training.residual_weight import BEYOND_NOISE


def imputation(inputs: ReportInputs) -> str:
    """The caption of the table of imputation quality; empty where no block could be hidden."""
    analysis = inputs.summary.analysis.imputation
    if analysis is None or not analysis.model:
        return ""
    text = (
        f"Each of {listed(list(analysis.model))} was hidden from the test patients who have it and another "
        "modality, and imputed. R² compares with imputing the training mean, over all features. CRPS is "
        "the error of the whole predicted distribution, in standard deviations: smaller is better."
    )
    if analysis.patients < len(inputs.split.test):
        text += f" Blocks are those of {analysis.patients} test patients, drawn at random."
    names = {"mean": "the training mean", CLOSED_FORM: f"the imputer {CLOSED_FORM}, a closed form"}
    beside = [words for name, words in names.items() if name in analysis.references]
    text += f" Beside it: {listed(beside)}." if beside else ""
    if 0 < analysis.fitted_on < len(inputs.split.train):
        text += f" The closed form was fitted on {analysis.fitted_on} training patients, drawn at random."
    if any(one.coverage_90 is not None for one in analysis.model.values()):
        text += (
            " Coverage is the share of values inside their 50 % and 90 % intervals; width is that of the "
            "90 % interval, in standard deviations. Both leave out features with only two values."
        )
    if any(one.r2_95 for one in analysis.model.values()):
        units = "patients" if inputs.groups is None else "groups of records as wholes"
        text += (
            f" In brackets: 95 % intervals from {inputs.resampling.resamples} bootstrap samples of {units}."
        )
    return text


def no_imputation(inputs: ReportInputs) -> str:
    """Why there is no table of imputation quality."""
    if not len(inputs.split.test):
        return "There are no test patients to impute modalities of."
    if inputs.summary.analysis.imputation is None:
        return f"The estimator {inputs.summary.run.estimator} returns no imputation that could be scored."
    return "No modality could be hidden and imputed: no test patient has two."


def evidence(inputs: ReportInputs) -> str:
    """The caption of the table of the network's correction; empty where there is no such part."""
    training = inputs.summary.run.training
    if training is None or training.evidence is None or not training.correction:
        return ""
    text = f"The network corrects the evidence (component {training.evidence}), a sum over modalities."
    weights = training.correction.values()
    if not any(one.patients for one in weights):
        return f"{text} No held-out patients could choose the weight of its correction: it is 0."
    return (
        f"{text} The weight of its correction is the one with the highest likelihood of patients that it "
        f"was not trained on; it is 0 where the gain is not more than {BEYOND_NOISE:g} standard errors "
        "above 0."
    )


def gates(inputs: ReportInputs) -> str:
    """The caption of the table of gates; empty without gates."""
    found = inputs.summary.analysis.gates
    if not found:
        return ""
    text = (
        "How far the network relies on each modality of the test patients, from 0 (not at all) to 1: the "
        "lowest, median and highest gate of measured blocks"
    )
    if any(one.imputed for one in found.values()):
        text += ", and of imputed ones"
    text += "."
    if any(one.with_std is not None for one in found.values()):
        text += (
            " The last column is Spearman's correlation of imputed blocks' gates with their standard "
            "deviation: negative where an uncertain imputation counts less."
        )
    return text


def no_parts(inputs: ReportInputs) -> str:
    """Why nothing is said of a model's parts."""
    if inputs.summary.run.training is not None and not len(inputs.split.test):
        return "There are no test patients to show the parts of the network on."
    return f"The estimator {inputs.summary.run.estimator} has neither gates nor a correction of evidence."
