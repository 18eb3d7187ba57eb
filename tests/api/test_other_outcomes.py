"""Events, classes and numbers of one cohort in Python, from frames to predictions."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hcat_core as hcat
from hcat_core.errors import DataError, RecipeError, UsageError

QUICK = {
    "evaluation.bootstrap": 0,
    "evaluation.baselines": [],
    "evaluation.mc_samples": 4,
    "estimator.members": 2,
    "estimator.evidence.trees": 5,
    "estimator.evidence.pairs": 0,
    "training.epochs": 1,
    "fusion.d_model": 16,
    "fusion.n_heads": 2,
    "imputer.use": "mean",
}
OTHERS = {"multiclass": {"subtype": "type"}, "continuous": ["age"]}
EVENT = {"time": "months", "event": "dead", "time_unit": "months", "horizons": {"death_2y": 730}}


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    n = 160
    z = rng.normal(size=(n, 3))
    ids = pd.Index([f"P{row:03d}" for row in range(n)], name="patient_id")
    rna = pd.DataFrame(z + 0.5 * rng.normal(size=(n, 3)), index=ids, columns=["r0", "r1", "r2"])
    image = pd.DataFrame(z + 0.7 * rng.normal(size=(n, 3)), index=ids, columns=["i0", "i1", "i2"])
    time = rng.exponential(20 * np.exp(-z[:, 0])).round(1) + 0.1
    seen = pd.DataFrame(
        {
            "type": np.array(["LUAD", "LUSC", "SCLC"])[
                (2 * z[:, :3] + rng.gumbel(size=(n, 3))).argmax(axis=1)
            ],
            "age": (60 + 10 * z[:, 1] + 4 * rng.normal(size=n)).round(1),
            "months": np.minimum(time, 60.0),
            "dead": (time < 60).astype(int),
        },
        index=ids,
    )
    seen.loc[ids[:5], "type"], seen.loc[ids[5:9], "age"] = None, np.nan
    return {"rna": rna[rng.random(n) < 0.8], "image": image}, seen


@pytest.fixture(scope="module")
def cohort(frames):
    return hcat.Cohort.from_frames(frames[0], outcomes=frames[1], **EVENT, **OTHERS)


@pytest.fixture(scope="module")
def run(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)  # of few patients
        return hcat.fit(cohort, "enhanced", set=QUICK)


def test_a_cohort_holds_all_kinds_under_the_names_of_their_outcomes(cohort, frames):
    assert cohort.tasks == ("death_2y", "subtype", "age")
    frame = cohort.to_frames()["outcomes"]
    seen = frames[1].loc[frame.index]
    assert (frame["subtype"].fillna("-") == seen["type"].fillna("-")).all()
    assert np.allclose(frame["age"], seen["age"], equal_nan=True)


def test_columns_of_classes_and_numbers_need_no_event(frames):
    only = hcat.Cohort.from_frames(frames[0], outcomes=frames[1], multiclass="type", continuous="age")
    assert only.tasks == ("type", "age")
    with pytest.raises(UsageError, match="leave out .*multiclass"):
        hcat.Cohort.from_frames(
            frames[0], outcomes=frames[1], tasks={"a": {"label": "dead"}}, multiclass="type"
        )
    with pytest.raises(RecipeError, match='tasks.type.*"continuous" cannot predict|cannot predict'):
        hcat.fit(only, {"estimator": {"use": "survival_forest"}})


def test_a_shipped_recipe_learns_every_kind(run, frames):
    found = run.predict(frames[0])
    classes = [f"p_subtype_{one}" for one in ("luad", "lusc", "sclc")]
    assert np.allclose(found[classes].sum(axis=1), 1, atol=1e-5)
    assert set(found["subtype_predicted"]) <= {"LUAD", "LUSC", "SCLC"}
    likeliest = found[classes].to_numpy().argmax(axis=1)
    assert (found["subtype_predicted"] == np.array(["LUAD", "LUSC", "SCLC"])[likeliest]).all()
    seen = frames[1].loc[found.index]
    error = (seen["age"] - found["age"]).dropna()
    assert 1 - (error**2).mean() / seen["age"].var() > 0.3
    inside = (found["age_low"] <= seen["age"]) & (seen["age"] <= found["age_high"])
    assert inside[seen["age"].notna()].mean() > 0.75
    assert (found["p_death_2y"].between(0, 1)).all()


def test_the_interval_of_a_number_is_wider_where_a_modality_is_missing(run, frames):
    image = frames[0]["image"]
    both = [patient for patient in image.index if patient in frames[0]["rna"].index]
    complete = run.predict({name: frame.loc[both] for name, frame in frames[0].items()})
    alone = run.predict({"image": image.loc[both]})
    width = [(found["age_high"] - found["age_low"]).mean() for found in (complete, alone)]
    assert width[1] > 1.02 * width[0] > 0


def test_a_run_that_was_saved_predicts_the_same(run, frames, tmp_path):
    run.save(tmp_path / "saved")
    again = hcat.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(again.predict(frames[0]), run.predict(frames[0]))


def test_patients_of_two_classes_are_scored_by_a_model_of_three(run, frames):
    some = frames[1][frames[1]["type"] != "LUSC"]
    given = {name: frame[frame.index.isin(some.index)] for name, frame in frames[0].items()}
    cohort = hcat.Cohort.from_frames(given, outcomes=some, **EVENT, **OTHERS)
    found = run.evaluate(cohort)
    assert found.metrics is not None
    other = some.assign(type=np.where(some["type"] == "SCLC", "NSCLC", "LUAD"))
    cohort = hcat.Cohort.from_frames(given, outcomes=other, **EVENT, **OTHERS)
    with pytest.raises(DataError, match='not in cohort.targets.tasks.subtype.classes: "NSCLC"'):
        run.evaluate(cohort)


def test_what_is_known_of_each_outcome_is_said(cohort):
    text = repr(cohort)
    assert "death_2y: " in text and " LUSC, " in text and "5 unknown" in text
    assert "age: 156 values from " in text and "mean " in text
    assert "156 values" in cohort._repr_html_()


@pytest.mark.parametrize(
    ("columns", "estimator"),
    [
        ({"label": "young"}, "logistic"),
        ({"multiclass": {"subtype": "type"}}, "logistic"),
        ({"continuous": ["age"]}, "logistic"),
        ({**EVENT, "continuous": ["age"]}, "logistic"),
        (EVENT, "late_fusion"),
    ],
    ids=["event without times", "classes", "number", "event and number", "event with times"],
)
def test_without_a_recipe_a_method_is_taken_that_learns_the_outcomes(frames, columns, estimator):
    outcomes = frames[1].assign(young=(frames[1].age < 60).astype(int))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cohort = hcat.Cohort.from_frames({"rna": frames[0]["rna"]}, outcomes=outcomes, **columns)
        run = hcat.fit(cohort, set={"evaluation.bootstrap": 0})
        assert hcat.inspect(cohort).refusals == ()
    assert run.recipe.estimator["use"] == estimator
    said = [str(one.message) for one in caught if "no recipe is named: logistic" in str(one.message)]
    assert len(said) == (estimator == "logistic")
