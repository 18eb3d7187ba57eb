"""Rows of a file to one embedding per patient: weighted mean and variance, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hcat_core.data.patient_index import FileIds, PatientIndex
from hcat_core.data.preallocation import PreallocatedCells
from hcat_core.data.streaming_mean import StreamingMean
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable
from hcat_core.text.file_rows import Line, named_row, no_line

SLICE_BYTES = 1 << 21  # a slice and its squares stay in the processor's cache
MOST_ROWS = np.iinfo(np.int32).max


@dataclass(frozen=True)
class PatientEmbeddings:
    """One modality with one row per patient: P patients, d features.

    Attributes:
        source: the file, for messages.
        ids: P normalised ids in the order of the file. Files that share an ``index`` have the ids of all
            earlier files first; nothing is measured for those that this file does not name.
        mean: (P, d) float32, the weighted mean over each patient's rows; 0 where not measured.
        measured: (P, d) bool, True for a finite value in a row of positive weight.
        variance: (P, d) float32, weighted population variance over a patient's rows; None if every
            patient has one row.
        quality: (P,) float32 in [0, 1], the weighted mean over rows.
        n_rows: (P,) int32, rows of positive weight.
        features: d names, or ().
        n_rows_read: rows of the file.
        n_cells_not_measured: cells of the file without a finite number.
        findings: what the reader found in the file beside its values.
    """

    source: str
    ids: tuple[str, ...]
    mean: np.ndarray
    measured: np.ndarray
    variance: np.ndarray | None
    quality: np.ndarray
    n_rows: np.ndarray
    features: tuple[str, ...]
    n_rows_read: int
    n_cells_not_measured: int
    findings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every patient with a measured cell has all cells measured."""
        return self.n_cells_not_measured == 0

    @property
    def present(self) -> np.ndarray:
        """(P,) bool, any cell measured."""
        cells = self.measured[:, :1] if self.complete else self.measured
        return np.asarray(cells.any(axis=1))


def aggregate_spatial(
    chunks: Iterable[ModalityTable],
    source: str,
    index: PatientIndex | None = None,
    preallocated: PreallocatedCells | None = None,
    line: Line = no_line,
) -> PatientEmbeddings:
    """Aggregate a stream of rows to one embedding per patient, in any order of rows.

    Patches of the spatial modality are aggregated in this way (``docs/reference/enhanced-hcat.md``), and
    any other modality with several rows per patient. Memory is that of the result and one chunk.

    Args:
        chunks: rows as a reader yields them.
        source: the file, for messages.
        index: the row of each patient named so far; patients that this file names first are added.
        preallocated: memory for the means, used if they fit.
        line: of a row in the file, for messages.

    Raises:
        DataError: for rows without an id, two spellings of one id, negative weights, rows that change
            their width, or no row at all.
    """
    index = PatientIndex() if index is None else index
    file_ids = FileIds(source, index, line)
    running: StreamingMean | None = None
    features: tuple[str, ...] = ()
    findings: dict[str, None] = {}  # each once, in their order
    rows_read = not_measured = 0
    for table in chunks:
        findings.update(dict.fromkeys(table.findings))
        values = table.values
        if values.ndim != 2 or len(values) != len(table.ids):
            raise DataError(
                f"{source}: {len(table.ids)} patient ids for embeddings of shape {values.shape}; "
                "one id per row is needed."
            )
        if running is None:
            features = table.features
            width = values.shape[1]
            running = StreamingMean(
                width, None if preallocated is None else preallocated.take(width, table.patients)
            )
        if values.shape[1] != running.width:
            raise DataError(
                f"{source}: {named_row(rows_read, line)} has {values.shape[1]} features, the rows "
                f"before it {running.width}. One modality has one width."
            )
        if features and table.features and table.features != features:
            here, there = next(
                pair for pair in zip(table.features, features, strict=True) if len({*pair}) > 1
            )
            raise DataError(
                f"{source}: from {named_row(rows_read, line)} on the features have other names or another "
                f"order: {here} stands where the rows before have {there}. One modality has one order of "
                "features."
            )
        codes = file_ids.numbers(table.ids, rows_read)
        running.grow(len(index))
        weights = _weights(table, source, rows_read, line)
        quality = _quality(table)
        counts = _counts(table, weights, source, rows_read, line)
        step = max(1, SLICE_BYTES // (4 * max(1, running.width)))
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            with np.errstate(
                over="ignore", invalid="ignore"
            ):  # numbers near float32's limit have no variance
                not_measured += running.add(
                    codes[rows], values[rows], weights[rows], quality[rows], counts[rows]
                )
        rows_read += len(values)
    file_ids.finish()
    if running is None or not rows_read:
        raise DataError(f"{source}: holds no rows. Give a file with at least one patient.")
    found = _embeddings(running, source, tuple(index.ids), features, rows_read, not_measured)
    return replace(found, findings=tuple(findings))


def _weights(table: ModalityTable, source: str, first_row: int, line: Line) -> np.ndarray:
    if table.weights is None:
        return np.ones(len(table.ids), np.float32)
    weights = np.asarray(table.weights, np.float64).reshape(-1)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{source}: {named_row(first_row + row, line)} has weight {weights[row]}. Weights (patch "
            "counts) are finite and not negative."
        )
    return weights.astype(np.float32)


def _quality(table: ModalityTable) -> np.ndarray:
    """(R,) scores in [0, 1]; NaN counts as 1."""
    if table.quality is None:
        return np.ones(len(table.ids), np.float32)
    quality = np.asarray(table.quality, np.float64).reshape(-1)
    return np.clip(np.where(np.isnan(quality), 1, quality), 0, 1).astype(np.float32)


def _counts(
    table: ModalityTable, weights: np.ndarray, source: str, first_row: int, line: Line
) -> np.ndarray:
    """(R,) int32, from how many rows each row was aggregated; 0 for a row without weight."""
    if table.n_rows is None:
        return (weights > 0).astype(np.int32)
    counts = np.asarray(table.n_rows, np.float64).reshape(-1)
    bad = ~((counts >= 0) & (counts == np.floor(counts)) & (counts <= MOST_ROWS))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{source}: {named_row(first_row + row, line)} has the count {counts[row]:g}; a whole number "
            "that is not negative is needed."
        )
    return (counts * (weights > 0)).astype(np.int32)


def _embeddings(
    running: StreamingMean,
    source: str,
    ids: tuple[str, ...],
    features: tuple[str, ...],
    rows_read: int,
    not_measured: int,
) -> PatientEmbeddings:
    n = len(ids)
    weight = running.weight[:n]
    variance = None
    if running.squares is not None:  # squares are 0 wherever the weight is
        variance = running.squares[:n] / np.maximum(weight, np.finfo(np.float32).tiny)
    rows = running.row_weight[:n]
    quality = np.divide(running.quality[:n], rows, out=np.zeros(n), where=rows > 0)
    return PatientEmbeddings(
        source=source,
        ids=ids,
        mean=running.mean[:n],  # 0 wherever the weight is
        measured=np.broadcast_to(weight > 0, (n, running.width)),
        variance=variance,
        quality=quality.astype(np.float32),
        n_rows=running.n_rows[:n],
        features=features,
        n_rows_read=rows_read,
        n_cells_not_measured=not_measured,
    )
