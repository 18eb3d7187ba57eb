"""Hostile and broken files: each is refused with its name and the dataset's, before it is read."""

import h5py
import numpy as np
import pytest

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

IDS = np.array([b"a", b"b"])
VALUES = np.ones((2, 3), np.float32)


def refused(path, *says):
    reader = H5Reader(path=path)
    with pytest.raises(DataError) as error:
        aggregate_spatial(reader.read(), reader.source)
    message = str(error.value)
    for part in (path.name, *says):
        assert part in message, message


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["embedding"] = VALUES
        file["inner/embedding"] = VALUES
    return path


def test_an_external_link_at_the_top(tmp_path, secret):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = h5py.ExternalLink(str(secret), "/embedding")
    refused(tmp_path / "a.h5", "embedding", "another file")


def test_an_external_link_as_a_group_on_the_way(tmp_path, secret):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p1"] = h5py.ExternalLink(str(secret), "/inner")
    refused(tmp_path / "a.h5", "p1", "another file")


def test_an_external_link_behind_soft_links(tmp_path, secret):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["hidden/door"] = h5py.ExternalLink(str(secret), "/inner")
        file["hallway"] = h5py.SoftLink("/hidden")
        file["embedding"] = h5py.SoftLink("/hallway/door/embedding")
    refused(tmp_path / "a.h5", "another file")


def test_soft_links_in_a_circle(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = h5py.SoftLink("/feats")
        file["feats"] = h5py.SoftLink("/embedding")
    refused(tmp_path / "a.h5", "circle")


def test_a_soft_link_within_the_file_is_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file["store/v2"] = VALUES
        file["embedding"] = h5py.SoftLink("/store/v2")
    reader = H5Reader(path=tmp_path / "a.h5")
    assert aggregate_spatial(reader.read(), reader.source).mean.shape == (2, 3)


def test_external_storage(tmp_path):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(VALUES.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file.create_dataset("embedding", (2, 3), "f4", external=[(str(raw), 0, VALUES.nbytes)])
    refused(tmp_path / "a.h5", "embedding", "another file")


def test_a_virtual_dataset(tmp_path, secret):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "embedding", (2, 3))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file.create_virtual_dataset("embedding", layout)
    refused(tmp_path / "a.h5", "embedding", "virtual")


def test_a_bomb_of_compressed_zeros(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        # Never-written chunks are zeros that nobody stored.
        bomb = file.create_dataset("embedding", (2, 1 << 28), "f4", chunks=(1, 1 << 16))
        bomb[0, :10] = 1
    refused(tmp_path / "a.h5", "embedding", "over 100 times")


def test_honestly_compressed_data_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file.create_dataset("embedding", data=np.zeros((2, 1 << 20), "f4"), compression="gzip")
    reader = H5Reader(path=tmp_path / "a.h5")
    assert aggregate_spatial(reader.read(), reader.source).mean.shape == (2, 1 << 20)


def test_a_dataset_never_written(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file.create_dataset("embedding", (2, 3), "f4", chunks=(1, 3))
    refused(tmp_path / "a.h5", "embedding", "never written")


def test_text_for_an_embedding(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = IDS
        file.create_dataset("embedding", data=[["x", "y"], ["z", "w"]], dtype=h5py.string_dtype())
    refused(tmp_path / "a.h5", "embedding", "text")


def test_references_and_compounds(tmp_path):
    for name, dtype in (("ref.h5", h5py.ref_dtype), ("compound.h5", [("x", "f4"), ("y", "i4")])):
        with h5py.File(tmp_path / name, "w") as file:
            file["patient_id"] = IDS
            file.create_dataset("embedding", (2, 3), np.dtype(dtype))
        refused(tmp_path / name, "embedding", "neither numbers nor text")


def test_a_truncated_file(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = np.ones((2, 5000), np.float32)
    path.write_bytes(path.read_bytes()[:20_000])
    refused(path, "truncated")


def test_something_else_under_the_name(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("patient_id,x\n1,2\n")
    refused(path, "is text", "HDF5 file is needed", "table")


def test_a_missing_file(tmp_path):
    refused(tmp_path / "a.h5", "no such file")


def test_a_folder_without_slides(tmp_path):
    refused(tmp_path, "holds no .h5 file")
