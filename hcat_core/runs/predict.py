"""Predict new patients with a trained run, explain the predictions, and give them as JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, UsageError
from hcat_core.evaluation.shapley import MOST_MODALITIES, shapley_values
from hcat_core.evaluation.tipping_point import Decisions, TippingPoints, tipping_points
from hcat_core.evaluation.value_of_measuring import (
    ValueOfMeasuring,
    value_of_measuring,
    width_if_measured,
)
from hcat_core.interfaces import Imputation, ImputingEstimator, Prediction
from hcat_core.layout import Task
from hcat_core.runs.outcomes_in_words import (
    likeliest_classes,
    number_cell,
    prediction_cells,
    prediction_columns,
)
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.text.counted import counted
from hcat_core.training.fitting import Fitted

EXPLAINED = 32  # patients up to which predictions are explained unless the user decides otherwise


@dataclass(frozen=True)
class PatientPredictions:
    """Predictions of N patients with T tasks and M modalities, and what they rest on.

    Attributes:
        cohort: the patients, in the run's layout, without targets.
        predicted: recalibrated probabilities, values, 90 % intervals and curves.
        thresholds: T probabilities from which the event is predicted.
        base_rate: T mean predictions of the training patients; of a number, the mean predicted value.
        unresolved: (N, M) mean share of a modality's variance that imputation leaves open, 0 to about 1;
            NaN where the modality is present, or was not imputed.
        shapley: (N, T, M) contributions to the probability, or the value, which sum to it with the base
            rate; None where they were not computed.
        value: of measuring a missing modality; None where it was not computed.
        expected_width: (N, T, M) expected width of the 90 % interval if the modality were measured; None
            where it was not computed.
        tipping: by how much imputed values would have to be off for a decision to change; None where it was
            not computed.
    """

    cohort: Cohort
    predicted: Prediction
    thresholds: Sequence[float]
    base_rate: Sequence[float]
    unresolved: np.ndarray
    shapley: np.ndarray | None = None
    value: ValueOfMeasuring | None = None
    expected_width: np.ndarray | None = None
    tipping: TippingPoints | None = None


def predict_patients(run: TrainedRun, cohort: Cohort, explain: bool | None = None) -> PatientPredictions:
    """Predict every patient of an aligned cohort.

    Args:
        run: a trained run.
        cohort: patients with at least one modality, in the run's layout.
        explain: compute contributions and what measuring a missing modality would change; None: for up to
            ``EXPLAINED`` patients of a run whose modalities are not too many.

    Raises:
        DataError: for a patient without any modality.
        UsageError: for explanations of a run of too many modalities.
    """
    refuse_without_modality(cohort)
    if explain and len(cohort.layout.modalities) > MOST_MODALITIES:
        raise UsageError(
            f"contributions are computed for up to {MOST_MODALITIES} modalities; this run has "
            f"{len(cohort.layout.modalities)}."
        )
    fitted, statistics = run.fitted, run.training
    cohort = cohort.without_targets()
    predicted = fitted.predict(cohort)
    explain = _explains(cohort) if explain is None else explain
    shapley = value = expected_width = tipping = None
    if explain:
        base_rate = np.array(statistics.base_rate)
        shapley, _ = shapley_values(
            lambda c: fitted.predict(c).estimate.double().numpy(), cohort, base_rate
        )
    unresolved = np.full(cohort.present.shape, np.nan)
    if isinstance(fitted.estimator, ImputingEstimator) and bool((~cohort.present).any()):
        imputation = fitted.estimator.impute(cohort)
        unresolved = _unresolved(cohort, imputation, statistics.standardiser.scale)
        if explain:
            value = value_of_measuring(fitted.predict_members, cohort, imputation, run.recipe.seed)
            decisions = Decisions(fitted.predict_once, predicted.probability, fitted.thresholds)
            tipping = tipping_points(decisions, cohort, imputation, statistics.standardiser.scale)
        if explain and predicted.interval is not None:
            expected_width = width_if_measured(_width_of(fitted), cohort, imputation, run.recipe.seed)
    return PatientPredictions(
        cohort,
        predicted,
        fitted.thresholds,
        statistics.base_rate,
        unresolved,
        shapley,
        value,
        expected_width,
        tipping,
    )


def _explains(cohort: Cohort) -> bool:
    """Whether predictions are explained where the user has not decided it."""
    return len(cohort) <= EXPLAINED and len(cohort.layout.modalities) <= MOST_MODALITIES


def _width_of(fitted: Fitted) -> Callable[[Cohort], np.ndarray]:
    """The function that gives the (N, T) widths of the intervals of N patients."""

    def width(patients: Cohort) -> np.ndarray:
        prediction = fitted.predict(patients)
        return np.asarray(prediction.high - prediction.low)

    return width


def as_records(predictions: PatientPredictions) -> list[dict[str, Any]]:
    """One JSON record per patient."""
    layout = predictions.cohort.layout
    names = np.array(layout.names)
    classes = likeliest_classes(predictions.predicted, layout)
    records = []
    for row, patient in enumerate(predictions.cohort.ids_as_written()):
        has = predictions.cohort.present[row].numpy()
        records.append(
            {
                "patient_id": patient,
                "modalities": names[has].tolist(),
                "missing": names[~has].tolist(),
                "imputed": _finite(layout.names, predictions.unresolved[row]),
                "classes": {outcome: likeliest[row] for outcome, likeliest in classes.items()},
                "tasks": {
                    task.name: _task_record(predictions, row, column, task)
                    for column, task in enumerate(layout.tasks)
                },
            }
        )
    return records


def as_csv(predictions: PatientPredictions) -> str:
    """One row per patient: predictions, intervals, curves, then what they rest on."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_csv_header(predictions))
    predicted, tasks = predictions.predicted, predictions.cohort.layout.tasks
    columns = prediction_columns(predicted, predictions.cohort.layout)
    for row, record in enumerate(as_records(predictions)):
        cells = [record["patient_id"], " ".join(record["modalities"]), " ".join(record["missing"])]
        cells += prediction_cells(columns, row)
        curves = [predicted.curves[row, column] for column, task in enumerate(tasks) if task.curve_days]
        cells += [number_cell(value) for curve in curves for value in curve]
        cells += [number_cell(value) for value in predictions.unresolved[row]]
        for column, task in enumerate(tasks):
            if predictions.shapley is not None:
                cells += [number_cell(value) for value in predictions.shapley[row, column]]
            if predictions.value is not None:
                cells.append(record["tasks"][task.name]["measure_next"] or "")
                cells += [number_cell(value, 8) for value in predictions.value.reduction[row, column]]
                cells += [number_cell(value, 8) for value in predictions.value.error[row, column]]
            if predictions.tipping is not None and task.kind == "event":
                cells += [number_cell(value, 2) for value in predictions.tipping.shift[row, column]]
        writer.writerow(cells)
    return buffer.getvalue()


def refuse_without_modality(cohort: Cohort) -> None:
    """Refuse patients of whom nothing was measured.

    Raises:
        DataError: with the first of their ids.
    """
    without = ~cohort.present.any(dim=1)
    if without.any():
        ids = ", ".join(np.array(cohort.ids_as_written())[without.numpy()][:5])
        raise DataError(
            f"{counted(int(without.sum()), 'patient has', 'patients have')} no measured value in any "
            f"modality: {ids}. There is nothing to predict from; leave them out."
        )


def _unresolved(cohort: Cohort, imputation: Imputation, scale: torch.Tensor) -> np.ndarray:
    """(N, M) share of the variance of training patients that imputed blocks leave open; NaN elsewhere."""
    block = imputation.filled & cohort.layout.cells & ~cohort.present.unsqueeze(-1)
    relative = (imputation.std / scale).square() * block
    count = block.sum(dim=2)
    share = relative.sum(dim=2) / count.clamp(min=1)
    return torch.where(count > 0, share, torch.nan).double().numpy()


def _task_record(predictions: PatientPredictions, row: int, column: int, task: Task) -> dict[str, Any]:
    """One patient's prediction of one task, for JSON."""
    predicted, names = predictions.predicted, predictions.cohort.layout.names
    curve, low, high = (part[row, column] for part in (predicted.curves, predicted.low, predicted.high))
    record: dict[str, Any] = {
        "output": task.output_name,
        "kind": task.kind,
        "horizon_days": task.horizon_days,
        **_predicted(predictions, row, column, task),
        "interval_90": [_rounded(low), _rounded(high)] if np.isfinite(low) else None,
        "curve": None,
    }
    if np.isfinite(curve).all():
        record["curve"] = {
            "days": [round(day, 1) for day in task.curve_days],
            "probability": [_rounded(value) for value in curve],
        }
    if predictions.shapley is not None:
        has, values = predictions.cohort.present[row].numpy(), predictions.shapley[row, column]
        record["base_rate"] = _rounded(predictions.base_rate[column])
        record["contributions"] = {n: _rounded(values[i]) for i, n in enumerate(names) if has[i]}
    record["measure_next"] = None
    if predictions.value is not None:
        value, error = predictions.value.reduction[row, column], predictions.value.error[row, column]
        record["expected_variance_reduction"] = {
            name: {"value": round(float(value[i]), 8), "error": round(float(error[i]), 8)}
            for i, name in enumerate(names)
            if np.isfinite(value[i])
        }
        best = int(predictions.value.best()[row, column])
        record["measure_next"] = names[best] if best >= 0 else None
    if predictions.expected_width is not None:
        record["expected_width_if_measured"] = _finite(names, predictions.expected_width[row, column])
    if predictions.tipping is not None and task.kind == "event":
        shift, tried = predictions.tipping.shift[row, column], predictions.tipping.tried[row]
        record["tipping_points"] = {
            name: round(float(shift[i]), 2) if np.isfinite(shift[i]) else None
            for i, name in enumerate(names)
            if tried[i]
        }
    return record


def _predicted(predictions: PatientPredictions, row: int, column: int, task: Task) -> dict[str, Any]:
    """The value of a number; the probability of an event, with its threshold, or of a class."""
    if task.kind == "continuous":
        return {"value": _rounded(predictions.predicted.values[row, column]), "unit": task.unit}
    probability = predictions.predicted.probability[row, column]
    if task.kind == "class":
        return {"outcome": task.family, "class": task.category, "probability": _rounded(probability)}
    threshold = predictions.thresholds[column]
    return {
        "probability": _rounded(probability),
        "threshold": _rounded(threshold),
        "above_threshold": bool(probability >= threshold),
    }


def _csv_header(predictions: PatientPredictions) -> list[str]:
    layout = predictions.cohort.layout
    columns = prediction_columns(predictions.predicted, layout)
    header = ["patient_id", "modalities", "missing", *columns]
    for task in layout.tasks:
        header += [f"p_{task.outcome}_by_{round(day)}d" for day in task.curve_days]
    header += [f"{name}_left_open_by_imputation" for name in layout.names]
    for task in layout.tasks:
        if predictions.shapley is not None:
            header += [f"{task.name}_from_{name}" for name in layout.names]
        if predictions.value is not None:
            header.append(f"{task.name}_measure_next")
            header += [f"{task.name}_variance_reduction_by_{name}" for name in layout.names]
            header += [f"{task.name}_variance_reduction_error_{name}" for name in layout.names]
        if predictions.tipping is not None and task.kind == "event":
            header += [f"{task.name}_tipping_point_of_{name}" for name in layout.names]
    return header


def _finite(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    """The finite ones of M values, by modality."""
    return {name: _rounded(v) for name, v in zip(names, values, strict=True) if np.isfinite(v)}


def _rounded(value: float) -> float:
    return round(float(value), 6)
