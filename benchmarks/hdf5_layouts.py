"""Small HDF5 files of every layout that hcat reads, and the reader that a user would choose for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csc_array, csr_array

from hcat_builtin.readers.anndata.h5ad import H5adReader
from hcat_builtin.readers.anndata.h5mu import H5muReader
from hcat_builtin.readers.hdf5.reader import H5Reader

IDS = ["A-1", "B-2", "C-3", "D-4", "E-5", "F-6"]
ROWS, WIDTH = len(IDS), 5
FEATURES = [b"a", b"b", b"c", b"d", b"e"]


def values(rng: np.random.Generator) -> np.ndarray:
    """(6, 5) numbers."""
    return rng.standard_normal((ROWS, WIDTH)).astype(np.float32)


def flat_fixed_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Ids of fixed length, outcomes beside the embedding."""
    file["patient_id"] = np.array(IDS, "S4")
    file["embedding"] = values(rng)
    file["label"] = rng.integers(0, 2, ROWS)
    file["site"] = np.array([b"north", b"south"] * 3)
    file["hcat_n_rows"] = rng.integers(1, 9, ROWS)


def flat_text_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Ids of any length, compressed numbers, weights, quality, names."""
    file.create_dataset("patient_ids", data=IDS, dtype=h5py.string_dtype())
    file.create_dataset("features", data=values(rng), chunks=(2, WIDTH), compression="gzip", shuffle=True)
    file["n_patches"] = rng.integers(1, 9, ROWS)
    file["quality"] = rng.random((ROWS, 2))
    file["feature_names"] = np.array(FEATURES)
    file["label"] = rng.integers(0, 2, ROWS)


def flat_numeric_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Numbers for ids, checksummed and LZF-packed doubles, some never measured."""
    file["pid"] = np.arange(ROWS)
    numbers = values(rng).astype(np.float64)
    numbers[2, 3] = np.nan
    file.create_dataset("embedding_512", data=numbers, chunks=(3, 2), compression="lzf", fletcher32=True)


def three_dimensional(file: h5py.File, rng: np.random.Generator) -> None:
    """(1, rows, features), as slide encoders write them."""
    file["patient_id"] = np.array(IDS, "S4")
    file["feats"] = values(rng)[None]


def one_dimensional(file: h5py.File, rng: np.random.Generator) -> None:
    """One number per patient."""
    file["case_id"] = np.array(IDS, "S4")
    file["embedding"] = values(rng)[:, 0]


def soft_links(file: h5py.File, rng: np.random.Generator) -> None:
    """Names that lead to data elsewhere in the file."""
    file["store/v2/vectors"] = values(rng)
    file["store/ids"] = np.array(IDS, "S4")
    file["patient_id"] = h5py.SoftLink("/store/ids")
    file["embedding"] = h5py.SoftLink("/store/v2/vectors")


def map_as_list(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` in row order."""
    file.create_dataset("patient_index_map", data=IDS, dtype=h5py.string_dtype())
    file["embedding"] = values(rng)


def map_as_json(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` as a JSON text."""
    file["patient_index_map"] = json.dumps({"A-1": [0, 1], "B-2": 2, "C-3": [3, 4, 5]})
    file["embedding_mean_512"] = values(rng)


def map_as_group(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` as a group of rows by id."""
    for row, patient in enumerate(IDS):
        file[f"patient_index_map/{patient}"] = row
    file["embedding"] = values(rng)


def group_per_patient(file: h5py.File, rng: np.random.Generator) -> None:
    """One group per patient, outcomes as datasets and attributes."""
    for row, patient in enumerate(IDS):
        group = file.create_group(f"patients/{patient}")
        group["embedding"] = values(rng)[: row + 1]
        group["label"] = row % 2
        group["quality"] = 0.5
        group.attrs["site"] = "north"


def slide(file: h5py.File, rng: np.random.Generator) -> None:
    """One slide of a folder."""
    file["features"] = values(rng)[None]
    file["coords"] = np.zeros((ROWS, 2), np.int64)
    file["features"].attrs["feature_names"] = FEATURES


def stamp_tiles(file: h5py.File, rng: np.random.Generator) -> None:
    """One slide of STAMP's preprocessing."""
    file["feats"] = values(rng).astype(np.float16)
    file["coords"] = np.zeros((ROWS, 2))
    file.attrs.update({"stamp_version": "2.4.0", "extractor": "uni2", "unit": "um", "feat_type": "tile"})


def stamp_patient(file: h5py.File, rng: np.random.Generator) -> None:
    """One patient of STAMP's encoding."""
    file["feats"] = values(rng)[0]
    file.attrs.update({"encoder": "chief", "version": "2.4.0", "feat_type": "patient"})


def stamp_one_file(file: h5py.File, rng: np.random.Generator) -> None:
    """All patients of STAMP 2.0's encoding."""
    for patient in IDS:
        file[patient] = values(rng)[:1]
    file.attrs.update({"encoder": "cobra", "version": "2.0.0"})


def element(group: h5py.Group, name: str, content: object, kind: str) -> h5py.Group | h5py.Dataset:
    """An element of AnnData's format: a group for a dictionary, an array for anything else."""
    if isinstance(content, dict):
        node = group.require_group(name)
        for part, inner in content.items():
            element(node, part, inner, "array")
    else:
        text = isinstance(content, list)
        node = group.create_dataset(name, data=content, dtype=h5py.string_dtype() if text else None)
        kind = "string-array" if text else kind
    node.attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})
    return node


def frame(group: h5py.Group, name: str, index: list[str], columns: dict[str, object]) -> h5py.Group:
    """A dataframe of AnnData's format."""
    made = element(group, name, {"_index": index, **columns}, "dataframe")
    made.attrs["_index"] = "_index"
    made.attrs.create("column-order", list(columns), dtype=h5py.string_dtype())
    return made


def sparse(group: h5py.Group, name: str, matrix: csr_array | csc_array) -> None:
    """A sparse matrix of AnnData's format."""
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    element(group, name, parts, f"{matrix.format}_matrix").attrs["shape"] = matrix.shape


def annotated(group: h5py.Group, ids: list[str], rng: np.random.Generator) -> h5py.Group:
    """An AnnData without its matrix; returns its ``obs``, with a column of every encoding."""
    group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    frame(group, "var", ["a", "b", "c", "d", "e"], {})
    count = len(ids)
    columns = {
        "case": ids,
        "label": rng.integers(0, 2, count),
        "hcat_quality": rng.random(count, np.float32),
        "hcat_n_rows": rng.integers(1, 9, count),
    }
    obs = frame(group, "obs", ids, columns)
    codes = np.arange(count, dtype=np.int8) % 3 - 1
    element(obs, "site", {"categories": ["north", "south"], "codes": codes}, "categorical")
    whole = {"values": rng.integers(0, 2, count), "mask": np.arange(count) == 1}
    element(obs, "whole", whole, "nullable-integer")
    return obs


def anndata_dense(file: h5py.File, rng: np.random.Generator) -> None:
    """AnnData with a matrix."""
    annotated(file, IDS, rng)
    element(file, "X", values(rng), "array")


def anndata_rows(file: h5py.File, rng: np.random.Generator) -> None:
    """AnnData with a sparse matrix by rows."""
    annotated(file, IDS, rng)
    sparse(file, "X", csr_array(np.maximum(values(rng), 0)))


def anndata_columns(file: h5py.File, rng: np.random.Generator) -> None:
    """AnnData with a layer, sparse by columns."""
    annotated(file, IDS, rng)
    layers = element(file, "layers", {}, "dict")
    sparse(layers, "counts", csc_array(np.maximum(values(rng), 0)))


def anndata_0_7(file: h5py.File, rng: np.random.Generator) -> None:
    """AnnData as 0.7 wrote it: no encoding of the file, all categories in one group."""
    obs = annotated(file, IDS, rng)
    del obs["site"]
    obs["site"] = np.arange(ROWS, dtype=np.int8) % 2
    obs.create_dataset("__categories/site", data=["north", "south"], dtype=h5py.string_dtype())
    element(file, "obsm", {"X_pca": values(rng)}, "dict")
    del file.attrs["encoding-type"], file.attrs["encoding-version"]


def mudata(file: h5py.File, rng: np.random.Generator) -> None:
    """MuData of two modalities, one of them sparse and of half of the patients."""
    file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
    frame(file, "obs", IDS, {"label": rng.integers(0, 2, ROWS)})
    annotated(file.create_group("mod/image"), IDS[3:], rng)
    sparse(file["mod/image"], "X", csr_array(np.maximum(values(rng)[3:], 0)))
    annotated(file.create_group("mod/rna"), IDS, rng)
    element(file["mod/rna"], "X", values(rng), "array")
    maps = {"image": np.array([0, 0, 0, 1, 2, 3], np.uint32), "rna": np.arange(1, 7, dtype=np.uint32)}
    element(file, "obsmap", maps, "dict")


Reader = H5Reader | H5adReader | H5muReader


def plain(path: Path) -> Reader:
    return H5Reader(path=path)


@dataclass(frozen=True)
class Layout:
    """How a file is written, which of its columns are outcomes, and which reader reads it.

    ``in_folder``: it is one of several in a folder; ``block``: the text in front of its data.
    """

    write: Callable[[h5py.File, np.random.Generator], None]
    columns: tuple[str, ...] = ()
    reader: Callable[[Path], Reader] = plain
    in_folder: bool = False
    block: bytes = b""


LAYOUTS = {
    "flat, ids of fixed length": Layout(flat_fixed_ids, ("label", "site")),
    "flat, ids as text": Layout(flat_text_ids, ("label",)),
    "flat, ids as numbers": Layout(flat_numeric_ids),
    "three-dimensional": Layout(three_dimensional),
    "one-dimensional": Layout(one_dimensional),
    "soft links": Layout(soft_links),
    "map as a list": Layout(map_as_list),
    "map as JSON": Layout(map_as_json),
    "map as a group": Layout(map_as_group),
    "group per patient": Layout(group_per_patient, ("label", "site")),
    "folder of slides": Layout(slide, in_folder=True),
    "STAMP tiles": Layout(stamp_tiles, in_folder=True),
    "STAMP patients": Layout(stamp_patient, in_folder=True),
    "STAMP in one file": Layout(stamp_one_file),
    "AnnData, dense": Layout(
        anndata_dense, ("label", "site", "whole"), lambda path: H5adReader(path=path, patient_id="case")
    ),
    "AnnData, by rows": Layout(anndata_rows, ("site",), lambda path: H5adReader(path=path)),
    "AnnData, a layer by columns": Layout(
        anndata_columns, (), lambda path: H5adReader(path=path, layer="counts")
    ),
    "AnnData 0.7": Layout(anndata_0_7, ("site",), lambda path: H5adReader(path=path, obsm="X_pca")),
    "MuData, dense": Layout(
        mudata,
        ("label", "image:site"),
        lambda path: H5muReader(path=path, modality="rna", patient_id="label"),
        block=b"MuData (format-version=0.1.0;creator=muon;creator-version=0.1.6)",
    ),
    "MuData, by rows": Layout(
        mudata,
        ("image:label",),
        lambda path: H5muReader(path=path, modality="image"),
        block=b"MuData (format-version=0.1.0;creator=muon;creator-version=0.1.6)",
    ),
}
VERSIONS = ("earliest", "latest")


def write_originals(folder: Path) -> dict[tuple[str, str], bytes]:
    """Every layout in the oldest and the newest format, as bytes."""
    originals = {}
    path = folder / "original.h5"
    for number, (name, layout) in enumerate(LAYOUTS.items()):
        for version in VERSIONS:
            with h5py.File(path, "w", libver=version, userblock_size=512 if layout.block else 0) as file:
                layout.write(file, np.random.default_rng(number))
            data = path.read_bytes()
            originals[name, version] = layout.block + data[len(layout.block) :]
    return originals
