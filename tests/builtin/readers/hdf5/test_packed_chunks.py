"""Chunks that unpack to less or more than their shape, and right ones of every filter."""

import zlib

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.hdf5 import lzf
from hcat_builtin.readers.hdf5.packed_chunks import read_values, unshuffled
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

VALUES = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
ROUGH = np.round(VALUES, 1)  # LZF packs it


def read(path):
    reader = H5Reader(path=path)
    return aggregate_spatial(reader.read(), reader.source).mean


def written(path, values=VALUES, name="embedding", **packing):
    with h5py.File(path, "w") as file:
        file["patient_id"] = np.array([f"p{i}" for i in range(20)], "S4")
        file.create_dataset(name, data=values, **packing)
    return path


def half(dataset, offset, again):
    """Let a chunk unpack to the first half of itself; ``again`` packs the bytes."""
    _, raw = dataset.id.read_direct_chunk(offset)
    dataset.id.write_direct_chunk(offset, again(raw))


def gzip_half(raw):
    unpacked = zlib.decompress(raw)
    return zlib.compress(unpacked[: len(unpacked) // 2])


SHORT = {
    "gzip": (dict(compression="gzip"), gzip_half),
    "shuffle and gzip": (dict(compression="gzip", shuffle=True), gzip_half),
    "gzip to nothing": (dict(compression="gzip"), lambda raw: zlib.compress(b"")),
    "gzip to too much": (dict(compression="gzip"), lambda raw: zlib.compress(zlib.decompress(raw) * 2)),
    "gzip and a checksum": (
        dict(compression="gzip", fletcher32=True),
        lambda raw: gzip_half(raw[:-4]) + bytes(4),
    ),
    "lzf": (dict(compression="lzf"), lambda raw: bytes([7]) + raw[1:9]),
    "shuffle and lzf": (dict(compression="lzf", shuffle=True), lambda raw: bytes([7]) + raw[1:9]),
    "gzip cut off": (dict(compression="gzip"), lambda raw: raw[: len(raw) // 2]),
    "gzip with a flipped bit": (
        dict(compression="gzip"),
        lambda raw: raw[:-6] + bytes([raw[-6] ^ 1]) + raw[-5:],
    ),
}


@pytest.mark.parametrize("packing", list(SHORT))
def test_a_chunk_of_another_size_is_refused_by_its_place(tmp_path, packing):
    arguments, again = SHORT[packing]
    path = written(tmp_path / "a.h5", ROUGH, chunks=(10, 6), **arguments)
    with h5py.File(path, "r+") as file:
        half(file["embedding"], (10, 0), again)
    for _ in range(2):
        with pytest.raises(DataError, match=r"a\.h5: embedding: damaged: the chunk at \(10, 0\)"):
            read(path)


def test_a_short_chunk_of_szip_is_refused_as_far_as_it_says_so(tmp_path):
    if not h5z.filter_avail(h5z.FILTER_SZIP):
        pytest.skip("this HDF5 has no szip")
    path = written(tmp_path / "a.h5", np.arange(120).reshape(20, 6), chunks=(10, 6), compression="szip")
    np.testing.assert_array_equal(read(path), np.arange(120).reshape(20, 6))
    with h5py.File(path, "r+") as file:
        half(file["embedding"], (0, 0), lambda raw: (240).to_bytes(4, "little") + raw[4:])
    with pytest.raises(DataError, match=r"the chunk at \(0, 0\) unpacks to 240 bytes"):
        read(path)


def test_a_chunk_stored_without_its_filters_is_read_or_refused_by_its_length(tmp_path):
    path = written(tmp_path / "a.h5", chunks=(10, 6), compression="gzip", shuffle=True)
    with h5py.File(path, "r+") as file:
        file["embedding"].id.write_direct_chunk((0, 0), VALUES[:10].tobytes(), 3)
    np.testing.assert_array_equal(read(path), VALUES)
    with h5py.File(path, "r+") as file:
        file["embedding"].id.write_direct_chunk((0, 0), VALUES[:5].tobytes(), 3)
    with pytest.raises(
        DataError, match=r"the chunk at \(0, 0\) unpacks to 120 bytes and its shape needs 240"
    ):
        read(path)


def test_short_chunks_of_ids_and_weights_are_refused_too(tmp_path):
    for name, values in (("n_patches", np.arange(20)), ("label", np.arange(20) % 2)):
        path = written(tmp_path / "a.h5", values, name, chunks=(20,), compression="gzip")
        with h5py.File(path, "r+") as file:
            file["embedding"] = VALUES
            half(file[name], (0,), gzip_half)
        with pytest.raises(DataError, match=rf"{name}: damaged: the chunk at \(0\)"):
            read(path) if name == "n_patches" else H5Reader(path=path).read_columns(["label"])


def test_text_in_short_chunks_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["embedding"] = VALUES
        ids = [f"patient {i}" for i in range(20)]
        file.create_dataset(
            "patient_id", data=ids, dtype=h5py.string_dtype(), chunks=(20,), compression="gzip"
        )
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), VALUES)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        half(file["patient_id"], (0,), gzip_half)
    with pytest.raises(DataError, match=r"patient_id: damaged: the chunk at \(0\) unpacks to 160 bytes"):
        read(tmp_path / "a.h5")


def test_chunks_that_were_never_written_are_refused_unless_the_file_says_what_they_are(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = np.array([f"p{i}" for i in range(20)], "S4")
        file.create_dataset("embedding", (20, 6), "f4", chunks=(10, 6), compression="gzip")[:10] = VALUES[
            :10
        ]
    with pytest.raises(DataError, match=r"embedding: the chunk at \(10, 0\) was never written"):
        read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["patient_id"] = np.array([f"p{i}" for i in range(20)], "S4")
        made = file.create_dataset(
            "embedding", (20, 6), "f4", chunks=(10, 6), compression="gzip", fillvalue=np.nan
        )
        made[:10] = VALUES[:10]
    reader = H5Reader(path=tmp_path / "b.h5")
    found = aggregate_spatial(reader.read(), reader.source)
    np.testing.assert_array_equal(found.mean[:10], VALUES[:10])
    assert not found.measured[10:].any()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 9)),
    chunk=st.tuples(st.integers(1, 12), st.integers(1, 9)),
    dtype=st.sampled_from(["<f4", ">f4", "<f2", "<f8", ">f8", "i1", "<i2", ">u4", "<i8"]),
    packing=st.sampled_from(
        [
            dict(compression="gzip"),
            dict(compression="gzip", shuffle=True),
            dict(compression="gzip", shuffle=True, fletcher32=True),
            dict(compression="lzf"),
            dict(compression="lzf", shuffle=True),
            dict(compression="lzf", fletcher32=True),
            dict(shuffle=True),
            dict(fletcher32=True),
            dict(compression="szip"),
            dict(scaleoffset=0),
            {},
        ]
    ),
    part=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    seed=st.integers(0, 9),
)
def test_values_are_those_that_hdf5_reads(tmp_path_factory, shape, chunk, dtype, packing, part, seed):
    chunk = tuple(map(min, chunk, shape))
    values = (np.random.default_rng(seed).normal(size=shape) * 50).astype(dtype)
    if "scaleoffset" in packing and values.dtype.kind == "f":
        packing = {}
    with h5py.File(tmp_path_factory.mktemp("chunks") / "a.h5", "w") as file:
        try:
            made = file.create_dataset("a", data=values, chunks=chunk, **packing)
        except ValueError:  # szip does not pack every shape
            return
        rows = slice(min(part), max(part))
        np.testing.assert_array_equal(read_values(made), made[...])
        np.testing.assert_array_equal(read_values(made, rows), made[rows])
        np.testing.assert_array_equal(read_values(made, rows, axis=1), made[:, rows])
        assert read_values(made).dtype == made[...].dtype


def test_filters_in_another_order_are_undone_in_theirs(tmp_path):
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((10, 6))
    properties.set_fletcher32()
    properties.set_deflate(4)
    properties.set_shuffle()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = np.array([f"p{i}" for i in range(20)], "S4")
        space = h5s.create_simple((20, 6))
        made = h5py.Dataset(h5d.create(file.id, b"embedding", h5t.IEEE_F32LE, space, properties))
        made[...] = VALUES
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), VALUES)


@given(st.binary(max_size=200), st.integers(1, 9))
def test_unshuffling_undoes_shuffling(data, size):
    items = len(data) // size
    planes = np.frombuffer(data, np.uint8, items * size).reshape(items, size).T.tobytes()
    assert bytes(unshuffled(planes + data[items * size :], size)) == data


@given(st.lists(st.sampled_from([b"a", b"bc", b"abcabcabc", b"\0" * 40]), max_size=60).map(b"".join))
def test_lzf_is_the_same_without_the_function_of_h5py(data):
    if len(data) < 32:
        return
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        values = np.frombuffer(data, np.uint8)
        made = file.create_dataset("a", data=values, chunks=values.shape, compression="lzf")
        skipped, raw = made.id.read_direct_chunk((0,))
    if skipped:
        return
    assert lzf.lzf_unpacked(raw, len(data) + 1).tobytes() == data
    assert lzf._in_python(raw, len(data) + 1) == data
    with pytest.raises(ValueError):
        lzf.lzf_unpacked(raw, len(data) - 1)
