"""Tables of outcomes as people have them: read right, or refused by name, by inspect as by run."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

N = 60
IDS = [f"P{row:03d}" for row in range(N)]
QUICK = ("--set=evaluation.bootstrap=0", "--set=evaluation.baselines=[]")
RECIPE = """
[cohort]
modalities.clinical = {{ path = "clin.csv" }}
[cohort.targets]
path = "out.csv"
{targets}
[cohort.targets.tasks.survival]
{task}
horizon_days = 1826
outcome = "death"
[estimator]
use = "logistic"
"""


@pytest.fixture
def outcomes():
    """Days of follow-up and deaths of 60 patients: 14 die before day 1826, 20 are followed past it."""
    rng = np.random.default_rng(7)
    days = np.r_[rng.integers(60, 1800, 40), rng.integers(1900, 4000, 20)]
    dead = np.r_[np.ones(14, int), np.zeros(46, int)]
    return pd.DataFrame({"case_id": IDS, "days": days, "dead": dead})


@pytest.fixture
def cohort(hcat, tmp_path, outcomes):
    """Write a table of outcomes, a table of features and a recipe; returns the command line."""
    rng = np.random.default_rng(1)
    clinical = pd.DataFrame({"case_id": IDS, "age": rng.integers(40, 80, N), "psa": rng.normal(5, 1, N)})

    def write(task, targets="", table=outcomes, **features):
        table.to_csv(tmp_path / "out.csv", index=False)
        clinical.assign(**features).to_csv(tmp_path / "clin.csv", index=False)
        (tmp_path / "r.toml").write_text(RECIPE.format(task=task, targets=targets))
        return hcat

    return write


def counts(hcat):
    """Patients of the task by outcome at the horizon, as ``hcat inspect`` counts them."""
    code, out, err = hcat("inspect", "r.toml", "--json")
    assert code == 0, err
    (task,) = json.loads(out)["tasks"]
    return task["event"], task["event_free"], task["unknown"]


def both(hcat):
    """Exit code and messages of inspect and of run."""
    code, out, err = hcat("inspect", "r.toml")
    run_code, run_out, run_err = hcat("run", "r.toml", "--outdir=run", *QUICK)
    return (code, " ".join((out + err).split())), (run_code, " ".join((run_out + run_err).split()))


TRUE = (14, 20, 26)
PLAIN = 'time = "days"\nevent = "dead"'


def test_the_plain_table_has_these_outcomes(cohort):
    assert counts(cohort(PLAIN)) == TRUE


@pytest.mark.parametrize(
    ("column", "task"),
    [
        ("censorship", 'censored = "censorship"'),
        ("c", 'censored = "c"'),
        ("lost_to_us", 'censored = "lost_to_us"'),
        ("censorship", 'event = "censorship"\nevent_values = { event = [0], none = [1] }'),
    ],
)
def test_a_column_of_censorings_is_read_as_one(cohort, outcomes, column, task):
    table = outcomes.assign(**{column: 1 - outcomes.dead}).drop(columns="dead")
    assert counts(cohort(f'time = "days"\n{task}', table=table)) == TRUE


@pytest.mark.parametrize("column", ["censorship", "Censored", "is_censored", "c"])
def test_a_column_of_censorings_given_as_event_is_refused_before_data_is_read(cohort, outcomes, column):
    table = outcomes.assign(**{column: 1 - outcomes.dead})
    for code, said in both(cohort(f'time = "days"\nevent = "{column}"', table=table)):
        assert code == 2 and "survival.event" in said and f'censored = "{column}"' in said


@pytest.mark.parametrize(
    ("values", "said_of_it"),
    [(("Alive", "Dead"), '"Dead"'), (("0:LIVING", "1:DECEASED"), '"1:DECEASED"'), (("no", "yes"), '"yes"'),
     ((1, 2), "[...]")],
)  # fmt: skip
def test_words_of_the_event_are_refused_and_the_line_that_is_proposed_reads_them(
    cohort, outcomes, values, said_of_it
):
    table = outcomes.assign(vital=[values[dead] for dead in outcomes.dead]).drop(columns="dead")
    for code, said in both(cohort('time = "days"\nevent = "vital"', table=table)):
        assert code == 3 and "out.csv: column vital" in said and "line 2 " in said
        assert f"event_values = {{ event = [{said_of_it}" in said or said_of_it in said
    none, event = (json.dumps(value) for value in values)
    line = f"event_values = {{ event = [{event}], none = [{none}] }}"
    assert counts(cohort(f'time = "days"\nevent = "vital"\n{line}', table=table)) == TRUE


@pytest.mark.parametrize("word", ["[Not Available]", "NA", "unknown", "."])
def test_a_time_that_is_no_number_is_named_and_can_be_named_missing(cohort, outcomes, word):
    table = outcomes.assign(fu=[word if row == 50 else str(days) for row, days in enumerate(outcomes.days)])
    task = 'time = "fu"\nevent = "dead"'
    if word != "NA":  # which pandas may take for an empty cell
        code, said = both(cohort(task, table=table))[0]
        assert code == 3 and f'column fu (times): 1 cell is no number: line 52 "{word}"' in said
        assert f'cohort.targets.missing = ["{word}"]' in said
    assert counts(cohort(task, f'missing = ["{word}"]', table)) == (14, 19, 27)


@pytest.mark.parametrize(("unit", "days"), [("months", 30.4375), ("years", 365.25)])
@pytest.mark.parametrize("place", ["task", "targets"])
def test_times_in_months_and_years_are_read_in_that_unit(cohort, outcomes, unit, days, place):
    table = outcomes.assign(t=(outcomes.days / days).round(3))
    line = f'time_unit = "{unit}"'
    task = 'time = "t"\nevent = "dead"' + (f"\n{line}" if place == "task" else "")
    assert counts(cohort(task, line if place == "targets" else "", table)) == TRUE


@pytest.mark.parametrize(("name", "days"), [("OS_MONTHS", 30.4375), ("t", 30.4375), ("fu_years", 365.25)])
def test_times_in_another_unit_are_asked_about_by_inspect_and_run(cohort, outcomes, name, days):
    table = outcomes.assign(**{name: (outcomes.days / days).round(2)})
    inspected, ran = both(cohort(f'time = "{name}"\nevent = "dead"', table=table))
    assert inspected[0] == 0 and ran[0] == 3
    for _, said in (inspected, ran):
        assert f"the longest time of {name} is" in said and "before the horizon of 1826 days" in said
        assert "time_unit = " in said and ("months" if days < 100 else "years") in said
    assert "hcat run would stop" in inspected[1]


@pytest.mark.parametrize(
    ("spelling", "theirs"),
    [(lambda one: f"{one}-01", "P000-01"), (lambda one: one.replace("P", "case-"), "case-000"),
     (lambda one: f"SITE.{one}", "SITE.P000"), (lambda one: f"{one[0]}-{one[1:]}", "P-000")],
)  # fmt: skip
def test_outcomes_of_which_no_id_matches_stop_with_both_spellings(cohort, outcomes, spelling, theirs):
    table = outcomes.assign(case_id=[spelling(one) for one in IDS])
    for code, said in both(cohort(PLAIN, table=table)):
        assert code == 3 and "none of the 60 patients of clinical has an outcome here" in said
        assert f"P000 there, {theirs} here" in said


def test_outcomes_of_which_few_ids_match_are_told_by_inspect_and_run(cohort, outcomes):
    table = outcomes.assign(case_id=[one if row % 3 == 0 else f"{one}-01" for row, one in enumerate(IDS)])
    for code, said in both(cohort(PLAIN, table=table)):
        assert code in (0, 3) and "only 20 of the 60 patients of clinical are among the 60" in said
        assert "P001 there, P001-01 here" in said
    code, *_ = cohort(PLAIN, table=table)("inspect", "r.toml", "--strict")
    assert code == 3


def test_outcomes_of_a_part_of_the_patients_whose_ids_match_are_told_nothing(cohort, outcomes):
    code, out, err = cohort(PLAIN, table=outcomes[::3])("inspect", "r.toml", "--json")
    assert code == 0 and json.loads(out)["warnings"] == []


def test_ids_that_begin_with_zeros_are_shown_as_the_files_have_them(hcat, tmp_path, outcomes):
    ids = [f"{row:05d}" for row in range(N)]
    outcomes.assign(case_id=[f"{one}-1" for one in ids]).to_csv(tmp_path / "out.csv", index=False)
    with h5py.File(tmp_path / "clin.h5", "w") as file:
        file["patient_id"] = np.array(ids, dtype="S5")
        file["embedding"] = np.random.default_rng(0).normal(size=(N, 4)).astype("f4")
    (tmp_path / "r.toml").write_text(RECIPE.replace("clin.csv", "clin.h5").format(task=PLAIN, targets=""))
    code, _, err = hcat("inspect", "r.toml")
    assert code == 3 and "00000 there, 00000-1 here" in err


def test_a_table_of_slides_gives_each_patient_one_outcome(cohort, outcomes):
    slides = outcomes.loc[np.repeat(np.arange(N), 1 + np.arange(N) % 3)]
    slides = slides.assign(slide_id=[f"s{row}" for row in range(len(slides))]).sample(
        frac=1, random_state=0
    )
    hcat = cohort(PLAIN, table=slides)
    assert counts(hcat) == TRUE


@pytest.mark.parametrize("column", ["days", "dead"])
def test_slides_of_a_patient_that_contradict_each_other_are_refused_with_their_rows(
    cohort, outcomes, column
):
    slides = pd.concat([outcomes, outcomes[:3]], ignore_index=True)
    slides.loc[60:61, column] = [3, 4] if column == "days" else [0, 0]
    for code, said in both(cohort(PLAIN, table=slides)):
        assert code == 3 and "2 patients have rows that contradict each other" in said
        assert f"line 2 and line 62: {column} is" in said and f"line 3 and line 63: {column} is" in said


@pytest.mark.parametrize("name", ["censorship", "OS.time", "DAYS_TO_DEATH", "Vital status recode"])
def test_a_follow_up_column_among_the_features_stops_inspect_and_run_alike(cohort, outcomes, name):
    inspected, ran = both(cohort(PLAIN, **{name: np.arange(N) % 7}))
    assert inspected[0] == 0 and ran[0] == 3
    assert f"clinical: {name} has the name of a follow-up column: hcat run would stop" in inspected[1]
    assert f"clinical: {name} has the name of a follow-up column" in ran[1]


@pytest.mark.parametrize("events", [12, 30])
def test_a_feature_that_gives_the_outcome_away_is_found_by_both_or_by_neither(cohort, outcomes, events):
    """Twelve events are too few in training patients for a proof, and enough in all of them."""
    dead = (np.arange(N) < events).astype(int)
    table = outcomes.assign(dead=dead, days=np.where(dead, 400, 3000))
    inspected, ran = both(cohort(PLAIN, table=table, marker=dead + np.arange(N) % 5 / 10))
    assert ("marker alone predicts survival" in inspected[1]) == (events == 30)
    assert ("marker alone predicts survival" in ran[1]) == (ran[0] == 3) == (events == 30)


@pytest.mark.parametrize("problem", ["side", "one side only", "no train"])
def test_a_split_that_is_not_possible_is_said_by_both(cohort, outcomes, problem):
    sides = {"side": "holdout", "one side only": "test", "no train": "validation"}[problem]
    side = np.where(outcomes.dead, sides, "validation" if problem == "no train" else "train")
    hcat = cohort(PLAIN, table=outcomes.assign(side=side))
    code, out, err = hcat("inspect", "r.toml", "--set=split.column=side")
    assert code == 0 and "hcat run would stop" in err
    run_code, _, run_err = hcat("run", "r.toml", "--outdir=run", "--set=split.column=side", *QUICK)
    assert run_code == 3
    reason = {"side": '"holdout"', "one side only": "0 events", "no train": "no patient is in train"}[
        problem
    ]
    assert reason in " ".join(err.split()) and reason in run_err
    assert hcat("inspect", "r.toml", "--strict", "--set=split.column=side")[0] == 3


def test_inspect_says_the_sides_of_the_split_that_run_makes(cohort, tmp_path):
    hcat = cohort(PLAIN)
    _, out, _ = hcat("inspect", "r.toml", "--json", "--set=seed=5")
    code, said, err = hcat("run", "r.toml", "--outdir=run", "--set=seed=5", *QUICK)
    assert code == 0, err
    sides = json.loads(out)["split"]
    assert ", ".join(f"{number} {side}" for side, number in sides.items()) in said + err
    written = pd.read_csv(tmp_path / "run" / "predictions.csv").split
    assert (written == "test").sum() == sides["test"]


def test_what_inspect_warns_of_run_says_too(cohort, outcomes):
    """Findings of files, sizes of the cohort: every warning of the one is a line of the other."""
    table = outcomes.assign(days=outcomes.days.where(outcomes.index != 0, 0))
    hcat = cohort(PLAIN, table=table)
    _, _, err = hcat("inspect", "r.toml")
    _, out, run_err = hcat("run", "r.toml", "--outdir=run", *QUICK)
    warnings = [line.removeprefix("hcat: warning: ") for line in err.splitlines() if "warning" in line]
    assert len(warnings) == 2 and all(warning in out + run_err for warning in warnings)


def test_groups_and_sides_follow_the_words_for_missing(cohort, outcomes):
    table = outcomes.assign(site=np.where(outcomes.index % 2, "NOT KNOWN", "north"), side="train")
    table.loc[::5, "side"] = " Test"
    hcat = cohort(PLAIN, 'missing = ["NOT KNOWN"]', table)
    code, out, err = hcat("inspect", "r.toml", "--json", "--set=split.column=side")
    assert code == 0 and json.loads(out)["split"] == {"train": 48, "validation": 0, "test": 12}, err


NEURAL = """
extends = "r.toml"
[estimator]
use = "neural"
members = 1
evidence = { use = "evidence" }
[imputer]
use = "mean"
[fusion]
use = "enhanced_hcat"
d_model = 16
n_heads = 2
[heads.survival]
use = "binary"
[[losses]]
use = "bce"
head = "survival"
[training]
epochs = 1
[evaluation]
mc_samples = 2
"""


@pytest.mark.parametrize("estimator", ["logistic", "survival_forest", "evidence", "neural"])
def test_a_label_without_a_horizon_goes_from_run_to_report(cohort, outcomes, tmp_path, estimator):
    msi = outcomes.assign(msi=np.where(np.arange(N) % 3, "MSS", "MSI-H"))
    task = 'label = "msi"\nlabel_values = { event = ["MSI-H"], none = ["MSS"] }'
    hcat = cohort(task, table=msi)
    recipe = tmp_path / "r.toml"
    text = recipe.read_text().replace("horizon_days = 1826\n", "").replace("death", "msi")
    recipe.write_text(text if estimator == "neural" else text.replace("logistic", estimator))
    if estimator == "neural":
        recipe = tmp_path / "n.toml"
        recipe.write_text(NEURAL)
    code, out, err = hcat("run", recipe, "--outdir=run", *QUICK)
    assert code == 0, err
    predicted = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert predicted.survival_label.sum() == 20 and predicted.p_msi.between(0, 1).all()
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Labels of survival are those of the file, and no time belongs to them." in report
    assert "None" not in report and "nan" not in report.split("</style>")[-1].split("<svg")[0]
    code, out, err = hcat("predict", "run", "--root=.", "--json")
    record = json.loads(out)["patients"][0]["tasks"]["survival"]
    assert code == 0 and (record["output"], record["horizon_days"], record["curve"]) == (
        "p_msi",
        None,
        None,
    )
    assert hcat("predict", "run", "--root=.", "-o", "p.csv")[0] == 0
    again = pd.read_csv(tmp_path / "p.csv")
    assert not [name for name in again.columns if "_by_" in name and name.startswith("p_msi")]
    np.testing.assert_allclose(again.p_msi, predicted.p_msi, atol=2e-6)
    code, out, err = hcat("evaluate", "run", "--root=.", "--outdir=ev", "--json")
    assert code == 0 and json.loads(out)["metrics"]["survival"]["c_index"] is None, err


def test_outcomes_with_both_decimal_marks_are_read_as_the_recipe_says(cohort, outcomes, tmp_path):
    """A site called 1.5 beside times such as 12,5: the message named a key that outcomes did not have."""
    hcat = cohort(
        'time = "months"\ntime_unit = "months"\nevent = "dead"', 'decimal = ","\nmissing = ["NA"]'
    )
    table = outcomes.assign(
        months=(outcomes.days / 30.4375).round(3).map("{:.3f}".format).str.replace(".", ",")
    )
    table.loc[0, "months"] = "NA"
    table.assign(site="1.5").to_csv(tmp_path / "out.csv", sep=";", index=False)
    assert counts(hcat) == (13, 20, 27)
    recipe = (tmp_path / "r.toml").read_text()
    (tmp_path / "r.toml").write_text(recipe.replace('decimal = ","\n', ""))
    code, _, err = hcat("inspect", "r.toml")
    assert code == 3 and 'decimal = ","' in err
