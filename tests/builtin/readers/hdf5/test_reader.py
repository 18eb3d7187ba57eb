import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.hdf5.layouts import find_patientid_and_embedding, read_all_datasets_from_h5
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.slide_map import read_slide_map
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

HANCOCK = Path(__file__).parents[5] / "shared" / "data" / "hancock" / "h5"
VALUES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
IDS = ["A-1", "B-2", "C-3"]


def write(path, **data):
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            if isinstance(values, list) and isinstance(values[0], str):
                file.create_dataset(name, data=values, dtype=h5py.string_dtype())
            else:
                file[name] = values
    return path


def read(path, **arguments):
    reader = H5Reader(path=path, **arguments)
    return aggregate_spatial(reader.read(), reader.source)


@pytest.mark.parametrize("id_name", ["patient_id", "patient_ids", "patient_index_map"])
@pytest.mark.parametrize(
    "name",
    [
        "embedding_512",
        "embedding_mean_512",
        "text_combined_embedding_512",
        "features_mean",
        "embedding",
        "embeddings",
        "feature",
        "features",
        "feats",
        "embedding_768",
        "labs_embedding",
    ],
)
def test_a_flat_file_under_any_of_the_usual_names(tmp_path, id_name, name):
    found = read(write(tmp_path / "a.h5", **{id_name: IDS, name: VALUES}))
    assert found.ids == tuple(IDS)
    np.testing.assert_array_equal(found.mean, VALUES)


@pytest.mark.parametrize(
    "ids", [np.array([b"A-1", b"B-2", b"C-3"]), np.array([7, 8, 9]), np.array([7.0, 8.0, 9.0])]
)
def test_ids_are_bytes_or_numbers_as_well(tmp_path, ids):
    found = read(write(tmp_path / "a.h5", patient_id=ids, embedding=VALUES))
    assert found.ids in (("A-1", "B-2", "C-3"), ("7", "8", "9"))


def test_a_patient_index_map_as_json(tmp_path):
    text = json.dumps({"A-1": 2, "B-2": [0, 1]})
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_index_map"] = text
        file["embedding_512"] = VALUES
    found = read(tmp_path / "a.h5")
    assert dict(zip(found.ids, found.mean.tolist(), strict=True)) == {"A-1": [5, 6], "B-2": [2, 3]}


def test_a_patient_index_map_as_a_group(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_index_map/A-1"] = 2
        file["patient_index_map/B-2"] = np.array([0, 1])
        file["embedding"] = VALUES
    assert dict(zip(*_ids_and_means(tmp_path / "a.h5"), strict=True)) == {
        "A-1": [5, 6],
        "B-2": [2, 3],
    }


def _ids_and_means(path):
    found = read(path)
    return found.ids, found.mean.tolist()


def test_a_map_that_leaves_rows_without_a_patient_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_index_map"] = json.dumps({"A-1": 2})
        file["embedding"] = VALUES
    with pytest.raises(DataError, match="names no patient for 2 of 3 rows"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("top", ["", "patients/"])
@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 2), (1, 3, 2)])
def test_one_group_per_patient(tmp_path, top, shape):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, patient in enumerate(IDS):
            file[f"{top}{patient}/features"] = np.full(shape, number, np.float64)
            file[f"{top}{patient}/quality"] = 0.5
    found = read(tmp_path / "a.h5")
    assert found.ids == tuple(IDS)
    assert found.mean.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert found.quality.tolist() == [0.5, 0.5, 0.5]


def test_slides_in_a_folder_belong_to_the_patient_that_the_map_names(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    write(folder / "TCGA-01.a.h5", features=np.full((1, 4, 2), 1.0), coords=np.zeros((4, 2)))
    write(folder / "TCGA-01.b.h5", features=np.full((2, 2), 4.0))
    write(folder / "TCGA-02.a.h5", features=np.array([7.0, 8.0]))
    write(folder / "TCGA-03.a.h5", features=np.zeros((0, 2)))
    slide_map = tmp_path / "map.csv"
    pd.DataFrame(
        {
            "slide_id": ["TCGA-01.a.svs", "TCGA-01.b", "TCGA-02.a.h5", "TCGA-03.a"],
            "case_id": ["TCGA-01", "TCGA-01", "TCGA-02", "TCGA-03"],
        }
    ).to_csv(slide_map, index=False)
    found = read(folder, slide_map=slide_map)
    assert found.ids == ("TCGA-01", "TCGA-02")
    assert found.mean.tolist() == [[2, 2], [7, 8]]
    assert found.n_rows.tolist() == [6, 1]


def test_slides_without_a_map_are_patients(tmp_path):
    write(tmp_path / "p1.h5", features=VALUES)
    assert read(tmp_path).ids == ("p1",)


def test_a_slide_that_the_map_lacks_is_refused_by_name(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    write(folder / "s1.h5", features=VALUES)
    (tmp_path / "map.csv").write_text("slide,patient\nother,p1\n")
    with pytest.raises(DataError, match=r"map\.csv: names none of the 1 slides of .* \(s1\.h5\)"):
        read(folder, slide_map=tmp_path / "map.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slide,patient\ns1,p\n\ns2,\n", "line 4 lacks its slide or its patient"),
        ("slide,patient\ns1\n", "line 2 has 1 value for 2 columns"),
        ("slide,patient\ns1, \n", "line 2 lacks its slide or its patient"),
        ("slide,patient\ns1,p,q\n", "line 2 has 3 values for 2 columns"),
        ("slide,patient\ns1,p\ns1.h5,q\n", "the slide s1 has two patients"),
        ("name,patient\ns1,p\n", "needs a slide column .*it has name, patient"),
        ("", "cannot be read as a table: it is empty"),
        ('slide,patient\n"s1,p\n', "line 2: the quotes that open there are never closed"),
        ("slide,patient\ns1,\udcff\n", "line 2 holds the byte 0xff, which is not UTF-8"),
    ],
)
def test_a_slide_map_that_is_none_is_refused_by_its_line(tmp_path, text, says):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=rf"map\.csv: {says}"):
        read_slide_map(tmp_path / "map.csv")


def test_a_slide_map_as_spreadsheets_write_it(tmp_path):
    (tmp_path / "map.csv").write_bytes(
        b'\xef\xbb\xbfCase_ID, Slide \r\n"p, the first",s1.svs\r\n001,s2\r\n'
    )
    assert read_slide_map(tmp_path / "map.csv") == {"s1": "p, the first", "s2": "001"}


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (np.float32(0.5), [0.5, 0.5, 0.5]),
        (np.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
        (np.array([[0.0, 1.0], [0.2, 0.4], [1.0, 1.0]]), [0.5, 0.3, 1.0]),
    ],
)
def test_quality_is_a_scalar_one_a_row_or_two_dimensional(tmp_path, quality, expected):
    found = read(write(tmp_path / "a.h5", patient_id=IDS, embedding=VALUES, quality=quality))
    np.testing.assert_allclose(found.quality, expected, rtol=1e-6)


def test_rows_are_weighted_by_their_patches(tmp_path):
    path = write(
        tmp_path / "a.h5", patient_id=["p", "p", "q"], embedding=VALUES, n_patches=np.array([3, 1, 1])
    )
    assert read(path).mean.tolist() == [[1.5, 2.5], [5, 6]]


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "uint8"])
def test_any_numbers_become_float32(tmp_path, dtype):
    found = read(write(tmp_path / "a.h5", patient_id=IDS, embedding=VALUES.astype(dtype)))
    assert found.mean.dtype == np.float32
    np.testing.assert_array_equal(found.mean, VALUES)


def test_nan_and_inf_are_not_measured_and_counted(tmp_path):
    values = np.array([[np.nan, 2.0], [np.inf, 4.0], [5.0, -np.inf]])
    found = read(write(tmp_path / "a.h5", patient_id=IDS, embedding=values))
    assert found.n_cells_not_measured == 3
    assert found.measured.tolist() == [[False, True], [False, True], [True, False]]


def test_a_file_that_says_nothing_usable_lists_what_it_holds_and_what_was_looked_for(tmp_path):
    path = write(tmp_path / "a.h5", image=np.zeros((2, 3)), other=np.zeros(4))
    with pytest.raises(DataError) as error:
        read(path)
    message = str(error.value)
    for part in (str(path), "image 2x3", "other 4", "patient_index_map", "embedding_mean_512"):
        assert part in message


def test_a_named_dataset_that_is_not_there_comes_with_the_nearest(tmp_path):
    path = write(tmp_path / "a.h5", patient_id=IDS, my_vectors=VALUES)
    with pytest.raises(DataError, match='Did you mean "my_vectors"'):
        read(path, embedding="my_vector")
    assert read(path, embedding="my_vectors").ids == tuple(IDS)


def test_two_candidates_are_not_guessed_between(tmp_path):
    path = write(tmp_path / "a.h5", patient_id=IDS, text_embedding=VALUES, image_embedding=VALUES)
    with pytest.raises(DataError, match="may each be the embedding"):
        read(path)


def test_ids_and_rows_that_differ_in_number_are_refused_with_both(tmp_path):
    path = write(tmp_path / "a.h5", patient_id=IDS[:2], embedding=VALUES)
    with pytest.raises(DataError, match="2 ids and the embedding 3 rows"):
        read(path)


def test_columns_are_read_by_name_and_a_wrong_name_lists_those_there_are(tmp_path):
    path = write(tmp_path / "a.h5", patient_id=IDS, embedding=VALUES, label=np.array([1, 0, -1]))
    table = H5Reader(path=path).read_columns(["label"])
    assert table.columns["label"].tolist() == [1, 0, -1]
    with pytest.raises(DataError, match='no column "labl". Did you mean "label"'):
        H5Reader(path=path).read_columns(["labl"])


def test_columns_of_one_group_per_patient(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, patient in enumerate(IDS):
            file[f"{patient}/embedding"] = VALUES[number]
            file[f"{patient}/label"] = number
            file[patient].attrs["site"] = "north"
    table = H5Reader(path=tmp_path / "a.h5").read_columns(["label", "site"])
    assert table.columns["label"].tolist() == [0, 1, 2]
    assert table.columns["site"].tolist() == ["north"] * 3


def test_the_documents_utilities_tell_what_a_file_holds(tmp_path):
    datasets = read_all_datasets_from_h5(write(tmp_path / "a.h5", patient_id=IDS, feats=VALUES))
    assert datasets["feats"].shape == (3, 2)
    found = find_patientid_and_embedding(datasets, source="a.h5")
    assert (found.patient_id, found.embedding) == ("patient_id", "feats")


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(
        st.text("ABCxyz0123456789-_", min_size=1, max_size=8).filter(lambda t: not t.isdigit()),
        min_size=1,
        max_size=12,
        unique_by=str.casefold,
    ),
    width=st.integers(1, 9),
    grouped=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_was_written_is_read_in_every_layout(tmp_path_factory, ids, width, grouped, seed):
    ids = [i for i in ids if i.lower() not in ("nan", "none")] or ["p"]
    values = np.random.default_rng(seed).standard_normal((len(ids), width)).astype(np.float32)
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    if grouped:
        with h5py.File(path, "w") as file:
            for patient, row in zip(ids, values, strict=True):
                file[f"{patient}/embedding"] = row
    else:
        write(path, patient_id=ids, embedding=values)
    found = read(path)
    assert sorted(found.ids) == sorted(ids)
    order = [ids.index(i) for i in found.ids]
    np.testing.assert_array_equal(found.mean, values[order])


@pytest.mark.skipif(not HANCOCK.is_dir(), reason="the HANCOCK files are not here")
@pytest.mark.parametrize(
    ("name", "patients", "width", "rows"),
    [
        ("clinical", 763, 8, 763),
        ("pathological", 763, 27, 763),
        ("semantic", 712, 40, 712),
        ("temporal", 692, 16, 692),
        ("spatial", 760, 512, 6063),
    ],
)
def test_hancock_has_the_counts_of_its_readme(name, patients, width, rows):
    found = read(HANCOCK / f"{name}.h5")
    assert (len(found.ids), found.mean.shape[1], found.n_rows_read) == (patients, width, rows)
