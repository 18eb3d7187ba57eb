"""The items of the TRIPOD+AI reporting guideline, filled in as far as a run can."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from hcat_core import __version__
from hcat_core.data.splits import SPLITS
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.words import interval, number


@dataclass(frozen=True)
class TripodItem:
    """One item: its number, section and request, and what this run answers, or an empty string."""

    number: str
    section: str
    text: str
    answer: str


def tripod_items(inputs: ReportInputs) -> list[TripodItem]:
    """All items in the guideline's order (Collins et al. 2024, BMJ 385:e078378)."""
    text = (resources.files("hcat_core.report") / "tripod_ai.toml").read_text(encoding="utf-8")
    answers = _answers(inputs)
    return [
        TripodItem(item["number"], item["section"], item["text"], answers.get(item.get("from", ""), ""))
        for item in tomllib.loads(text)["item"]
    ]


def _answers(inputs: ReportInputs) -> dict[str, str]:
    """Answers by the key that ``tripod_ai.toml`` has under ``from``."""
    summary, cohort = inputs.summary, inputs.cohort
    data, imputer = summary.data, summary.recipe.get("imputer", {}).get("use")
    sizes = ", ".join(f"{data.split[side].patients} {side}" for side in SPLITS)
    outcomes = "; ".join(
        f"{task.name}: event within {task.horizon_days:g} days (output {task.output_name})"
        for task in cohort.layout.tasks
    )
    events = "; ".join(
        f"{task}: {counts.event} events, {counts.event_free} event-free, {counts.unknown} unknown"
        for task, counts in data.labels.items()
    )
    has = ", ".join(f"{modality.name} {modality.patients}" for modality in data.modalities)
    test = "; ".join(
        f"{task}: AUC {number(m.auc)} {interval(m.auc_95, 3)}, calibration slope "
        f"{number(m.calibration_slope, 2)}"
        for task, m in summary.metrics["test"].items()
    )
    complete = int(cohort.present.all(dim=1).sum())
    thresholds = ", ".join(number(value) for value in summary.run.thresholds)
    return {
        "outcomes": outcomes,
        "predictors": f"Patients with each modality: {has}. Features are standardised with the means and "
        "standard deviations of the training patients.",
        "sample_size": f"{data.patients} patients ({sizes}). {events}.",
        "missing": f"{complete} patients have every modality. "
        + (
            f"Missing modalities are imputed by {imputer}."
            if imputer
            else "How missing modalities are handled: see the estimator in the recipe."
        ),
        "model": f"Estimator {summary.run.estimator}; the full recipe is given above. Probabilities were "
        "recalibrated on held-out patients.",
        "performance_measures": "AUC, average precision, Brier score, calibration slope and intercept, net "
        "benefit, and Uno's C index where event times are known; bootstrap 95 % intervals over patients.",
        "output": f"Probabilities; the event is predicted from thresholds of {thresholds}, chosen on "
        "held-out patients.",
        "split": f"Patients were divided into {sizes}, stratified by outcome; patients of one group stay "
        "on one side.",
        "participants": f"{data.patients} patients; {data.patients_without_modality} without any modality "
        f"were left out. {events}.",
        "performance": f"Test patients: {test}.",
        "code": f"hcat {__version__}; the recipe and the environment are given above.",
        "subgroups": "Results by missingness pattern are in this report; for results by sex, age or site, "
        "use hcat evaluate --by.",
    }
