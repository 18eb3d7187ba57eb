"""Limits of what an HDF5 file can unpack to: files that claim far more than they store are refused."""

from __future__ import annotations

import math

import h5py
from h5py import h5o, h5z

from hcat_core.errors import DataError

MAX_RATIO = 100
"""Unpacked bytes for one stored byte. Embeddings compress 1 to 3 times, tables of categories 20 to 60
times, and deflate compresses zeros about 1,030 times. Honest data beyond the limit can be stored
uncompressed: then its size is that of its file."""

SMALL = 64 << 20  # bytes; a dataset that unpacks to less does no harm, however it was compressed
SMALL_FILE = 256 << 20  # the same for all that is read of one file, which can have many small datasets
MAX_CHUNK = 512 << 20  # bytes; HDF5 unpacks a compressed chunk in one piece, in memory
FILTERS = (
    h5z.FILTER_DEFLATE,
    h5z.FILTER_SHUFFLE,
    h5z.FILTER_FLETCHER32,
    h5z.FILTER_SZIP,
    h5z.FILTER_NBIT,
    h5z.FILTER_SCALEOFFSET,
    h5z.FILTER_LZF,
)
_unpacked: dict[int, int] = {}  # bytes so far, by the number that HDF5 gives to an open file


def refuse_oversized(dataset: h5py.Dataset, where: str) -> None:
    """Refuse a dataset, of a shape that is not empty, that claims far more than is stored.

    Raises:
        DataError: for filters that are not part of HDF5, data never written, and data that unpacks to more
            than ``MAX_RATIO`` times the stored bytes, alone or with all that was read of the file before.
    """
    unpacked = _bytes_unpacked(dataset, where)
    stored = dataset.id.get_storage_size()
    file_size = dataset.file.id.get_filesize()
    if stored == 0:
        raise DataError(f"{where}: {_size(dataset)} were declared and never written.")
    if stored > file_size:
        raise DataError(
            f"{where}: damaged: claims {stored:,} stored bytes in a file of {file_size:,}. "
            "Copy or write it again."
        )
    if unpacked > max(SMALL, MAX_RATIO * stored):
        raise DataError(
            f"{where}: claims {_size(dataset)} ({unpacked:,} bytes) and stores {stored:,} bytes, over "
            f"{MAX_RATIO} times less. hcat does not unpack it; if it is meant, store it uncompressed."
        )
    count_unpacked(dataset, unpacked, where)


def forget_unpacked() -> None:
    """Set the counts to 0, when a file is opened."""
    _unpacked.clear()


def count_unpacked(dataset: h5py.Dataset, unpacked: int, where: str) -> None:
    """Add to the bytes that have been unpacked of a dataset's file.

    Raises:
        DataError: for more than ``MAX_RATIO`` times the size of the file.
    """
    file = dataset.file
    number = h5o.get_info(file.id).fileno  # a new one each time that a file is opened
    total = _unpacked[number] = _unpacked.get(number, 0) + unpacked
    file_size = file.id.get_filesize()
    if total > max(SMALL_FILE, MAX_RATIO * file_size):
        raise DataError(
            f"{where}: with it, {total:,} bytes would have been unpacked of a file of {file_size:,}, over "
            f"{MAX_RATIO} times as many. hcat stops here; if it is meant, store it uncompressed."
        )


def _bytes_unpacked(dataset: h5py.Dataset, where: str) -> int:
    """Bytes in memory, counting whole chunks of compressed data (``Dataset.size`` can overflow)."""
    item = int(dataset.dtype.itemsize)
    creation = dataset.id.get_create_plist()
    for place in range(creation.get_nfilters()):
        code, _, _, name = creation.get_filter(place)
        if code not in FILTERS:
            name = name.decode("utf-8", "replace")
            raise DataError(
                f"{where}: is packed by filter {code} ({name}), which is not part of HDF5 itself; hcat "
                "loads no code for a file. Repack it: h5repack -f GZIP=4 OLD NEW."
            )
    if not dataset.chunks or creation.get_nfilters() == 0:
        return item * math.prod(map(int, dataset.shape))
    chunk = item * math.prod(map(int, dataset.chunks))
    if chunk > MAX_CHUNK:
        raise DataError(
            f"{where}: is packed in chunks of {chunk:,} bytes, each unpacked in one piece; hcat stops at "
            f"{MAX_CHUNK:,}. Repack it in smaller ones: h5repack -l CHUNK=... OLD NEW."
        )
    return chunk * math.prod(
        -(-int(n) // int(c)) for n, c in zip(dataset.shape, dataset.chunks, strict=True)
    )


def _size(dataset: h5py.Dataset) -> str:
    return " x ".join(f"{n:,}" for n in dataset.shape) + " values"
