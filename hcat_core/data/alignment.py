"""New patients on the axes of a trained model: its modalities and features, in its order."""

from __future__ import annotations

import torch
from torch import Tensor

from hcat_core.cohort import Cohort, Layout, Modality
from hcat_core.errors import DataError


def align(cohort: Cohort, layout: Layout) -> Cohort:
    """The cohort in ``layout``'s order; modalities that it has no file of are missing from everyone.

    Features are matched by name where both sides have names, and by place where one has none.

    Raises:
        DataError: for a modality that the model does not know, or one of another width or with other
            features.
    """
    strangers = [name for name in cohort.layout.names if name not in layout.names]
    if strangers:
        raise DataError(
            f"the model knows no modality named {strangers[0]!r}; it was trained on "
            f"{', '.join(layout.names)}."
        )
    n, m, d = len(cohort), len(layout.modalities), layout.widest
    emb, measured = torch.zeros(n, m, d), torch.zeros(n, m, d, dtype=torch.bool)
    present = torch.zeros(n, m, dtype=torch.bool)
    quality, n_rows = torch.zeros(n, m), torch.zeros(n, m, dtype=cohort.n_rows.dtype)
    for column, modality in enumerate(layout.modalities):
        if modality.name not in cohort.layout.names:
            continue
        own = cohort.layout.names.index(modality.name)
        order = _order(cohort.layout.modalities[own], modality)
        emb[:, column, : modality.width] = cohort.emb[:, own][:, order]
        measured[:, column, : modality.width] = cohort.measured[:, own][:, order]
        present[:, column] = cohort.present[:, own]
        quality[:, column] = cohort.quality[:, own]
        n_rows[:, column] = cohort.n_rows[:, own]
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
    """Columns of the file in the model's order."""
    named = bool(given.features and wanted.features)
    if given.width != wanted.width and not named:
        raise DataError(
            f"{given.name}: the file has {given.width} features a row, the model was trained on "
            f"{wanted.width}. Was it made by another encoder?"
        )
    if not named or given.features == wanted.features:
        return torch.arange(wanted.width)
    lacking = [name for name in wanted.features if name not in given.features]
    strange = [name for name in given.features if name not in wanted.features]
    if lacking:
        unknown = f"; the model does not know {_few(strange)}" if strange else ""
        raise DataError(
            f"{given.name}: the file has no feature {_few(lacking)}, which the model was trained "
            f"on{unknown}."
        )
    if strange:
        raise DataError(
            f"{given.name}: the model does not know {_few(strange)}. Leave that out of the file."
        )
    place = {name: number for number, name in enumerate(given.features)}
    return torch.tensor([place[name] for name in wanted.features])


def _few(names: list[str]) -> str:
    said = ", ".join(repr(name) for name in names[:5])
    return said if len(names) <= 5 else f"{said} and {len(names) - 5} more"
