"""What is known, and what is predicted, of the outcomes of patients, for tables."""

from __future__ import annotations

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Prediction
from hcat_core.layout import Layout


def known_outcomes(cohort: Cohort) -> dict[str, list[str]]:
    """By outcome, what is known of each of N patients.

    1, 0 or -1 of an event, the class, or the number; nothing where a class or a number is not known.
    """
    n, layout, targets = len(cohort), cohort.layout, cohort.targets
    result = {}
    for outcome in layout.outcomes:
        columns = list(outcome.columns)
        if targets is None:
            result[outcome.name] = ["-1" if outcome.kind == "event" else ""] * n
        elif outcome.kind == "event":
            result[outcome.name] = [str(label) for label in targets.labels[:, columns[0]].tolist()]
        elif outcome.kind == "class":
            categories = [*(str(layout.tasks[column].category) for column in columns), ""]
            labels = targets.labels[:, columns].numpy()
            place = np.where((labels == 1).any(axis=1), labels.argmax(axis=1), len(columns))
            result[outcome.name] = [categories[one] for one in place.tolist()]
        else:
            assert targets.values is not None
            values = targets.values[:, columns[0]].tolist()
            result[outcome.name] = [f"{value:.7g}" if np.isfinite(value) else "" for value in values]
    return result


def prediction_columns(prediction: Prediction, layout: Layout) -> dict[str, np.ndarray]:
    """The columns of tables of predictions, by name: what commands write and Python gives.

    For each outcome of classes ``OUTCOME_predicted`` (N,), the class of the highest probability; then for
    each task its output name, and the same with ``_low`` and ``_high``, (N,) numbers that are NaN where
    there is no interval.
    """
    columns = {
        f"{name}_predicted": np.array(classes, dtype=object)
        for name, classes in likeliest_classes(prediction, layout).items()
    }
    estimate = prediction.estimate.double().numpy()
    for place, task in enumerate(layout.tasks):
        columns[task.output_name] = estimate[:, place]
        columns[f"{task.output_name}_low"] = prediction.low[:, place]
        columns[f"{task.output_name}_high"] = prediction.high[:, place]
    return columns


def prediction_cells(columns: dict[str, np.ndarray], row: int) -> list[str]:
    """One patient's cells of ``prediction_columns`` as texts; empty where a number is NaN."""
    values = (column[row] for column in columns.values())
    return [value if isinstance(value, str) else number_cell(value) for value in values]


def number_cell(value: float, digits: int = 6) -> str:
    """A number for a table in text; an empty cell for one that is not finite."""
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def likeliest_classes(prediction: Prediction, layout: Layout) -> dict[str, list[str]]:
    """By outcome of classes, the class of the highest probability of each of N patients."""
    result = {}
    for family in layout.families:
        probability = prediction.probability[:, list(family)]
        known = np.isfinite(probability).all(axis=1)
        place = np.where(known, np.nan_to_num(probability).argmax(axis=1), len(family))
        categories = [*(str(layout.tasks[column].category) for column in family), ""]
        name = layout.tasks[family[0]].family
        result[str(name)] = [categories[one] for one in place.tolist()]
    return result
