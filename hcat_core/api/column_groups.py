"""Modalities as groups of a table's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hcat_core.errors import UsageError
from hcat_core.layout import Layout, Modality
from hcat_core.text.spelling import did_you_mean

SHOWN = 10


def layout_of(
    names: Sequence[Any], modalities: Mapping[str, Sequence[Any]] | None
) -> tuple[Layout, list[np.ndarray]]:
    """The modalities of a table, and the places of the columns of each.

    Args:
        names: of the F columns; their places where they have none.
        modalities: columns by name of the modality; None: all columns are one.

    Raises:
        UsageError: for columns that are not there, in two modalities, or in none.
    """
    if modalities is None:
        modalities = {"all": list(names)}
    if not isinstance(modalities, Mapping) or not modalities:
        raise UsageError('modalities: columns by name of the modality are needed, {"rna": [...], ...}.')
    place = {name: column for column, name in enumerate(names)}
    wrong: list[str] = []
    taken: dict[int, str] = {}
    columns = []
    for modality, own in modalities.items():
        places = [place.get(name, name) for name in own]
        lacking = [str(p) for p in places if not isinstance(p, int | np.integer) or not 0 <= p < len(names)]
        if lacking:
            known = [str(name) for name in names]
            wrong.append(
                f"{modality}: no column is called {_few(lacking)}.{did_you_mean(lacking[0], known)}"
            )
            continue
        twice = [str(names[p]) for p in places if taken.setdefault(int(p), modality) != modality]
        if twice or len(set(places)) < len(places):
            which = _few(twice) or "some are named twice"
            wrong.append(f"{modality}: a column belongs to one modality, once: {which}.")
        if not places:
            wrong.append(f"{modality}: has no columns.")
        columns.append(np.array(places, dtype=np.int64))
    left = [str(name) for column, name in enumerate(names) if column not in taken]
    if left and not wrong:
        wrong.append(f"columns of no modality: {_few(left)}. Name their modality, or leave them out.")
    if wrong:
        raise UsageError("modalities: " + " ".join(wrong))
    made = [
        Modality(str(modality), len(own), tuple(str(names[p]) for p in own))
        for modality, own in zip(modalities, columns, strict=True)
    ]
    return Layout(tuple(made)), columns


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
