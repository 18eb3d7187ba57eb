"""AnnData and MuData files made to do harm: each is refused, with the file's name and the part's."""

import h5py
import numpy as np
import pytest

from hcat_builtin.readers.anndata.h5ad import H5adReader
from hcat_builtin.readers.anndata.h5mu import H5muReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

IDS = ["a", "b", "c"]
TEXT = h5py.string_dtype()


def encode(node, kind):
    node.attrs["encoding-type"] = kind
    return node


def frame(group, name, index):
    made = encode(group.create_group(name), "dataframe")
    made.attrs["_index"] = "_index"
    made.create_dataset("_index", data=index, dtype=TEXT)
    return made


def annotated(group):
    """Three patients, two features in a sparse matrix, a column of categories and one with gaps."""
    encode(group, "anndata")
    frame(group, "var", ["f", "g"])
    obs = frame(group, "obs", IDS)
    site = encode(obs.create_group("site"), "categorical")
    site.create_dataset("categories", data=["north", "south"], dtype=TEXT)
    site["codes"] = np.array([0, 1, -1], np.int8)
    whole = encode(obs.create_group("whole"), "nullable-integer")
    whole["values"] = np.array([1, 2, 3])
    whole["mask"] = np.array([False, True, False])
    matrix = encode(group.create_group("X"), "csr_matrix")
    matrix.attrs["shape"] = [3, 2]
    matrix["data"] = np.array([1, 2], np.float32)
    matrix["indices"] = np.array([0, 1], np.int32)
    matrix["indptr"] = np.array([0, 1, 1, 2], np.int32)


@pytest.fixture
def secret(tmp_path):
    """A file that nobody named in a recipe, in which every link finds what it asks for."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        annotated(file)
        file["obsmap/rna"] = np.array([1, 2, 3], np.uint32)
    return str(tmp_path / "secret.h5")


def refused(reader, part, *says, column=None):
    """In a message that begins with the file and the part of it."""
    with pytest.raises(DataError) as error:
        if column is None:
            aggregate_spatial(reader.read(), reader.source)
        else:
            reader.read_columns([column])
    message = str(error.value)
    assert message.startswith(f"{reader.source}: {part}"), message
    assert all(word in message for word in says), message
    assert message.isprintable(), message


def replace(file, name, value):
    del file[name]
    file[name] = value


def link_to(name):
    def attack(file, secret):
        replace(file, name, h5py.ExternalLink(secret, f"/{name}"))

    return attack


def put(name, value):
    def attack(file, secret):
        replace(file, name, value)

    return attack


def set_attribute(name, attribute, value):
    def attack(file, secret):
        file[name].attrs[attribute] = value

    return attack


def data_elsewhere(file, secret):
    del file["X"]
    file.create_dataset("X", (3, 2), "f4", external=[(secret, 0, 24)])


def data_of_another_file(file, secret):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(secret, "X/data", (2,))
    del file["X/data"]
    file["X"].create_virtual_dataset("data", layout)


def data_that_unpacks_to_a_gigabyte(file, secret):
    del file["X/data"]
    file["X"].create_dataset("data", (1 << 28,), "f4", chunks=(1 << 22,), compression="gzip")
    file["X/data"][0] = 1


def kind_is_a_reference(file, secret):
    file.attrs["encoding-type"] = file["X"].ref


def index_outside_the_table(file, secret):
    file["obs"].attrs["_index"] = "../X/data"


CELLS = {
    "obs in another file": (link_to("obs"), ("obs", "another file")),
    "ids in another file": (link_to("obs/_index"), ("obs/_index", "another file")),
    "features in another file": (link_to("var"), ("var", "another file")),
    "matrix in another file": (link_to("X"), ("X", "another file")),
    "indices in another file": (link_to("X/indices"), ("X/indices", "another file")),
    "external storage": (data_elsewhere, ("X", "another file")),
    "virtual dataset": (data_of_another_file, ("X/data", "virtual")),
    "bomb": (data_that_unpacks_to_a_gigabyte, ("X/data", "over 100 times")),
    "kind is a reference": (kind_is_a_reference, ("attribute encoding-type", "references")),
    "index outside": (index_outside_the_table, ("obs/../X/data", "upwards")),
    "pointers past the end": (put("X/indptr", np.array([0, 1, 1, 1 << 30])), ("X", "no valid csr_matrix")),
    "pointers that go back": (put("X/indptr", np.array([0, 2, 1, 2])), ("X", "no valid csr_matrix")),
    "pointers from nowhere": (put("X/indptr", np.array([-5, 1, 1, 2])), ("X", "no valid csr_matrix")),
    "too few pointers": (put("X/indptr", np.array([0, 2])), ("X", "no valid csr_matrix")),
    "negative columns": (put("X/indices", np.array([-1, 1])), ("X", "no valid csr_matrix")),
    "columns beyond": (put("X/indices", np.array([0, 2])), ("X", "no valid csr_matrix")),
    "columns in 64 bits": (put("X/indices", np.array([0, 2**64 - 1], "u8")), ("X", "no valid csr_matrix")),
    "columns are fractions": (put("X/indices", np.array([0.0, 1.0])), ("X", "not whole numbers")),
    "cells are text": (put("X/data", np.array([b"1", b"2"])), ("X/data", "holds text")),
    "a width of 2^62": (set_attribute("X", "shape", [3, 1 << 62]), ("X", "claims 3 x 4,611,686")),
    "a negative width": (set_attribute("X", "shape", [3, -2]), ("X", "has shape (3, -2)")),
    "a shape in words": (set_attribute("X", "shape", "3, 2"), ("X", "has shape")),
    "a shape of fractions": (set_attribute("X", "shape", [3.0, 2.0]), ("X", "has shape (3.0, 2.0)")),
}  # fmt: skip


@pytest.mark.parametrize("attack", CELLS)
def test_cells_that_do_harm_are_refused_by_name(tmp_path, secret, attack):
    do, says = CELLS[attack]
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        annotated(file)
        do(file, secret)
    refused(H5adReader(path=tmp_path / "a.h5ad"), *says)


COLUMNS = {
    "column in another file": (link_to("obs/site"), "site", ("obs/site", "another file")),
    "categories in another file": (
        link_to("obs/site/categories"), "site", ("obs/site/categories", "another file")
    ),
    "a code too large": (put("obs/site/codes", np.array([0, 2, 0])), "site", ("obs/site", "codes lie")),
    "a code too small": (put("obs/site/codes", np.array([0, -2, 0])), "site", ("obs/site", "codes lie")),
    "a code in 64 bits": (
        put("obs/site/codes", np.array([0, 2**64 - 1, 0], np.uint64)), "site", ("obs/site", "codes lie")
    ),
    "codes are fractions": (put("obs/site/codes", np.ones(3)), "site", ("obs/site", "codes lie")),
    "too many codes": (put("obs/site/codes", np.zeros(4, int)), "site", ("obs/site", "shape (4,)")),
    "a longer mask": (put("obs/whole/mask", np.zeros(4, bool)), "whole", ("obs/whole: its mask",)),
    "a mask of numbers": (put("obs/whole/mask", np.array([0, 1, 9])), "whole", ("obs/whole: its mask",)),
    "a column of an unknown kind": (
        set_attribute("obs/site", "encoding-type", "\x1b[2J"), "site", ("obs/site", "\\x1b[2J")
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", COLUMNS)
def test_columns_that_do_harm_are_refused_by_name(tmp_path, secret, attack):
    do, column, says = COLUMNS[attack]
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        annotated(file)
        do(file, secret)
    refused(H5adReader(path=tmp_path / "a.h5ad"), *says, column=column)


MAPS = {
    "another file": (link_to("obsmap/rna"), "another file"),
    "a row that is not there": (put("obsmap/rna", np.array([1, 2, 4, 0])), "each number from 1 to 3 once"),
    "a row twice": (put("obsmap/rna", np.array([1, 2, 2, 0])), "each number from 1 to 3 once"),
    "a row before the first": (put("obsmap/rna", np.array([1, 2, 3, -3])), "each number from 1 to 3 once"),
    "2^63": (put("obsmap/rna", np.array([1, 2, 3, 2**63], "u8")), "each number from 1 to 3 once"),
    "2^64 - 1": (put("obsmap/rna", np.array([1, 2, 3, 2**64 - 1], "u8")), "each number from 1 to 3 once"),
    "another patient's row": (put("obsmap/rna", np.array([2, 1, 3, 0])), "have different names"),
    "fractions": (put("obsmap/rna", np.array([1.0, 2.0, 3.0, 0.0])), "whole numbers are needed"),
    "too few": (put("obsmap/rna", np.array([1, 2])), "4 whole numbers are needed"),
    "a group": (put("obsmap/rna", h5py.SoftLink("/mod/rna")), "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("attack", MAPS)
def test_maps_that_lie_are_refused_by_name(tmp_path, secret, attack):
    do, says = MAPS[attack]
    with h5py.File(tmp_path / "a.h5mu", "w") as file:
        encode(file, "MuData")
        frame(file, "obs", [*IDS, "d"])
        annotated(file.create_group("mod/rna"))
        file["obsmap/rna"] = np.array([1, 2, 3, 0], np.uint32)
        do(file, secret)
    reader = H5muReader(path=tmp_path / "a.h5mu")
    refused(reader, "obsmap/rna: ", says)
    with pytest.raises(DataError, match="obsmap/rna: "):
        reader.describe()


def test_names_of_features_do_not_write_to_the_terminal(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        annotated(file)
        file["var/_index"][...] = ["f\x1b[2J", "g"]
    reader = H5adReader(path=tmp_path / "a.h5ad")
    assert aggregate_spatial(reader.read(), reader.source).features == ("f\\x1b[2J", "g")


def test_what_was_found_does_not_either(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        annotated(file)
        file["layers/x\x1b[2J"] = np.ones((3, 2), np.float32)
    assert (
        "layers/x\\x1b[2J (3 x 2, dense)"
        in H5adReader(path=tmp_path / "a.h5ad", layer="x\x1b[2J").describe()
    )
