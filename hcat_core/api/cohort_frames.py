"""A cohort as DataFrames."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.runs.outcomes_in_words import known_outcomes


def modality_frames(cohort: Cohort) -> dict[str, pd.DataFrame]:
    """One DataFrame for each modality, N rows by id as written; NaN where a cell was not measured."""
    return {
        name: cells_frame(cohort, column, cohort.emb[:, column], cohort.measured[:, column])
        for column, name in enumerate(cohort.layout.names)
    }


def cells_frame(cohort: Cohort, column: int, cells: torch.Tensor, known: torch.Tensor) -> pd.DataFrame:
    """Cells (N, D) of one modality by the names of its features; NaN where they are not ``known``."""
    modality = cohort.layout.modalities[column]
    width = slice(0, modality.width)
    names = list(modality.features) or [str(place) for place in range(modality.width)]
    values = torch.where(known[:, width], cells[:, width], torch.nan).numpy()
    return pd.DataFrame(values, index=ids_of(cohort), columns=names)


def outcome_frame(cohort: Cohort, targets: Targets) -> pd.DataFrame:
    """For each outcome its label, class or value; empty if unknown.

    Beside a label are ``TASK_days`` and ``TASK_event`` where there are times.
    """
    columns: dict[str, Any] = {}
    words = known_outcomes(cohort)
    for outcome in cohort.layout.outcomes:
        place, task = outcome.columns[0], cohort.layout.tasks[outcome.columns[0]]
        if outcome.kind == "class":
            columns[outcome.name] = [word or None for word in words[outcome.name]]
            continue
        if outcome.kind == "continuous":
            assert targets.values is not None
            columns[outcome.name] = targets.values[:, place].numpy()
            continue
        columns[task.name] = _codes(targets.labels[:, place])
        if task.times is not None:
            columns[f"{task.name}_days"] = targets.time[:, place].numpy()
            columns[f"{task.name}_event"] = _codes(targets.event[:, place])
    return pd.DataFrame(columns, index=ids_of(cohort))


def ids_of(cohort: Cohort) -> pd.Index[Any]:
    """N ids as they were written."""
    return pd.Index(cohort.ids_as_written(), name="patient_id")


def _codes(values: torch.Tensor) -> Any:
    """(N,) whole numbers; empty where they are -1."""
    cells = pd.Series(values.numpy()).astype("Int8")
    return cells.mask(cells.eq(-1)).array
