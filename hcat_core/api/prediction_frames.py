"""Predictions and completed patients as DataFrames."""

from __future__ import annotations

from typing import Any

import pandas as pd
from torch import Tensor

from hcat_core.api.cohort_frames import cells_frame, ids_of
from hcat_core.cohort import Cohort
from hcat_core.interfaces import Imputation
from hcat_core.runs.outcomes_in_words import prediction_columns
from hcat_core.runs.predict import PatientPredictions

FOR_ANYONE = "for anyone"


def prediction_frame(predictions: PatientPredictions) -> pd.DataFrame:
    """N rows by patient: for each task ``p_OUTCOME``, ``p_OUTCOME_low`` and ``p_OUTCOME_high``.

    The columns of a number are called ``OUTCOME``, and an outcome of classes has ``OUTCOME_predicted`` too,
    the class of the highest probability.
    """
    columns = prediction_columns(predictions.predicted, predictions.cohort.layout)
    return pd.DataFrame(columns, index=ids_of(predictions.cohort))


def curve_frame(predictions: PatientPredictions) -> pd.DataFrame:
    """N rows by patient; columns (output name, day) of all tasks with times."""
    columns = {
        (task.output_name, round(day, 1)): predictions.predicted.curves[:, place, step]
        for place, task in enumerate(predictions.cohort.layout.tasks)
        for step, day in enumerate(task.curve_days)
    }
    names = pd.MultiIndex.from_tuples(list(columns), names=["outcome", "days"]) if columns else None
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=ids_of(predictions.cohort))
    return frame if names is None else frame.set_axis(names, axis=1)


def contribution_frame(predictions: PatientPredictions) -> pd.DataFrame:
    """N rows by patient; columns (output name, ``for anyone`` or modality), which add up to predictions."""
    layout = predictions.cohort.layout
    assert predictions.shapley is not None, "the predictions are explained"
    columns: dict[tuple[str, str], Any] = {}
    for place, task in enumerate(layout.tasks):
        columns[task.output_name, FOR_ANYONE] = predictions.base_rate[place]
        for modality, name in enumerate(layout.names):
            columns[task.output_name, name] = predictions.shapley[:, place, modality]
    names = pd.MultiIndex.from_tuples(list(columns), names=["outcome", "from"])
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=ids_of(predictions.cohort))
    return frame.set_axis(names, axis=1)


def completed_frames(cohort: Cohort, imputation: Imputation, cells: Tensor) -> dict[str, pd.DataFrame]:
    """One DataFrame per modality of cells (N, M, D); NaN where nothing was measured or filled."""
    known = cohort.measured | imputation.filled
    return {
        name: cells_frame(cohort, column, cells[:, column], known[:, column])
        for column, name in enumerate(cohort.layout.names)
    }
