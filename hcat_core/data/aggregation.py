"""Rows of a file -> one embedding a patient, in a stream: weighted mean and variance, bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from hcat_core.data.patient_index import FileIds, PatientIndex
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable, run_starts

SLICE_BYTES = 1 << 21  # a slice and its square stay in the processor's cache
MOST_ROWS = np.iinfo(np.int32).max


@dataclass(frozen=True)
class PatientEmbeddings:
    """One modality, a row per patient: P patients, d features.

    Attributes:
        source: the file, for messages.
        ids: P normalised ids, in the order of the file; behind those of all files before it where they
            share an ``index`` (nothing is measured of those whom this one does not name).
        mean: (P, d) float32, the weighted mean over each patient's rows; 0 where not measured.
        measured: (P, d) bool, a finite value in a row of positive weight.
        variance: (P, d) float32, weighted population variance over a patient's rows; None where every
            patient has one row.
        quality: (P,) float32 in [0, 1], the weighted mean over rows.
        n_rows: (P,) int32, rows of positive weight.
        features: d names, or ().
        n_rows_read: rows of the file.
        n_cells_not_measured: cells of the file that hold no finite number.
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

    @property
    def whole(self) -> bool:
        """Whether each patient who has a cell has all."""
        return self.n_cells_not_measured == 0

    @property
    def present(self) -> np.ndarray:
        """(P,) bool, any cell measured."""
        cells = self.measured[:, :1] if self.whole else self.measured
        return np.asarray(cells.any(axis=1))


def aggregate_spatial(
    chunks: Iterable[ModalityTable],
    source: str,
    index: PatientIndex | None = None,
    preallocated: PreallocatedCells | None = None,
) -> PatientEmbeddings:
    """Aggregate a stream of rows to one embedding a patient, whatever the order of the rows.

    The document aggregates patches of the spatial modality; any modality may have several rows. Memory
    is that of the result and one chunk. Slices are merged as in Chan, Golub and LeVeque (1983).

    Args:
        chunks: rows as a reader gives them.
        source: the file, for messages.
        index: the row of each patient named so far; grows by those whom this file names first.
        preallocated: where to hold the means, if they fit in: memory touched once, not twice.

    Raises:
        DataError: for rows without an id, two spellings of one id, negative weights, rows that change
            their width, or no row at all.
    """
    index = PatientIndex() if index is None else index
    file_ids = FileIds(source, index)
    running: StreamingMean | None = None
    features: tuple[str, ...] = ()
    rows_read = not_measured = 0
    for table in chunks:
        values = table.values
        if values.ndim != 2 or len(values) != len(table.ids):
            raise DataError(
                f"{source}: {len(table.ids)} patient ids for embeddings of shape {values.shape}; "
                "one id a row is needed."
            )
        if running is None:
            features = table.features
            width = values.shape[1]
            running = StreamingMean(
                width, None if preallocated is None else preallocated.take(width, table.patients)
            )
        if values.shape[1] != running.width:
            raise DataError(
                f"{source}: row {rows_read} has {values.shape[1]} features, the rows before it "
                f"{running.width}. One modality has one width."
            )
        codes = file_ids.numbers(table.ids, rows_read)
        running.grow(len(index))
        weights = _weights(table, source, rows_read)
        quality = _quality(table)
        counts = _counts(table, weights, source, rows_read)
        step = max(1, SLICE_BYTES // (4 * max(1, running.width)))
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            with np.errstate(over="ignore", invalid="ignore"):  # of numbers near float32's end, no variance
                not_measured += running.add(
                    codes[rows], values[rows], weights[rows], quality[rows], counts[rows]
                )
        rows_read += len(values)
    file_ids.finish()
    if running is None or not rows_read:
        raise DataError(f"{source}: holds no rows. Give a file with at least one patient.")
    return running.result(source, tuple(index.ids), features, rows_read, not_measured)


def _weights(table: ModalityTable, source: str, first_row: int) -> np.ndarray:
    if table.weights is None:
        return np.ones(len(table.ids), np.float32)
    weights = np.asarray(table.weights, np.float64).reshape(-1)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{source}: row {first_row + row} has weight {weights[row]}. Weights (patch counts) are "
            "finite and not negative."
        )
    return weights.astype(np.float32)


def _quality(table: ModalityTable) -> np.ndarray:
    """Row scores in [0, 1]; a score that is no number says nothing, and counts as 1."""
    if table.quality is None:
        return np.ones(len(table.ids), np.float32)
    quality = np.asarray(table.quality, np.float32).reshape(-1)
    return np.clip(np.where(np.isnan(quality), 1, quality), 0, 1)


def _counts(table: ModalityTable, weights: np.ndarray, source: str, first_row: int) -> np.ndarray:
    """(R,) int32 rows that stand behind each row; none behind one without weight."""
    if table.n_rows is None:
        return (weights > 0).astype(np.int32)
    counts = np.asarray(table.n_rows, np.float64).reshape(-1)
    bad = ~((counts >= 0) & (counts == np.floor(counts)) & (counts <= MOST_ROWS))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{source}: row {first_row + row} is said to stand for {counts[row]:g} rows; a whole number "
            "that is not negative is needed."
        )
    return (counts * (weights > 0)).astype(np.int32)


class PreallocatedCells:
    """Memory for the means of all modalities of a cohort, made when the first of them is begun.

    It is as wide as the first and has twice the patients that its file may name; what nothing is written
    to takes no memory.

    Attributes:
        cells: (M, rows, D) float32; (M, 0, 0) as long as nobody could say how many patients there may be.
    """

    def __init__(self, modalities: int) -> None:
        self.cells = np.zeros((modalities, 0, 0), np.float32)
        self._taken = 0

    def take(self, width: int, patients: int | None) -> np.ndarray | None:
        """(rows, width) zeros for the next modality; None where it is too wide."""
        if self._taken == 0 and patients is not None:
            self._allocate(patients, width)
        self._taken += 1
        return self.cells[self._taken - 1, :, :width] if self.cells.shape[2] >= width else None

    def hold(self, first: np.ndarray) -> np.ndarray:
        """The first modality's means, copied here where they were not written here and memory allows."""
        if len(first) > self.cells.shape[1]:
            self._allocate(*first.shape)
            if len(first) > self.cells.shape[1]:
                return first
            self.cells[0, : len(first)] = first
        return self.cells[0, : len(first)]

    def _allocate(self, patients: int, width: int) -> None:
        try:
            self.cells = np.zeros((len(self.cells), 2 * patients, width), np.float32)
        except (MemoryError, ValueError):  # what a file says it may name can be far beyond what it names
            self.cells = np.zeros((len(self.cells), 0, 0), np.float32)


class StreamingMean:
    """Weighted mean and squared deviations by patient so far.

    ``weight`` is (P, 1) while every cell was measured, (P, d) from the first gap on; ``squares`` is
    None until some patient has a second row: most files need neither.
    """

    def __init__(self, width: int, preallocated: np.ndarray | None) -> None:
        self.width = width
        self.mean = np.zeros((0, width), np.float32) if preallocated is None else preallocated
        rows = len(self.mean)
        self.weight = np.zeros((rows, 1), np.float32)
        self.squares: np.ndarray | None = None
        self.row_weight = np.zeros(rows)
        self.quality = np.zeros(rows)
        self.n_rows = np.zeros(rows, np.int32)
        self.centre = np.zeros(width, np.float32)
        self.centred = np.zeros(width, bool)  # columns of which a number has been seen
        self.buffer = np.zeros((0, width), np.float32)

    def grow(self, patients: int) -> None:
        """Make room for some more than these."""
        if patients <= len(self.mean):
            return
        rows = patients + patients // 8
        self.mean = _grown(self.mean, rows)
        self.weight = _grown(self.weight, rows)
        self.squares = None if self.squares is None else _grown(self.squares, rows)
        self.row_weight = _grown(self.row_weight, rows)
        self.quality = _grown(self.quality, rows)
        self.n_rows = _grown(self.n_rows, rows)

    def add(
        self,
        codes: np.ndarray,
        values: np.ndarray,
        weights: np.ndarray,
        quality: np.ndarray,
        counts: np.ndarray,
    ) -> int:
        """Take in one slice of rows; returns how many of its cells were not measured."""
        values = self._own(values)
        if codes[-1] - codes[0] == len(codes) - 1 and (np.diff(codes) == 1).all():
            return self._add_next(slice(codes[0], codes[-1] + 1), values, weights, quality, counts)
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes, values, weights = codes[order], values[order], weights[order]
            quality, counts = quality[order], counts[order]
        starts = run_starts(codes)
        patients = codes[starts]
        row_weight = np.add.reduceat(weights, starts)
        self.row_weight[patients] += row_weight
        self.quality[patients] += np.add.reduceat(weights * quality, starts)
        self.n_rows[patients] += np.add.reduceat(counts, starts, dtype=np.int32)
        if len(patients) == len(values):
            return self._add_single(patients, row_weight, values)
        sums = _sums(weights, starts)
        # The mean is of the patient's own values alone, to the last bit: centred on a number that others
        # have a part in, held-out patients would reach the training patients' rounding.
        first = sums @ values
        weight = row_weight.reshape(-1, 1)
        gaps = 0
        if not np.isfinite(first).all():  # one look at the sums instead of one at every cell
            finite = np.isfinite(values)
            gaps = int(finite.size - finite.sum())
            values[~finite] = 0
            weight = sums @ finite.astype(np.float32)
            first = sums @ values
        self._update_centre(values)
        values -= self.centre
        if gaps:
            values[~finite] = 0
        np.square(values, out=values)
        mean = first / np.maximum(weight, np.finfo(np.float32).tiny)  # 0 where the weight is 0
        squares = sums @ values - weight * np.square(mean - self.centre)
        np.maximum(squares, 0, out=squares)
        self._merge(patients, weight, mean, squares)
        return gaps

    def _own(self, values: np.ndarray) -> np.ndarray:
        """A copy, float32, in memory that stays in the cache: what a reader lent may change meanwhile."""
        if len(self.buffer) < len(values):
            self.buffer = np.empty((len(values), self.width), np.float32)
        own = self.buffer[: len(values)]
        np.copyto(own, values, casting="unsafe")  # a number too large for float32 becomes inf: not measured
        return own

    def _update_centre(self, values: np.ndarray) -> None:
        """About the middle of each column, so that squares do not cancel; 0 until a number is seen."""
        if not self.centred.all():
            count = (values != 0).sum(axis=0)
            mean = values.sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
            self.centre = np.where(self.centred, self.centre, mean).astype(np.float32)
            self.centred |= count > 0

    def _add_next(
        self,
        patients: slice,
        values: np.ndarray,
        weights: np.ndarray,
        quality: np.ndarray,
        counts: np.ndarray,
    ) -> int:
        """A slice whose rows are one patient's after the other's, in order: what most files hold."""
        self.row_weight[patients] += weights
        self.quality[patients] += weights * quality
        self.n_rows[patients] += counts
        return self._add_single(patients, weights, values)

    def _add_single(self, patients: np.ndarray | slice, row_weight: np.ndarray, values: np.ndarray) -> int:
        """A slice in which every patient has one row: its values are the mean, to the last bit."""
        weight = row_weight.reshape(-1, 1)
        gaps = 0
        if not np.isfinite(values.sum()):  # one look at the sum instead of one at every cell
            finite = np.isfinite(values)
            gaps = int(finite.size - finite.sum())
            weight = weight * finite if gaps else weight
            values = np.where(finite, values, 0)
        if not row_weight.all():
            values = np.where(weight > 0, values, 0)
        self._merge(patients, weight, values, None)
        return gaps

    def _merge(
        self, patients: np.ndarray | slice, weight: np.ndarray, mean: np.ndarray, squares: np.ndarray | None
    ) -> None:
        if weight.shape[1] > self.weight.shape[1]:
            narrow, self.weight = self.weight, np.zeros((len(self.mean), self.width), np.float32)
            rows = np.flatnonzero(narrow)
            self.weight[rows] = narrow[rows]
        before = self.weight[patients]
        seen = bool(before.any())
        if (squares is not None or seen) and self.squares is None:
            self.squares = np.zeros(self.mean.shape, np.float32)  # pages not written to take no memory
        total = before + weight
        if seen:
            share = weight / np.maximum(total, np.finfo(np.float32).tiny)
            change = mean - self.mean[patients]
            mean = self.mean[patients] + share * change
            between = np.square(change) * before * share
            squares = between if squares is None else squares + between
        self.mean[patients] = mean
        self.weight[patients] = total
        if squares is not None and self.squares is not None:
            self.squares[patients] += squares

    def result(
        self,
        source: str,
        ids: tuple[str, ...],
        features: tuple[str, ...],
        rows_read: int,
        not_measured: int,
    ) -> PatientEmbeddings:
        """The finished aggregate."""
        n = len(ids)
        weight = self.weight[:n]
        variance = None
        if self.squares is not None:  # squares are 0 wherever the weight is
            variance = self.squares[:n] / np.maximum(weight, np.finfo(np.float32).tiny)
        rows = self.row_weight[:n]
        quality = np.divide(self.quality[:n], rows, out=np.zeros(n), where=rows > 0)
        return PatientEmbeddings(
            source=source,
            ids=ids,
            mean=self.mean[:n],  # 0 wherever the weight is
            measured=np.broadcast_to(weight > 0, (n, self.width)),
            variance=variance,
            quality=quality.astype(np.float32),
            n_rows=self.n_rows[:n],
            features=features,
            n_rows_read=rows_read,
            n_cells_not_measured=not_measured,
        )


def _grown(array: np.ndarray, rows: int) -> np.ndarray:
    """The same with zeros behind it; where the memory is its own, moved by the system and not copied."""
    if array.base is None:
        array.resize((rows, *array.shape[1:]), refcheck=False)
        return array
    bigger = np.zeros((rows, *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger


def _sums(weights: np.ndarray, starts: np.ndarray) -> np.ndarray | csr_array:
    """(k, R) that sums weighted rows by patient, in one pass over what it is multiplied by."""
    if len(starts) == 1 and weights.all():  # 0 times a gap must be seen as one: some libraries skip zeros
        return weights.reshape(1, -1)
    rows = np.arange(len(weights))
    return csr_array((weights, rows, np.append(starts, len(rows))), shape=(len(starts), len(rows)))
