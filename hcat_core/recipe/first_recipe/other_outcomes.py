"""Columns of classes and of numbers, as outcomes of a first recipe."""

from __future__ import annotations

import numpy as np

from hcat_core.data.class_outcomes import MOST_CLASSES, text_of
from hcat_core.data.column import Column, number_column
from hcat_core.data.event_coding import likely_meaning
from hcat_core.data.sentinel_codes import codes_of
from hcat_core.recipe.first_recipe.document import Line
from hcat_core.recipe.first_recipe.questions import Interview
from hcat_core.recipe.first_recipe.words import unknown_words

Missing = tuple[str | float, ...]


def holds_classes(column: Column) -> bool:
    """Whether a column of labels has three or more classes in words: not an event and its absence."""
    values = [value for value, _ in column.counted(np.flatnonzero(column.filled))]
    words = [value for value in values if isinstance(value, str)]
    classes = [word for word in words if not unknown_words([word])]
    meanings = {likely_meaning(word) for word in classes}
    return 3 <= len(classes) <= MOST_CLASSES and len(words) == len(values) and not {0, 1} <= meanings


def class_lines(column: Column, name: str, interview: Interview) -> tuple[tuple[Line, ...], Missing]:
    """The lines of an outcome of classes, and the words of its column that mean "not known"."""
    counted = column.counted(np.flatnonzero(column.filled))
    missing = unknown_words([text_of(value) for value, _ in counted])
    classes = [(text_of(value), number) for value, number in counted if text_of(value) not in missing]
    counts = ", ".join(f"{value} {number}" for value, number in classes)
    interview.say(f"task {name}: the classes of {column.name}: {counts}")
    return (Line("kind", "multiclass"), Line("label", column.name, counts)), tuple(missing)


def number_lines(column: Column, name: str, interview: Interview) -> tuple[tuple[Line, ...], Missing]:
    """The lines of an outcome that is a number, and what in its column means "not known".

    Raises:
        DataError: for cells that are neither numbers nor words for "not known".
    """
    words = unknown_words([text_of(value) for value, _ in column.counted(column.not_numbers)])
    known = np.array([value not in words for value in column.values], bool)
    numbers = number_column(column[np.flatnonzero(known)], f"values of {name}")
    codes = codes_of(numbers)
    numbers = numbers[np.isfinite(numbers) & ~np.isin(numbers, codes)]
    seen = f"{len(numbers)} values" + (
        f" from {numbers.min():g} to {numbers.max():g}, mean {numbers.mean():.4g}" if len(numbers) else ""
    )
    interview.say(f"task {name}: {column.name}, {seen}")
    return (Line("kind", "continuous"), Line("value", column.name, seen)), (*words, *codes)
