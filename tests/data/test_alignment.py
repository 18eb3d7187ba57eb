from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.layout import Layout, Modality
from hcat_core.data.alignment import align
from hcat_core.errors import DataError
from hcat_core.testing.cohorts import random_cohort


def named(*features):
    cohort = random_cohort(5, {"clinical": len(features)})
    return replace(
        cohort, layout=Layout((Modality("clinical", len(features), features),), cohort.layout.tasks)
    )


TRAINED = named("age", "grade", "smoker").layout


def test_features_come_in_the_models_order():
    cohort = named("smoker", "age", "grade")
    aligned = align(cohort, TRAINED)
    assert torch.equal(aligned.cohort.emb[:, 0], cohort.emb[:, 0, [1, 2, 0]])
    assert aligned.findings == ()


def test_a_feature_that_the_file_lacks_is_not_measured_and_named():
    cohort = named("smoker", "age")
    aligned = align(cohort, TRAINED)
    assert not aligned.cohort.measured[:, 0, 1].any() and not aligned.cohort.emb[:, 0, 1].any()
    assert torch.equal(aligned.cohort.measured[:, 0, [2, 0]], cohort.measured[:, 0])
    assert aligned.findings == (
        "clinical: the file lacks 1 of 3 features of training, which count as not measured: grade",
    )


def test_a_column_that_the_model_does_not_know_is_left_out_and_named():
    cohort = named("age", "grade", "smoker", "stage")
    aligned = align(cohort, TRAINED)
    assert torch.equal(aligned.cohort.emb[:, 0], cohort.emb[:, 0, :3])
    assert aligned.findings == (
        "clinical: 1 column of the file not among the features of training, and left out: stage",
    )


def test_a_patient_with_nothing_but_unknown_columns_lacks_the_modality():
    cohort = named("age", "stage")
    only_stage = replace(cohort, measured=cohort.measured & torch.tensor([False, True]))
    aligned = align(only_stage, TRAINED)
    assert not aligned.cohort.present.any() and not aligned.cohort.quality.any()


@pytest.mark.parametrize(
    ("cohort", "said"),
    [
        (named("TP53", "EGFR"), "none of the features .* such as age, grade, smoker; it has TP53, EGFR"),
        (random_cohort(5, {"clinical": 2}), "the file has 2 features a row, the model was trained on 3"),
        (random_cohort(5, {"blood": 3}), "no modality named 'blood'; it was trained on clinical"),
    ],
)
def test_a_file_of_another_kind_is_refused(cohort, said):
    with pytest.raises(DataError, match=said):
        align(cohort, TRAINED)


def test_a_file_without_names_is_taken_to_be_in_the_order_of_training_which_is_said():
    cohort = random_cohort(5, {"clinical": 3})
    aligned = align(cohort, TRAINED)
    assert torch.equal(aligned.cohort.emb, cohort.emb)
    assert "does not name its features" in aligned.findings[0]


@given(st.data())
def test_of_features_with_one_name_the_first_is_matched_with_the_first(data):
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    left = {one: iter([place for place, name in enumerate(names) if name == one]) for one in names}
    places = [next(left[name]) for name in data.draw(st.permutations(names))]
    trained = named(*names)
    shuffled = replace(
        trained,
        layout=named(*(names[place] for place in places)).layout,
        emb=trained.emb[:, :, places],
        measured=trained.measured[:, :, places],
    )
    aligned = align(shuffled, trained.layout)
    assert torch.equal(aligned.cohort.emb, trained.emb) and aligned.findings == ()
