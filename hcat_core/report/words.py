"""The summary at the top of the report, in sentences."""

from __future__ import annotations

import numpy as np

from hcat_core.evaluation.baselines import compared_with_the_best
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report.formatting import counted
from hcat_core.report.inputs import KnownOutcomes, ReportInputs
from hcat_core.report.outcomes import competing_in_short

NO_TEST_PATIENTS = "There are no test patients: how well the model predicts others was not measured."


def summary_in_words(inputs: ReportInputs) -> list[str]:
    """Sentences for a reader who reads nothing else."""
    summary = inputs.summary
    sentences = [_cohort(inputs)]
    if not len(inputs.split.test):
        sentences.append(NO_TEST_PATIENTS)
    for column, task in enumerate(inputs.cohort.layout.tasks) if len(inputs.split.test) else ():
        known = inputs.known_test_outcomes(column)
        if known.few:
            sentences.append(too_few(task.name, known))
            continue
        scores = summary.metrics["test"][task.name]
        sentences.append(_discrimination(f"{task.name} ({task.output_name})", scores, known))
        sentences += _calibration(scores)
        sentences += compared_with_the_best(task.name, summary.analysis.baselines or {})
    sentences += competing_in_short(inputs)
    if summary.run.training is not None and summary.run.training.outcome_informed_imputation:
        sentences.append(
            "The imputation is outcome-informed: the imputer was trained with the prediction's gradient. "
            "Imputed values must not be used as data in an analysis of the same outcome."
        )
    return sentences + _elsewhere(inputs)


def too_few(task: str, known: KnownOutcomes) -> str:
    """The sentence that takes the place of whatever needs ten patients of either outcome."""
    n, grouped = len(known.label), known.groups is not None
    if not n:
        return f"{task}: no test patient has a known outcome; performance was not measured."
    units = known.groups if known.groups is not None else np.arange(n)
    events, free = (len(np.unique(units[known.label == outcome])) for outcome in (1, 0))
    outcome, name = (1, "event") if events <= free else (0, "event-free patient")
    rarer = counted(int((known.label == outcome).sum()), name)
    if grouped:
        rarer += f", in {counted(min(events, free), 'group')},"
    needed = "groups with either outcome" if grouped else "of either outcome"
    return (
        f"{task}: {rarer} among {counted(n, 'test patient')} with a known outcome: too few to measure "
        f"discrimination or calibration (ten {needed} are needed)."
    )


def _cohort(inputs: ReportInputs) -> str:
    """How many patients there are, and how many lack nothing."""
    patients, modalities = len(inputs.cohort), inputs.cohort.layout.names
    complete = int(inputs.cohort.present.all(dim=1).sum())
    share = f"{complete} ({complete / max(1, patients):.0%})"
    if len(modalities) == 1:
        return (
            f"The cohort has {counted(patients, 'patient')} and one modality, which {share} of them have."
        )
    has = "has" if complete == 1 else "have"
    return (
        f"The cohort has {counted(patients, 'patient')} and {len(modalities)} modalities; {share} of them "
        f"{has} all modalities."
    )


def _discrimination(task: str, scores: TaskScores, known: KnownOutcomes) -> str:
    assert scores.auc is not None, "with ten of either outcome there is one"
    weighted = ", weighted for censoring," if known.weighted else ""
    text = (
        f"{task}: in {scores.auc:.0%} of all pairs of a test patient with the event and one "
        f"without{weighted} the model gave the one with the event the higher probability (AUC "
        f"{scores.auc:.3f}"
    )
    if scores.auc_95:
        low, high = scores.auc_95
        text += f", 95 % interval {low:.3f} to {high:.3f}"
        if low <= 0.5:
            text += "; this does not exclude a model no better than chance"
    else:
        text += ", without an interval: the recipe has evaluation.bootstrap = 0"
    return text + f"), over {scores.patients} patients with {scores.events} events."


def _calibration(scores: TaskScores) -> list[str]:
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or not pair:
        return []
    verdict = "compatible with 1: probabilities were not found too extreme or too moderate"
    if pair[1] < 1:
        verdict = "below 1: the probabilities are too extreme"
    elif pair[0] > 1:
        verdict = "above 1: the probabilities are too moderate"
    return [
        f"The calibration slope is {slope:.2f} (95 % interval {pair[0]:.2f} to {pair[1]:.2f}), {verdict}."
    ]


def _elsewhere(inputs: ReportInputs) -> list[str]:
    """What a test on patients of the same files does not show."""
    if not len(inputs.split.test):
        return []
    column = inputs.summary.recipe["split"].get("column")
    who = "The test patients come from the same cohort as the training patients."
    if column is not None:
        who = f"The test patients are those of the column {column}."
    return [f"{who} Performance at another hospital must be measured there: hcat evaluate."]
