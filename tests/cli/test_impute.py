"""hcat impute --draws and --delta: completed sets that an analyst can pool, and shifted ones."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcat_core.runs import impute as module
from hcat_core.runs import multiple_imputation

ROOT = Path(__file__).parents[2]
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")


def cells_of(folder, name):
    with h5py.File(Path(folder) / f"{name}.h5") as file:
        return file["embedding"][...], file["imputed"][...], dict(file.attrs)


def test_each_draw_is_a_folder_that_keeps_what_was_measured_and_can_be_read_again(
    hcat, finished_run, cohort_folder, tmp_path
):
    code, out, err = hcat(
        "impute", finished_run, "--root", cohort_folder, "--draws", 3, "--outdir", "sets", "--json"
    )
    assert (code, err) == (0, "")
    assert len(json.loads(out)["files"]) == 3 * len(MODALITIES)
    assert all((tmp_path / file["path"]).is_file() for file in json.loads(out)["files"])
    assert hcat("impute", finished_run, "--root", cohort_folder, "--outdir", "mean", "-q")[0] == 0
    for name in MODALITIES:
        mean, imputed, _ = cells_of("mean", name)
        found = [cells_of(f"sets/draw_0{number}", name) for number in (1, 2, 3)]
        sets = np.stack([cells for cells, _, _ in found])
        assert (sets[:, ~imputed] == mean[~imputed]).all()
        assert all((one == imputed).all() for _, one, _ in found)
        if imputed.any():
            assert (sets[0] != sets[1])[imputed].mean() > 0.95
        assert [attributes["draw"] for _, _, attributes in found] == [1, 2, 3]
    described = json.loads((tmp_path / "sets" / "imputation.json").read_text())
    assert (described["draws"], described["outcome_informed"]) == (3, False)
    code, _, err = hcat("predict", finished_run, "--root", "sets/draw_02", "-q", "-o", "again.json")
    assert (code, err) == (0, "")


def test_a_seed_gives_the_same_draws_for_any_number_of_sets_and_of_patients_at_once(
    hcat, finished_run, cohort_folder, monkeypatch
):
    given = ("impute", finished_run, "--root", cohort_folder, "-q")
    assert hcat(*given, "--draws", 3, "--seed", 7, "--outdir", "three")[0] == 0
    for where in (module, multiple_imputation):
        if hasattr(where, "ROWS"):
            monkeypatch.setattr(where, "ROWS", 13)
    assert hcat(*given, "--draws", 2, "--seed", 7, "--outdir", "two")[0] == 0
    assert hcat(*given, "--draws", 1, "--seed", 8, "--outdir", "other")[0] == 0
    for name in MODALITIES:
        first, imputed, _ = cells_of("three/draw_02", name)
        again, _, _ = cells_of("two/draw_02", name)
        other, _, _ = cells_of("other/draw_01", name)
        np.testing.assert_allclose(first, again, rtol=1e-4, atol=1e-4)
        assert not imputed.any() or not np.allclose(other, cells_of("two/draw_01", name)[0])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_has_the_measured_data_and_the_same_draws_below_one_another(
    hcat, finished_run, cohort_folder, tmp_path, kind
):
    given = ("impute", finished_run, "--root", cohort_folder, "--draws", 2, "-q")
    assert hcat(*given, "--format", kind, "--outdir", "table")[0] == 0
    assert hcat(*given, "--outdir", "sets")[0] == 0
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    table = read(tmp_path / "table" / f"imputations.{kind}")
    assert list(table.columns[:2]) == ["draw", "patient_id"]
    assert list(table["draw"].unique()) == [0, 1, 2]
    ids = table["patient_id"].to_numpy().reshape(3, -1)
    assert (ids == ids[0]).all() and len(set(ids[0])) == ids.shape[1]
    for name in MODALITIES:
        columns = [column for column in table.columns if column.startswith(f"{name}.")]
        cells = table[columns].to_numpy(np.float32).reshape(3, ids.shape[1], -1)
        for number in (1, 2):
            written, imputed, _ = cells_of(f"sets/draw_0{number}", name)
            np.testing.assert_array_equal(cells[number], written)
        assert (np.isnan(cells[0]) == imputed).all()
        assert (cells[0] == cells[1])[~imputed].all()


def test_delta_shifts_imputed_values_alone_by_standard_deviations_of_training(
    hcat, finished_run, cohort_folder, tmp_path
):
    from hcat_core.registry.catalog import load_catalog
    from hcat_core.runs.trained_run import load_run

    scale = load_run(finished_run, load_catalog()).training.standardiser.scale.numpy()
    given = ("impute", finished_run, "--root", cohort_folder)
    shift = ("--delta", "0.5", "--delta", "semantic=-2")
    for draws in ((), ("--draws", 1)):
        plain, shifted = f"plain{len(draws)}", f"shifted{len(draws)}"
        assert hcat(*given, *draws, "--outdir", plain, "-q")[0] == 0
        code, out, _ = hcat(*given, *draws, *shift, "--outdir", shifted)
        assert code == 0 and "semantic: imputed values are shifted by -2 standard deviations" in out
        for column, name in enumerate(MODALITIES):
            inner = "draw_01" if draws else ""
            before, imputed, _ = cells_of(Path(plain, inner), name)
            after, _, attributes = cells_of(Path(shifted, inner), name)
            by = -2 if name == "semantic" else 0.5
            expected = np.broadcast_to(by * scale[column, : before.shape[1]], before.shape)
            np.testing.assert_allclose((after - before)[imputed], expected[imputed], atol=1e-4)
            assert (after == before)[~imputed].all()
            assert attributes["shift_sd"] == by
    described = json.loads((tmp_path / "shifted2" / "imputation.json").read_text())
    assert described["shift_sd"] == {**dict.fromkeys(MODALITIES, 0.5), "semantic": -2.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--delta", "semantik=1"], 'no modality is named "semantik". Did you mean "semantic"?'),
        (["--delta", "semantic=much"], '"much" is not a number of standard deviations'),
        (["--delta", "nan"], '"nan" is not a number of standard deviations'),
        (["--delta", "1", "--delta", "2"], "a shift of all modalities is given twice"),
        (["--delta", "semantic=1", "--delta", "semantic=2"], "semantic is given twice"),
        (["--format", "csv"], "--format csv needs --draws M"),
        (["--seed", "1"], "--seed needs --draws M"),
        (["--draws", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_written_is_one_clear_sentence(
    hcat, finished_run, cohort_folder, tmp_path, options, message
):
    code, _, err = hcat("impute", finished_run, "--root", cohort_folder, *options, "--outdir", "out")
    assert code == 2 and message in err
    assert not (tmp_path / "out").exists()


def test_an_error_while_writing_leaves_no_half_of_the_sets(
    hcat, finished_run, cohort_folder, tmp_path, monkeypatch
):
    written = []

    def full_disk(path, data, attributes=None):
        written.append(path)
        if len(written) == 7:  # in the second set
            raise OSError(28, "No space left on device")
        path.write_bytes(b"")

    monkeypatch.setattr(module, "write_h5", full_disk)
    code, _, err = hcat(
        "impute", finished_run, "--root", cohort_folder, "--draws", 3, "--outdir", "out", "-q"
    )
    assert code == 4 and "Free some space" in err and len(written) == 7
    assert not (tmp_path / "out").exists()


def test_the_python_of_the_page_pools_the_table_by_rubins_rules(hcat, finished_run, cohort_folder, capsys):
    given = ("impute", finished_run, "--root", cohort_folder, "--draws", 3, "--format", "csv")
    assert hcat(*given, "--outdir", "imputed", "-q")[0] == 0
    page = (ROOT / "docs/how-to/multiple-imputation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names = {}
    exec(code, names)
    assert len(names["sets"]) == 3
    assert capsys.readouterr().out.split()[:4] == ["estimate", "error", "low", "high"]
    # Means 2, variance within 1, between 2: 1 + (1 + 1/2) 2 = 4, with (4/3)^2 degrees of freedom.
    pooled = names["pool"]([[1.0], [3.0]], [[1.0], [1.0]]).iloc[0]
    half = stats.t.ppf(0.975, (4 / 3) ** 2) * 2
    assert pooled.tolist() == pytest.approx([2, 2, 2 - half, 2 + half])
