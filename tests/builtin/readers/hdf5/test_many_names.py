"""Files with very many names, or with few groups of very many names, are listed in good time."""

import json
import time

import h5py
import numpy as np
import pytest

from hcat_builtin.readers.hdf5.layouts import read_all_datasets_from_h5
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError


def read(path):
    reader = H5Reader(path=path)
    return aggregate_spatial(reader.read(), reader.source)


def test_a_diamond_of_hard_links_is_listed_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = np.array([b"a", b"b"])
        file["embedding"] = np.ones((2, 3))
        group = file.create_group("g")
        for _ in range(14):
            inner = group.create_group("l0")
            for other in range(1, 8):
                group[f"l{other}"] = inner
            group = inner
        group["x"] = 1
    began = time.monotonic()
    assert read(tmp_path / "a.h5").ids == ("a", "b")
    assert time.monotonic() - began < 30
    names = read_all_datasets_from_h5(tmp_path / "a.h5")
    assert "g/" + "l0/" * 14 + "x" in names
    assert len(names) == 2 + 8


def test_two_names_of_one_group_are_both_listed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p/features"] = np.ones((2, 3))
        file["q"] = file["p"]
    assert read(tmp_path / "a.h5").ids == ("p", "q")


def test_groups_that_contain_each_other_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("a/b")
        file["a/b/c"] = file["a"]
    with pytest.raises(DataError, match=r"a/b/c: is a group that contains itself"):
        read(tmp_path / "a.h5")


def test_the_order_of_groups_is_that_of_the_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("p10", "p2", "p1"):
            file[f"all/{name}/features"] = np.ones(3)
    assert read(tmp_path / "a.h5").ids == ("p1", "p10", "p2")


@pytest.mark.parametrize(
    "held", ['[{"a": 1}, ["x"]]', "[1, true]", '["a", null]', "[[], []]", '["a", {"b": [1]}]', "[1.5, {}]"]
)
def test_a_map_of_anything_but_text_and_numbers_is_refused_by_its_row(tmp_path, held):
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["embedding"] = np.ones((2, 8), np.float32)
        file["patient_index_map"] = held
    row = next(
        row
        for row, one in enumerate(json.loads(held))
        if not isinstance(one, str | float | int) or one is True
    )
    with pytest.raises(DataError, match=rf"map\.h5: patient_index_map: row {row} is .*, no patient id"):
        read(tmp_path / "map.h5")
