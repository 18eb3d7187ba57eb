"""What is no file is refused before it is opened: a pipe would keep its reader waiting for ever."""

import os
from pathlib import Path

import pytest
import torch

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.slide_map import read_slide_map
from hcat_builtin.readers.tables.reader import TableReader
from hcat_builtin.readers.tensors.reader import PtReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError


def read(reader):
    return aggregate_spatial(reader.read(), reader.source)


READERS = {
    "a.h5": lambda path: read(H5Reader(path=path)),
    "a.pt": lambda path: read(PtReader(path=path)),
    "a.csv": lambda path: read(TableReader(path=path)),
    "a.parquet": lambda path: TableReader(path=path).read_columns(["x"]),
    "map.csv": read_slide_map,
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_and_a_device_are_refused_by_name(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: is a device or a pipe; .* is needed here"):
        READERS[name](tmp_path / name)
    with pytest.raises(DataError, match="/dev/zero: is a device or a pipe"):
        READERS[name](Path("/dev/zero"))


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(DataError, match=f"{name}: no such file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "map.csv"])
def test_a_folder_is_no_table(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: is a folder"):
        READERS[name](tmp_path / name)


def test_a_pipe_among_the_slides_of_a_folder(tmp_path):
    torch.save(torch.ones(1, 2), tmp_path / "a.pt")
    os.mkfifo(tmp_path / "b.pt")
    with pytest.raises(DataError, match=r"b\.pt: is a device or a pipe"):
        read(PtReader(path=tmp_path))
