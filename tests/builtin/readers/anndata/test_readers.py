"""AnnData and MuData files as their own libraries write them are read as those libraries read them."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.anndata.h5ad import H5adReader
from hcat_builtin.readers.anndata.h5mu import H5muReader
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError, RecipeError

ad = pytest.importorskip("anndata")
md = pytest.importorskip("mudata")

IDS = ["A-1", "B-2", "C-3"]
VALUES = np.array([[1.0, np.nan], [0.0, 4.0], [5.0, 6.0]], np.float32)


@pytest.fixture(autouse=True, scope="module")
def as_from_mudata_0_4():
    with md.set_options(pull_on_update=False):
        yield


def annotated(values=VALUES, ids=IDS, **columns):
    names = pd.DataFrame(index=[f"f{n}" for n in range(values.shape[1])])
    return ad.AnnData(values, obs=pd.DataFrame(columns, index=list(ids)), var=names)


def h5ad(path, data):
    data.write_h5ad(path)
    return path


def read(reader):
    return aggregate_spatial(reader.read(), reader.source)


def measured(found):
    return np.where(found.measured, found.mean, np.nan)


def test_x_with_its_names_and_gaps(tmp_path):
    found = read(H5adReader(path=h5ad(tmp_path / "a.h5ad", annotated())))
    assert found.ids == tuple(IDS)
    assert found.features == ("f0", "f1")
    np.testing.assert_array_equal(measured(found), VALUES)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_sparse_cells_that_are_not_stored_are_zero(tmp_path, make, dtype):
    dense = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype)
    found = read(H5adReader(path=h5ad(tmp_path / "a.h5ad", annotated(make(dense)))))
    assert found.measured.all()
    np.testing.assert_array_equal(found.mean, dense.astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 12),
    width=st.integers(1, 7),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["csr", "csc"]),
)
def test_a_sparse_matrix_is_what_scipy_makes_of_it(tmp_path_factory, rows, width, seed, kind):
    rng = np.random.default_rng(seed)
    made = sp.random(rows, width, 0.4, kind, dtype=np.float32, rng=rng)
    made.data[rng.random(made.nnz) < 0.2] = np.nan
    path = h5ad(tmp_path_factory.mktemp("h5ad") / "a.h5ad", annotated(made, [f"p{n}" for n in range(rows)]))
    np.testing.assert_array_equal(measured(read(H5adReader(path=path))), made.toarray())


def test_a_layer_an_obsm_and_a_column_of_ids(tmp_path):
    data = annotated(case=["p", "q", "p"], weight=[3, 1, 1], score=[1.0, 0.5, 0.0])
    data.layers["counts"] = sp.csr_matrix(np.ones((3, 2), np.float32))
    data.obsm["X_pca"] = np.arange(9.0).reshape(3, 3)
    path = h5ad(tmp_path / "a.h5ad", data)
    assert read(H5adReader(path=path, layer="counts")).mean.tolist() == [[1, 1]] * 3
    found = read(H5adReader(path=path, obsm="X_pca", patient_id="case", weight="weight", quality="score"))
    assert found.ids == ("p", "q")
    assert found.mean.tolist() == [[1.5, 2.5, 3.5], [3, 4, 5]]
    np.testing.assert_allclose(found.quality, [0.75, 0.5])
    assert found.features == ()


def test_columns_of_every_encoding(tmp_path):
    data = annotated(
        label=[1, 0, -1],
        time=[1.5, np.nan, 3.0],
        site=pd.Categorical(["north", None, "south"]),
        stage=pd.Categorical([2, 3, None]),
        text=["x", "y", "x y"],
        flag=[True, False, True],
        whole=pd.array([1, None, 0], dtype="Int64"),
        known=pd.array([True, None, False], dtype="boolean"),
    )
    table = H5adReader(path=h5ad(tmp_path / "a.h5ad", data)).read_columns([*data.obs.columns])
    assert table.ids.tolist() == IDS
    columns = {name: values.tolist() for name, values in table.columns.items()}
    assert columns["label"] == [1, 0, -1]
    assert columns["site"] == ["north", None, "south"]
    assert columns["text"] == ["x", "y", "x y"]
    assert columns["flag"] == [True, False, True]
    for name, expected in {
        "time": [1.5, np.nan, 3],
        "stage": [2, 3, np.nan],
        "whole": [1, np.nan, 0],
        "known": [1, np.nan, 0],
    }.items():
        np.testing.assert_array_equal(columns[name], expected)


LARGE = 1 << 53  # float64 has no odd numbers from here on


def test_large_whole_ids_of_two_patients_stay_two(tmp_path):
    data = annotated(
        case=pd.array([LARGE, LARGE + 1, 7], dtype="Int64"),
        group=pd.Categorical([LARGE, LARGE + 1, 7]),
    )
    path = h5ad(tmp_path / "a.h5ad", data)
    for column in ("case", "group"):
        found = read(H5adReader(path=path, patient_id=column))
        assert found.ids == (str(LARGE), str(LARGE + 1), "7")


def test_large_whole_numbers_with_gaps_stay_apart_and_numbers(tmp_path):
    data = annotated(
        code=pd.array([LARGE, LARGE + 1, None], dtype="Int64"),
        weight=pd.array([LARGE + 2, None, 1], dtype="Int64"),
    )
    path = h5ad(tmp_path / "a.h5ad", data)
    codes = H5adReader(path=path).read_columns(["code"]).columns["code"]
    assert codes.tolist() == [LARGE, LARGE + 1, None]
    np.testing.assert_array_equal(codes.astype(float), [LARGE, LARGE, np.nan])
    (table,) = H5adReader(path=path, weight="weight").read()
    np.testing.assert_array_equal(table.weights, [LARGE + 2, np.nan, 1])


def test_large_whole_numbers_of_one_modality_stay_apart(tmp_path):
    rna = annotated(code=[LARGE, LARGE + 1, 7])
    image = annotated(np.ones((2, 2), "f4"), ["A-1", "D-4"], code=[1, 2])
    image.var_names = ["g0", "g1"]
    md.MuData({"rna": rna, "image": image}).write(tmp_path / "a.h5mu")
    columns = H5muReader(path=tmp_path / "a.h5mu").read_columns(["rna:code", "image:code"]).columns
    assert columns["rna:code"].tolist() == [LARGE, LARGE + 1, 7, None]
    np.testing.assert_array_equal(columns["image:code"], [1, np.nan, np.nan, 2])


def test_a_wrong_column_comes_with_the_nearest(tmp_path):
    path = h5ad(tmp_path / "a.h5ad", annotated(label=[1, 0, -1]))
    with pytest.raises(DataError, match=r'a\.h5ad: obs has no column "labl". Did you mean "label"'):
        H5adReader(path=path).read_columns(["labl"])
    with pytest.raises(DataError, match="layers/count"):
        read(H5adReader(path=path, layer="count"))
    with pytest.raises(ValueError, match="name one of them"):
        H5adReader(path=path, layer="a", obsm="b")


def test_categories_as_anndata_0_7_kept_them(tmp_path):
    path = h5ad(tmp_path / "a.h5ad", annotated(site=pd.Categorical(["north", "south", "north"])))
    with h5py.File(path, "r+") as file:
        obs = file["obs"]
        codes, categories = obs["site/codes"][()], obs["site/categories"][()]
        del obs["site"]
        obs["site"] = codes
        obs.create_dataset("__categories/site", data=categories)
        obs["site"].attrs["categories"] = obs["__categories/site"].ref
        obs.attrs["encoding-version"] = "0.1.0"
        del file.attrs["encoding-type"], file.attrs["encoding-version"]
    with pytest.warns(Warning, match="without encoding metadata"):
        assert ad.read_h5ad(path).obs["site"].tolist() == ["north", "south", "north"]
    reader = H5adReader(path=path)
    assert reader.read_columns(["site"]).columns["site"].tolist() == ["north", "south", "north"]
    with pytest.raises(DataError, match="Its columns: site"):
        reader.read_columns(["zz"])


def test_a_table_from_before_0_7_says_how_to_go_on(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = VALUES
        file["obs"] = np.array([(b"p", 1)], dtype=[("index", "S2"), ("label", "i4")])
    with pytest.raises(DataError, match=r"before 0\.7.*write_h5ad"):
        read(H5adReader(path=tmp_path / "a.h5ad"))


def test_each_reader_names_the_one_that_fits(tmp_path):
    one = h5ad(tmp_path / "a.h5ad", annotated())
    two = tmp_path / "a.h5mu"
    md.MuData({"rna": annotated()}).write(two)
    for reader, use in (
        (H5Reader(path=one), "h5ad"),
        (H5Reader(path=two), "h5mu"),
        (H5adReader(path=two), "h5mu"),
        (H5muReader(path=one), "h5ad"),
    ):
        with pytest.raises(DataError, match=f'use = "{use}"'):
            read(reader)
        with pytest.raises(DataError, match=f'use = "{use}"'):
            reader.read_columns(["x"])


def break_sparse(file):
    file["X/indices"][0] = 9


def break_pointers(file):
    file["X/indptr"][1] = 7


def claim_everything(file):
    file["X"].attrs["shape"] = [3, 1 << 40]


def claim_more_patients(file):
    file["X"].attrs["shape"] = [4, 3]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (break_sparse, "no valid csr_matrix"),
        (break_pointers, "no valid csr_matrix"),
        (claim_everything, "claims 3 x 1,099,511,627,776 values"),
        (claim_more_patients, r"has shape \(4, 3\)"),
    ],
)
def test_a_sparse_matrix_that_lies_is_refused(tmp_path, damage, says):
    path = h5ad(tmp_path / "a.h5ad", annotated(sp.csr_matrix(np.eye(3, dtype="f4"))))
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DataError, match=rf"a\.h5ad: X.*{says}"):
        read(H5adReader(path=path))


def test_codes_outside_the_categories_are_refused(tmp_path):
    path = h5ad(tmp_path / "a.h5ad", annotated(site=pd.Categorical(["north", "south", "north"])))
    with h5py.File(path, "r+") as file:
        file["obs/site/codes"][0] = 5
    with pytest.raises(DataError, match="obs/site: codes lie outside its 2 categories"):
        H5adReader(path=path).read_columns(["site"])


def test_a_link_to_another_file_is_not_followed(tmp_path):
    h5ad(tmp_path / "secret.h5ad", annotated())
    path = h5ad(tmp_path / "a.h5ad", annotated())
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = h5py.ExternalLink("secret.h5ad", "/X")
    with pytest.raises(DataError, match=r"a\.h5ad: X: is a link to another file"):
        read(H5adReader(path=path))


@pytest.fixture
def two_modalities(tmp_path):
    rna = annotated(label=[1, 0, 1])
    image = annotated(sp.csr_matrix(np.eye(2, 4, dtype="f4")), ["C-3", "D-4"], label=[0, 1])
    image.var_names = ["g0", "g1", "g2", "g3"]
    data = md.MuData({"rna": rna, "image": image})
    data.obs["event"] = [1, 0, 1, 0]
    data.write(tmp_path / "a.h5mu")
    return tmp_path / "a.h5mu"


def test_each_modality_of_a_mudata_with_who_has_it(two_modalities):
    assert two_modalities.read_bytes()[:6] == b"MuData"  # 512 bytes before the HDF5 file begins
    rna = read(H5muReader(path=two_modalities, modality="rna"))
    assert rna.ids == tuple(IDS)
    np.testing.assert_array_equal(measured(rna), VALUES)
    image = read(H5muReader(path=two_modalities, modality="image"))
    assert image.ids == ("C-3", "D-4")
    np.testing.assert_array_equal(image.mean, np.eye(2, 4))


def test_obsmap_decides_whose_row_it_is(two_modalities):
    with h5py.File(two_modalities, "r+") as file:
        assert file["obsmap/image"][()].tolist() == [0, 0, 1, 2]  # from 1; 0 is absent
        file["obsmap/image"][...] = [0, 0, 2, 1]
        file["mod/image/obs/_index"][...] = [b"D-4", b"C-3"]
    found = read(H5muReader(path=two_modalities, modality="image"))
    assert dict(zip(found.ids, found.mean.argmax(axis=1).tolist(), strict=True)) == {"D-4": 0, "C-3": 1}


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([0, 1, 2, 3], "maps 3 rows of obs to the 2 rows"),
        ([0, 0, 0, 1], "maps 1 rows of obs to the 2 rows"),
        ([0, 0, 2, 2], "maps 2 rows of obs to the 2 rows"),
        ([0, 0, 2, 1], "row 2 of obs and its row of image have different names"),
    ],
)
def test_an_obsmap_that_contradicts_itself_is_refused(two_modalities, numbers, says):
    with h5py.File(two_modalities, "r+") as file:
        file["obsmap/image"][...] = numbers
    with pytest.raises(DataError, match=f"obsmap/image: {says}"):
        read(H5muReader(path=two_modalities, modality="image"))


def test_outcomes_are_columns_of_everybody_or_of_one_modality(two_modalities):
    table = H5muReader(path=two_modalities).read_columns(["event", "image:label"])
    assert table.ids.tolist() == [*IDS, "D-4"]
    assert table.columns["event"].tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(table.columns["image:label"], [np.nan, np.nan, 0, 1])
    with pytest.raises(DataError, match='no column "evnt". Did you mean "event"'):
        H5muReader(path=two_modalities).read_columns(["evnt"])


def test_a_modality_must_be_named_where_there_are_several(two_modalities):
    with pytest.raises(DataError, match="holds image, rna. Name one"):
        read(H5muReader(path=two_modalities))
    with pytest.raises(DataError, match='no modality "rnaa". Did you mean "rna"'):
        read(H5muReader(path=two_modalities, modality="rnaa"))


def test_they_say_what_they_found(two_modalities, tmp_path):
    image = H5muReader(path=two_modalities, modality="image").describe()
    assert image == ("MuData, modality image: mod/image/X (2 x 4, csr_matrix), obsmap has 2 of 4 obs_names")
    path = h5ad(tmp_path / "a.h5ad", annotated(case=["p", "q", "p"]))
    assert H5adReader(path=path, patient_id="case").describe() == (
        "AnnData: X (3 x 2, dense), 2 patients in obs column case"
    )


def test_a_recipe_that_names_layer_and_obsm_is_a_problem_of_the_recipe(tmp_path):
    from hcat_core.recipe.recipe import load_recipe
    from hcat_core.registry.catalog import load_catalog

    (tmp_path / "r.toml").write_text(
        'estimator = { use = "logistic" }\n'
        "[cohort.modalities.rna]\n"
        'use = "h5ad"\npath = "a.h5ad"\nlayer = "x"\nobsm = "y"\n'
    )
    with pytest.raises(RecipeError, match="name one of them"):
        load_recipe(tmp_path / "r.toml", load_catalog())
