"""What is known of the outcomes of a cohort, in words and as a table."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.runs.outcomes_in_words import known_outcomes
from hcat_core.text.counted import counted


def outcomes_in_words(cohort: Cohort) -> list[tuple[str, str]]:
    """Names of outcomes, each with how many patients have which event or class, or which values."""
    if cohort.targets is None:
        return []
    words, result = known_outcomes(cohort), []
    for outcome in cohort.layout.outcomes:
        known = [word for word in words[outcome.name] if word]
        unknown = len(cohort) - len(known)
        counts = Counter(known)
        if outcome.kind == "event":
            text = f"{counts['1']} with the event, {counts['0']} without, {counts['-1']} unknown"
        elif outcome.kind == "class":
            classes = [str(cohort.layout.tasks[column].category) for column in outcome.columns]
            text = ", ".join([*(f"{counts[one]} {one}" for one in classes), f"{unknown} unknown"])
        else:
            task, values = cohort.layout.tasks[outcome.columns[0]], np.array(known, dtype=float)
            unit = f" {task.unit}" if task.unit else ""
            text = f"{counted(len(values), 'value')}, {unknown} unknown"
            if len(values):
                text = (
                    f"{counted(len(values), 'value')} from {values.min():.4g} to {values.max():.4g}{unit}, "
                    f"mean {values.mean():.4g}, standard deviation {values.std():.4g}, {unknown} unknown"
                )
        result.append((outcome.name, text))
    return result
