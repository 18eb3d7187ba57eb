"""Rows of a file -> one embedding a patient, in a stream: weighted mean and variance, bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from hcat_core.errors import DataError
from hcat_core.patient_ids import SpellingBook
from hcat_core.reading import ModalityTable

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


def aggregate_spatial(
    chunks: Iterable[ModalityTable],
    source: str,
    index: dict[str, int] | None = None,
    room: np.ndarray | None = None,
) -> PatientEmbeddings:
    """Aggregate a stream of rows to one embedding a patient, whatever the order of the rows.

    The document aggregates patches of the spatial modality; any modality may have several rows. Memory
    is that of the result and one chunk. Slices are merged as in Chan, Golub and LeVeque (1983).

    Args:
        chunks: rows as a reader gives them.
        source: the file, for messages.
        index: the row of each patient named so far; grows by those whom this file names first.
        room: (P', D) zeros to hold the means, where they fit in: memory touched once, not twice.

    Raises:
        DataError: for rows without an id, two spellings of one id, negative weights, rows that change
            their width, or no row at all.
    """
    book = SpellingBook(source)
    code_of = {} if index is None else index
    running: _Running | None = None
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
            running = _Running(values.shape[1], room)
        if values.shape[1] != running.width:
            raise DataError(
                f"{source}: row {rows_read} has {values.shape[1]} features, the rows before it "
                f"{running.width}. One modality has one width."
            )
        codes = _codes(table.ids, book, code_of, rows_read)
        running.grow(len(code_of))
        weights = _weights(table, source, rows_read)
        quality = _quality(table)
        counts = _counts(table, weights, source, rows_read)
        step = max(1, SLICE_BYTES // (4 * max(1, running.width)))
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            with np.errstate(over="ignore", invalid="ignore"):  # of numbers near float32's end, no variance
                not_measured += running.add(
                    codes[rows], _float32(values[rows]), weights[rows], quality[rows], counts[rows]
                )
        rows_read += len(values)
    if running is None or not rows_read:
        raise DataError(f"{source}: holds no rows. Give a file with at least one patient.")
    return running.result(source, tuple(code_of), features, rows_read, not_measured)


def _codes(raw: np.ndarray, book: SpellingBook, code_of: dict[str, int], first_row: int) -> np.ndarray:
    """(R,) number of each row's patient. Python sees each run of equal ids once, not each row."""
    starts = np.flatnonzero(np.r_[True, raw[1:] != raw[:-1]]) if len(raw) else np.zeros(0, int)
    local, unique = pd.factorize(raw[starts], use_na_sentinel=False)
    first = np.zeros(len(unique), np.int64)
    first[local[::-1]] = starts[::-1] + first_row
    ids = book.normalize(unique.tolist(), first.tolist())
    numbers = np.fromiter(map(code_of.get, ids, repeat(-1)), np.int64, len(ids))
    for place in np.flatnonzero(numbers < 0).tolist():
        numbers[place] = code_of.setdefault(ids[place], len(code_of))
    runs = np.diff(np.r_[starts, len(raw)])
    return np.repeat(numbers[local], runs)


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


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf: not measured
        return np.ascontiguousarray(values, dtype=np.float32)


class _Running:
    """Weighted mean and squared deviations by patient so far.

    ``weight`` is (P, 1) while every cell was measured, (P, d) from the first gap on; ``squares`` is
    None until some patient has a second row: most files need neither.
    """

    def __init__(self, width: int, room: np.ndarray | None) -> None:
        self.width = width
        fits = room is not None and room.shape[1] >= width
        self.mean = room[:, :width] if room is not None and fits else np.zeros((0, width), np.float32)
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
        if codes[-1] - codes[0] == len(codes) - 1 and (np.diff(codes) == 1).all():
            return self._add_next(slice(codes[0], codes[-1] + 1), values, weights, quality, counts)
        patients, starts, order = _group(codes)
        row_weight = np.add.reduceat(weights[order], starts)
        self.row_weight[patients] += row_weight
        self.quality[patients] += np.add.reduceat((weights * quality)[order], starts)
        self.n_rows[patients] += np.add.reduceat(counts[order], starts, dtype=np.int32)
        if len(patients) == len(values):
            return self._add_single(patients, row_weight, values[order])
        # Sums weighted rows by patient: (k, R), a few bytes a row, and one pass over the values.
        sums = csr_array(
            (weights[order], order, np.r_[starts, len(order)]), shape=(len(starts), len(order))
        )
        # The mean is of the patient's own values alone, to the last bit: centred on a number that others
        # have a part in, held-out patients would reach the training patients' rounding.
        first = sums @ values
        weight = row_weight.reshape(-1, 1)
        gaps = 0
        if not np.isfinite(first).all():  # one look at the sums instead of one at every cell
            finite = np.isfinite(values)
            gaps = int(finite.size - finite.sum())
            values = np.where(finite, values, 0)
            weight = sums @ finite.astype(np.float32)
            first = sums @ values
        self._update_centre(values)
        if len(self.buffer) < len(values):
            self.buffer = np.empty_like(values)
        deviation = np.subtract(values, self.centre, out=self.buffer[: len(values)])
        if gaps:
            deviation[~finite] = 0
        np.square(deviation, out=deviation)
        mean = first / np.maximum(weight, np.finfo(np.float32).tiny)  # 0 where the weight is 0
        squares = sums @ deviation - weight * np.square(mean - self.centre)
        np.maximum(squares, 0, out=squares)
        self._merge(patients, weight, mean, squares)
        return gaps

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


def _group(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct patients (k,), where each one's rows start (k,), and the order that sorts rows."""
    order = np.arange(len(codes))
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return codes[starts], starts, order
