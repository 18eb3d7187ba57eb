"""Predictions of a trained run for new patients, with what they rest on; as CSV rows and as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.evaluation.shapley import MOST_MODALITIES, shapley_values, width_if_measured
from hcat_core.interfaces import ImputingEstimator, Prediction
from hcat_core.runs.trained_run import TrainedRun

FEW = 32  # patients up to which every one of them is explained unless the user says otherwise


@dataclass(frozen=True)
class Answers:
    """N patients, T tasks, M modalities.

    Attributes:
        cohort: on the model's axes.
        predicted: recalibrated probabilities, 90 % intervals and curves.
        unknown: (N, M) mean share of a modality's variance that imputing leaves open, 0 to about 1; NaN
            where it is there, or not imputed.
        shapley: (N, T, M) contributions to the probability: with the base rate they sum to it; or None.
        narrowed: (N, T, M) expected width of the interval with the modality measured, or None.
    """

    cohort: Cohort
    predicted: Prediction
    unknown: np.ndarray
    shapley: np.ndarray | None
    narrowed: np.ndarray | None


def answer(run: TrainedRun, cohort: Cohort, explain: bool | None = None) -> Answers:
    """Predict an aligned cohort; ``explain`` it where asked, or (None) where patients are few.

    Raises:
        DataError: for a patient without any modality.
    """
    nothing = ~cohort.present.any(dim=1)
    if nothing.any():
        ids = ", ".join(np.array(cohort.ids_as_written())[nothing.numpy()][:5])
        raise DataError(
            f"{int(nothing.sum())} patients have no measured value in any modality: {ids}. There is "
            "nothing to predict from; leave them out."
        )
    fitted = run.fitted

    def width(asked: Cohort) -> np.ndarray:
        found = fitted.predict(asked)
        return np.asarray(found.high - found.low)

    cohort = cohort.without_targets()
    predicted = fitted.predict(cohort)
    explain = len(cohort) <= FEW if explain is None else explain
    explain = explain and len(cohort.layout.modalities) <= MOST_MODALITIES
    shapley = narrowed = None
    if explain:
        base_rate = np.array(run.training.base_rate)
        shapley, _ = shapley_values(lambda c: fitted.predict(c).probability, cohort, base_rate)
    unknown = np.full(cohort.present.shape, np.nan)
    if isinstance(fitted.estimator, ImputingEstimator) and bool((~cohort.present).any()):
        imputation = fitted.estimator.impute(cohort)
        cells = cohort.layout.cells
        block = imputation.filled & cells & ~cohort.present.unsqueeze(-1)
        relative = (imputation.std / run.training.standardiser.scale).square() * block
        count = block.sum(dim=2)
        share_open = relative.sum(dim=2) / count.clamp(min=1)
        unknown = torch.where(count > 0, share_open, torch.nan).double().numpy()
        if explain and predicted.interval is not None:
            narrowed = width_if_measured(width, cohort, imputation, run.recipe.seed)
    return Answers(cohort, predicted, unknown, shapley, narrowed)


def as_records(run: TrainedRun, answers: Answers) -> list[dict[str, Any]]:
    """One plain record a patient, for JSON."""
    layout, predicted = run.layout, answers.predicted
    names = np.array(layout.names)
    records = []
    for row, patient in enumerate(answers.cohort.ids_as_written()):
        has = answers.cohort.present[row].numpy()
        tasks: dict[str, Any] = {}
        for column, task in enumerate(layout.tasks):
            one: dict[str, Any] = {"output": task.output_name, "horizon_days": task.horizon_days}
            one["probability"] = _plain(predicted.probability[row, column])
            one["interval_90"] = None
            if np.isfinite(predicted.low[row, column]):
                one["interval_90"] = [
                    _plain(predicted.low[row, column]),
                    _plain(predicted.high[row, column]),
                ]
            curve = predicted.curves[row, column]
            one["curve"] = None
            if np.isfinite(curve).all():
                one["curve"] = {
                    "days": [round(day, 1) for day in task.curve_days],
                    "probability": [_plain(value) for value in curve],
                }
            one["above_threshold"] = bool(
                predicted.probability[row, column] >= run.fitted.thresholds[column]
            )
            if answers.shapley is not None:
                one["base_rate"] = _plain(run.training.base_rate[column])
                values = answers.shapley[row, column]
                one["contributions"] = {n: _plain(values[i]) for i, n in enumerate(layout.names) if has[i]}
            one["measure_next"] = None
            if answers.narrowed is not None:
                one["expected_width_if_measured"] = _known(layout.names, answers.narrowed[row, column])
                now = predicted.high[row, column] - predicted.low[row, column]
                one["measure_next"] = _narrowest(layout.names, answers.narrowed[row, column], now)
            tasks[task.name] = one
        records.append(
            {
                "patient_id": patient,
                "modalities": names[has].tolist(),
                "missing": names[~has].tolist(),
                "imputed": _known(layout.names, answers.unknown[row]),
                "tasks": tasks,
            }
        )
    return records


def as_csv(run: TrainedRun, answers: Answers) -> str:
    """One row a patient: probabilities, intervals, curves, then what they rest on."""
    layout = run.layout
    head = ["patient_id", "modalities", "missing"]
    for task in layout.tasks:
        head += [task.output_name, f"{task.output_name}_low", f"{task.output_name}_high"]
    for task in layout.tasks:
        head += [f"p_{task.outcome}_by_{round(day)}d" for day in task.curve_days]
    head += [f"{name}_left_open_by_imputation" for name in layout.names]
    for task in layout.tasks:
        if answers.shapley is not None:
            head += [f"{task.name}_from_{name}" for name in layout.names]
        if answers.narrowed is not None:
            head.append(f"{task.name}_measure_next")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    predicted = answers.predicted
    for row, record in enumerate(as_records(run, answers)):
        cells = [record["patient_id"], " ".join(record["modalities"]), " ".join(record["missing"])]
        for column in range(len(layout.tasks)):
            ends = [predicted.low[row, column], predicted.high[row, column]]
            cells.append(_text(predicted.probability[row, column]))
            cells += [_text(end) for end in ends]
        cells += [_text(value) for value in predicted.curves[row].ravel()]
        cells += [_text(value) for value in answers.unknown[row]]
        for column, task in enumerate(layout.tasks):
            if answers.shapley is not None:
                cells += [_text(value) for value in answers.shapley[row, column]]
            if answers.narrowed is not None:
                cells.append(record["tasks"][task.name]["measure_next"] or "")
        writer.writerow(cells)
    return buffer.getvalue()


def _narrowest(names: tuple[str, ...], widths: np.ndarray, now: float) -> str | None:
    """The modality of the least width, where that is less than the interval has now."""
    least = np.nanmin(widths, initial=now)
    return names[int(np.nanargmin(widths))] if least < now else None


def _known(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {name: _plain(v) for name, v in zip(names, values, strict=True) if np.isfinite(v)}


def _plain(value: float) -> float:
    return round(float(value), 6)


def _text(value: float) -> str:
    return f"{value:.6f}" if np.isfinite(value) else ""
