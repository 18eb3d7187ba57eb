"""What holds for every built-in estimator, and how recipes name them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_core.cohort import concatenate
from hcat_core.data.outcomes import derive_labels
from hcat_core.errors import RecipeError
from hcat_core.metrics.survival import kaplan_meier
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

NAMES = (
    "logistic",
    "random_forest",
    "hist_gradient_boosting",
    "coxnet",
    "late_fusion",
    "survival_forest",
    "stack",
    "neural",
)


@pytest.fixture(scope="module", params=NAMES)
def trained(request, estimators):
    return request.param, *estimators.fitted(request.param)


def test_it_ranks_patients_it_was_not_fitted_on(trained, estimators):
    name, found, _, _ = trained
    p = found.estimator.predict(estimators.test.without_targets()).event_probability
    assert p.shape == (140, 2) and ((p >= 0) & (p <= 1)).all()
    y = estimators.test.targets.labels[:, 0]
    floor = 0.5 if name == "neural" else 0.65  # three epochs are few
    assert roc_auc_score(y[y >= 0], p[y >= 0, 0]) > floor


def test_it_predicts_from_any_single_modality(trained, estimators):
    _, found, _, _ = trained
    for kept in range(5):
        hide = torch.ones((140, 5), dtype=torch.bool)
        hide[:, kept] = False
        alone = estimators.test.without_targets().hide(hide)
        alone = alone[alone.present.any(dim=1)]
        assert found.estimator.predict(alone).event_probability.isfinite().all()
        assert found.estimator.predict(alone[slice(0, 1)]).event_probability.shape == (1, 2)


def test_saved_and_loaded_it_predicts_the_same(trained, tmp_path, estimators):
    _, found, recipe, context = trained
    found.estimator.save(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pt", ".joblib")]
    again = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
    again.load(tmp_path, context)
    one, two = (e.predict(estimators.test.without_targets()) for e in (found.estimator, again))
    assert torch.equal(one.event_probability, two.event_probability)


def test_a_prediction_does_not_depend_on_other_patients(trained, estimators):
    _, found, _, _ = trained
    whole = found.estimator.predict(estimators.test.without_targets()).event_probability
    part = found.estimator.predict(estimators.test.without_targets()[slice(40, 60)]).event_probability
    assert torch.allclose(whole[40:60], part, atol=1e-6)


def test_curves_rise_and_end_at_the_probability(estimators):
    for name in ("coxnet", "stack"):
        predicted = estimators.fitted(name)[0].estimator.predict(estimators.test.without_targets())
        assert predicted.curve.shape == (140, 2, 12)
        assert (predicted.curve.diff(dim=2) >= -1e-9).all()
        assert torch.allclose(predicted.curve[:, :, -1], predicted.event_probability, atol=1e-6)


@pytest.mark.parametrize("name", ["coxnet", "logistic", "stack"])
def test_the_mean_risk_is_that_of_kaplan_meier_and_not_the_share_among_known_outcomes(name, estimators):
    """Half of all patients leave before the horizon: those with the event are known, the others are not."""
    widths = {"clinical": 6, "semantic": 6}
    cohort = to_cohort(generate(SynthSpec(patients=1600, widths=widths, seed=7)))
    rng = np.random.default_rng(0)
    targets, days = cohort.targets, torch.tensor([t.horizon_days for t in cohort.layout.tasks])
    leaves = torch.from_numpy(rng.uniform(0.0, 2.0, len(cohort)))[:, None] * days
    event = ((targets.event == 1) & (targets.time <= leaves)).to(torch.int8)
    time = torch.minimum(targets.time, leaves.float())
    labels = [derive_labels(time[:, i].numpy(), event[:, i].numpy(), float(days[i])) for i in range(2)]
    labels = torch.from_numpy(np.stack(labels, axis=1))
    cohort = replace(cohort, targets=replace(targets, time=time, event=event, labels=labels))
    train, test = cohort[slice(0, 1000)], cohort[slice(1000, 1600)]
    found, _, _ = estimators.fitted(name, train, train[slice(0, 0)])
    predicted = found.predict(test).probability[:, 0].mean()
    everyone = 1 - kaplan_meier(time[:, 0].numpy(), event[:, 0].numpy(), np.array([float(days[0])]))[0]
    y = labels[:, 0].numpy()
    assert y[y >= 0].mean() > everyone + 0.08
    assert abs(predicted - everyone) < 0.04


def test_predicting_patients_changes_nothing_that_was_fitted(estimators):
    louder = replace(estimators.test, emb=estimators.test.emb * 100)
    for name in ("logistic", "random_forest", "coxnet"):
        one, two = estimators.fitted(name)[0].estimator, estimators.fitted(name)[0].estimator
        one.predict(estimators.test.without_targets())
        two.predict(louder.without_targets())
        p, q = (e.predict(estimators.validation.without_targets()).event_probability for e in (one, two))
        assert torch.equal(p, q)


def test_thresholds_and_recalibration_come_from_patients_held_out(monkeypatch, estimators):
    from hcat_core.training import fitting

    found, _, _ = estimators.fitted("random_forest")
    everyone = concatenate(estimators.train, estimators.validation)
    y = everyone.targets.labels[:, 0]
    seen = found.estimator.predict(everyone.without_targets()).event_probability[:, 0]
    judged = []
    real = fitting._with_held_out

    def spy(estimator, predicted, cohort, **more):
        judged.append(predicted.probability)
        return real(estimator, predicted, cohort, **more)

    monkeypatch.setattr(fitting, "_with_held_out", spy)
    again, _, _ = estimators.fitted("random_forest")
    assert found.took_validation and again.thresholds == found.thresholds
    # A forest knows those it has learned from; what it was judged by, it had not learned from.
    held_out = roc_auc_score(y[y >= 0], judged[0][y >= 0, 0])
    assert roc_auc_score(y[y >= 0], seen[y >= 0]) > held_out + 0.05


def test_a_recipe_with_another_estimator_has_no_neural_tables(tmp_path, estimators):
    recipe = estimators.recipe("random_forest")
    assert not recipe.is_neural and recipe.method() == {"estimator": recipe.estimator}
    assert "fusion" not in recipe.to_toml()
    again = tmp_path / "again.toml"
    again.write_text(recipe.to_toml())
    assert load_recipe(again, estimators.catalog)[0].method() == recipe.method()
    enhanced = estimators.recipes / "enhanced.toml"
    swapped, _ = load_recipe(enhanced, estimators.catalog, sets=["estimator.use=logistic"])
    assert not swapped.is_neural
    with pytest.raises(RecipeError, match='fusion .*is not used by the estimator "logistic"'):
        load_recipe(enhanced, estimators.catalog, sets=["estimator.use=logistic", "fusion.d_model=8"])
