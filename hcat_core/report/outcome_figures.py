"""Figures, with captions, of one outcome of classes, or of a number, on a group of patients."""

from __future__ import annotations

from dataclasses import dataclass

from hcat_core.cohort import Cohort, Targets
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, classes_of, values_of
from hcat_core.interfaces import Prediction
from hcat_core.layout import Outcome
from hcat_core.report import other_captions as captions
from hcat_core.report import performance_figures
from hcat_core.report.inputs import KnownOutcomes
from hcat_core.report.other_figures import confusion_figure, predicted_observed_figure
from hcat_core.report.svg import Captioned


@dataclass(frozen=True)
class PatientGroup:
    """Patients whose outcomes are known, and what was predicted of them.

    Attributes:
        cohort: N patients with targets.
        predicted: of them.
        train: outcomes of the training patients.
        seed: of random draws.
        who: what one of them is called in captions.
    """

    cohort: Cohort
    predicted: Prediction
    train: Targets
    seed: int
    who: str = "test patient"


def outcome_figures(
    group: PatientGroup, outcome: Outcome, scores: OtherScores, name: str
) -> list[Captioned]:
    """The confusion matrix and the calibration of each class, or observed against predicted values.

    Args:
        group: of patients.
        outcome: of classes, or a number.
        scores: of these patients; of too few of them there is no figure.
        name: of the outcome's figures; prefixes their inner ids.
    """
    if scores.few:
        return []
    tasks, who = group.cohort.layout.tasks, group.who
    if not isinstance(scores, ClassScores):
        values = values_of(group.cohort, group.predicted, outcome, group.train)
        unit = tasks[outcome.columns[0]].unit
        svg = predicted_observed_figure(name, outcome.name, unit, values, group.seed)
        return [Captioned(svg, captions.predicted_observed(values, who))]
    classes = [tasks[column].class_name for column in outcome.columns]
    patients = len(classes_of(group.cohort, group.predicted, outcome).label)
    svg = confusion_figure(name, outcome.name, classes, scores.confusion)
    figures = [Captioned(svg, captions.confusion(patients, who))]
    for column, one in zip(outcome.columns, classes, strict=True):
        known = KnownOutcomes.of(group.cohort, group.predicted, column, group.train)
        if not known.few:
            svg = performance_figures.calibration_figure(f"{name}-{column}", one, known)
            figures.append(Captioned(svg, captions.class_calibration(one, known, who)))
    return figures
