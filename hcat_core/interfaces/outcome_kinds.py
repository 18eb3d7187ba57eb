"""Which kinds of outcome an estimator or a head can predict."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hcat_core.layout import TaskKind

EVENTS: frozenset[TaskKind] = frozenset({"event"})
EVENTS_AND_CLASSES: frozenset[TaskKind] = frozenset({"event", "class"})
ALL_KINDS: frozenset[TaskKind] = frozenset({"event", "class", "continuous"})


@runtime_checkable
class OutcomeKinds(Protocol):
    """An estimator or a head that declares, as a class attribute, which kinds of outcome it can predict.

    An estimator without it is given ``EVENTS_AND_CLASSES``: each class is a column of labels like that of
    an event, and the probabilities of the classes of one outcome are made to add up to 1. A head without
    it is given ``EVENTS``. A recipe with an outcome of another kind is refused before data is read.

    Attributes:
        outcome_kinds: ``EVENTS``, ``EVENTS_AND_CLASSES``, ``ALL_KINDS``, or any other set of kinds.
    """

    outcome_kinds: frozenset[TaskKind]
