"""What the values of a column mean: the event, no event, or not known."""

from __future__ import annotations

import re

import numpy as np

from hcat_core.data.column import SHOWN, Column, cell_key
from hcat_core.data.schema import EventValues
from hcat_core.errors import DataError
from hcat_core.text.quoting import shown

# For the line that a message or hcat init proposes; never to decide what a value means while reading.
EVENT_WORDS = frozenset(
    "dead deceased died death yes y true t event recurred relapsed progressed recurrence relapse".split()
)
NO_EVENT_WORDS = frozenset("alive living no n false f none censored diseasefree".split())
TRUTH = {"true": 1.0, "false": 0.0}  # readers give columns of True and False as numbers
CBIOPORTAL = re.compile(r"([01]):.*")  # 1:DECEASED


def coded_events(column: Column, values: EventValues | None, key: str) -> np.ndarray:
    """(R,) int8: 1 event, 0 no event, -1 not known.

    Args:
        column: with R cells.
        values: what they mean; 1, 0 and -1 are meant where None.
        key: of the recipe, that says what the values mean, for messages.

    Raises:
        DataError: for a value that means neither, with the values that occur and the line to write.
    """
    if values is None:
        codes = np.where(column.filled, column.numbers, -1.0)
        wrong = np.flatnonzero(~np.isin(codes, (-1, 0, 1)))
        if len(wrong):
            raise DataError(
                f"{column.source}: column {column.name}: {_cells(len(wrong))} not 1 (event), 0 (no event) "
                f"or -1 (unknown): {column.listed(wrong)}. {_proposal(column, key)}"
            )
        return codes.astype(np.int8)
    codes = np.full(len(column.rows), -1, np.int8)
    for code, listed in ((1, values.event), (0, values.none)):
        codes[_equal(column, listed)] = code
    wrong = np.flatnonzero(column.filled & (codes == -1))
    if len(wrong):
        raise DataError(
            f"{column.source}: column {column.name}: {_cells(len(wrong))} neither of {key}: "
            f"{_occurring(column, wrong)}; {column.listed(wrong)}. Add them to its event or its none, or, "
            "if they mean not known, to cohort.targets.missing."
        )
    return codes


def _equal(column: Column, listed: list[str | float]) -> np.ndarray:
    """(R,) bool: the cell has one of these values, numbers in any spelling; True is 1, False is 0."""
    keys = [cell_key(value) for value in listed]
    numbers = [TRUTH.get(key.lower()) if isinstance(key, str) else key for key in keys]
    equal = np.isin(column.numbers, [number for number in numbers if number is not None])
    texts = {key for key in keys if isinstance(key, str)}
    at = np.flatnonzero(column.filled & np.isnan(column.numbers))
    equal[at] = [value in texts for value in column.values[at].tolist()]
    return equal


def _proposal(column: Column, key: str) -> str:
    """The values of a column, and the line of the recipe that says what they mean."""
    values = [value for value, _ in column.counted(np.flatnonzero(column.filled))]
    event = [value for value in values if likely_meaning(value) == 1]
    none = [value for value in values if likely_meaning(value) == 0]
    others = [value for value in values if value not in event and value not in none]
    occurring = f"Its values: {_occurring(column, np.flatnonzero(column.filled))}."
    if not event or not none or len(others) > SHOWN:
        return f"{occurring} Say which mean what: {key} = {{ event = [...], none = [...] }}."
    line = f"{key} = {{ event = {_list(event)}, none = {_list(none)} }}"
    if others:
        line += f", and for those that mean not known cohort.targets.missing = {_list(others)}"
    return f"{occurring} Say what they mean: {line}."


def likely_meaning(value: str | float) -> int | None:
    """What a value most likely means: 1 the event, 0 none, None not known. It is for proposals only."""
    if not isinstance(value, str):
        return int(value) if value in (0, 1) else None
    numbered = CBIOPORTAL.fullmatch(value)
    if numbered:
        return int(numbered[1])
    word = value.lower()
    return (
        1 if word in EVENT_WORDS or value == "1" else 0 if word in NO_EVENT_WORDS or value == "0" else None
    )


def _occurring(column: Column, places: np.ndarray) -> str:
    """``"Dead" (30), "Alive" (29), ...``: the values of some cells, with how often each occurs."""
    counted = column.counted(places)
    some = ", ".join(f"{_shown(value)} ({number})" for value, number in counted[:SHOWN])
    return some + (f" and {len(counted) - SHOWN} more" if len(counted) > SHOWN else "")


def _list(values: list[str | float]) -> str:
    return f"[{', '.join(map(_shown, values))}]"


def _shown(value: str | float) -> str:
    return shown(value) if isinstance(value, str) else f"{value:g}"


def _cells(number: int) -> str:
    return "1 cell is" if number == 1 else f"{number} cells are"
