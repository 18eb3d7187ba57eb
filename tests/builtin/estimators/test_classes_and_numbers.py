"""Every estimator on events, classes and a number in one cohort."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from hcat_builtin.estimators.outcome_regression import class_line
from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext
from hcat_core.metrics.discrimination import weighted_auc
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.component_tables import check_component
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import OtherOutcomes, to_other_cohort
from hcat_core.training.fitting import Fitted, fit_estimator

TRAIN, TEST = slice(0, 300), slice(300, 700)
TABLES = {
    "logistic": {},
    "random_forest": {"trees": 60},
    "hist_gradient_boosting": {"rounds": 60},
    "late_fusion": {"model": {"use": "logistic"}},
    "stack": {"members": [{"use": "logistic"}, {"use": "random_forest", "trees": 30}], "folds": 3},
    "evidence": {"trees": 25, "pairs": 0, "folds": 3},
}


@dataclass(frozen=True)
class Mixed:
    cohort: Cohort
    truth: OtherOutcomes
    estimators: object
    fitted: dict

    def fit(self, name) -> Fitted:
        if name not in self.fitted:
            recipe = self.recipe(name)
            nobody = self.cohort[slice(0, 0)]
            catalog = self.estimators.catalog
            self.fitted[name] = fit_estimator(recipe, catalog, self.cohort[TRAIN], nobody, FitContext(0))
        return self.fitted[name]

    def recipe(self, name):
        catalog = self.estimators.catalog
        table = check_component(catalog, "estimator", {"use": name, **TABLES[name]}, "estimator").table
        return replace(self.estimators.recipe("logistic"), estimator=table)

    @property
    def test(self) -> Cohort:
        return self.cohort[TEST]

    def known_best(self):
        """AUC of each class, and R2 of the score, of the true expectations."""
        return self.scores(self.truth.probability[TEST], self.truth.expected[TEST])

    def scores(self, probability, value):
        labels = self.test.targets.labels[:, list(self.cohort.layout.families[0])].numpy()
        auc = [weighted_auc(p, y) for p, y in zip(probability.T, labels.T, strict=True)]
        score = self.truth.score[TEST]
        return float(np.mean(auc)), 1 - float(((score - value) ** 2).mean() / score.var())


@pytest.fixture(scope="module")
def mixed(estimators):
    spec = SynthSpec(patients=700, widths={"clinical": 10, "rna": 14, "image": 12}, clusters=1, seed=7)
    return Mixed(*to_other_cohort(generate(spec)), estimators, {})


@pytest.mark.parametrize("name", TABLES)
def test_classes_add_up_to_one_and_both_kinds_are_learned(mixed, name):
    predicted = mixed.fit(name).predict(mixed.test)
    (family,), (number,) = mixed.cohort.layout.families, mixed.cohort.layout.numbers
    probability = predicted.probability
    assert probability[:, list(family)].sum(axis=1) == pytest.approx(np.ones(400), abs=1e-5)
    assert np.isnan(probability[:, number]).all() and np.isfinite(predicted.values[:, number]).all()
    assert np.isfinite(np.delete(probability, number, axis=1)).all()
    best_auc, best_r2 = mixed.known_best()
    auc, r2 = mixed.scores(probability[:, list(family)], predicted.values[:, number])
    # A third of the modalities is missing, and what is measured is noisy: the best cannot be reached.
    assert 0.5 + 0.5 * (best_auc - 0.5) < auc < best_auc
    assert 0.15 < r2 < best_r2  # the standard error of an R2 of 0 is 0.01


@pytest.mark.parametrize("name", TABLES)
def test_nine_of_ten_values_are_within_their_interval(mixed, name):
    predicted, (number,) = mixed.fit(name).predict(mixed.test), mixed.cohort.layout.numbers
    score = mixed.truth.score[TEST]
    inside = (predicted.low[:, number] <= score) & (score <= predicted.high[:, number])
    # Both the 300 held-out patients and the 400 test patients are a sample.
    assert inside.mean() == pytest.approx(0.9, abs=3 * np.sqrt(0.09 * (1 / 300 + 1 / 400)))


@pytest.mark.parametrize("name", TABLES)
def test_a_saved_model_predicts_the_same_classes_and_numbers(mixed, name, tmp_path):
    fitted = mixed.fit(name).estimator
    fitted.save(tmp_path)
    again = build_estimator(mixed.recipe(name), mixed.estimators.catalog, mixed.cohort.layout)
    again.load(tmp_path, FitContext(0))
    one, two = (e.predict(mixed.test.without_targets()).estimate for e in (fitted, again))
    assert torch.equal(one.nan_to_num(), two.nan_to_num())


def test_a_model_of_more_classes_than_the_outcome_has_is_refused(mixed, tmp_path):
    mixed.fit("random_forest").estimator.save(tmp_path)
    layout = mixed.cohort.layout
    fewer = replace(layout, tasks=(*layout.tasks[:3], *layout.tasks[4:]))
    other = build_estimator(mixed.recipe("random_forest"), mixed.estimators.catalog, fewer)
    with pytest.raises(DataError, match="these are not the models"):
        other.load(tmp_path, FitContext(0))


def test_evidence_for_a_number_is_in_its_unit(mixed):
    fitted = mixed.fit("evidence").estimator
    (number,) = mixed.cohort.layout.numbers
    test = mixed.test.without_targets()
    total = fitted.contributions(test)[:, :, number].sum(dim=1).numpy()
    value = fitted.predict(test).values[:, number]
    assert value - total == pytest.approx(np.full(400, value[0] - total[0]), abs=1e-2)
    assert total.std() > 3  # points, of which the score has a standard deviation of 11


def test_logits_of_each_class_against_the_others_are_brought_onto_one_softmax():
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000) * 1.5
    labels = rng.random(4000) < 1 / (1 + np.exp(-z - 1))
    both = np.stack([labels, ~labels], axis=1).astype(float)
    intercepts, factor = class_line(np.stack([z, -z], axis=1), both)
    assert factor == pytest.approx(0.5, rel=0.1)  # softmax of (z, -z) would be the sigmoid of 2 z
    assert intercepts[0] - intercepts[1] == pytest.approx(1.0, abs=0.15)


def test_a_class_that_no_training_patient_of_a_fold_has_is_predicted_as_impossible(mixed):
    labels = mixed.cohort.targets.labels.clone()
    family = list(mixed.cohort.layout.families[0])
    labels[labels[:, family[2]] == 1, family[0]] = 1
    labels[:, family[2]] = torch.where(labels[:, family[2]] == 1, 0, labels[:, family[2]])
    cohort = replace(mixed.cohort, targets=replace(mixed.cohort.targets, labels=labels))[TRAIN]
    for name in ("logistic", "random_forest", "evidence"):
        estimator = build_estimator(mixed.recipe(name), mixed.estimators.catalog, cohort.layout)
        estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
        p = estimator.predict(mixed.test.without_targets()).probability[:, family]
        assert (p[:, 2] < 0.05).all() and p.sum(axis=1) == pytest.approx(np.ones(400), abs=1e-5)


def test_the_catalog_of_estimators_says_which_kinds_each_can_predict():
    from hcat_core.recipe.outcome_kinds import kinds_of

    registry = load_catalog().registries["estimator"]
    kinds = {entry.component.name: kinds_of(entry.component) for entry in registry}
    assert {name for name, able in kinds.items() if "continuous" not in able} == {
        "coxnet",
        "survival_forest",
    }
    assert kinds["coxnet"] == {"event"}
