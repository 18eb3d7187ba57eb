"""A cohort of an AnnData or MuData in memory is that of the file that it writes."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import hcat_core as hcat
from hcat_core.errors import DataError, UsageError

anndata = pytest.importorskip("anndata")
mudata = pytest.importorskip("mudata")

IDS = [f"P{place}" for place in range(12)]
OUTCOME = {"time": "days", "event": "dead", "horizon_days": 365}
RECIPE = """
[cohort.modalities]
{modalities}
[cohort.targets]
path = "{path}"
tasks.dead = {{ time = "days", event = "dead", horizon_days = 365 }}
[estimator]
use = "logistic"
"""


def obs(ids=IDS):
    rng = np.random.default_rng(1)
    days = rng.integers(10, 900, len(ids)).astype(float)
    return pd.DataFrame({"days": days, "dead": np.arange(len(ids)) % 2, "who": ids[::-1]}, index=list(ids))


def make(ids=IDS, seed=0, as_sparse=False, letter="G"):
    x = np.random.default_rng(seed).poisson(1.0, (len(ids), 5)).astype(np.float32)
    var = pd.DataFrame(index=[f"{letter}{place}" for place in range(5)])
    made = anndata.AnnData(sparse.csr_matrix(x) if as_sparse else x, obs=obs(ids), var=var)
    made.layers["log"] = np.log1p(x)
    made.obsm["X_uni"] = x[:, :3] * 2
    return made


def from_file(tmp_path, modalities, path):
    (tmp_path / "r.toml").write_text(RECIPE.format(modalities=modalities, path=path))
    return hcat.Cohort.from_files(tmp_path / "r.toml")


@pytest.mark.parametrize("as_sparse", [False, True])
def test_an_anndata_is_read_as_its_file_is(tmp_path, as_sparse):
    adata = make(as_sparse=as_sparse)
    places = {"rna": "X", "log": "layers/log", "slide": "obsm/X_uni"}
    cohort = hcat.Cohort.from_anndata(adata, places, **OUTCOME)
    adata.write_h5ad(tmp_path / "c.h5ad")
    tables = 'rna = { path = "c.h5ad" }\nlog = { path = "c.h5ad", layer = "log" }\n'
    tables += 'slide = { path = "c.h5ad", obsm = "X_uni" }'
    assert cohort.data.fingerprint() == from_file(tmp_path, tables, "c.h5ad").data.fingerprint()
    assert dict(cohort.table.modalities["slide"])["obsm"] == "X_uni"
    assert cohort.to_frames()["rna"].columns.tolist() == ["G0", "G1", "G2", "G3", "G4"]


def test_quality_and_numbers_of_rows_in_obs_are_read_as_those_of_its_file_are(tmp_path):
    adata = make()
    adata.obs["hcat_quality"] = np.linspace(0.1, 1, len(adata))
    adata.obs["hcat_n_rows"] = np.arange(1, len(adata) + 1)
    cohort = hcat.Cohort.from_anndata(adata, {"rna": "X"}, **OUTCOME)
    adata.write_h5ad(tmp_path / "c.h5ad")
    assert (
        cohort.data.fingerprint()
        == from_file(tmp_path, 'rna = { path = "c.h5ad" }', "c.h5ad").data.fingerprint()
    )
    np.testing.assert_allclose(cohort.data.quality[:, 0], adata.obs["hcat_quality"], rtol=1e-6)
    assert cohort.data.n_rows[:, 0].tolist() == [*range(1, len(adata) + 1)]
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": adata})
    mdata.obs = mdata.obs.join(obs()[["days", "dead"]])
    several = hcat.Cohort.from_mudata(mdata, **OUTCOME)
    np.testing.assert_allclose(several.data.quality[:, 0], adata.obs["hcat_quality"], rtol=1e-6)


def test_the_patient_of_a_row_can_be_a_column_of_obs():
    adata = make()
    adata.obs["who"] = ["A", "B"] * 6
    adata.obs["days"], adata.obs["dead"] = [100.0, 200.0] * 6, [1, 0] * 6
    cohort = hcat.Cohort.from_anndata(adata, "X", patient_id="who", **OUTCOME)
    assert len(cohort) == 2 and cohort.modalities == ("X",)
    np.testing.assert_allclose(cohort.to_frames()["X"].loc["A"], adata.X[::2].mean(axis=0))


def test_a_mudata_whose_modalities_lack_patients_is_read_as_its_file_is(tmp_path):
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": make(IDS), "prot": make(IDS[3:9][::-1], seed=4, letter="H")})
    mdata.obs = mdata.obs.join(obs()[["days", "dead"]])
    cohort = hcat.Cohort.from_mudata(mdata, **OUTCOME)
    with mudata.set_options(pull_on_update=False):
        mdata.write_h5mu(tmp_path / "c.h5mu")
    tables = 'rna = { path = "c.h5mu", modality = "rna" }\nprot = { path = "c.h5mu", modality = "prot" }'
    files = from_file(tmp_path, tables, "c.h5mu")
    assert files.data.fingerprint() == cohort.data.fingerprint()
    assert cohort.to_frames()["prot"].notna().all(axis=1).sum() == 6
    some = hcat.Cohort.from_mudata(mdata, {"prot": "layers/log"})
    np.testing.assert_allclose(some.to_frames()["prot"].loc["P8"], mdata["prot"]["P8"].layers["log"][0])


@pytest.mark.parametrize(
    "places, others, message",
    [
        ("layers/lgo", {}, 'no layers/lgo. Did you mean "log"'),
        ("obsm", {}, "names no matrix"),
        ("X", {"patient_id": "whom"}, "no column 'whom'. Did you mean \"who\""),
        ("X", {"times": "days"}, 'no argument. Did you mean "time"'),
    ],
)
def test_what_an_anndata_does_not_have_is_a_sentence(places, others, message):
    with pytest.raises(UsageError, match=message):
        hcat.Cohort.from_anndata(make(), places, **others)


def test_a_modality_that_a_mudata_does_not_have_is_a_sentence():
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": make()})
    with pytest.raises(UsageError, match='Did you mean "rna"'):
        hcat.Cohort.from_mudata(mdata, ["rnaa"])
    with pytest.raises(UsageError, match="a list is needed"):
        hcat.Cohort.from_mudata(mdata, "rna")


def test_features_of_one_name_are_refused():
    adata = make()
    adata.var_names = ["G", "G", "A", "B", "C"]
    with pytest.raises(DataError, match='columns 2, 3 are called "G"'):
        hcat.Cohort.from_anndata(adata)
