"""Chunks of szip, n-bit and scale-offset that break off, and whole ones."""

import zlib

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.hdf5.packed_chunks import read_values
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

RANDOM = np.random.default_rng(0)
WHOLE = RANDOM.integers(0, 1000, (20, 50)).astype(np.int32)
REAL = RANDOM.normal(size=(20, 50)).astype(np.float32)
STEPS = np.repeat(WHOLE[:, :1], 50, axis=1)

PACKINGS = {
    "szip": lambda made: made.set_szip(h5z.SZIP_NN_OPTION_MASK, 16),
    "szip without differences": lambda made: made.set_szip(h5z.SZIP_EC_OPTION_MASK, 8),
    "scale-offset": lambda made: made.set_scaleoffset(h5z.SO_INT, 0),
    "n-bit": lambda made: made.set_filter(h5z.FILTER_NBIT, 0, ()),
}


def written(path, values, *filters, kind=None, chunk=(10, 50)):
    """A file whose embedding is packed by ``filters``, in their order."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    for one in filters:
        one(properties)
    with h5py.File(path, "w") as file:
        file["patient_id"] = np.array([f"p{i}" for i in range(len(values))], "S4")
        space = h5s.create_simple(values.shape)
        made = h5d.create(file.id, b"embedding", kind or h5t.py_create(values.dtype), space, properties)
        made.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(values))
    return path


def bits(size, precision):
    """The type of whole numbers of ``size`` bytes that are stored in ``precision`` bits."""
    kind = {2: h5t.STD_I16LE, 4: h5t.STD_I32LE, 8: h5t.STD_I64LE}[size].copy()
    kind.set_precision(precision)
    return kind


def packing_of(name):
    if name.startswith("szip") and not h5z.filter_avail(h5z.FILTER_SZIP):
        pytest.skip("this HDF5 has no szip")
    return PACKINGS[name]


def cut(path, length, again=lambda data: data, undone=lambda data: data):
    """Cut the second chunk to ``length`` bytes, counted from its end when it is below 0."""
    with h5py.File(path, "r+") as file:
        made = file["embedding"]
        mask, raw = made.id.read_direct_chunk((10, 0))
        assert mask == 0
        made.id.write_direct_chunk((10, 0), again(undone(raw)[:length]))


def read(path):
    reader = H5Reader(path=path)
    return aggregate_spatial(reader.read(), reader.source).mean


@pytest.mark.parametrize("name", list(PACKINGS))
def test_a_chunk_that_breaks_off_is_refused_by_its_place(tmp_path, name):
    kind = bits(4, 20) if name == "n-bit" else None
    path = written(tmp_path / "a.h5", WHOLE, packing_of(name), kind=kind)
    np.testing.assert_array_equal(read(path), WHOLE)
    cut(path, -40)
    with pytest.raises(
        DataError, match=r"a\.h5: embedding: damaged: the chunk at \(10, 0\) ends before its"
    ):
        read(path)


@pytest.mark.parametrize("name", list(PACKINGS))
def test_a_chunk_cut_anywhere_is_refused_or_has_all_its_values(tmp_path, name):
    kind = bits(4, 20) if name == "n-bit" else None
    refused = 0
    for length in (1, 4, 5, 20, 21, 22, 100, 300, -30, -9, -5, -4, -3, -2, -1):
        path = written(tmp_path / "a.h5", WHOLE, packing_of(name), kind=kind)
        cut(path, length)
        try:
            np.testing.assert_array_equal(read(path), WHOLE)
        except DataError:
            refused += 1
    assert refused >= 11  # the last bytes may hold no bit of a value


@pytest.mark.parametrize("values", [REAL, STEPS], ids=["real", "equal"])
def test_scaled_and_equal_numbers_are_refused_in_chunks_that_break_off(tmp_path, values):
    scaled = (h5z.SO_FLOAT_DSCALE, 3) if values is REAL else (h5z.SO_INT, 0)
    for packing in (lambda made: made.set_scaleoffset(*scaled), packing_of("szip")):
        path = written(tmp_path / "a.h5", values, packing)
        whole = read(path)
        assert np.abs(whole - values).max() < 0.01
        try:
            cut(path, -25)
        except AssertionError:  # szip left the chunk as it is
            continue
        with pytest.raises(DataError, match=r"the chunk at \(10, 0\)"):
            read(path)


@pytest.mark.parametrize("name", ["scale-offset", "n-bit"])
def test_a_chunk_that_breaks_off_below_gzip_is_refused(tmp_path, name):
    kind = bits(4, 20) if name == "n-bit" else None
    path = written(tmp_path / "a.h5", WHOLE, packing_of(name), lambda made: made.set_deflate(4), kind=kind)
    np.testing.assert_array_equal(read(path), WHOLE)
    cut(path, -40, again=zlib.compress, undone=zlib.decompress)
    with pytest.raises(DataError, match=r"the chunk at \(10, 0\) ends before its values do"):
        read(path)


@pytest.mark.parametrize("before", [lambda made: made.set_shuffle(), lambda made: made.set_fletcher32()])
def test_a_short_chunk_of_szip_after_another_filter_is_refused(tmp_path, before):
    path = written(tmp_path / "a.h5", WHOLE, before, packing_of("szip"))
    np.testing.assert_array_equal(read(path), WHOLE)
    cut(path, -40)
    with pytest.raises(DataError, match=r"a\.h5: embedding: damaged"):
        read(path)


def test_szip_over_scale_offset_is_refused_with_what_to_do(tmp_path):
    low = WHOLE % 4
    low[:, 5:] = 0
    path = written(tmp_path / "a.h5", low, packing_of("scale-offset"), packing_of("szip"))
    with pytest.raises(DataError, match="packed by one filter and then packed by szip.*h5repack -f GZIP=4"):
        read(path)


def test_a_chunk_of_ids_that_breaks_off_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["embedding"] = REAL
        made = file.create_dataset("patient_id", data=np.arange(100, 120), chunks=(20,), scaleoffset=0)
        raw = made.id.read_direct_chunk((0,))[1]
        made.id.write_direct_chunk((0,), raw[:-6])
    with pytest.raises(DataError, match=r"patient_id: damaged: the chunk at \(0\) ends before"):
        read(tmp_path / "a.h5")


def test_n_bit_of_whole_bytes_is_compared_by_its_length(tmp_path):
    """N-bit leaves numbers as they are that use all their bits."""
    path = written(tmp_path / "a.h5", WHOLE, PACKINGS["n-bit"])
    np.testing.assert_array_equal(read(path), WHOLE)
    cut(path, 1000)
    with pytest.raises(DataError, match=r"\(10, 0\) unpacks to 1,000 bytes and its shape needs 2,000"):
        read(path)


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=80, deadline=None)
@given(
    shape=shapes,
    chunk=shapes,
    dtype=st.sampled_from(["i1", "<i2", ">u4", "<i8", "<i4"]),
    name=st.sampled_from(list(PACKINGS)),
    most=st.sampled_from([1, 3, 100]),
    seed=st.integers(0, 999),
    rows=shapes,
    missing=st.integers(1, 60),
)
def test_whole_chunks_are_read_and_no_others(
    tmp_path_factory, shape, chunk, dtype, name, most, seed, rows, missing
):
    chunk = tuple(map(min, chunk, shape))
    random = np.random.default_rng(seed)
    values = (random.integers(0, most, shape) * (random.random(shape) < 0.5)).astype(dtype)
    size = values.dtype.itemsize
    kind = bits(size, size * 6) if name == "n-bit" and dtype in ("<i2", "<i4", "<i8") else None
    path = tmp_path_factory.mktemp("chunks") / "a.h5"
    try:
        written(path, values, packing_of(name), kind=kind, chunk=chunk)
    except ValueError:  # szip does not pack every shape
        return
    part = slice(min(rows), max(rows))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read_values(file["embedding"]), values)
        np.testing.assert_array_equal(read_values(file["embedding"], part), values[part])
        np.testing.assert_array_equal(read_values(file["embedding"], part, axis=1), values[:, part])
    with h5py.File(path, "r+") as file:
        _, raw = file["embedding"].id.read_direct_chunk((0, 0))
        file["embedding"].id.write_direct_chunk((0, 0), raw[: max(1, len(raw) - missing)])
    for _ in range(2):  # the second time, memory holds what was unpacked the first time
        with h5py.File(path) as file:
            try:
                np.testing.assert_array_equal(read_values(file["embedding"]), values)
            except (DataError, OSError):
                pass
