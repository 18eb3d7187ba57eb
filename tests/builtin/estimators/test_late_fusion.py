from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext
from hcat_core.metrics.calibration import calibration
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import neural_parts_of


def test_it_stays_calibrated_when_only_one_modality_is_measured(estimators):
    """Recalibrated on patients as they are, it stays calibrated when one modality is all there is."""
    widths = {"clinical": 6, "semantic": 6, "temporal": 6, "pathological": 6, "spatial": 6}
    cohort = to_cohort(generate(SynthSpec(patients=2400, widths=widths, seed=5)))
    train, test = cohort[slice(0, 1200)], cohort[slice(1200, 2400)]
    found, _, _ = estimators.fitted("late_fusion", train, train[slice(0, 0)])
    p, y = [], []
    for kept in range(5):
        hide = torch.ones_like(test.present)
        hide[:, kept] = False
        left = test.hide(hide)
        some = left.present.any(dim=1)
        p.append(found.predict(left[some]).probability[:, 0])
        y.append(test.targets.labels[some, 0].numpy())
    slope = calibration(np.concatenate(p), np.concatenate(y)).calibration_slope
    assert 2 / 3 < slope < 3 / 2  # a mean over what is there has 0.35


def test_it_holds_patients_out_for_a_model_that_needs_validation_patients(estimators):
    sets = [*estimators.small_model, "estimator={use='late_fusion', model={use='neural'}}"]
    recipe, _ = load_recipe(estimators.recipes / "enhanced.toml", estimators.catalog, sets=sets)
    context = TrainingContext(0, parts=neural_parts_of(recipe, estimators.catalog))
    estimator = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
    stopped_by = []
    inner = type(estimator.model)
    real = inner.fit

    def spy(model, train, validation, context):
        assert not set(train.patient_ids) & set(validation.patient_ids)
        stopped_by.append(len(validation) / (len(train) + len(validation)))
        real(model, train, validation, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "fit", spy)
        estimator.fit(estimators.train, estimators.train[slice(0, 0)], context)
    assert stopped_by == pytest.approx([0.15] * 5, abs=0.02)
    assert estimator.predict(estimators.test.without_targets()).event_probability.isfinite().all()


def held_by(train, column, rows):
    """Training patients, of whom only ``rows`` have the modality."""
    hide = torch.zeros_like(train.present)
    hide[:, column] = True
    hide[rows, column] = False
    return train.hide(hide)


@pytest.mark.parametrize("model", ["logistic", "coxnet"])
def test_a_modality_with_too_few_known_outcomes_is_left_out(model, estimators):
    sets = [f"estimator={{use='late_fusion', model={{use='{model}'}}}}"]
    recipe, _ = load_recipe(estimators.recipes / "baselines/coxnet.toml", estimators.catalog, sets=sets)
    labels, has = estimators.train.targets.labels, estimators.train.present[:, 1]
    known = has & (labels >= 0).all(dim=1)
    rows = {
        "unknown": has.nonzero().squeeze(1)[:30],
        "few": known.nonzero().squeeze(1)[:9],
        "one outcome": (known & (labels[:, 0] == 0)).nonzero().squeeze(1),
    }
    for why, holders in rows.items():
        targets = replace(
            estimators.train.targets, labels=labels.clone(), event=estimators.train.targets.event.clone()
        )
        if why == "unknown":
            targets.labels[holders], targets.event[holders] = -1, -1
        train = replace(held_by(estimators.train, 1, holders), targets=targets)
        found = []
        for cohort in (train, train.hide(torch.arange(5).eq(1).expand(len(train), -1))):
            estimator = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
            estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
            found.append(estimator.predict(estimators.test.without_targets()).event_probability)
        assert torch.equal(*found), why


def test_it_is_an_error_where_no_modality_has_enough_known_outcomes(estimators):
    with pytest.raises(
        DataError, match="late_fusion cannot be fitted on any modality: .* 10 need a known outcome"
    ):
        estimators.fitted("late_fusion", estimators.train[slice(0, 9)], estimators.train[slice(0, 0)])
