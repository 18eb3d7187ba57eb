"""Files made to do harm: each is refused, with the file's name and the dataset's."""

import json
import zlib

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t

from hcat_builtin.readers.hdf5 import layouts, safety
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

IDS = np.array([b"a", b"b"])
VALUES = np.ones((2, 3), np.float32)
ZEROS = 16 << 20  # bytes of one compressed chunk


def refused(path, *says, **arguments):
    reader = H5Reader(path=path, **arguments)
    with pytest.raises(DataError) as error:
        aggregate_spatial(reader.read(), reader.source)
    message = str(error.value)
    for part in (path.name, *says):
        assert part in message, message
    assert message.isprintable(), message


def write_zeros(file, name, chunks):
    """``chunks`` times 16 MiB of zeros, each stored in about 16 KiB."""
    rows, width = 1024, ZEROS // 4096
    dataset = file.create_dataset(
        name, (chunks * rows, width), "f4", chunks=(rows, width), compression="gzip"
    )
    packed = zlib.compress(bytes(ZEROS), 9)
    for chunk in range(chunks):
        dataset.id.write_direct_chunk((chunk * rows, 0), packed)


def nested_external_link(file, secret):
    file["study/site/p1"] = h5py.ExternalLink(secret, "/inner")


def external_link_for_ids(file, secret):
    del file["patient_id"]
    file["patient_id"] = h5py.ExternalLink(secret, "/patient_id")
    file["embedding"] = VALUES


def external_link_behind_a_chain_of_soft_links(file, secret):
    file["hidden/door"] = h5py.ExternalLink(secret, "/inner")
    file["one"] = h5py.SoftLink("/hidden")
    file["two"] = h5py.SoftLink("one/door")
    file["embedding"] = h5py.SoftLink("/two/embedding")


def soft_link_that_leads_upwards(file, secret):
    file["inside/embedding"] = VALUES
    file["embedding"] = h5py.SoftLink("/inside/../inside/embedding")


def group_inside_itself(file, secret):
    file["a/b/embedding"] = VALUES
    file["a/b/again"] = file["a"]


def external_storage_in_a_group(file, secret):
    file.create_dataset("p1/embedding", (2, 3), "f4", external=[(secret, 0, 24)])


def virtual_dataset_in_a_group(file, secret):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(secret, "embedding", (2, 3))
    file.create_group("p1").create_virtual_dataset("embedding", layout)


def ten_gigabytes_of_compressed_zeros(file, secret):
    del file["patient_id"]
    file["patient_id"] = np.arange(640 * 1024).astype("S8")
    write_zeros(file, "embedding", 640)


def many_small_bombs(file, secret):
    for patient in range(20):
        write_zeros(file, f"p{patient}/embedding", 3)


def one_dataset_under_many_names(file, secret):
    first = file.create_dataset("p0/embedding", data=np.ones((64, 1 << 12), np.float32))
    for patient in range(1, 600):
        file[f"p{patient}/embedding"] = first


def chunk_of_four_gigabytes(file, secret):
    width = (1 << 30) - 1
    dataset = file.create_dataset("embedding", (1, width), "f4", chunks=(1, width), compression="gzip")
    dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 20)))


def chunk_larger_than_its_dataset(file, secret):
    file.create_dataset(
        "embedding", (2, 3), "f4", chunks=(1 << 13, 1 << 15), maxshape=(None, None), compression="gzip"
    ).id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 20)))


def size_that_overflows(file, secret):
    dataset = file.create_dataset("embedding", data=VALUES, chunks=(1, 3), maxshape=(None, None))
    dataset.resize((1 << 32, 1 << 32))


def filter_that_hcat_does_not_have(file, secret):
    file.create_dataset(
        "embedding", (2, 3), "f4", chunks=(2, 3), compression=32015, allow_unknown_filter=True
    ).id.write_direct_chunk((0, 0), b"x" * 24)


def never_written_with_a_fill_value(file, secret):
    file.create_dataset("embedding", (2, 3), "f4", chunks=(1, 3), fillvalue=7)


def named_type(file, secret):
    file["embedding"] = np.dtype("f4")


def scalar_embedding(file, secret):
    file["embedding"] = np.float32(1)


def embedding_without_a_shape(file, secret):
    file["embedding"] = h5py.Empty("f4")


def embedding_without_features(file, secret):
    file["embedding"] = np.zeros((2, 0), np.float32)


def scalar_in_a_patients_group(file, secret):
    file["p1/embedding"] = np.float32(1)


def ids_without_a_shape(file, secret):
    del file["patient_id"]
    file["patient_id"] = h5py.Empty("S4")
    file["embedding"] = VALUES


def map_of_brackets(file, secret):
    del file["patient_id"]
    file["patient_index_map"] = "[" * 100_000
    file["embedding"] = VALUES


def ids_that_are_no_text(file, secret):
    file["patient_id"][0] = b"\xff"
    file["embedding"] = VALUES


ATTACKS = {
    nested_external_link: ("study/site/p1", "another file"),
    external_link_for_ids: ("patient_id", "another file"),
    external_link_behind_a_chain_of_soft_links: ("another file",),
    soft_link_that_leads_upwards: ("embedding", "upwards"),
    group_inside_itself: ("a/b/again", "contains itself"),
    external_storage_in_a_group: ("p1/embedding", "another file"),
    virtual_dataset_in_a_group: ("p1/embedding", "virtual"),
    ten_gigabytes_of_compressed_zeros: ("embedding", "over 100 times"),
    many_small_bombs: ("embedding", "would have been unpacked"),
    one_dataset_under_many_names: ("embedding", "would have been unpacked"),
    chunk_of_four_gigabytes: ("embedding", "each unpacked in one piece"),
    chunk_larger_than_its_dataset: ("embedding", "each unpacked in one piece"),
    size_that_overflows: ("embedding", "over 100 times"),
    filter_that_hcat_does_not_have: ("embedding", "filter 32015"),
    never_written_with_a_fill_value: ("embedding", "never written"),
    named_type: ("embedding", "named type"),
    scalar_embedding: ("embedding", "has shape ()"),
    embedding_without_a_shape: ("embedding", "has shape None"),
    embedding_without_features: ("embedding", "has shape (2, 0)"),
    scalar_in_a_patients_group: ("p1/embedding", "has shape ()"),
    ids_without_a_shape: ("patient_id", "is empty"),
    map_of_brackets: ("patient_index_map",),
    ids_that_are_no_text: ("row 0",),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_is_refused_by_name(tmp_path, attack):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
        file["inner/embedding"] = VALUES
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        attack(file, str(secret))
    refused(tmp_path / "a.h5", *ATTACKS[attack])


TYPES = {
    "object references": h5t.STD_REF_OBJ,
    "region references": h5t.STD_REF_DSETREG,
    "compounds": h5t.py_create(np.dtype([("x", "f4"), ("y", "i4")])),
    "opaque bytes": h5t.create(h5t.OPAQUE, 4),
    "enumeration": h5t.py_create(h5py.enum_dtype({"A": 0, "B": 1}), logical=True),
    "bit field": h5t.STD_B8LE,
    "lists": h5t.vlen_create(h5t.IEEE_F32LE),
    "lists of lists": h5t.vlen_create(h5t.vlen_create(h5t.IEEE_F32LE)),
    "arrays": h5t.array_create(h5t.IEEE_F32LE, (3,)),
    "times": h5t.UNIX_D32LE,
}


@pytest.mark.parametrize("role", ["embedding", "patient_id", "quality", "n_patches"])
@pytest.mark.parametrize("kind", TYPES)
def test_types_other_than_numbers_and_text(tmp_path, kind, role):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if role != "patient_id":
            file["patient_id"] = IDS
        if role != "embedding":
            file["embedding"] = VALUES
        shape = (2, 3) if role == "embedding" else (2,)
        h5d.create(file.id, role.encode(), TYPES[kind], h5s.create_simple(shape))
    refused(tmp_path / "a.h5", role, "neither numbers nor text")


def test_a_type_that_numpy_has_no_word_for_hurts_nobody_who_does_not_read_it(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
        h5d.create(file.id, b"when", h5t.UNIX_D32LE, h5s.create_simple((2,)))
    reader = H5Reader(path=tmp_path / "a.h5")
    assert aggregate_spatial(reader.read(), reader.source).ids == ("a", "b")


def test_booleans_are_numbers(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = np.array([[True, False], [False, True]])
    reader = H5Reader(path=tmp_path / "a.h5")
    assert aggregate_spatial(reader.read(), reader.source).mean.tolist() == [[1, 0], [0, 1]]


def test_one_long_text_that_every_id_points_at(tmp_path):
    path = tmp_path / "a.h5"
    rows = 5_000
    with h5py.File(path, "w") as file:
        ids = file.create_dataset("patient_id", (rows,), h5py.string_dtype())
        ids[0] = "x" * 200_000
        file["embedding"] = np.ones((rows, 2), np.float32)
        offset = ids.id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset : offset + 16 * rows] = data[offset : offset + 16] * rows
    path.write_bytes(data)
    refused(path, "patient_id", "would have been unpacked")


def with_user_block(path, block):
    with h5py.File(path, "w", userblock_size=512 * max(1, -(-len(block) // 512))) as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
    with path.open("r+b") as raw:
        raw.write(block)
    return path


@pytest.mark.parametrize(
    "block",
    [
        b"MuData (format-version=0.1.0;creator=muon;creator-version=0.1.6)",
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM",
    ],
)
def test_a_line_of_text_in_front_is_read_over(tmp_path, block):
    reader = H5Reader(path=with_user_block(tmp_path / "a.h5", block))
    assert aggregate_spatial(reader.read(), reader.source).ids == ("a", "b")


@pytest.mark.parametrize(
    "block",
    [
        b"#!/bin/sh\n" + b"\x89HDF\r\n\x1a\n" + bytes(40),
        b"PK\x03\x04" + bytes(60),
        b"a line\0\0\x7fELF",
        b"MATLAB 7.3 MAT-file".ljust(128) + b"\x89HDF\r\n\x1a\n",
    ],
)
def test_a_second_file_in_the_user_block(tmp_path, block):
    refused(with_user_block(tmp_path / "a.h5", block), "a second file")


def test_a_whole_second_file_in_front(tmp_path):
    with h5py.File(tmp_path / "inner.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
    inner = (tmp_path / "inner.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1 << 16) as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
    with (tmp_path / "a.h5").open("r+b") as raw:
        raw.write(inner)
    refused(tmp_path / "a.h5", "2 HDF5 files")


def test_an_end_of_file_far_beyond_the_end(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["embedding"] = VALUES
    data = bytearray(path.read_bytes())
    data[40:48] = (1 << 60).to_bytes(8, "little")
    path.write_bytes(data)
    refused(path, "truncated")


def test_ten_thousand_groups_in_each_other(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file
        for _ in range(10_000):
            group = group.create_group("g")
        group["embedding"] = VALUES
    refused(tmp_path / "a.h5", "no embedding found")


def test_listing_stops_at_many_objects(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "MAX_OBJECTS", 50)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(60):
            file[f"d{number}"] = number
    with pytest.raises(DataError, match=r"a\.h5: holds more than 50 objects"):
        list(H5Reader(path=tmp_path / "a.h5").read_here())


def test_names_do_not_write_to_the_terminal(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["\x1b[2J\x1b]0;owned\x07\nhcat: all is well\u202e"] = VALUES
    refused(tmp_path / "a.h5", "\\x1b[2J", "\\nhcat", "\\u202e")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["\x1b[2J"] = h5py.ExternalLink("\x1b[31mother.h5", "/x")
    refused(tmp_path / "b.h5", "\\x1b[2J: is a link to another file (\\x1b[31mother.h5)")


def test_feature_names_do_not_either(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = VALUES
        file["feature_names"] = np.array([b"a\x1b[31m", b"b", b"c\xff"])
    reader = H5Reader(path=tmp_path / "a.h5")
    found = aggregate_spatial(reader.read(), reader.source)
    assert found.features == ("a\\x1b[31m", "b", "c\ufffd")


@pytest.mark.parametrize("bad", ["p\x00q", "p\x1b[31m", "p\u202eq", "p\nq"])
def test_ids_with_control_characters(tmp_path, bad):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_index_map"] = json.dumps(["ok", bad])
        file["embedding"] = VALUES
    refused(tmp_path / "a.h5", "row 1", "control character")


def test_an_attribute_too_large_or_of_another_type(tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "MAX_ATTRIBUTE", 100)
    for name, value in (("large.h5", np.zeros(60)), ("reference.h5", None)):
        with h5py.File(tmp_path / name, "w") as file:
            file["patient_id"] = IDS
            file["embedding"] = VALUES
            file["embedding"].attrs["feature_names"] = file["embedding"].ref if value is None else value
        with pytest.raises(DataError, match=rf"{name}: embedding: attribute feature_names: holds"):
            list(H5Reader(path=tmp_path / name).read_here())
