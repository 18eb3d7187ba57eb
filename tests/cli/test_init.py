"""``hcat init``: a first recipe from the files of a cohort, which inspect and run take as it is."""

import tomllib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

FEATURES = Path(__file__).parents[3] / "shared" / "data" / "hancock" / "features"
N = 120
IDS = [f"TCGA-{number:04d}" for number in range(N)]
QUICK = (
    "--set=evaluation.bootstrap=20",
    "--set=evaluation.baselines=[]",
    "--set=evaluation.mc_samples=2",
    "-q",
)


@pytest.fixture
def tables():
    """Of one cohort: times in months, the censorings, and a wide table with all kinds of columns."""
    rng = np.random.default_rng(0)
    months, censored = rng.exponential(40, N).round(2), rng.integers(0, 2, N)
    wide = pd.DataFrame(
        {
            "case_id": IDS,
            "slide_id": [f"{one}-01Z.svs" for one in IDS],
            "site": rng.choice(list("ABCDEFGH"), N),
            "survival_months": months,
            "censorship": censored,
            "age": rng.integers(40, 90, N),
            "weight": rng.integers(50, 90, N),
            "sex": rng.choice(["male", "female"], N),
            "psa": rng.normal(size=N).round(3).astype(object),
            "diagnosed": [f"2020-01-{1 + number % 28:02d}" for number in range(N)],
            "notes": np.nan,
            "days_to_last_followup": rng.integers(1, 2000, N),
            "TP53_rnaseq": rng.normal(size=N),
        }
    )
    wide.loc[[4, 5], "weight"] = -999
    wide.loc[7, "psa"] = "NA"
    status = np.where(censored == 1, "0:LIVING", "1:DECEASED")
    msi = rng.choice(["MSI-H", "MSS", "Not Available"], N)
    outcomes = pd.DataFrame({"PatientID": IDS, "OS_MONTHS": months, "OS_STATUS": status, "msi": msi})
    return wide, outcomes


@pytest.fixture
def cohort(hcat, tables):
    """The files of the tables, HDF5 embeddings with outcomes, and a folder of slides with its map."""
    wide, outcomes = tables
    wide.to_csv("wide.csv", index=False)
    outcomes.to_csv("outcomes.csv", index=False)
    rng = np.random.default_rng(1)
    with h5py.File("rna.h5", "w") as file:
        file["patient_id"] = IDS
        file["embedding"] = rng.normal(size=(N, 6)).astype("float32")
        file["months"] = wide["survival_months"].to_numpy()
        file["dead"] = 1 - wide["censorship"].to_numpy()
    Path("slides").mkdir()
    for one in IDS[:80]:
        with h5py.File(f"slides/{one}-01Z.h5", "w") as file:
            file["features"] = rng.normal(size=(3, 5)).astype("float32")
    wide[["slide_id", "case_id"]].to_csv("map.csv", index=False)
    return hcat


WIDE = ("--input=wide=wide.csv", "--time=survival_months", "--censored=censorship")
OS = ("--outcomes=outcomes.csv", "--time=OS_MONTHS", "--event=OS_STATUS")


def written(name="recipe.toml"):
    return tomllib.loads(Path(name).read_text())


def test_a_table_as_published_becomes_a_recipe_that_inspects_and_runs(cohort):
    code, out, err = cohort("init", *WIDE, "--groups=site")
    assert (code, err) == (0, "")
    assert "in months, as its name says" in out and "next: hcat inspect recipe.toml" in out
    recipe = written()
    assert recipe["cohort"]["modalities"]["wide"]["one_hot"] == ["sex"]
    assert recipe["cohort"]["modalities"]["wide"]["missing"] == ["NA"]
    assert set(recipe["cohort"]["modalities"]["wide"]["drop"]) == {
        *("slide_id", "site", "survival_months", "censorship", "diagnosed", "notes"),
        "days_to_last_followup",
    }
    task = recipe["cohort"]["targets"]["tasks"]["death"]
    assert task["time_unit"] == "months" and task["censored"] == "censorship"
    assert cohort("inspect", "recipe.toml", "-q")[0] == 0
    assert cohort("run", "recipe.toml", "--outdir=run", *QUICK)[0] == 0


def test_every_decision_is_written_with_its_reason(cohort):
    cohort("init", *WIDE, "--groups=site")
    text = Path("recipe.toml").read_text()
    for line in ('"slide_id"', '"diagnosed"', '"notes"', '"sex"'):
        assert any(line in one and "# " in one for one in text.splitlines())
    assert '# missing = ["NA", "-999"]' in text
    assert '# name = "my cohort"' in text and "name" not in written()["cohort"]
    assert "female (" in text and "text with 120 different values" in text
    assert max(map(len, text.splitlines())) <= 108


def test_hdf5_files_with_outcomes_in_them_become_a_recipe_that_runs(cohort):
    code, _, err = cohort(
        "init", "--input=rna=rna.h5", "--outcomes=rna.h5", "--time=months", "--event=dead"
    )
    assert (code, err) == (0, "")
    assert cohort("inspect", "recipe.toml", "-q")[0] == 0
    assert cohort("run", "recipe.toml", "--outdir=run", *QUICK)[0] == 0


def test_a_folder_of_slides_needs_the_map_and_inspects_with_it(cohort):
    files = ("--input=rna=rna.h5", "--input=wsi=slides")
    code, _, err = cohort("init", *files, *OS)
    assert code == 2 and "--slide-map wsi=FILE" in err
    assert cohort("init", *files, *OS, "--slide-map=map.csv")[0] == 0
    modalities = written()["cohort"]["modalities"]
    assert modalities["wsi"]["slide_map"] == "map.csv" and "slide_map" not in modalities["rna"]
    assert cohort("inspect", "recipe.toml", "-q")[0] == 0


def test_words_for_the_event_are_written_with_every_value_of_the_column(cohort):
    assert cohort("init", "--input=rna=rna.h5", *OS)[0] == 0
    task = written()["cohort"]["targets"]["tasks"]["death"]
    assert task["event_values"] == {"event": ["1:DECEASED"], "none": ["0:LIVING"]}
    assert written()["cohort"]["targets"]["patient_id"] == "PatientID"


def test_a_label_is_a_task_without_a_time(cohort):
    given = ("--input=rna=rna.h5", "--outcomes=outcomes.csv", "--label=msi", "--event-value=MSI-H")
    assert cohort("init", *given)[0] == 0
    recipe = written()
    assert recipe["cohort"]["targets"]["tasks"] == {
        "msi": {"label": "msi", "label_values": {"event": ["MSI-H"], "none": ["MSS"]}}
    }
    assert recipe["cohort"]["targets"]["missing"] == ["Not Available"]
    assert recipe["estimator"]["use"] == "logistic"
    assert cohort("inspect", "recipe.toml", "-q")[0] == 0


def test_a_neural_model_is_complete_with_heads_and_losses_for_the_tasks(cohort):
    labels = ("--label=msi", "--event-value=msi=MSI-H", "--model=enhanced", "--horizon=3y")
    assert cohort("init", "--input=rna=rna.h5", "--input=wide=wide.csv", *OS, *labels)[0] == 0
    recipe = written()
    assert set(recipe["heads"]) == {"death", "msi"}
    assert {loss.get("head") for loss in recipe["losses"]} == {"death", "msi", None}
    assert "extends" not in recipe and "branches" not in recipe["fusion"]
    small = ("--epochs=1", "--set=estimator.members=1", "--set=imputer.use=mean", "--d_model=16")
    assert cohort("run", "recipe.toml", "--outdir=run", *small, *QUICK)[0] == 0


def test_all_that_is_not_known_is_asked_for_at_once(cohort):
    code, _, err = cohort("init", "--input=rna=rna.h5", "--outcomes=outcomes.csv")
    assert code == 2 and not Path("recipe.toml").exists()
    assert "--time" in err and "OS_MONTHS" in err
    assert "--event" in err and "OS_STATUS" in err


def test_a_column_of_censorings_is_no_column_of_events(cohort):
    code, _, err = cohort("init", "--input=wide=wide.csv", "--time=survival_months", "--event=censorship")
    assert code == 2 and "--censored censorship" in err


def test_a_column_of_events_is_no_column_of_censorings(cohort, tables):
    tables[0].rename(columns={"censorship": "dead"}).to_csv("wide.csv", index=False)
    code, _, err = cohort("init", "--input=wide=wide.csv", "--time=survival_months", "--censored=dead")
    assert code == 2 and "--event dead" in err


@pytest.mark.parametrize(
    ("longest", "unit"), [(3000.0, "days"), (300.0, None), (12.0, None)], ids=["days", "months?", "years?"]
)
def test_the_unit_is_taken_from_the_range_only_where_it_is_certain(cohort, tables, longest, unit):
    wide = tables[0].rename(columns={"survival_months": "followed"})
    wide["followed"] *= longest / wide["followed"].max()
    wide.to_csv("wide.csv", index=False)
    code, _, err = cohort("init", "--input=wide=wide.csv", "--time=followed", "--censored=censorship")
    if unit is None:
        assert code == 2 and "--time-unit" in err
    else:
        assert code == 0 and "time_unit" not in written()["cohort"]["targets"]["tasks"]["event"]


def test_values_that_could_mean_anything_are_asked_about(cohort, tables):
    outcomes = tables[1].replace({"OS_STATUS": {"0:LIVING": "A", "1:DECEASED": "B"}})
    outcomes.to_csv("outcomes.csv", index=False)
    code, _, err = cohort("init", "--input=rna=rna.h5", *OS)
    assert code == 2 and "--event-value OS_STATUS=VALUE" in err
    assert cohort("init", "--input=rna=rna.h5", *OS, "--event-value=B")[0] == 0
    task = written()["cohort"]["targets"]["tasks"]["death"]
    assert task["event_values"] == {"event": ["B"], "none": ["A"]}


def test_a_code_for_several_causes_is_asked_about(cohort, tables):
    tables[1].assign(cause=np.arange(N) % 3).to_csv("outcomes.csv", index=False)
    given = ("--input=rna=rna.h5", "--outcomes=outcomes.csv", "--time=OS_MONTHS", "--event=cause")
    code, _, err = cohort("init", *given)
    assert code == 2 and "(0, 1, 2)" in err
    assert cohort("init", *given, "--event-value=1")[0] == 0
    values = next(iter(written()["cohort"]["targets"]["tasks"].values()))["event_values"]
    assert values["event"] == [1] and sorted(values["none"]) == [0, 2]


def test_an_event_value_that_does_not_occur_is_refused_with_those_that_do(cohort):
    code, _, err = cohort("init", "--input=rna=rna.h5", *OS, "--event-value=dead")
    assert code == 2 and "1:DECEASED" in err


def test_a_horizon_that_nobody_reached_is_refused(cohort):
    code, _, err = cohort("init", *WIDE, "--horizon=40y")
    assert code == 2 and "nobody was followed that long" in err


def test_times_of_those_without_the_event_may_be_in_another_column(cohort, tables):
    outcomes = tables[1].assign(days_to_last_follow_up=tables[1]["OS_MONTHS"])
    outcomes.loc[outcomes["OS_STATUS"] == "0:LIVING", "OS_MONTHS"] = np.nan
    outcomes.to_csv("outcomes.csv", index=False)
    code, _, err = cohort("init", "--input=rna=rna.h5", *OS)
    assert code == 2 and "--last-contact" in err and "days_to_last_follow_up" in err
    assert cohort("init", "--input=rna=rna.h5", *OS, "--last-contact=days_to_last_follow_up")[0] == 0
    assert written()["cohort"]["targets"]["tasks"]["death"]["last_contact"] == "days_to_last_follow_up"


def test_a_recipe_is_never_overwritten(cohort):
    Path("recipe.toml").write_text("mine")
    code, _, err = cohort("init", *WIDE)
    assert code == 2 and "is not overwritten" in err
    assert Path("recipe.toml").read_text() == "mine"


def test_a_file_that_is_not_there_and_one_of_no_reader_are_told_together(cohort):
    Path("notes.docx").write_text("x")
    code, _, err = cohort("init", "--clinical=no.csv", "--input=b=notes.docx", *OS)
    assert code == 2 and "there is no file no.csv" in err and "no reader is known for notes.docx" in err


def test_a_model_that_does_not_exist_is_refused_with_one_that_does(cohort):
    code, _, err = cohort("init", *WIDE, "--model=logistc")
    assert code == 2 and 'Did you mean "logistic"?' in err


def test_a_model_that_needs_times_is_refused_for_labels(cohort):
    given = ("--outcomes=outcomes.csv", "--label=msi", "--event-value=MSI-H", "--model=coxnet")
    code, _, err = cohort("init", "--input=rna=rna.h5", *given)
    assert code == 2 and "needs times" in err


def test_paths_are_relative_to_the_recipe(cohort):
    Path("recipes").mkdir()
    assert cohort("init", *WIDE, "-o", "recipes/first.toml")[0] == 0
    assert written("recipes/first.toml")["cohort"]["modalities"]["wide"]["path"] == "../wide.csv"
    assert cohort("inspect", "recipes/first.toml", "-q")[0] == 0


@pytest.mark.skipif(not FEATURES.is_dir(), reason="the HANCOCK files are not here")
def test_the_published_files_of_hancock_become_a_recipe_that_runs(hcat):
    names = ("clinical", "pathological", "blood", "icd_codes")
    inputs = [f"--input={name}={FEATURES / name}.csv" for name in names]
    outcomes = ("--time=days_to_last_information", "--event=survival_status")
    code, out, err = hcat("init", *inputs, f"--outcomes={FEATURES / 'targets.csv'}", *outcomes)
    assert (code, err) == (0, "")
    assert "173 with the event by 1826 days, 243 without, 347 unknown" in out
    assert hcat("inspect", "recipe.toml", "-q")[0] == 0
    assert hcat("run", "recipe.toml", "--outdir=run", *QUICK)[0] == 0


def test_an_answer_that_is_no_column_is_asked_for_again(capsys, monkeypatch):
    from hcat_core.cli.console import Output
    from hcat_core.cli.init import _ask
    from hcat_core.recipe.first_recipe.questions import Question

    answers = iter(["nonsense", "followed"])
    monkeypatch.setattr("click.prompt", lambda text, **options: next(answers))
    question = Question("--time", "the column of times", ("days", "followed"), ("days", "followed"))
    assert _ask(Output.make(False, False))(question) == "followed"
    assert "nonsense is none of: days, followed" in capsys.readouterr().out
