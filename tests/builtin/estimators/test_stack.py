import json

import pytest
import torch

from hcat_core.interfaces import FitContext
from hcat_core.recipe.recipe import load_recipe


def test_it_is_fitted_on_predictions_for_patients_left_out(estimators):
    # A member that only remembers: perfect on those it has seen, nothing on others.
    from hcat_builtin.estimators.stack import StackEstimator
    from hcat_core.interfaces import Prediction

    class Memory:
        refits = True

        def __init__(self):
            self.known = {}

        def fit(self, train, validation, context):
            labels = train.targets.labels.double()
            self.known = dict(zip(train.patient_ids, labels, strict=True))

        def predict(self, cohort):
            rows = [
                self.known.get(i, torch.full((2,), 0.5, dtype=torch.float64)) for i in cohort.patient_ids
            ]
            p = torch.stack(rows)
            return Prediction(torch.where(p < 0, 0.5, p.clamp(0.01, 0.99)))

    stack = StackEstimator(estimators.cohort.layout, members=[Memory()])
    stack.fit(estimators.train, estimators.train[slice(0, 0)], FitContext(0))
    # Were the weights fitted on what it remembers, they would have grown far above the average's.
    assert stack.weights[0, 0] == pytest.approx(1.0, abs=0.05)
    assert abs(stack.thresholds[0]) <= 1


def test_the_neural_estimator_may_be_a_member(estimators):
    recipe, _ = load_recipe(
        estimators.recipes / "enhanced.toml",
        estimators.catalog,
        sets=["estimator.use=stack", "estimator.members=[{use='neural'},{use='logistic'}]"],
    )
    assert recipe.is_neural and json.loads(json.dumps(recipe.method()))["fusion"]["use"] == "enhanced_hcat"
