"""Chunks of a dataset, unpacked here: HDF5 fills a chunk that unpacks to too little with other memory.

HDF5 does not compare what a chunk unpacks to with its shape. The rest of a short one is whatever was in
memory, such as cells of the file before, and different each time. The usual filters (shuffle, gzip, LZF)
are undone here, at HDF5's own speed, and the length is checked. Data of other types or filters is unpacked
by HDF5, after the lengths are checked as far as the filters state them; those that do not state it are in
``bit_packed_chunks``.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np
from h5py import h5d, h5t, h5z

from hcat_builtin.readers.hdf5.bit_packed_chunks import BIT_FILTERS, is_whole, memory_chunks
from hcat_builtin.readers.hdf5.lzf import lzf_unpacked
from hcat_core.errors import DataError

Piece = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]
"""Where a chunk begins, the cells of it that are wanted, and where they belong among the wanted cells."""

Packed = bytes | np.ndarray
"""Bytes of a chunk, or (R,) of them as uint8."""

CHECKSUM = 4  # bytes that the filter fletcher32 adds
KNOWN = (h5z.FILTER_DEFLATE, h5z.FILTER_LZF, h5z.FILTER_SHUFFLE)
AGAIN = "Copy or write it again."


@dataclass(frozen=True)
class Filter:
    """One filter of a dataset: HDF5's number for it, and its parameters."""

    code: int
    parameters: tuple[int, ...]


@dataclass(frozen=True)
class Chunking:
    """How a dataset is cut into chunks and packed; ``nbytes`` of one unpacked chunk."""

    dataset: h5py.Dataset
    shape: tuple[int, ...]
    filters: tuple[Filter, ...]
    nbytes: int

    @property
    def where(self) -> str:
        """File and dataset, for messages."""
        return f"{self.dataset.file.filename}: {str(self.dataset.name or '').lstrip('/')}"


@dataclass(frozen=True)
class Stage:
    """Bytes of a chunk after some filters are undone; ``mask`` has a bit for each of them."""

    data: bytes
    mask: int


def read_values(dataset: h5py.Dataset, part: slice = slice(None), axis: int = 0) -> np.ndarray:
    """The values of a dataset, or a part of them along one axis, as numpy has them in the file's type.

    Call ``refuse_unsafe`` before it.

    Raises:
        DataError: for a chunk that is damaged, was never written, or unpacks to another size than it needs.
    """
    selection = tuple(part if place == axis else slice(None) for place in range(dataset.ndim))
    if dataset.chunks is None or dataset.shape is None or 0 in dataset.shape:
        return np.asarray(dataset[selection])
    bounds = [one.indices(length)[:2] for one, length in zip(selection, dataset.shape, strict=True)]
    chunking = _chunking(dataset)
    if not _unpacked_here(dataset, chunking):
        for offset, _, _ in _pieces(bounds, chunking.shape):
            _refuse_other_length(dataset, chunking, offset)
        values = np.asarray(dataset[selection])
        if any(one.code in BIT_FILTERS for one in chunking.filters):
            _refuse_broken_off(dataset, chunking, bounds, values)
        return values
    values = np.empty([last - first for first, last in bounds], dataset.dtype)
    for offset, inside, target in _pieces(bounds, chunking.shape):
        values[target] = _chunk(dataset, chunking, offset)[inside]
    return values


def refuse_wrong_chunks(dataset: h5py.Dataset) -> None:
    """Refuse what ``read_values`` refuses, of a dataset that is then read by HDF5, without reading it.

    Raises:
        DataError: as ``read_values``.
    """
    if dataset.chunks is None or dataset.shape is None or 0 in dataset.shape:
        return
    chunking = _chunking(dataset)
    for offset, _, _ in _pieces([(0, int(length)) for length in dataset.shape], chunking.shape):
        _refuse_other_length(dataset, chunking, offset)


def _chunking(dataset: h5py.Dataset) -> Chunking:
    creation = dataset.id.get_create_plist()
    filters = (creation.get_filter(place) for place in range(creation.get_nfilters()))
    shape = tuple(map(int, dataset.chunks))
    return Chunking(
        dataset=dataset,
        shape=shape,
        filters=tuple(Filter(code, values) for code, _, values, _ in filters),
        nbytes=math.prod(shape) * _stored_size(dataset),
    )


def _stored_size(dataset: h5py.Dataset) -> int:
    """Bytes of one value in the file; of text of any length, those of its length and address."""
    kind = dataset.id.get_type()
    if kind.get_class() == h5t.STRING and kind.is_variable_str():
        address, _ = dataset.file.id.get_create_plist().get_sizes()
        return 4 + int(address) + 4
    return int(kind.get_size())


def _unpacked_here(dataset: h5py.Dataset, chunking: Chunking) -> bool:
    """Whether the chunks hold numbers as numpy has them, packed by filters that are undone here."""
    codes = {one.code for one in chunking.filters}
    sums = h5z.FILTER_FLETCHER32 in codes and h5z.FILTER_DEFLATE not in codes  # deflate has a checksum, too
    if not codes or sums or codes - {*KNOWN, h5z.FILTER_FLETCHER32}:
        return False
    return dataset.dtype.kind in "iuf" and h5t.py_create(dataset.dtype) == dataset.id.get_type()


def _pieces(bounds: list[tuple[int, int]], shape: tuple[int, ...]) -> Iterator[Piece]:
    """The chunks that hold the cells from ``bounds``."""
    axes = []
    for (first, last), length in zip(bounds, shape, strict=True):
        begins = range(first // length * length, last, length)
        spans = [(begin, max(begin, first), min(begin + length, last)) for begin in begins]
        axes.append(
            [
                (begin, slice(low - begin, high - begin), slice(low - first, high - first))
                for begin, low, high in spans
            ]
        )
    for piece in itertools.product(*axes):
        yield tuple(zip(*piece, strict=True))


def _chunk(dataset: h5py.Dataset, chunking: Chunking, offset: tuple[int, ...]) -> np.ndarray:
    """The cells of one chunk, in its shape."""
    try:
        skipped, data = dataset.id.read_direct_chunk(offset)
    except (OSError, RuntimeError):
        if dataset.id.get_chunk_info_by_coord(offset).byte_offset is not None:
            raise
        _refuse_gap(dataset, chunking, offset)
        return np.full(chunking.shape, dataset.fillvalue, dataset.dtype)
    for place in range(len(chunking.filters) - 1, -1, -1):
        one = chunking.filters[place]
        if not skipped >> place & 1:
            data = _undone(one, data, chunking, offset)
    _refuse_length(len(data), chunking, offset)
    return np.frombuffer(data, dataset.dtype).reshape(chunking.shape)


def _undone(one: Filter, data: Packed, chunking: Chunking, offset: tuple[int, ...]) -> Packed:
    """The bytes before a filter was applied; at most a few more than the chunk needs."""
    most = chunking.nbytes + CHECKSUM * len(chunking.filters) + 1
    try:
        if one.code == h5z.FILTER_DEFLATE:
            return _inflated(data, most)
        if one.code == h5z.FILTER_LZF:
            return lzf_unpacked(data, most)
        if one.code == h5z.FILTER_SHUFFLE:
            return unshuffled(data, one.parameters[0])
    except (zlib.error, ValueError, IndexError) as error:
        raise DataError(
            f"{chunking.where}: damaged: the chunk at {_at(offset)} cannot be unpacked ({error}). {AGAIN}"
        ) from None
    return bytes(data[:-CHECKSUM])


def _inflated(data: Packed, most: int) -> bytes:
    """What gzip packed, cut after ``most`` bytes.

    Raises:
        zlib.error: for damaged or incomplete data.
    """
    stream = zlib.decompressobj()
    unpacked = stream.decompress(bytes(data), most)
    if not stream.eof and len(unpacked) < most:
        raise zlib.error("it breaks off")
    return unpacked


def unshuffled(data: Packed, size: int) -> Packed:
    """The bytes before HDF5's shuffle filter sorted those of items of ``size`` bytes by their place.

    Raises:
        ValueError: for a size of 0.
    """
    if size < 1:
        raise ValueError(f"items of {size} bytes")
    items = len(data) // size
    if size == 1 or items < 2:
        return data
    planes = np.frombuffer(data, np.uint8, items * size).reshape(size, items)
    if size in (2, 4):  # twice to five times as fast as writing every second or fourth byte
        joined = planes[size - 1].astype(f"<u{size}")
        for plane in planes[size - 2 :: -1]:
            joined <<= 8
            joined |= plane
    else:
        joined = np.empty((items, size), np.uint8)
        for place, plane in enumerate(planes):
            joined[:, place] = plane
    rest = bytes(data[items * size :])
    if rest:
        return bytes(joined.tobytes() + rest)
    plain: np.ndarray = joined.reshape(-1).view(np.uint8)
    return plain


def _refuse_other_length(dataset: h5py.Dataset, chunking: Chunking, offset: tuple[int, ...]) -> None:
    """Refuse a chunk of another length than its shape, as far as its filters state the length."""
    info = dataset.id.get_chunk_info_by_coord(offset)
    if info.byte_offset is None:
        _refuse_gap(dataset, chunking, offset)
    elif not _filters_of(chunking, info.filter_mask):
        _refuse_length(info.size, chunking, offset)
    else:
        _refuse_stated_length(_last_bits(dataset, chunking, offset), chunking, offset)


def _refuse_stated_length(stage: Stage, chunking: Chunking, offset: tuple[int, ...]) -> None:
    """Refuse what unpacks to another length; n-bit and scale-offset always unpack to that of the shape."""
    filters = [*_filters_of(chunking, stage.mask).values()]
    if not filters:
        _refuse_length(len(stage.data), chunking, offset)
        return
    *before, last = filters
    text = chunking.dataset.dtype.kind == "O"
    if text or any(one.code not in (h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32) for one in before):
        raise DataError(
            f"{chunking.where}: is {'text' if text else 'packed by one filter and then'} packed by "
            f"{BIT_FILTERS[last.code]}: hcat cannot see whether such chunks are whole. "
            "Repack it: h5repack -f GZIP=4 OLD NEW."
        )
    if last.code == h5z.FILTER_SZIP:
        sums = sum(one.code == h5z.FILTER_FLETCHER32 for one in before)
        _refuse_length(int.from_bytes(stage.data[:4], "little") - CHECKSUM * sums, chunking, offset)


def _refuse_broken_off(
    dataset: h5py.Dataset, chunking: Chunking, bounds: list[tuple[int, int]], values: np.ndarray
) -> None:
    """Refuse values that HDF5 took from other memory, as a chunk of szip, n-bit or scale-offset ended."""
    with memory_chunks(dataset) as memory:
        for offset, inside, target in _pieces(bounds, chunking.shape):
            if dataset.id.get_chunk_info_by_coord(offset).byte_offset is None:
                continue
            stage = _last_bits(dataset, chunking, offset)
            if not _filters_of(chunking, stage.mask):
                continue
            if not is_whole(stage.data, memory.without(stage.mask), inside, values[target]):
                raise DataError(
                    f"{chunking.where}: damaged: the chunk at {_at(offset)} ends before its values do. "
                    f"{AGAIN}"
                )


def _filters_of(chunking: Chunking, mask: int) -> dict[int, Filter]:
    """The filters that change the bytes of a chunk, by their places, without those of ``mask``."""
    return {
        place: one
        for place, one in enumerate(chunking.filters)
        if not mask >> place & 1 and not (one.code == h5z.FILTER_NBIT and one.parameters[1:2] == (1,))
    }


def _last_bits(dataset: h5py.Dataset, chunking: Chunking, offset: tuple[int, ...]) -> Stage:
    """A chunk after all filters are undone that follow the last one of szip, n-bit or scale-offset."""
    mask, data = dataset.id.read_direct_chunk(offset)
    for place, one in reversed(_filters_of(chunking, mask).items()):
        if one.code in BIT_FILTERS:
            break
        data = _undone(one, data, chunking, offset)
        mask |= 1 << place
    return Stage(bytes(data), mask)


def _refuse_length(length: int, chunking: Chunking, offset: tuple[int, ...]) -> None:
    if length != chunking.nbytes:
        raise DataError(
            f"{chunking.where}: damaged: the chunk at {_at(offset)} unpacks to {length:,} bytes and its "
            f"shape needs {chunking.nbytes:,}. {AGAIN}"
        )


def _refuse_gap(dataset: h5py.Dataset, chunking: Chunking, offset: tuple[int, ...]) -> None:
    """Refuse a chunk that was never written, where the file does not say what its cells are."""
    if dataset.id.get_create_plist().fill_value_defined() != h5d.FILL_VALUE_USER_DEFINED:
        raise DataError(
            f"{chunking.where}: the chunk at {_at(offset)} was never written: did the program that wrote "
            "the file end early? Write it again, or give it a fill value (NaN: not measured)."
        )


def _at(offset: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, offset))})"
