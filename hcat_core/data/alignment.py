"""Bring new patients onto the axes of a trained model: its modalities and features, in its order."""

from __future__ import annotations

import torch
from torch import Tensor

from hcat_core.cohort import Cohort, Layout, Modality
from hcat_core.errors import DataError


def align(cohort: Cohort, layout: Layout) -> Cohort:
    """Reorder a cohort to ``layout``; modalities that it lacks are missing for every patient.

    Features are matched by name where the file and the model have names, otherwise by position.

    Raises:
        DataError: for a modality that the model was not trained on, for another width or other features.
    """
    unknown = [name for name in cohort.layout.names if name not in layout.names]
    if unknown:
        raise DataError(
            f"the model knows no modality named {unknown[0]!r}; it was trained on "
            f"{', '.join(layout.names)}."
        )
    n, m, d = len(cohort), len(layout.modalities), layout.widest
    emb, measured = torch.zeros(n, m, d), torch.zeros(n, m, d, dtype=torch.bool)
    present = torch.zeros(n, m, dtype=torch.bool)
    quality, n_rows = torch.zeros(n, m), torch.zeros(n, m, dtype=cohort.n_rows.dtype)
    for column, modality in enumerate(layout.modalities):
        if modality.name not in cohort.layout.names:
            continue
        source = cohort.layout.names.index(modality.name)
        order = _order(cohort.layout.modalities[source], modality)
        emb[:, column, : modality.width] = cohort.emb[:, source][:, order]
        measured[:, column, : modality.width] = cohort.measured[:, source][:, order]
        present[:, column] = cohort.present[:, source]
        quality[:, column] = cohort.quality[:, source]
        n_rows[:, column] = cohort.n_rows[:, source]
    targets = cohort.targets
    if targets is not None and cohort.layout.task_names != layout.task_names:
        theirs = ", ".join(cohort.layout.task_names)
        raise DataError(f"the model predicts {', '.join(layout.task_names)}; the outcomes are {theirs}.")
    return Cohort(
        patient_ids=cohort.patient_ids,
        layout=layout,
        emb=emb,
        measured=measured,
        present=present,
        quality=quality,
        n_rows=n_rows,
        targets=targets,
        groups=cohort.groups,
        spelling=cohort.spelling,
    )


def _order(given: Modality, wanted: Modality) -> Tensor:
    """The columns of the file in the order of the model."""
    named = bool(given.features and wanted.features)
    if given.width != wanted.width and not named:
        raise DataError(
            f"{given.name}: the file has {given.width} features a row, the model was trained on "
            f"{wanted.width}. Was it made by another encoder?"
        )
    if not named or given.features == wanted.features:
        return torch.arange(wanted.width)
    missing = [name for name in wanted.features if name not in given.features]
    extra = [name for name in given.features if name not in wanted.features]
    if missing:
        unknown = f"; the model does not know {_few(extra)}" if extra else ""
        raise DataError(
            f"{given.name}: the file has no feature {_few(missing)}, which the model was trained "
            f"on{unknown}."
        )
    if extra:
        raise DataError(f"{given.name}: the model does not know {_few(extra)}. Leave that out of the file.")
    place = {name: number for number, name in enumerate(given.features)}
    return torch.tensor([place[name] for name in wanted.features])


def _few(names: list[str]) -> str:
    first = ", ".join(repr(name) for name in names[:5])
    return first if len(names) <= 5 else f"{first} and {len(names) - 5} more"
