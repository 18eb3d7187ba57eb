"""The items of the TRIPOD+AI reporting guideline, filled in as far as a run can.

An answer says what the item asks, from what was computed; it is empty where the run does not know.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from hcat_core import __version__
from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.cohort_counts import ClassCounts, OtherCounts, OutcomeCounts
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores
from hcat_core.report import captions, data_checks, method, other_captions, outcomes
from hcat_core.report.formatting import counted, interval, listed, number
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.task_figures import TaskFigures
from hcat_core.report.words import too_few

BY_AUTHORS = "To be completed by the authors"


@dataclass(frozen=True)
class TripodItem:
    """One item of the guideline.

    Attributes:
        number: of the item.
        section: of the guideline.
        text: what it asks for, in short.
        answer: of this run; empty where it has none.
        rest: what the authors have to complete; empty where the answer is complete.
    """

    number: str
    section: str
    text: str
    answer: str
    rest: str


def tripod_items(inputs: ReportInputs, figures: Sequence[TaskFigures]) -> list[TripodItem]:
    """All items in the guideline's order (Collins et al. 2024, BMJ 385:e078378).

    Args:
        inputs: the run.
        figures: of its tasks, as the page shows them.
    """
    text = (resources.files("hcat_core.report") / "tripod_ai.toml").read_text(encoding="utf-8")
    answers = _method_answers(inputs) | _result_answers(inputs, figures)
    items = []
    for item in tomllib.loads(text)["item"]:
        answer = answers[item["from"]] if "from" in item else ""
        beyond = f"{BY_AUTHORS}: {item['rest']}." if "rest" in item else ""
        rest = beyond if answer else f"{BY_AUTHORS}."
        items.append(TripodItem(item["number"], item["section"], item["text"], answer, rest))
    return items


def _method_answers(inputs: ReportInputs) -> dict[str, str]:
    """Answers about what was done, by the key that ``tripod_ai.toml`` has under ``from``."""
    summary = inputs.summary
    widths = [f"{m.name} ({counted(m.width, 'feature')})" for m in inputs.cohort.layout.modalities]
    model = [
        f"Estimator {summary.run.estimator}, with the components and parameters of the recipe above.",
        *(method.training_in_words(inputs) if summary.run.training is not None else ()),
        method.weighted_training(inputs),
        method.recalibration(inputs),
        _internal_validation(inputs),
    ]
    names = [task.output_name for task in inputs.cohort.layout.tasks]
    layout = inputs.cohort.layout
    thresholds = [(layout.tasks[c].name, summary.run.thresholds[c]) for c in layout.event_columns]
    values = listed([f"{number(value)} ({task})" for task, value in thresholds])
    return {
        "preparation": f"{method.preparation(inputs)} {data_checks.quality(inputs)}",
        "handling": method.preparation(inputs),
        "outcomes": " ".join(
            [_outcomes(inputs), outcomes.label_rules(inputs), *outcomes.competing_in_short(inputs)]
        ),
        "predictors": f"{'; '.join(widths)}.",
        "missing": f"{method.missing_modalities(inputs)} {_unknown_outcomes(inputs)}".strip(),
        "division": method.division(inputs),
        "model": " ".join(part for part in model if part),
        "updating": "Nothing was changed after the test patients were scored."
        if len(inputs.split.test)
        else "",
        "predicting": _predicting(inputs),
        "imbalance": _imbalance(inputs),
        "output": _output(names, values, inputs),
        "code": f"hcat {__version__}; the recipe and the environment are given above.",
        "specification": _specification(inputs),
        "inputs": f"Patients with any of the modalities are predicted. {method.missing_modalities(inputs)}",
    }


def _result_answers(inputs: ReportInputs, figures: Sequence[TaskFigures]) -> dict[str, str]:
    """Answers about what was found, by key."""
    data = inputs.summary.data
    sides = [side for side in SPLITS if data.split[side].patients]
    analysed = [
        f"{side}: {counted(data.split[side].patients, 'patient')} "
        f"({_events(data.split[side].labels, data.split[side].others)})"
        for side in sides
    ]
    return {
        "measures": _measures(inputs, figures),
        "flow": _flow(inputs),
        "analysed": f"{'. '.join(part[0].upper() + part[1:] for part in analysed)}.",
        "performance": _performance(inputs),
    }


def _events(labels: Mapping[str, OutcomeCounts], others: Mapping[str, OtherCounts]) -> str:
    """Outcomes by task, and by name of those that are no events."""
    counts = [
        f"{task} {c.event} with the event, {c.event_free} event-free, {c.unknown} unknown"
        for task, c in labels.items()
    ]
    for outcome, one in others.items():
        if isinstance(one, ClassCounts):
            by_class = ", ".join(f"{n} {name}" for name, n in one.classes.items())
            counts.append(f"{outcome} {by_class}, {one.unknown} unknown")
        else:
            counts.append(f"{outcome} {one.known} with a value, {one.unknown} unknown")
    return "; ".join(counts)


def _outcomes(inputs: ReportInputs) -> str:
    layout = inputs.cohort.layout
    told = []
    for outcome in layout.outcomes:
        task = layout.tasks[outcome.columns[0]]
        if outcome.kind == "class":
            told.append(
                f"{outcome.name}: {listed([layout.tasks[c].class_name for c in outcome.columns], 'or')}"
            )
        elif outcome.kind == "continuous":
            told.append(f"{task.name}: a number{f' in {task.unit}' if task.unit else ''}")
        else:
            told.append(f"{task.name}: {task.outcome}{task.within}")
    return f"{'; '.join(told)}."


def _output(names: Sequence[str], thresholds: str, inputs: ReportInputs) -> str:
    """What the model gives, and from which probability on an event is predicted."""
    layout = inputs.cohort.layout
    parts = [f"Predictions ({listed(names)})." if layout.families or layout.numbers else ""]
    if layout.event_columns:
        first = parts[0] or f"Probabilities ({listed(names)});"
        parts = [
            f"{first.removesuffix('.').removesuffix(';')}; the event is predicted from {thresholds} on."
        ]
        parts.append(method.thresholds(inputs))
    if layout.families:
        parts.append("Of several classes the likeliest is predicted.")
    if layout.numbers:
        parts.append("A number comes with an interval that holds nine of ten patients' values.")
    return " ".join(part for part in parts if part)


def _unknown_outcomes(inputs: ReportInputs) -> str:
    data = inputs.summary.data
    unknown = {task: c.unknown for task, c in (*data.labels.items(), *data.others.items()) if c.unknown}
    if not unknown:
        return ""
    numbers = listed([f"{n} of {task}" for task, n in unknown.items()])
    return f"Unknown outcomes ({numbers}) were not imputed. {outcomes.weighting(inputs)}".strip()


def _internal_validation(inputs: ReportInputs) -> str:
    if not len(inputs.split.test):
        return ""
    patients = counted(len(inputs.split.test), "test patient")
    return f"Internal validation: {patients} who took no part in any of this."


def _imbalance(inputs: ReportInputs) -> str:
    """Class weights of the built-in binary heads, the only handling of imbalance that hcat knows of."""
    heads = inputs.summary.recipe.get("heads", {})
    balanced = [
        name for name, head in heads.items() if head["use"] == "binary" and head.get("balance") is True
    ]
    if not balanced:
        return ""
    word = "head" if len(balanced) == 1 else "heads"
    return (
        f"In training of the {word} {listed(balanced)}, events and event-free patients had the same total "
        f"weight (balance = true); the probability takes the weight back. {method.recalibration(inputs)}"
    )


def _predicting(inputs: ReportInputs) -> str:
    if not len(inputs.split.test):
        return ""
    return f"By this run's model with hcat {__version__}; every patient's prediction is in predictions.csv."


def _specification(inputs: ReportInputs) -> str:
    """What the run folder holds of the model: an answer only where it was written."""
    if inputs.weights is None:
        return ""
    return (
        f"The run folder holds all that was fitted ({inputs.weights}), the recipe (recipe.toml), and, once "
        "the run has finished, recalibration, thresholds and the statistics of features "
        "(trained.safetensors). From these, hcat predict RUN_FOLDER predicts other patients."
    )


def _flow(inputs: ReportInputs) -> str:
    """How many patients there were, were left out, had the event, and how long they were followed."""
    data = inputs.summary.data
    out = data.patients_without_modality
    patients, were = counted(data.patients, "patient"), "was" if out == 1 else "were"
    text = f"{patients}; {out} without any modality {were} left out. {_events(data.labels, data.others)}."
    days = {task.name: outcomes.follow_up(inputs, c) for c, task in enumerate(inputs.cohort.layout.tasks)}
    known = [f"{task} {value:.0f} days" for task, value in days.items() if value is not None]
    return f"{text} Median follow-up by reverse Kaplan-Meier: {listed(known)}." if known else text


def _measures(inputs: ReportInputs, figures: Sequence[TaskFigures]) -> str:
    """Measures and plots of test patients' performance that this run has, and kinds of intervals."""
    if not len(inputs.split.test):
        return ""
    scores = list(inputs.summary.metrics["test"].values())
    enough = [one for one in scores if not few(one)]
    names = (
        ["AUC", "average precision", "F1, sensitivity and specificity at the threshold"] if enough else []
    )
    if any(one.c_index is not None for one in enough):
        names.append("Uno's C index")
    if enough:
        names += ["calibration slope and intercept"]
    names += ["Brier score"] if any(one.brier is not None for one in scores) else []
    names += ["integrated Brier score"] if any(one.integrated_brier is not None for one in scores) else []
    compared = (inputs.summary.analysis.baselines or {}).values()
    if any(one.difference for tasks in compared for one in tasks.values()):
        names.append("difference of the AUC from that of simple models")
    others = inputs.summary.others.get("test", {}).values()
    if any(isinstance(one, ClassScores) for one in others):
        names += ["macro AUC, log loss and accuracy of classes"]
    if any(not isinstance(one, ClassScores) for one in others):
        names += ["R², mean absolute error and coverage of intervals of numbers"]
    drawn = dict.fromkeys(name for one in figures for name in one.names)
    parts = [
        f"Measures: {', '.join(names)}." if names else "",
        f"Plots: {', '.join(drawn)}." if drawn else "",
    ]
    parts += [
        captions.intervals(inputs, scores, timed=True),
        captions.dashes(inputs, scores),
        outcomes.weighting(inputs),
    ]
    return " ".join(part for part in parts if part)


def _performance(inputs: ReportInputs) -> str:
    if not len(inputs.split.test):
        return ""
    answers = []
    layout = inputs.cohort.layout
    for column in layout.event_columns:
        task = layout.tasks[column].name
        scores = inputs.summary.metrics["test"][task]
        if few(scores):
            answers.append(too_few(task, inputs.known_test_outcomes(column)))
            continue
        slope = f"{number(scores.calibration_slope, 2)} {interval(scores.calibration_slope_95)}"
        auc = f"{number(scores.auc)} {interval(scores.auc_95, 3)}".strip()
        answers.append(f"{task}: AUC {auc}, calibration slope {slope}, Brier score {number(scores.brier)}.")
    for outcome, one in inputs.summary.others.get("test", {}).items():
        answers.append(_other_performance(outcome, one))
    return f"Test patients. {' '.join(answers)}"


def _other_performance(outcome: str, scores: OtherScores) -> str:
    """The main scores of classes or of a number."""
    if scores.few:
        return other_captions.too_few(outcome, scores)
    if isinstance(scores, ClassScores):
        auc = f"{number(scores.auc)} {interval(scores.auc_95, 3)}".strip()
        return f"{outcome}: macro AUC {auc}, log loss {number(scores.log_loss)}."
    r2 = f"{number(scores.r2)} {interval(scores.r2_95, 3)}".strip()
    coverage = number(scores.coverage_90, 2)
    return f"{outcome}: R² {r2}, mean absolute error {number(scores.mae)}, coverage {coverage}."
