"""The elements of AnnData files: dataframes, categories, nullable columns, dense and sparse matrices.

They are those of AnnData's on-disk format (https://anndata.readthedocs.io, "On-disk format"), read through
the same checks as every other HDF5 file. anndata's own ``read_elem`` follows links to other files, unpacks
whatever a file claims to hold, and reads matrices whose parts contradict each other as wrong numbers
(the experiment is in ADR 31).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np
from scipy.sparse import csc_array, csr_array

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
EXACT = 1 << 53  # float64 holds every whole number up to here
SPARSE = ("csr_matrix", "csc_matrix")


@dataclass(frozen=True)
class Matrix:
    """A matrix of a file: its full name, its shape, and its ``kind``: dense, csr_matrix or csc_matrix."""

    name: str
    rows: int
    width: int
    kind: str

    def __str__(self) -> str:
        return f"{self.name} ({self.rows} x {self.width}, {self.kind})"


def index_of(file: h5py.File, frame: str) -> np.ndarray:
    """(R,) names of a dataframe's rows.

    Raises:
        DataError: for a dataframe that is missing or has no index.
    """
    group = _frame(file, frame)
    name = text_attribute(group, "_index")
    if name is None:
        raise DataError(f"{file.filename}: {frame} does not name the column that is its index.")
    return _column(file, frame, name)


def columns_of(file: h5py.File, frame: str) -> list[str]:
    """Names of a dataframe's columns, without the index."""
    group = _frame(file, frame)
    others = (text_attribute(group, "_index"), OLD_CATEGORIES)
    return [name for name in group if name not in others]


def column_of(file: h5py.File, frame: str, name: str) -> np.ndarray:
    """(R,) one column: numbers with NaN, or text with None, where unknown; see ``with_gaps``.

    Raises:
        DataError: for a column that is missing (with those that exist), of another length than the index,
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
        DataError: as ``column_of``; for a column of text.
    """
    values = column_of(file, frame, name)
    large = values.dtype.kind == "O" and any(isinstance(value, int) for value in values)  # with gaps
    if values.dtype.kind not in "biuf" and not large:
        raise DataError(f"{file.filename}: {frame}/{name} holds text; numbers are needed.")
    return values.astype(np.float64)


def matrix_of(file: h5py.File, name: str, rows: int) -> Matrix:
    """The matrix stored under ``name``, which must have ``rows`` rows.

    Raises:
        DataError: for anything but a matrix of numbers of that many rows, or for a size that is much larger
            than what is stored.
    """
    where = f"{file.filename}: {name}"
    node = find_object(file, name)
    if node is None:
        parent = find_object(file, name.rpartition("/")[0])
        siblings = list(parent) if isinstance(parent, h5py.Group) else []
        raise DataError(f"{where}: does not exist.{did_you_mean(name.rpartition('/')[2], siblings)}")
    kind = text_attribute(node, "encoding-type")
    if isinstance(node, h5py.Group):
        if kind not in SPARSE:
            raise DataError(
                f"{where}: is a {kind or 'group'}, not a matrix. Name one: layer = ..., obsm = ..."
            )
        stored_shape = read_attribute(node, "shape")
        shape = np.asarray(() if stored_shape is None else stored_shape).reshape(-1)
    else:
        kind, shape = "dense", np.array(checked_embedding(file, name).shape or ())
    if shape.dtype.kind not in "iu" or len(shape) != 2 or shape[0] != rows or shape[1] < 1:
        raise DataError(f"{where}: has shape {tuple(shape.tolist())}; ({rows}, features) is needed.")
    width = int(shape[1])
    claimed, file_size = 4 * rows * width, file.id.get_filesize()
    if kind in SPARSE and claimed > SMALL and claimed > MAX_RATIO * file_size:
        raise DataError(
            f"{where}: claims {rows:,} x {width:,} values and the whole file has {file_size:,} bytes, over "
            f"{MAX_RATIO} times less. hcat does not unpack it."
        )
    return Matrix(name, rows, width, kind)


def matrix_rows(file: h5py.File, matrix: Matrix) -> Iterator[tuple[slice, np.ndarray]]:
    """(r, d) float32 chunks of rows, each with the slice of rows it holds.

    Cells that a sparse matrix does not store are 0.

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


def with_gaps(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(R,) the values with NaN or None where ``unknown`` (R,) is True; unchanged where nothing is unknown.

    Whole numbers with gaps become float64, or Python objects where float64 would make two of them equal.
    """
    if not unknown.any():
        return values
    if values.dtype.kind in "biuf" and not _beyond_float64(values[~unknown]):
        return np.where(unknown, np.nan, values.astype(np.float64))
    objects = values.astype(object)
    objects[unknown] = None
    return objects


def _sparse_rows(file: h5py.File, matrix: Matrix) -> Iterator[tuple[slice, np.ndarray]]:
    data, indices, indptr = (_part(file, matrix, part) for part in ("data", "indices", "indptr"))
    where = f"{file.filename}: {matrix.name}"
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise DataError(f"{where}: its indices are not whole numbers.")
    make = csr_array if matrix.kind == "csr_matrix" else csc_array
    try:
        with np.errstate(over="ignore"):  # a number too large for float32 becomes inf: not measured
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
            f"{file.filename}: {name} is a table as anndata wrote it before 0.7. Write the file again with "
            "a current anndata: anndata.read_h5ad(FILE).write_h5ad(FILE)."
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
            return _categorical(file, where, _values(file, f"{frame}/{OLD_CATEGORIES}/{name}"), values)
        return values
    kind = None if node is None else text_attribute(node, "encoding-type")
    if kind == "categorical":
        categories, codes = _values(file, f"{where}/categories"), _values(file, f"{where}/codes")
        return _categorical(file, where, categories, codes)
    if kind in ("nullable-integer", "nullable-boolean", "nullable-string-array"):
        values, unknown = _values(file, f"{where}/values"), _values(file, f"{where}/mask")
        if unknown.shape != values.shape or unknown.dtype.kind != "b":
            raise DataError(f"{file.filename}: {where}: its mask does not fit its values.")
        return with_gaps(values, unknown)
    raise DataError(
        f"{file.filename}: {where} has the encoding {kind or '(none)'}; hcat reads numbers, text and "
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


def _categorical(file: h5py.File, where: str, categories: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The category of each code; code -1 is unknown."""
    if codes.dtype.kind not in "iu" or (
        len(codes) and not -1 <= codes.min() <= codes.max() < len(categories)
    ):
        raise DataError(f"{file.filename}: {where}: codes lie outside its {len(categories)} categories.")
    if not len(categories):
        return np.full(len(codes), None, dtype=object)
    return with_gaps(categories[codes], codes < 0)


def _beyond_float64(values: np.ndarray) -> bool:
    return (
        values.dtype.kind in "iu" and len(values) > 0 and max(-int(values.min()), int(values.max())) > EXACT
    )
