"""The summary at the top of the report, in sentences, and figures as text."""

from __future__ import annotations

from collections.abc import Sequence

from hcat_core.evaluation.baselines import compared_with_the_best
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report.inputs import ReportInputs


def summary_in_words(inputs: ReportInputs) -> list[str]:
    """Sentences for a reader who reads nothing else."""
    summary = inputs.summary
    data, baselines = summary.data, summary.analysis.baselines or {}
    complete = int(inputs.cohort.present.all(dim=1).sum())
    sentences = [
        f"The cohort has {data.patients} patients and {len(data.modalities)} modalities; {complete} "
        f"patients ({complete / max(1, data.patients):.0%}) have all modalities."
    ]
    for task in inputs.cohort.layout.tasks:
        scores = summary.metrics["test"][task.name]
        sentences.append(_discrimination(task.name, task.output_name, scores))
        sentences += _calibration(scores)
        sentences += compared_with_the_best(task.name, baselines)
    if summary.run.training is not None and summary.run.training.outcome_informed_imputation:
        sentences.append(
            "The imputation is outcome-informed: the imputer was trained with the prediction's gradient. "
            "Imputed values must not be used as data in an analysis of the same outcome."
        )
    sentences.append(
        "The test patients come from the same cohort as the training patients. Performance at another "
        "hospital must be measured there: hcat evaluate."
    )
    return sentences


def number(value: object, digits: int = 3) -> str:
    """A number for a table; a dash for None."""
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "–"


def interval(pair: Sequence[float] | None, digits: int = 2) -> str:
    """An interval in brackets; an empty string for None."""
    return f"({pair[0]:.{digits}f} to {pair[1]:.{digits}f})" if pair else ""


def _discrimination(task: str, output: str, scores: TaskScores) -> str:
    if scores.auc is None:
        return f"{task}: all test patients have the same known outcome; discrimination cannot be measured."
    text = (
        f"{task} ({output}): in {scores.auc:.0%} of all pairs of a test patient with the event and one "
        f"without, the model gave the one with the event the higher probability (AUC {scores.auc:.3f}"
    )
    if scores.auc_95:
        low, high = scores.auc_95
        text += f", 95 % interval {low:.3f} to {high:.3f}"
        if low <= 0.5:
            text += "; this does not exclude a model no better than chance"
    return text + f"), over {scores.patients} patients with {scores.events} events."


def _calibration(scores: TaskScores) -> list[str]:
    slope, pair = scores.calibration_slope, scores.calibration_slope_95
    if slope is None or not pair:
        return []
    verdict = "compatible with 1: no sign that probabilities are too extreme or too moderate"
    if pair[1] < 1:
        verdict = "below 1: high probabilities are too high, and low ones too low"
    elif pair[0] > 1:
        verdict = "above 1: high probabilities are too low, and low ones too high"
    return [f"The calibration slope is {slope:.2f} ({pair[0]:.2f} to {pair[1]:.2f}), {verdict}."]
