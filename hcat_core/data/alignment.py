"""Bring new patients onto the axes of a trained model: its modalities and features, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.layout import Layout, Modality
from hcat_core.text.counted import counted


@dataclass(frozen=True)
class Aligned:
    """A cohort in the layout of a trained model, and in what its files differ from those of training."""

    cohort: Cohort
    findings: tuple[str, ...]


def align(cohort: Cohort, layout: Layout) -> Aligned:
    """Reorder a cohort to ``layout``; modalities and features that it lacks are missing for every patient.

    Features are matched by name where the file and the model have names, otherwise by position. Of features
    with one name the first is matched with the first, the second with the second, and so on. Features that
    the model does not know are left out. Findings name what is missing and what is left out.

    Raises:
        DataError: for a modality that the model was not trained on, for another width without names, or for
            a file that has none of the features.
    """
    unknown = [name for name in cohort.layout.names if name not in layout.names]
    if unknown:
        raise DataError(
            f"the model knows no modality named {unknown[0]!r}; it was trained on "
            f"{', '.join(layout.names)}."
        )
    if cohort.targets is not None and cohort.layout.task_names != layout.task_names:
        theirs = ", ".join(cohort.layout.task_names)
        raise DataError(f"the model predicts {', '.join(layout.task_names)}; the outcomes are {theirs}.")
    n, m, d = len(cohort), len(layout.modalities), layout.widest
    emb, measured = torch.zeros(n, m, d), torch.zeros(n, m, d, dtype=torch.bool)
    quality, n_rows = torch.zeros(n, m), torch.zeros(n, m, dtype=cohort.n_rows.dtype)
    findings: list[str] = []
    for column, modality in enumerate(layout.modalities):
        if modality.name not in cohort.layout.names:
            continue
        source = cohort.layout.names.index(modality.name)
        given = cohort.layout.modalities[source]
        wanted, places = _matched(given, modality)
        findings += _differences(given, modality, wanted, places)
        emb[:, column, wanted] = cohort.emb[:, source][:, places]
        measured[:, column, wanted] = cohort.measured[:, source][:, places]
        quality[:, column] = cohort.quality[:, source]
        n_rows[:, column] = cohort.n_rows[:, source]
    present = measured.any(dim=2)
    aligned = replace(
        cohort,
        layout=layout,
        emb=emb,
        measured=measured,
        present=present,
        quality=quality * present,
        n_rows=n_rows,
    )
    return Aligned(aligned, tuple(findings))


def _matched(given: Modality, wanted: Modality) -> tuple[Tensor, Tensor]:
    """The model's columns that the file has, and the file's column for each of them: (K,) each.

    Raises:
        DataError: for another width without names, or no feature in common.
    """
    if not (given.features and wanted.features):
        if given.width != wanted.width:
            raise DataError(
                f"{given.name}: the file has {given.width} features a row, the model was trained on "
                f"{wanted.width}. Was it made by another encoder?"
            )
        return torch.arange(wanted.width), torch.arange(wanted.width)
    place = {name: column for column, name in enumerate(_numbered(given.features))}
    pairs = [(c, place[name]) for c, name in enumerate(_numbered(wanted.features)) if name in place]
    if not pairs:
        raise DataError(
            f"{given.name}: the file has none of the features that the model was trained on, such as "
            f"{_few(wanted.features)}; it has {_few(given.features)}. Is it the file of another modality?"
        )
    columns = torch.tensor(pairs)
    return columns[:, 0], columns[:, 1]


def _differences(given: Modality, wanted: Modality, matched: Tensor, places: Tensor) -> list[str]:
    """What the file lacks, and what the model does not know."""
    if not given.features and wanted.features:
        return [
            f"{given.name}: the file does not name its features; they are taken to be those of training, "
            "in the same order"
        ]
    if not wanted.features:
        return []
    lacking = _others(wanted.features, matched)
    unknown = _others(given.features, places)
    findings = []
    if lacking:
        findings.append(
            f"{given.name}: the file lacks {len(lacking)} of {wanted.width} features of training, which "
            f"count as not measured: {_few(lacking)}"
        )
    if unknown:
        findings.append(
            f"{given.name}: {counted(len(unknown), 'column')} of the file not among the features of "
            f"training, and left out: {_few(unknown)}"
        )
    return findings


def _numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each name with the number of times that it came before."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        numbered.append((name, seen[name]))
    return numbered


def _others(names: Sequence[str], places: Tensor) -> list[str]:
    taken = set(places.tolist())
    return [name for place, name in enumerate(names) if place not in taken]


def _few(names: Sequence[str]) -> str:
    first = ", ".join(names[:5])
    return first if len(names) <= 5 else f"{first} and {len(names) - 5} more"
