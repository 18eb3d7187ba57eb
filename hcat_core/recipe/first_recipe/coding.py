"""Which values of a column mean the event, which that there was none, and which that it is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.data.column import Column, cell_key
from hcat_core.data.event_coding import likely_meaning
from hcat_core.recipe.first_recipe.questions import Interview, Question
from hcat_core.recipe.first_recipe.words import unknown_words

MOST_VALUES = 20


@dataclass(frozen=True)
class Coding:
    """Values of a column; both lists are empty where 1, 0 and -1 mean what they usually mean.

    Attributes:
        event: values that mean the event.
        none: values that mean that there was none.
        missing: values that mean "not known".
    """

    event: tuple[str | float, ...]
    none: tuple[str | float, ...]
    missing: tuple[str | float, ...]

    @property
    def is_usual(self) -> bool:
        """Whether the recipe need not say what the values mean."""
        return not self.event

    def as_values(self) -> dict[str, object]:
        """The value of ``event_values``."""
        return {"event": list(self.event), "none": list(self.none)}


def coding_of(column: Column, chosen: Sequence[str], what: str, interview: Interview) -> Coding | None:
    """Find out what the values of a column mean; None where a question stays open.

    Args:
        column: of events or labels.
        chosen: values that the user says mean the event; () where they say nothing.
        what: the column for a question, such as ``event``.
        interview: for questions and reports.
    """
    values = [value for value, _ in column.counted(np.flatnonzero(column.filled))]
    if not chosen and all(value in (0, 1, -1) for value in values):
        return Coding((), (), ())
    missing = [value for value in values if unknown_words([str(value)])]
    values = [value for value in values if value not in missing]
    if len(values) > MOST_VALUES:
        text = f"{column.name} has {len(values)} different values: it is no column of {what}s"
        interview.refuse(f"--{what}", text)
        return None
    if chosen:
        keys = {cell_key(value) for value in chosen}
        event = [value for value in values if cell_key(value) in keys]
        if len({cell_key(value) for value in event}) < len(keys):
            lacking = ", ".join(value for value in chosen if cell_key(value) not in map(cell_key, values))
            listed = ", ".join(map(_text, values))
            interview.refuse("--event-value", f"{column.name} has no value {lacking}; it has {listed}")
            return None
        none = [value for value in values if value not in event]
    else:
        event = [value for value in values if likely_meaning(value) == 1]
        none = [value for value in values if likely_meaning(value) == 0]
        missing += [value for value in values if value == -1]
    undecided = [value for value in values if value not in (*event, *none, *missing)]
    if undecided or not event or not none:
        return _ask(column, values, what, interview)
    _say(column, event, none, missing, interview)
    return Coding(tuple(event), tuple(none), tuple(missing))


def _ask(column: Column, values: Sequence[str | float], what: str, interview: Interview) -> Coding | None:
    listed = ", ".join(map(_text, values))
    if len(values) < 2:
        interview.refuse(f"--{what}", f"{column.name} has one value, {listed}: there is nothing to predict")
        return None
    text = f"which values of {column.name} mean the event ({listed}): --event-value {column.name}=VALUE"
    answer = interview.answer(None, Question("--event-value", text))
    if answer is None:
        return None
    given = [part.strip() for part in answer.split(",") if part.strip()]
    return coding_of(column, given, what, interview)


def _say(
    column: Column,
    event: Sequence[str | float],
    none: Sequence[str | float],
    missing: Sequence[str | float],
    interview: Interview,
) -> None:
    text = f"{column.name}: {', '.join(map(_text, event))} is the event, {', '.join(map(_text, none))} none"
    interview.say(text + (f", {', '.join(map(_text, missing))} not known" if missing else ""))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
