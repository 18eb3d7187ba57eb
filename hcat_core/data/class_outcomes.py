"""Outcomes of several classes: the categories of a column, and which one each patient is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.data.column import Column, cell_key
from hcat_core.data.schema import TargetsTable, TaskTable
from hcat_core.errors import DataError
from hcat_core.layout import Layout
from hcat_core.text.quoting import shown

MOST_CLASSES = 20  # that are taken from a file; more of them can be listed in the recipe
SHOWN = 8


@dataclass(frozen=True)
class Classes:
    """The K classes of an outcome, and those of N patients.

    Attributes:
        categories: K texts, as written in the file.
        codes: (N,) places among the categories; -1 where the class is not known.
    """

    categories: tuple[str, ...]
    codes: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(N, K) int8: 1 for the patient's class, 0 for the others, -1 where it is not known."""
        codes = self.codes[:, None]
        return np.where(codes < 0, -1, codes == np.arange(len(self.categories))).astype(np.int8)


def read_classes(column: Column, name: str, task: TaskTable) -> Classes:
    """The classes of a column: those that the recipe lists, or all values that occur, in their order.

    Args:
        column: of the outcome, with R cells.
        name: of the outcome.
        task: its table.

    Raises:
        DataError: for a single class, too many, values that differ in capitals alone, and values that are
            not listed.
    """
    key = f"cohort.targets.tasks.{name}"
    found = column.counted(np.flatnonzero(column.filled))
    if task.classes is not None:
        return _listed(column, task.classes, key)
    texts = [text_of(value) for value, _ in found]
    counts = ", ".join(f"{shown(text_of(v))} ({n})" for v, n in found[:SHOWN])
    counts += f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    where = f"{column.source}: column {column.name}"
    if len(found) < 2:
        raise DataError(
            f"{where} holds {'one value alone, ' + counts if found else 'no value'}: {name} needs at least "
            f"two classes. Is it the right column? List its classes where some do not occur in this file: "
            f"{key}.classes = [...]."
        )
    _refuse_case_twins(where, texts)
    if len(found) > MOST_CLASSES:
        hint = (
            f'are they numbers, for {key}.kind = "continuous"'
            if not len(column.not_numbers)
            else "is it the right column"
        )
        raise DataError(
            f"{where} holds {len(found)} different values, {counts}: more than {MOST_CLASSES} are not "
            f"taken for classes; {hint}? List those that are: {key}.classes = [...]."
        )
    order = sorted(range(len(found)), key=lambda place: _sorting(found[place][0]))
    return _coded(column, [texts[place] for place in order])


def with_trained_classes(table: TargetsTable, trained: Layout) -> TargetsTable:
    """The table with the classes that a trained model knows, whichever of them other files hold."""
    known = {
        outcome.name: [trained.tasks[column].category for column in outcome.columns]
        for outcome in trained.outcomes
        if outcome.kind == "class"
    }
    tasks = {
        name: task.model_copy(update={"classes": known[name]})
        if task.kind == "multiclass" and name in known
        else task
        for name, task in table.tasks.items()
    }
    return table.model_copy(update={"tasks": tasks})


def text_of(value: str | float) -> str:
    """A category as text: numbers without a trailing ``.0``."""
    return value if isinstance(value, str) else f"{float(value):.15g}"


def _listed(column: Column, classes: Sequence[str | float], key: str) -> Classes:
    """The classes that the recipe lists; every other value is an error."""
    made = _coded(column, [text_of(value) for value in classes])
    wrong = np.flatnonzero(column.filled & (made.codes < 0))
    if len(wrong):
        counted = column.counted(wrong)
        some = ", ".join(f"{shown(text_of(value))} ({number})" for value, number in counted[:SHOWN])
        some += f" and {len(counted) - SHOWN} more" if len(counted) > SHOWN else ""
        raise DataError(
            f"{column.source}: column {column.name} holds values that are not in {key}.classes: {some}; "
            f"{column.listed(wrong)}. Add them, or, if these patients are not to count, add the values to "
            "cohort.targets.missing."
        )
    return made


def _coded(column: Column, categories: Sequence[str]) -> Classes:
    """Each cell's place among the categories; numbers count in any spelling."""
    places = {cell_key(category): place for place, category in enumerate(categories)}
    codes = np.full(len(column.rows), -1)
    filled = np.flatnonzero(column.filled)
    _, first, value = np.unique(column.codes[filled], return_index=True, return_inverse=True)
    of_value = [places.get(cell_key(column.values[filled[at]]), -1) for at in first.tolist()]
    codes[filled] = np.array(of_value, dtype=np.int64)[value]
    return Classes(tuple(categories), codes)


def _refuse_case_twins(where: str, texts: Sequence[str]) -> None:
    """Refuse categories that differ in capitals alone, which are one class written in two ways."""
    seen: dict[str, str] = {}
    for text in texts:
        other = seen.setdefault(text.casefold(), text)
        if other != text:
            raise DataError(
                f"{where} holds {shown(other)} and {shown(text)}, which differ in capitals alone: write a "
                "class in one way. If they are two, give one of them another name."
            )


def _sorting(value: str | float) -> tuple[float, str]:
    """Numbers first, in their order, then texts in theirs."""
    key = cell_key(value)
    return (key, "") if isinstance(key, float) else (np.inf, key)
