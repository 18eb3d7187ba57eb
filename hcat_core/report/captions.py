"""Captions of tables and figures: each sentence is given only where what it says was computed."""

from __future__ import annotations

from collections.abc import Sequence

from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.report.formatting import counted, listed
from hcat_core.report.inputs import KnownOutcomes, ReportInputs, few
from hcat_core.report.method import thresholds
from hcat_core.report.outcomes import weighting
from hcat_core.report.performance_figures import band_resamples

EACH = f"{FEWEST_OF_EACH} patients of either outcome"
EACH_GROUP = f"{FEWEST_OF_EACH} groups with either outcome"
FEW = "A dash stands where ten patients of either outcome are needed and there are fewer."
FEW_GROUPS = "A dash stands where ten groups with either outcome are needed and there are fewer."


def intervals(inputs: ReportInputs, scores: Sequence[TaskScores], *, timed: bool = False) -> str:
    """How intervals of AUC and average precision in a table, and Uno's C if ``timed``, were computed.

    Empty where the table has none, and none are missing for want of resamples.
    """
    enough = [one for one in scores if not few(one)]
    resampling = inputs.resampling
    if not enough:
        return ""
    if not resampling.resamples:
        return (
            "No intervals were computed, except that of the slope: the recipe has evaluation.bootstrap = 0."
        )
    delong = "DeLong's on the logit scale"
    units = "patients"
    if resampling.groups is not None:
        delong, units = f"{delong}, of groups as wholes", "groups of records as wholes"
    kinds = [f"of the AUC {delong}"] if any(one.auc_95 for one in enough) else []
    names = [
        name
        for name, given in (
            ("average precision", any(one.average_precision_95 for one in enough)),
            ("Uno's C", timed and any(one.c_index_95 for one in enough)),
        )
        if given
    ]
    if names:
        kinds.append(f"of {listed(names)} from {resampling.resamples} bootstrap samples of {units}")
    text = f"In brackets: 95 % intervals, {listed(kinds)}." if kinds else ""
    if any(one.auc_95 and not one.average_precision_95 for one in enough):
        text += f" Average precision has none with fewer than {FEWEST_TO_RESAMPLE} of either outcome."
    return text


def discrimination(inputs: ReportInputs) -> str:
    """The caption of the table of discrimination."""
    metrics = inputs.summary.metrics
    scores = _all_scores(inputs)
    measures = ["AUC", "average precision (AP)"]
    measures += (
        ["Uno's C index, of events before the horizon"]
        if any(s.c_index is not None for s in scores)
        else []
    )
    parts = [
        f"{listed(measures)}.",
        intervals(inputs, scores, timed=True),
        dashes(inputs, scores),
        weighting(inputs),
    ]
    parts.append(f"Sensitivity and specificity are those at the threshold. {thresholds(inputs)}")
    parts.append("The model was fitted to training patients: their figures are too optimistic.")
    if any(one.patients for one in metrics["validation"].values()):
        parts.append("Those of validation patients, who made choices in training, are so too.")
    if len(inputs.split.test):
        parts.append("Test patients were scored once, and nothing in this run was chosen by them.")
    return _joined(parts)


def dashes(inputs: ReportInputs, scores: Sequence[TaskScores]) -> str:
    """Why some cells are dashes; empty where none are for want of patients."""
    if not any(few(one) for one in scores):
        return ""
    return FEW if inputs.groups is None else FEW_GROUPS


def roc(inputs: ReportInputs, known: KnownOutcomes) -> str:
    """The caption of the ROC curve of one task."""
    return (
        "For each threshold, the share of patients with the event that it finds (sensitivity), and the "
        "share of the others that it calls wrongly (1 - specificity). The dashed line is a model that "
        f"ranks patients at random. {_whose(inputs, known)}"
    )


def precision_recall(inputs: ReportInputs, known: KnownOutcomes) -> str:
    """The caption of the precision-recall curve of one task."""
    return (
        "For each threshold, the share of patients with the event that it finds (recall), and how many of "
        "those whom it calls have the event (precision). The dashed line is the precision of a model that "
        f"ranks patients at random: the share of events{', weighted likewise' if known.weighted else ''}. "
        f"{_whose(inputs, known)}"
    )


def _whose(inputs: ReportInputs, known: KnownOutcomes) -> str:
    """Whose curves are drawn, and how their bands were computed."""
    text = f"Test patients{', weighted for censoring' if known.weighted else ''}."
    resamples = band_resamples(known, inputs.resampling)
    units = "patients" if known.groups is None else "groups"
    if resamples:
        of = "patients" if known.groups is None else "groups as wholes"
        text += f" Bands are pointwise 95 % intervals of {resamples} bootstrap samples of {of}."
    elif inputs.resampling.resamples:
        text += f" Bands are drawn from {FEWEST_TO_RESAMPLE} {units} of either outcome on."
    return text


def calibration(inputs: ReportInputs) -> str:
    """The caption of the table of calibration."""
    scores = _all_scores(inputs)
    text = (
        "Predicted is the mean predicted probability, observed the share with the event. Where observed "
        "over predicted is above 1, too few events are predicted. With a slope below 1 the probabilities "
        "are too extreme, above 1 too moderate. For both 1 is ideal."
    )
    if all(few(one) for one in scores):
        text = ""
    has_horizon = any(task.horizon_days is not None for task in inputs.cohort.layout.tasks)
    at_horizon = " at the horizon" if has_horizon else ""
    brier = f"The Brier score is the mean squared error of the probability{at_horizon}"
    if any(one.integrated_brier is not None for one in scores):
        brier += "; the integrated one is its mean over the time up to the horizon"
    wald = (
        ""
        if all(few(one) for one in scores)
        else "Intervals of the slope are Wald's, of the sandwich estimator"
    )
    if wald and inputs.groups is not None:
        wald += ", in which records of one group count together"
    parts = [text, f"{wald}." if wald else "", f"{brier}.", dashes(inputs, scores), weighting(inputs)]
    return _joined(parts)


def calibration_figure(task: str, known: KnownOutcomes, who: str = "test patient") -> str:
    """The caption of one task's calibration figure."""
    weighted = ", weighted for censoring" if known.weighted else ""
    units = "effective number of patients" if weighted else "number of patients"
    if known.groups is not None:
        units = "effective number of groups"
    return (
        f"{task}: {counted(len(known.label), who)} with a known outcome{weighted}. On the dashed line "
        "probabilities are right; above it more patients have the event than predicted. Points are "
        f"bins of similar predictions with Wilson's 95 % intervals of the {units}; the smooth line is a "
        "logistic regression on the logit and its square. The grey bars show how often each probability "
        "was predicted. The axes end where predictions and intervals do."
    )


def decision_figure(task: str, known: KnownOutcomes) -> str:
    """The caption of one task's decision curve."""
    return (
        f"{task}, test patients with a known outcome{', weighted for censoring' if known.weighted else ''}."
        " The band is a pointwise 95 % interval."
    )


def patterns(inputs: ReportInputs) -> str:
    """The caption of the table by missingness pattern."""
    found = inputs.summary.analysis.patterns or ()
    every = [one for pattern in found for one in pattern.tasks.values()]
    enough = [one for one in every if not few(one)]
    parts = ["Test patients grouped by the modalities they have (●) or lack (○)."]
    parts += [
        left_out(len(enough), len(every), EACH if inputs.groups is None else EACH_GROUP),
        _auc_intervals(inputs, enough),
        weighting(inputs) if enough else "",
    ]
    return _joined(parts)


def left_out(shown: int, every: int, needed: str = EACH) -> str:
    """A sentence on groups of patients without scores; empty where all have them.

    Args:
        shown: groups with scores.
        every: groups.
        needed: what scores take.
    """
    if shown == every:
        return ""
    if not shown:
        return f"No scores: none of {every} groups has the {needed} that they take."
    return f"Not shown: {every - shown} of {every} groups, without the {needed} that scores take."


def subsets(inputs: ReportInputs) -> str:
    """The caption of the table by subset of modalities."""
    scores = list(inputs.summary.metrics["test"].values())
    parts = [
        "AUC of all test patients when only the marked modalities (●) are shown to the model, which "
        "predicts in a single pass. A patient who has none of them gets the mean prediction of training "
        "patients.",
        drawn_patients(inputs),
    ]
    parts += [_auc_intervals(inputs, scores), dashes(inputs, scores), weighting(inputs)]
    return _joined(parts)


def drawn_patients(inputs: ReportInputs) -> str:
    """A sentence where only some of the test patients were drawn to hide their modalities."""
    found = inputs.summary.analysis.modalities
    if found is None or found.patients == len(inputs.split.test):
        return ""
    return f"To save time these are {found.patients} of the test patients, drawn at random."


def _auc_intervals(inputs: ReportInputs, scores: Sequence[TaskScores]) -> str:
    """The table has AUC alone: what is said of average precision and Uno's C is left out."""
    enough = [one for one in scores if not few(one)]
    if not inputs.resampling.resamples and enough:
        return "No intervals were computed: the recipe has evaluation.bootstrap = 0."
    units = "" if inputs.groups is None else ", of groups as wholes"
    if not any(one.auc_95 for one in enough):
        return ""
    return f"In brackets: 95 % intervals, DeLong's on the logit scale{units}."


def baselines(inputs: ReportInputs) -> str:
    """The caption of the comparison with simple models."""
    found = (inputs.summary.analysis.baselines or {}).values()
    scores = [one for tasks in found for one in tasks.values()]
    text = (
        "Simple models with default parameters, fitted to the same training patients and scored on the "
        "same test patients."
    )
    if any(one.difference for one in scores):
        text += " The difference is this model's AUC minus the simple one's, with a paired 95 % interval."
    return _joined([text, intervals(inputs, scores), dashes(inputs, scores), weighting(inputs)])


def verdicts(inputs: ReportInputs) -> str:
    """The caption of the AUCs below the verdicts; of classes it is the macro AUC."""
    layout = inputs.cohort.layout
    what = ["rank the same test patients"] if layout.event_columns else []
    what += ["tell their classes apart (macro AUC)"] if layout.families else []
    lines = " Lines are 95 % intervals." if inputs.resampling.resamples else ""
    decide = ": see the decision curves" if layout.event_columns else ""
    return _joined(
        [
            f"How well this model and the simple ones {' and '.join(what)}; 0.5 is chance.{lines}",
            weighting(inputs),
            "Usable: better than chance, not worse than the best simple model, and with probabilities that "
            "were not found too extreme or too moderate, all beyond noise. Not known: better than chance "
            f"could not be shown. Whether a usable model does good depends on its use{decide}.",
        ]
    )


def no_baselines(inputs: ReportInputs) -> str:
    """Why there is no comparison with simple models."""
    wanted = inputs.summary.recipe["evaluation"]["baselines"]
    if not len(inputs.split.test):
        return "No comparison: there are no test patients."
    if not wanted:
        return "No simple model was fitted: the recipe's evaluation.baselines is empty."
    return (
        f"No simple model was fitted: of evaluation.baselines ({listed(wanted)}) none is installed, can be "
        "fitted to these outcomes and is another than the run's own estimator."
    )


def _all_scores(inputs: ReportInputs) -> list[TaskScores]:
    """The scores of all sides that have patients with a known outcome."""
    sides = inputs.summary.metrics.values()
    return [one for tasks in sides for one in tasks.values() if one.patients]


def _joined(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)
