from dataclasses import replace

import pytest
import torch

from hcat_core.cohort import Layout, Modality
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
    assert torch.equal(aligned.emb[:, 0], cohort.emb[:, 0, [1, 2, 0]])


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (("age", "smoker"), "the file has no feature 'grade', which the model was trained on\\.$"),
        (("age", "smoker", "stage"), "no feature 'grade', .*; the model does not know 'stage'"),
        (("age", "grade", "smoker", "stage"), "the model does not know 'stage'. Leave that out"),
        (("", ""), None),
    ],
)
def test_a_feature_that_does_not_fit_is_named(features, said):
    if said is None:  # without names there is only the width
        cohort = random_cohort(5, {"clinical": 2})
        said = "the file has 2 features a row, the model was trained on 3"
    else:
        cohort = named(*features)
    with pytest.raises(DataError, match=said):
        align(cohort, TRAINED)
