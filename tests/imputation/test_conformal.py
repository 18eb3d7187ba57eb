import dataclasses

import pytest
import torch

from hcat_builtin.imputers.mean import MeanImputer
from hcat_core.imputation import conformal
from hcat_core.imputation.conformal import Calibrated
from hcat_core.imputation.hidden_blocks import leave_one_block_out, mask_down, random_hiding
from hcat_core.interfaces import CommonNumbers, FitContext
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


class FeatureBlind(MeanImputer):
    """An imputer whose intervals are too narrow for even features, and too high for odd ones."""

    def __call__(self, batch):
        found = super().__call__(batch)
        even = torch.arange(batch.emb.shape[2]) % 2 == 0
        emb = torch.where(found.filled & ~even, found.emb + 0.8, found.emb)
        return dataclasses.replace(found, emb=emb, std=found.std * torch.where(even, 0.5, 1.0))


class GapBlind(MeanImputer):
    """An imputer whose standard deviations are right for blocks, and a third as large within them."""

    def __call__(self, batch):
        found = super().__call__(batch)
        std = torch.where(batch.present.unsqueeze(-1), found.std / 3, found.std)
        return dataclasses.replace(found, std=std)


class BlockBlind(MeanImputer):
    """An imputer whose standard deviations are right within blocks, and a third as large for blocks."""

    def __call__(self, batch):
        found = super().__call__(batch)
        std = torch.where(batch.present.unsqueeze(-1), found.std, found.std / 3)
        return dataclasses.replace(found, std=std)


def misses(imputer, patients, features):
    """Shares of cells below and above their 90 % interval, of some features of hidden blocks."""
    below, above, total = 0.0, 0.0, 0.0
    for hidden in leave_one_block_out(patients):
        cells = hidden.measured & features
        low, high = (end[:, hidden.column] for end in imputer(hidden.cohort).interval())
        below += float((hidden.truth < low)[cells].sum())
        above += float((hidden.truth > high)[cells].sum())
        total += float(cells.sum())
    return below / total, above / total


def test_each_feature_gets_its_own_width_and_side():
    cells = torch.randn(COHORT.emb.shape, generator=torch.Generator().manual_seed(1))  # independent
    cohort = dataclasses.replace(COHORT, emb=cells * COHORT.measured)
    train, validation, test = cohort[slice(0, 320)], cohort[slice(320, 420)], cohort[slice(420, 520)]
    even = torch.arange(cohort.emb.shape[2]) % 2 == 0
    plain = FeatureBlind(cohort.layout)
    plain.fit(train, validation, FitContext(0))
    assert min(misses(plain, test, even)) > 0.15
    assert misses(plain, test, ~even)[0] > 0.15
    calibrated = Calibrated(cohort.layout, FeatureBlind(cohort.layout))
    calibrated.fit(train, validation, FitContext(0))
    for features in (even, ~even):
        for share in misses(calibrated, test, features):
            assert 0.02 < share < 0.08


@pytest.mark.parametrize("blind", [GapBlind, BlockBlind])
def test_gaps_within_a_present_block_are_calibrated_by_themselves(blind):
    generator = torch.Generator().manual_seed(5)
    hide = TEST.measured & (torch.rand(TEST.emb.shape, generator=generator) < 0.1)
    batch = dataclasses.replace(TEST, emb=TEST.emb * ~hide, measured=TEST.measured & ~hide)
    assert torch.equal(batch.present, batch.measured.any(dim=2))

    def covered(imputation):
        low, high = imputation.interval()
        return float(((TEST.emb >= low) & (TEST.emb <= high))[hide].float().mean())

    plain = blind(COHORT.layout)
    plain.fit(TRAIN, VALIDATION, FitContext(0))
    assert min(covered(plain(batch)), coverage(plain, 1)) < 0.6
    calibrated = Calibrated(COHORT.layout, blind(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    assert abs(covered(calibrated(batch)) - 0.9) < 0.03
    assert abs(coverage(calibrated, 1) - 0.9) < 0.04


def test_features_with_two_values_get_the_right_variance_even_if_nearly_all_are_zero():
    """Such as diagnosis codes of one patient in thirty; draws of these are codes, too."""
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
            drawn = found.draw(50, torch.Generator().manual_seed(0))[:, :, 1, : cohort.layout.widths[1]]
            assert set(drawn.unique().tolist()) == {0.0, 1.0}
            assert abs(float(drawn.mean()) - float(hidden.truth[hidden.measured].mean())) < 0.01
    assert 0.75 < predicted / error < 1.35
    assert abs(coverage(calibrated, 2) - 0.9) < 0.04


class Trainable(torch.nn.Module):
    """Predicts every missing cell by one weight, which the prediction's loss is to reach."""

    def __init__(self, layout):
        super().__init__()
        self.plain = MeanImputer(layout)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def fit(self, train, validation, context):
        self.plain.fit(train, validation, context)

    def forward(self, batch):
        found = self.plain(batch)
        return dataclasses.replace(found, emb=torch.where(found.filled, found.emb + self.weight, found.emb))


def test_a_gradient_passes_through_scores_and_training_does_not_depend_on_validation_patients():
    skewed = torch.arange(COHORT.emb.shape[2]) % 3 == 0
    emb = torch.where(skewed, COHORT.emb.exp(), COHORT.emb) * COHORT.measured
    emb[:, 2] = (emb[:, 2] > 1).float() * COHORT.measured[:, 2]
    cohort = dataclasses.replace(COHORT, emb=emb)
    found = []
    for validation in (cohort[slice(320, 420)], cohort[slice(420, 520)]):
        calibrated = Calibrated(cohort.layout, Trainable(cohort.layout))
        calibrated.fit(cohort[slice(0, 320)], validation, FitContext(0))
        assert len(calibrated.maps.scores.feature)
        calibrated.train()
        found.append(calibrated(cohort[slice(0, 32)]))
        (found[-1].emb.sum() + found[-1].std.sum()).backward()
        gradient = calibrated.inner.weight.grad
        assert gradient.isfinite() and gradient != 0
    assert torch.equal(found[0].emb, found[1].emb)
    assert torch.equal(found[0].std, found[1].std)


def test_a_patient_is_imputed_the_same_in_any_batch():
    calibrated = Calibrated(COHORT.layout, FeatureBlind(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    together, alone = calibrated(TEST), calibrated(TEST[slice(7, 8)])
    for one, other in zip(together.interval(), alone.interval(), strict=True):
        torch.testing.assert_close(one[7:8], other)
    common = [CommonNumbers() for _ in range(2)]
    for generator in common:
        generator.manual_seed(4)
    drawn = [found.draw(3, numbers) for found, numbers in zip((together, alone), common, strict=True)]
    torch.testing.assert_close(drawn[0][:, 7:8], drawn[1])


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
    calibrated.calibrate(TRAIN, few)
    spread = (calibrated.factors.log() - calibrated.overall.log()).abs().max()
    assert spread < 0.35


def test_a_factor_is_shrunk_by_its_number_of_patients_on_the_log_scale():
    factors, overall = torch.tensor([[4.0, 4.0, 4.0]]), torch.tensor([1.0, 1.0, 1.0])
    counts = torch.tensor([[0.0, conformal.SHRINKAGE, 1e9]])
    found = conformal._shrink(factors, counts, overall)[0]
    assert found.tolist() == pytest.approx([1.0, 2.0, 4.0], rel=1e-4)
    few = conformal._shrink(factors, torch.full((1, 3), 6.0), overall)[0]
    assert (few < 2).all(), "six patients move a factor less than halfway"


def test_an_unknown_pattern_gets_the_overall_factor():
    calibrated = Calibrated(COHORT.layout, MeanImputer(COHORT.layout))
    calibrated.fit(TRAIN, VALIDATION, FitContext(0))
    alone = torch.ones_like(TEST.present)
    alone[:, 3] = False
    batch = TEST[TEST.present[:, 3]]
    batch = batch.hide(alone[: len(batch)])
    assert not (calibrated.patterns == batch.present[0]).all(dim=1).any()
    factor = calibrated(batch).residuals.factor
    of_second = calibrated.maps.scores.cell // COHORT.layout.widest == 1
    torch.testing.assert_close(factor[0, of_second], calibrated.overall[1].expand(int(of_second.sum())))


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
    for end, restored in zip(one(TEST).interval(), two(TEST).interval(), strict=True):
        assert torch.equal(end, restored)


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
