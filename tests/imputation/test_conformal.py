import dataclasses

import pytest
import torch

from hcat_builtin.imputers.mean import MeanImputer
from hcat_core.imputation.conformal import Calibrated
from hcat_core.imputation.hidden_blocks import leave_one_block_out, mask_down, random_hiding
from hcat_core.interfaces import FitContext
from hcat_core.registry.catalog import load_catalog
from hcat_core.testing.checks import subject_of

SUBJECT = subject_of(load_catalog(), "imputer", "mean")
COHORT = SUBJECT.cohort.without_targets()
TRAIN, VALIDATION, TEST = COHORT[slice(0, 320)], COHORT[slice(320, 420)], COHORT[slice(420, 520)]


class Overconfident(MeanImputer):
    """An imputer whose standard deviations are half as large in one modality and double in another."""

    def __call__(self, batch):
        found = super().__call__(batch)
        factor = torch.tensor([1.0, 0.5, 2.0, 1.0])[:, None]
        return dataclasses.replace(found, std=found.std * factor)


def coverage(imputer, column):
    covered, total = 0.0, 0.0
    for hidden in leave_one_block_out(TEST):
        if hidden.column == column:
            found = imputer(hidden.cohort)
            z = (hidden.truth - found.emb[:, column]).abs() / found.std[:, column].clamp_min(1e-9)
            covered += float((z[hidden.measured] < 1.645).sum())
            total += float(hidden.measured.sum())
    return covered / total


def test_calibrated_90_percent_intervals_cover_90_percent_of_hidden_cells():
    plain = Overconfident(COHORT.layout)
    plain.fit(TRAIN, VALIDATION, FitContext(0))
    assert coverage(plain, 1) < 0.7
    assert coverage(plain, 2) > 0.97
    calibrated = Calibrated(COHORT.layout, Overconfident(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    for column in (1, 2):
        assert abs(coverage(calibrated, column) - 0.9) < 0.04


def test_features_with_two_values_get_the_right_variance_even_if_nearly_all_are_zero():
    """Such as diagnosis codes of one patient in thirty: a 90 % interval of these would have no width."""
    rare = (torch.rand(COHORT.emb.shape, generator=torch.Generator().manual_seed(2)) < 0.03).float()
    emb = torch.where(torch.tensor([False, True, False, False])[:, None], rare, COHORT.emb)
    cohort = dataclasses.replace(COHORT, emb=emb * COHORT.measured)
    train, validation, test = cohort[slice(0, 320)], cohort[slice(320, 420)], cohort[slice(420, 520)]
    calibrated = Calibrated(cohort.layout, Overconfident(cohort.layout))
    calibrated.fit(train, validation, FitContext(0))
    error = predicted = 0.0
    for hidden in leave_one_block_out(test):
        if hidden.column == 1:
            found = calibrated(hidden.cohort)
            error += float((hidden.truth - found.emb[:, 1])[hidden.measured].square().sum())
            predicted += float(found.std[:, 1][hidden.measured].square().sum())
    assert 0.75 < predicted / error < 1.35
    assert abs(coverage(calibrated, 2) - 0.9) < 0.04


def test_draws_have_the_calibrated_standard_deviation():
    calibrated = Calibrated(COHORT.layout, Overconfident(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    found = calibrated(TEST)
    drawn = found.draw(400, torch.Generator().manual_seed(0))
    ratio = drawn.std(dim=0)[found.filled] / found.std[found.filled]
    assert abs(float(ratio.mean()) - 1) < 0.02
    assert torch.equal(drawn[3][TEST.measured], TEST.emb[TEST.measured])


def test_small_groups_shrink_to_the_overall_factor():
    calibrated = Calibrated(COHORT.layout, Overconfident(COHORT.layout))
    calibrated.inner.fit(TRAIN, VALIDATION, FitContext(0))
    few = VALIDATION[slice(0, 6)]
    calibrated.calibrate(TRAIN.present, few)
    spread = (calibrated.factors.log() - calibrated.overall.log()).abs().max()
    assert spread < 0.35


def test_an_unknown_pattern_gets_the_overall_factor():
    calibrated = Calibrated(COHORT.layout, MeanImputer(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    alone = torch.ones_like(TEST.present)
    alone[:, 3] = False
    batch = TEST[TEST.present[:, 3]]
    batch = batch.hide(alone[: len(batch)])
    assert not (calibrated.patterns == batch.present[0]).all(dim=1).any()
    ratio = calibrated(batch).std / calibrated.inner(batch).std.clamp_min(1e-9)
    torch.testing.assert_close(ratio[0, 1, :20], calibrated.overall[1].expand(20))


def test_a_batch_of_another_layout_is_an_error_that_names_both():
    calibrated = Calibrated(COHORT.layout, MeanImputer(COHORT.layout))
    from hcat_core.testing.cohorts import random_cohort

    with pytest.raises(ValueError, match=r"clinical \(12\).*this batch has clinical \(4\)"):
        calibrated(random_cohort())


def test_state_dict_restores_the_calibration():
    one = Calibrated(COHORT.layout, Overconfident(COHORT.layout))
    one.fit(TRAIN, VALIDATION, FitContext(0))
    two = Calibrated(COHORT.layout, Overconfident(COHORT.layout)).eval()
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(TEST).std, two(TEST).std)


def test_masking_down_leaves_the_pattern_and_returns_the_truth():
    patterns = torch.unique(TRAIN.present, dim=0)
    seen = 0
    for hidden in mask_down(VALIDATION, patterns):
        assert (hidden.cohort.present == torch.tensor(hidden.pattern)).all()
        assert not hidden.pattern[hidden.column]
        assert torch.equal(hidden.truth, VALIDATION.emb[hidden.rows, hidden.column])
        seen += 1
    assert seen > 5


def test_hidden_blocks_were_present_and_every_patient_keeps_one():
    present = COHORT.present
    hide = random_hiding(present, torch.Generator().manual_seed(0))
    assert not (hide & ~present).any()
    assert (present & ~hide).any(dim=1).all()
    assert hide[present.sum(dim=1) > 1].any(dim=1).all()
    assert not hide[present.sum(dim=1) == 1].any()
