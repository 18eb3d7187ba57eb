"""What AnnData files are made of: dataframes, categories, nullable and sparse arrays, in untrusted HDF5.

The elements are those of AnnData's on-disk format (https://anndata.readthedocs.io, "On-disk format"). The
anndata library itself is not asked: it follows links and unpacks whatever a file claims to hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from hcat_builtin.readers.chunks import rows_per_chunk
from hcat_builtin.readers.hdf5.row_chunks import checked_embedding, row_chunks
from hcat_builtin.readers.hdf5.safety import (
    find_object,
    read_attribute,
    read_small,
    refuse_not_numeric,
    text_attribute,
)
from hcat_builtin.readers.hdf5.size_limits import MAX_RATIO, SMALL
from hcat_builtin.readers.isolation.progress import progress
from hcat_core.errors import DataError
from hcat_core.text.spelling import did_you_mean

OLD_CATEGORIES = "__categories"  # where anndata 0.7 kept the categories of all columns
EXACT = 1 << 53  # up to here float64 has every whole number
SPARSE = ("csr_matrix", "csc_matrix")


@dataclass(frozen=True)
class Matrix:
    """A matrix of a file: ``kind`` is dense, csr_matrix or csc_matrix."""

    name: str
    rows: int
    width: int
    kind: str

    def __str__(self) -> str:
        return f"{self.name} ({self.rows} x {self.width}, {self.kind})"


def index_of(file: h5py.File, frame: str) -> np.ndarray:
    """(R,) names of a dataframe's rows.

    Raises:
        DataError: for a dataframe that is not there, or has no index.
    """
    group = _frame(file, frame)
    name = text_attribute(group, "_index")
    if name is None:
        raise DataError(f"{file.filename}: {frame} does not say which of its columns is the index.")
    return _column(file, frame, name)


def columns_of(file: h5py.File, frame: str) -> list[str]:
    """Names of a dataframe's columns, the index apart."""
    group = _frame(file, frame)
    apart = (text_attribute(group, "_index"), OLD_CATEGORIES)
    return [name for name in group if name not in apart]


def column_of(file: h5py.File, frame: str, name: str) -> np.ndarray:
    """(R,) one column: numbers, NaN where unknown, or text, None where unknown; see ``with_gaps``.

    Raises:
        DataError: for a column that is not there (with those that are), of another length than the index,
            or of an encoding that hcat does not read.
    """
    columns = columns_of(file, frame)
    if name not in columns:
        raise DataError(
            f'{file.filename}: {frame} has no column "{name}".{did_you_mean(name, columns)} '
            f"Its columns: {', '.join(columns[:40]) or 'none'}."
        )
    values = _column(file, frame, name)
    rows = len(index_of(file, frame))
    if values.shape != (rows,):
        raise DataError(
            f"{file.filename}: {frame}/{name} has shape {values.shape} in a table of {rows} rows."
        )
    return values


def numbers_of(file: h5py.File, frame: str, name: str) -> np.ndarray:
    """``column_of`` as float64.

    Raises:
        DataError: as ``column_of`` does; for a column of text.
    """
    values = column_of(file, frame, name)
    large = values.dtype.kind == "O" and any(isinstance(value, int) for value in values)  # with gaps
    if values.dtype.kind not in "biuf" and not large:
        raise DataError(f"{file.filename}: {frame}/{name} holds text; numbers are needed.")
    return values.astype(np.float64)


def matrix_of(file: h5py.File, name: str, rows: int) -> Matrix:
    """What is stored under ``name``, a row for each of ``rows``.

    Raises:
        DataError: for something else than a matrix of numbers, of other rows, or of a claimed size that is
            not backed by what is stored.
    """
    where = f"{file.filename}: {name}"
    node = find_object(file, name)
    if node is None:
        parent = find_object(file, name.rpartition("/")[0])
        known = [key for key in parent] if isinstance(parent, h5py.Group) else []
        raise DataError(f"{where}: is not there.{did_you_mean(name.rpartition('/')[2], known)}")
    kind = text_attribute(node, "encoding-type")
    if isinstance(node, h5py.Group):
        if kind not in SPARSE:
            raise DataError(
                f"{where}: is a {kind or 'group'}, not a matrix. Name one: layer = ..., obsm = ..."
            )
        told = read_attribute(node, "shape")
        shape = np.asarray(() if told is None else told).reshape(-1)
    else:
        kind, shape = "dense", np.array(checked_embedding(file, name).shape or ())
    if shape.dtype.kind not in "iu" or len(shape) != 2 or shape[0] != rows or shape[1] < 1:
        raise DataError(f"{where}: has shape {tuple(shape.tolist())}; ({rows}, features) is needed.")
    width = int(shape[1])
    claimed, held = 4 * rows * width, file.id.get_filesize()
    if kind in SPARSE and claimed > SMALL and claimed > MAX_RATIO * held:
        raise DataError(
            f"{where}: claims {rows:,} x {width:,} values and the whole file has {held:,} bytes, over "
            f"{MAX_RATIO} times less. hcat does not unpack it."
        )
    return Matrix(name, rows, width, kind)


def matrix_rows(file: h5py.File, matrix: Matrix) -> Iterator[tuple[slice, np.ndarray]]:
    """(r, d) float32 pieces of rows, with where they lie; what a sparse matrix does not store is 0.

    Raises:
        DataError: for a sparse matrix whose parts contradict each other.
    """
    if matrix.kind in SPARSE:
        yield from _sparse_rows(file, matrix)
        return
    node = find_object(file, matrix.name)
    assert isinstance(node, h5py.Dataset)
    progress.start_dataset(matrix.name)
    yield from row_chunks(node, matrix.rows, matrix.width)


def _sparse_rows(file: h5py.File, matrix: Matrix) -> Iterator[tuple[slice, np.ndarray]]:
    from scipy.sparse import csc_array, csr_array

    data, indices, indptr = (_part(file, matrix, part) for part in ("data", "indices", "indptr"))
    where = f"{file.filename}: {matrix.name}"
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise DataError(f"{where}: its indices are not whole numbers.")
    make = csr_array if matrix.kind == "csr_matrix" else csc_array
    try:
        with np.errstate(over="ignore"):  # as in row_chunks
            data = data.astype(np.float32, copy=False)
        sparse = make((data, indices, indptr), shape=(matrix.rows, matrix.width))
        sparse.check_format(full_check=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{where}: is no valid {matrix.kind}: {error}. Write it again.") from None
    by_row = sparse.tocsr()
    progress.start_dataset(matrix.name)
    step = rows_per_chunk(4 * matrix.width)
    for first in range(0, matrix.rows, step):
        progress.step()
        part = slice(first, min(first + step, matrix.rows))
        yield part, by_row[part].toarray()


def _part(file: h5py.File, matrix: Matrix, part: str) -> np.ndarray:
    node = find_object(file, f"{matrix.name}/{part}")
    if not isinstance(node, h5py.Dataset) or node.ndim != 1:
        raise DataError(f"{file.filename}: {matrix.name} lacks its {part}.")
    refuse_not_numeric(node)
    return read_small(node)


def _frame(file: h5py.File, name: str) -> h5py.Group:
    node = find_object(file, name)
    if isinstance(node, h5py.Dataset):
        raise DataError(
            f"{file.filename}: {name} is a table as anndata wrote it before 0.7. Write the file anew with "
            "the anndata of today: anndata.read_h5ad(FILE).write_h5ad(FILE)."
        )
    if node is None or text_attribute(node, "encoding-type") != "dataframe":
        raise DataError(f"{file.filename}: {name}: is no dataframe; is this an AnnData or MuData file?")
    return node


def _column(file: h5py.File, frame: str, name: str) -> np.ndarray:
    where = f"{frame}/{name}"
    node = find_object(file, where)
    if isinstance(node, h5py.Dataset):
        values = _values(file, where)
        categories = find_object(file, f"{frame}/{OLD_CATEGORIES}/{name}")
        if isinstance(categories, h5py.Dataset):
            return _taken(file, where, _values(file, f"{frame}/{OLD_CATEGORIES}/{name}"), values)
        return values
    kind = None if node is None else text_attribute(node, "encoding-type")
    if kind == "categorical":
        return _taken(file, where, _values(file, f"{where}/categories"), _values(file, f"{where}/codes"))
    if kind in ("nullable-integer", "nullable-boolean", "nullable-string-array"):
        values, unknown = _values(file, f"{where}/values"), _values(file, f"{where}/mask")
        if unknown.shape != values.shape or unknown.dtype.kind != "b":
            raise DataError(f"{file.filename}: {where}: its mask does not fit its values.")
        return with_gaps(values, unknown)
    raise DataError(
        f"{file.filename}: {where} is stored as {kind or 'nothing known'}; hcat reads numbers, text and "
        "categories."
    )


def _values(file: h5py.File, name: str) -> np.ndarray:
    """One array of numbers or text, text as str."""
    node = find_object(file, name)
    if not isinstance(node, h5py.Dataset) or node.ndim != 1:
        raise DataError(f"{file.filename}: {name} is not a list of values.")
    values = read_small(node)
    if values.dtype.kind in "OS":
        decoded = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()]
        return np.array(decoded, dtype=object)
    return values


def _taken(file: h5py.File, where: str, categories: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The category of each code; -1 is unknown."""
    if codes.dtype.kind not in "iu" or (
        len(codes) and not -1 <= codes.min() <= codes.max() < len(categories)
    ):
        raise DataError(f"{file.filename}: {where}: codes lie outside its {len(categories)} categories.")
    if not len(categories):
        return np.full(len(codes), None, dtype=object)
    return with_gaps(categories[codes], codes < 0)


def with_gaps(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(R,) the values, NaN or None where ``unknown`` (R,) says so; as they are where nothing is unknown.

    Whole numbers with gaps become float64, and Python objects where float64 would make two of them one.
    """
    if not unknown.any():
        return values
    if values.dtype.kind in "biuf" and not _beyond_float64(values[~unknown]):
        return np.where(unknown, np.nan, values.astype(np.float64))
    known = values.astype(object)
    known[unknown] = None
    return known


def _beyond_float64(values: np.ndarray) -> bool:
    whole = values.dtype.kind in "iu" and len(values) > 0
    return whole and max(-int(values.min()), int(values.max())) > EXACT
