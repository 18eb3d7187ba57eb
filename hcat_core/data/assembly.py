"""Build a ``Cohort`` from readers: every modality and every outcome aligned by patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.aggregation import PatientEmbeddings, aggregate_spatial
from hcat_core.data.columns import line_of
from hcat_core.data.group_names import group_names
from hcat_core.data.outcomes import read_targets
from hcat_core.data.patient_ids import refuse_case_twins
from hcat_core.data.patient_index import PatientIndex
from hcat_core.data.preallocation import PreallocatedCells
from hcat_core.data.schema import TargetsTable
from hcat_core.data.shared_ids import check_outcome_ids
from hcat_core.errors import DataError
from hcat_core.layout import Layout, Modality, Task
from hcat_core.reading import Reader, ViewReader
from hcat_core.text.counted import counted

SHOWN = 5  # names in a message


@dataclass(frozen=True)
class ModalityReport:
    """Counts of one modality's file.

    ``within_variance`` is the share of a cell's variance that lies between the rows of a patient. It is
    None when no patient has two rows, every feature is missing for some of them, or squares overflow.
    """

    name: str
    source: str
    width: int
    patients: int
    rows: int
    cells_not_measured: int
    within_variance: float | None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadReport:
    """Counts from reading, which the cohort itself does not hold."""

    modalities: tuple[ModalityReport, ...]
    patients_without_modality: int
    targets_source: str | None = None
    outcome_findings: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """In what the files differ from those that a run was trained on."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found beside the values, in the order of the files."""
        of_modalities = (text for one in self.modalities for text in one.findings)
        return (*of_modalities, *self.outcome_findings, *self.differences)


def build_patient_embedding_map(
    readers: Mapping[str, Reader], index: PatientIndex
) -> tuple[dict[str, PatientEmbeddings], np.ndarray]:
    """Read every modality and aggregate its rows to one embedding per patient, by normalised id.

    ``index`` gets the row of each patient, which is the same in every modality. Also returns the memory
    (M, rows, D) that holds the means of those modalities that are no wider and name no more patients than
    the first one led to expect: a large cohort is written to its place, and not held twice.

    Raises:
        DataError: for a file that cannot be read, or ids that would make one patient of two.
    """
    embeddings: dict[str, PatientEmbeddings] = {}
    first_named: dict[str, tuple[str, ...]] = {}
    preallocated = PreallocatedCells(len(readers))
    for name, reader in readers.items():
        known = len(index)
        rows = reader.read_views() if isinstance(reader, ViewReader) else reader.read()
        found = aggregate_spatial(rows, reader.source, index, preallocated, line_of(reader))
        if not embeddings:
            found = replace(found, mean=preallocated.hold(found.mean))
        embeddings[name] = found
        first_named[found.source] = first_named.get(found.source, ()) + found.ids[known:]
    refuse_case_twins(first_named)
    return embeddings, preallocated.cells


def assemble_cohort(
    readers: Mapping[str, Reader],
    targets_reader: Reader | None = None,
    targets: TargetsTable | None = None,
    groups: str | None = None,
    absent: tuple[str, ...] = (),
) -> tuple[Cohort, ReadReport]:
    """The cohort of all patients that any file names, in the order of the files.

    Raises:
        DataError: as the readers do; for outcomes that contradict themselves; for
            modalities that share no patient.
    """
    patients = PatientIndex()
    embeddings, cells = build_patient_embedding_map(readers, patients)
    index = patients.ids

    tasks: tuple[Task, ...] = ()
    outcomes, unshared = None, None
    if targets_reader is not None and targets is not None:
        tasks, outcomes = read_targets(targets_reader, targets)
        refuse_case_twins({"the embedding files": index, targets_reader.source: outcomes.ids})
        written = {**outcomes.written, **patients.spelling}
        unshared = check_outcome_ids(
            targets_reader.source, outcomes.ids, ", ".join(embeddings), tuple(index), written
        )
        for patient in outcomes.ids:
            index.setdefault(patient, len(index))

    layout = Layout(
        modalities=tuple(Modality(name, e.mean.shape[1], e.features) for name, e in embeddings.items()),
        tasks=tasks,
        absent=absent,
    )
    reports = tuple(_report(name, e) for name, e in embeddings.items())
    arrays = _stack(embeddings, cells, layout, len(index))
    cohort = Cohort(
        patient_ids=tuple(index),
        layout=layout,
        emb=torch.from_numpy(arrays.emb),
        measured=torch.from_numpy(arrays.measured).expand(arrays.emb.shape),
        present=torch.from_numpy(arrays.present),
        quality=torch.from_numpy(arrays.quality),
        n_rows=torch.from_numpy(arrays.n_rows),
        targets=None if outcomes is None else _align(outcomes.ids, outcomes.targets, index),
        groups=None if groups is None else _read_groups(targets_reader, targets, groups, index),
        spelling=patients.spelling,
    )
    _refuse_unshared_ids(cohort, reports)
    report = ReadReport(
        modalities=reports,
        patients_without_modality=int((~cohort.present.any(dim=1)).sum()),
        targets_source=None if targets_reader is None else targets_reader.source,
        outcome_findings=()
        if outcomes is None
        else (*outcomes.findings, *([unshared] if unshared else [])),
    )
    return cohort, report


@dataclass(frozen=True)
class _Arrays:
    """The arrays of a cohort, patients first; ``measured`` is (N, M, 1) where no single cell is missing."""

    emb: np.ndarray
    measured: np.ndarray
    present: np.ndarray
    quality: np.ndarray
    n_rows: np.ndarray


def _stack(embeddings: dict[str, PatientEmbeddings], cells: np.ndarray, layout: Layout, n: int) -> _Arrays:
    """Put the modalities of n patients side by side; each is dropped from ``embeddings`` once it is copied.

    Args:
        embeddings: of each modality, with its patients in cohort order.
        cells: (M, rows, D) memory that already holds them where it has enough rows.
        layout: of the cohort.
        n: patients of the cohort.
    """
    m = len(embeddings)
    in_place = cells.shape[1] >= n and cells.shape[2] == layout.widest
    if not in_place:
        cells = np.zeros((m, n, layout.widest), np.float32)
    # A mask of all cells is a quarter of their size: without single missing cells, one of patients will do.
    complete = len(set(layout.widths)) == 1 and all(e.complete for e in embeddings.values())
    measured = np.zeros((m, n, 1 if complete else layout.widest), np.bool_)
    present = np.zeros((n, m), np.bool_)
    quality = np.zeros((n, m), np.float32)
    n_rows = np.zeros((n, m), np.int32)
    for column, name in enumerate(layout.names):
        modality = embeddings.pop(name)
        rows, width = modality.mean.shape
        if not in_place:
            cells[column, :rows, :width] = modality.mean
        measured[column, :rows, :width] = modality.measured[:, : measured.shape[2]]
        present[:rows, column] = modality.present
        quality[:rows, column] = modality.quality
        n_rows[:rows, column] = modality.n_rows
    # In memory one modality lies after the other: each is written in one piece.
    emb, measured = cells[:, :n].transpose(1, 0, 2), measured.transpose(1, 0, 2)
    return _Arrays(emb, measured, present, quality * present, n_rows)


def _align(ids: tuple[str, ...], targets: Targets, index: Mapping[str, int]) -> Targets:
    """The outcomes in cohort order, unknown for patients that the outcome file lacks."""
    rows = torch.tensor([index[patient] for patient in ids], dtype=torch.int64)
    shape = (len(index), targets.labels.shape[1])
    aligned = Targets(
        labels=torch.full(shape, -1, dtype=torch.int8),
        time=torch.full(shape, float("nan")),
        event=torch.full(shape, -1, dtype=torch.int8),
        values=None if targets.values is None else torch.full(shape, float("nan")),
    )
    aligned.labels[rows] = targets.labels
    aligned.time[rows] = targets.time
    aligned.event[rows] = targets.event
    if aligned.values is not None and targets.values is not None:
        aligned.values[rows] = targets.values
    return aligned


def _read_groups(
    reader: Reader | None, targets: TargetsTable | None, column: str, index: Iterable[str]
) -> tuple[str, ...]:
    """The group of each patient; one without a group is a group alone."""
    if reader is None or targets is None:
        raise DataError("cohort.groups names a column of the targets file: give cohort.targets too.")
    names = group_names(reader, column, index, targets.missing)
    return tuple(f"patient {row}" if name is None else name for row, name in enumerate(names))


def _refuse_unshared_ids(cohort: Cohort, reports: Sequence[ModalityReport]) -> None:
    """Refuse a modality that shares no patient with the other files: its ids are written differently."""
    if len(reports) < 2:
        return
    alone = cohort.present.sum(dim=1) == 1
    for column, modality in enumerate(reports):
        here = cohort.present[:, column]
        others = cohort.present.any(dim=1) & ~here
        if here.any() and others.any() and bool(alone[here].all()):
            name = cohort.layout.names[column]
            raise DataError(
                f"{modality.source}: none of the {int(here.sum())} patients of {name} is in any "
                "other file. Are the patient ids written the same way?"
            )


def _report(name: str, e: PatientEmbeddings) -> ModalityReport:
    several = e.n_rows > 1
    share = None
    if e.variance is not None and several.any():
        with np.errstate(over="ignore", invalid="ignore"):
            within = float(e.variance[several].mean())
            between_each = np.where(e.measured, e.mean, np.nan)[several].var(axis=0)
        whole = ~np.isnan(between_each)  # features that none of these patients lacks
        between = float(between_each[whole].mean()) if whole.any() else np.nan
        total = within + between
        share = None if not np.isfinite(total) else within / total if total > 0 else 0.0
    return ModalityReport(
        name=name,
        source=e.source,
        width=e.mean.shape[1],
        patients=int(e.present.sum()),
        rows=e.n_rows_read,
        cells_not_measured=e.n_cells_not_measured,
        within_variance=share,
        findings=(*e.findings, *_shared_names(name, e.features)),
    )


def _shared_names(modality: str, features: tuple[str, ...]) -> tuple[str, ...]:
    """A finding if several features have one name, as gene symbols can."""
    shared = [name for name, times in Counter(features).items() if times > 1]
    if not shared:
        return ()
    named = ", ".join(shared[:SHOWN]) + (f" and {len(shared) - SHOWN} more" if len(shared) > SHOWN else "")
    return (
        f"{modality}: {counted(len(shared), 'name stands', 'names stand')} for several features each "
        f"({named}); in the files of new patients those of one name have to be in the same order",
    )
