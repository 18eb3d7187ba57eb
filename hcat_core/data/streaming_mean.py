"""Weighted mean and variance per patient over a stream of rows (Chan, Golub and LeVeque, 1983)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from hcat_core.reading import run_starts


class StreamingMean:
    """Weighted mean and sum of squared deviations per patient, over the rows added so far.

    ``weight`` is (P, 1) while every cell is measured and (P, d) from the first gap on; ``squares`` is None
    until a patient has a second row. Most files need neither.
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
        self.centred = np.zeros(width, bool)  # columns in which a number has been seen
        self.buffer = np.zeros((0, width), np.float32)

    def grow(self, patients: int) -> None:
        """Enlarge the arrays for at least ``patients`` rows."""
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
        """Add one slice of rows; returns how many of its cells are not measured.

        Args:
            codes: (R,) number of each row's patient.
            values: (R, d), which may be a view that changes.
            weights: (R,) float32.
            quality: (R,) float32.
            counts: (R,) int32 rows that each row stands for.
        """
        values = self._copied(values)
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
        # The mean is computed from the patient's values alone, to the last bit: were it centred on a number
        # that depends on others, held-out patients would change the rounding of training patients.
        first = sums @ values
        weight = row_weight.reshape(-1, 1)
        gaps = 0
        if not np.isfinite(first).all():  # one check of the sums instead of one of every cell
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

    def _copied(self, values: np.ndarray) -> np.ndarray:
        """A float32 copy, in memory that stays in the cache: a reader's view can change at any time."""
        if len(self.buffer) < len(values):
            self.buffer = np.empty((len(values), self.width), np.float32)
        copy = self.buffer[: len(values)]
        np.copyto(
            copy, values, casting="unsafe"
        )  # a number too large for float32 becomes inf: not measured
        return copy

    def _update_centre(self, values: np.ndarray) -> None:
        """Keep a number near each column's middle (0 until one is seen), so that squares do not cancel."""
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
        """Add a slice with one row for each of consecutive patients, as most files have."""
        self.row_weight[patients] += weights
        self.quality[patients] += weights * quality
        self.n_rows[patients] += counts
        return self._add_single(patients, weights, values)

    def _add_single(self, patients: np.ndarray | slice, row_weight: np.ndarray, values: np.ndarray) -> int:
        """Add a slice with one row per patient: its values are the mean, to the last bit."""
        weight = row_weight.reshape(-1, 1)
        gaps = 0
        if not np.isfinite(values.sum()):  # one check of the sum instead of one of every cell
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
            self.squares = np.zeros(self.mean.shape, np.float32)  # unused pages take no memory
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


def _grown(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with zeros added; an array that owns its memory is moved by the system and not copied."""
    if array.base is None:
        array.resize((rows, *array.shape[1:]), refcheck=False)
        return array
    bigger = np.zeros((rows, *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger


def _sums(weights: np.ndarray, starts: np.ndarray) -> np.ndarray | csr_array:
    """(k, R) matrix that sums weighted rows by patient in one pass over the rows."""
    if len(starts) == 1 and weights.all():  # 0 times NaN must give NaN: some libraries skip zeros
        return weights.reshape(1, -1)
    rows = np.arange(len(weights))
    return csr_array((weights, rows, np.append(starts, len(rows))), shape=(len(starts), len(rows)))
