"""What the ``h5`` and ``table`` readers say they found, and STAMP's files among it."""

import h5py
import numpy as np
import pytest

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

VALUES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)


def write(path, data, **attributes):
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values
        file.attrs.update(attributes)
    return path


def read(path, **arguments):
    reader = H5Reader(path=path, **arguments)
    return aggregate_spatial(reader.read(), reader.source)


def test_rows_with_ids(tmp_path):
    path = write(tmp_path / "a.h5", {"pid": [b"x", b"y", b"z"], "embedding_512": VALUES})
    assert H5Reader(path=path).describe() == "one row per patient: pid and embedding_512 (3 x 2) at the top"
    path = write(tmp_path / "b.h5", {"patient_id": [b"x", b"x", b"z"], "feats": VALUES[None]})
    assert H5Reader(path=path).describe() == (
        "several rows per patient, 2 patients: patient_id and feats (1 x 3 x 2) at the top"
    )


def test_a_group_a_patient(tmp_path):
    path = write(tmp_path / "a.h5", {"secret-1/embedding": VALUES, "secret-2/feats": VALUES})
    said = H5Reader(path=path).describe()
    assert said == "one group per patient: no ids at the top, 2 groups with embedding or feats"


def test_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("case_id,age\np,3\n")
    assert TableReader(path=tmp_path / "a.csv").describe() == "CSV: ids in case_id, one of 2 columns"


@pytest.fixture
def tiles(tmp_path):
    """What STAMP's preprocessing writes: a file a slide."""
    folder = tmp_path / "stamp"
    folder.mkdir()
    about = {"stamp_version": "2.4.0", "extractor": "uni2-1a2b", "unit": "um", "feat_type": "tile"}
    write(folder / "s1.h5", {"feats": VALUES.astype("f2"), "coords": np.zeros((3, 2))}, **about)
    write(folder / "s2.h5", {"feats": VALUES[:1] + 10, "coords": np.zeros((1, 2))}, **about)
    return folder


def test_stamp_tiles_are_slides_of_patients(tiles, tmp_path):
    slide_map = tmp_path / "slides.csv"
    slide_map.write_text("PATIENT,FILENAME\np,s1.h5\np,s2.h5\n")
    found = read(tiles, slide_map=slide_map)
    assert found.ids == ("p",)
    assert found.mean.tolist() == [[5, 6]]
    assert found.n_rows.tolist() == [4]
    assert H5Reader(path=tiles, slide_map=slide_map).describe() == (
        "folder of 2 STAMP tile files with feats (3 x 2 in the first): slide_map names the patients"
    )


def test_stamp_features_of_a_patient_need_no_slide_map(tmp_path):
    folder = tmp_path / "chief-pat"
    folder.mkdir()
    about = {"encoder": "chief", "version": "2.4.0", "precision": "torch.float32", "feat_type": "patient"}
    write(folder / "TCGA-01.h5", {"feats": VALUES[:1]}, **about)
    write(folder / "TCGA-02.h5", {"feats": VALUES[1]}, **about)
    slide_map = tmp_path / "slides.csv"
    slide_map.write_text("PATIENT,FILENAME\nTCGA-01,s1.h5\n")
    for arguments in ({}, {"slide_map": slide_map}):
        found = read(folder, **arguments)
        assert found.ids == ("TCGA-01", "TCGA-02")
        assert found.mean.tolist() == [[1, 2], [3, 4]]
        assert "2 STAMP patient files" in H5Reader(path=folder, **arguments).describe()


def test_stamp_2_0_kept_all_slides_in_one_file(tmp_path):
    about = {"encoder": "cobra", "version": "2.0.0", "precision": "torch.float32"}
    path = write(tmp_path / "cobra.h5", {"s1": VALUES[:1], "s2": VALUES[1], "s3": VALUES[2:]}, **about)
    assert read(path).ids == ("s1", "s2", "s3")
    slide_map = tmp_path / "slides.csv"
    slide_map.write_text("PATIENT,FILENAME\np,s1.h5\nq,s2.h5\np,s3.h5\n")
    found = read(path, slide_map=slide_map)
    assert found.ids == ("p", "q")
    assert found.mean.tolist() == [[3, 4], [3, 4]]
    assert (
        H5Reader(path=path).describe()
        == "STAMP: an encoder's name and 3 datasets, one per slide or patient"
    )


def test_arrays_of_one_width_are_patients_only_in_a_stamp_file(tmp_path):
    path = write(tmp_path / "a.h5", {"s1": VALUES, "s2": VALUES}, encoder="cobra")
    with pytest.raises(DataError, match="no embedding found"):
        read(path)
