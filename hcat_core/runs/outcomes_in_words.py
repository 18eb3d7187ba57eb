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
