"""A run remembers its columns and categories: files of new patients are matched to them by name."""

import csv

import anndata
import numpy as np
import pandas as pd
import pytest

RECIPE = """
[cohort.modalities]
clinical = {{ {clinical} }}
[cohort.targets]
path = "out.csv"
tasks.survival = {{ time = "days", event = "dead", horizon_days = 1826, outcome = "death" }}
[estimator]
use = "logistic"
[evaluation]
baselines = []
bootstrap = 0
"""
N = 90


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "patient_id": [f"{row:03d}" for row in range(N)],
            "age": rng.integers(40, 80, N),
            "sex": rng.choice(["f", "m"], N),
            "stage": rng.choice(["I", "II", "III"], N),
            "psa": rng.normal(5, 1, N).round(2),
        }
    )


@pytest.fixture
def trained(hcat, table, tmp_path, monkeypatch):
    """A function that trains on a file, and one that predicts patients of another: text by id."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    outcomes = pd.DataFrame({"patient_id": table.patient_id, "days": rng.integers(60, 4000, N)})
    outcomes.assign(dead=np.arange(N) % 2).to_csv("out.csv", index=False)

    def train(clinical):
        (tmp_path / "r.toml").write_text(RECIPE.format(clinical=clinical))
        code, _, err = hcat("run", "r.toml", "--outdir", "run", "-q")
        assert code == 0, err
        return predictions("run/predictions.csv")

    def predict(path):
        code, _, err = hcat("predict", "run", "--input", f"clinical={path}", "-o", "p.csv", "-q")
        assert code == 0, err
        return predictions("p.csv"), err

    def predictions(path):
        with (tmp_path / path).open(encoding="utf-8") as file:
            return {row["patient_id"]: float(row["p_death_5y"]) for row in csv.DictReader(file)}

    return train, predict


@pytest.fixture
def on_csv(trained, table):
    train, predict = trained
    table.to_csv("clin.csv", index=False)
    of_run = train('path = "clin.csv", one_hot = ["sex", "stage"]')

    def predicted(changed):
        changed.to_csv("new.csv", index=False)
        return predict("new.csv")

    return of_run, predicted


def test_one_patient_alone_gets_the_row_of_predictions(on_csv, table):
    of_run, predicted = on_csv
    for row in (0, 1, 17):
        found, warned = predicted(table.iloc[[row]])
        patient = table.patient_id[row]
        assert found == {patient: pytest.approx(of_run[patient], abs=1e-6)}
        assert "warning" not in warned


def test_the_order_of_columns_does_not_matter(on_csv, table):
    of_run, predicted = on_csv
    found, _ = predicted(table[["psa", "stage", "patient_id", "sex", "age"]])
    assert found == pytest.approx(of_run, abs=1e-6)


def test_a_category_that_training_did_not_have_is_not_measured_and_told(on_csv, table):
    _, predicted = on_csv
    new, warned = predicted(table.head(8).assign(stage=["IV"] * 4 + table.stage[4:8].tolist()))
    empty, _ = predicted(table.head(8).assign(stage=[""] * 4 + table.stage[4:8].tolist()))
    assert new == empty
    assert "stage" in warned and "IV" in warned


def test_a_column_that_the_file_lacks_is_not_measured_and_told(on_csv, table):
    _, predicted = on_csv
    without, warned = predicted(table.drop(columns=["psa", "sex"]))
    empty, _ = predicted(table.assign(psa="", sex=""))
    assert without == empty
    assert "lacks 3 of 7 features of training, which count as not measured: sex=f, sex=m, psa" in warned


def test_a_column_that_the_run_does_not_know_is_left_out_and_told(on_csv, table):
    of_run, predicted = on_csv
    found, warned = predicted(table.assign(ward="B4", bmi=25))
    assert found == pytest.approx(of_run, abs=1e-6)
    assert "ward" in warned and "bmi" in warned


@pytest.mark.parametrize("spelling", [int, float, "{:.1f}".format])
def test_a_category_that_is_a_number_is_the_same_in_any_spelling(trained, table, spelling):
    train, predict = trained
    grade = np.arange(N) % 3
    table.assign(grade=grade).to_csv("clin.csv", index=False)
    of_run = train('path = "clin.csv", one_hot = ["sex", "stage", "grade"]')
    table.assign(grade=[spelling(value) for value in grade]).tail(3).to_csv("new.csv", index=False)
    found, warned = predict("new.csv")
    assert found == {patient: pytest.approx(of_run[patient], abs=1e-6) for patient in table.patient_id[-3:]}
    assert "grade" not in warned


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_genes_of_one_name_are_matched_in_their_order(trained, table):
    genes = np.array(["TP53", "SEPT9", "SEPT9", "EGFR", "Y_RNA", "Y_RNA"])
    values = np.random.default_rng(1).normal(size=(N, 6)).astype("float32")

    def write(path, order):
        names = pd.DataFrame(index=genes[order])
        data = anndata.AnnData(
            values[:, order], obs=pd.DataFrame(index=table.patient_id.tolist()), var=names
        )
        data.write_h5ad(path)

    train, predict = trained
    write("train.h5ad", [0, 1, 2, 3, 4, 5])
    of_run = train('path = "train.h5ad"')
    write("new.h5ad", [3, 0, 1, 2, 4, 5])
    found, _ = predict("new.h5ad")
    assert found == pytest.approx(of_run, abs=1e-6)
