"""EnhancedHCAT: how imputed, unfilled and measured modalities enter the fused vector."""

from dataclasses import replace

import pytest
import torch

from hcat_builtin.fusions.enhanced_hcat import EnhancedHCAT
from hcat_builtin.fusions.enhanced_hcat_parts import (
    AttentionPooling,
    QualityGate,
    UncertaintyWeighting,
)
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.testing.cohorts import random_cohort

BRANCHES = {"time": ["clinical", "temporal"], "space": ["spatial"]}


def fusion(layout, **kw):
    torch.manual_seed(0)
    module = EnhancedHCAT(layout, d_model=16, n_heads=4, branches=BRANCHES, **kw)
    return module.eval()


def imputed(cohort, value=0.0, std=0.5):
    filled = ~cohort.measured & cohort.layout.cells
    return Imputation(
        emb=torch.where(filled, torch.as_tensor(value), cohort.emb),
        std=filled * std,
        filled=filled,
    )


def unfilled(cohort):
    return Imputation(cohort.emb, torch.zeros_like(cohort.emb), torch.zeros_like(cohort.measured))


def test_an_imputed_block_changes_the_fused_vector_of_patients_who_lack_it_and_of_no_others():
    cohort = random_cohort(40, gaps=0)
    module = fusion(cohort.layout)
    one = module(cohort, imputed(cohort, 1.0)).pooled
    two = module(cohort, imputed(cohort, -1.0)).pooled
    moved = (one - two).abs().amax(dim=1)
    complete = cohort.present.all(dim=1)
    assert complete.any() and (~complete).any()
    assert (moved[~complete] > 1e-4).all()
    assert (moved[complete] == 0).all()


def test_a_complete_patient_does_not_depend_on_the_imputer():
    cohort = random_cohort(40, gaps=0)
    module = fusion(cohort.layout)
    complete = cohort.present.all(dim=1)
    a = module(cohort, imputed(cohort, 3.0, std=0.1)).pooled[complete]
    b = module(cohort, unfilled(cohort)).pooled[complete]
    assert torch.equal(a, b)


def test_values_in_absent_slots_and_in_padding_change_nothing():
    cohort = random_cohort(20)
    module = fusion(cohort.layout)
    noise = torch.randn_like(cohort.emb)
    dirty = replace(cohort, emb=torch.where(cohort.measured, cohort.emb, noise))
    assert torch.equal(module(cohort, unfilled(cohort)).pooled, module(dirty, unfilled(dirty)).pooled)


def test_a_missing_modality_has_a_smaller_weight_the_more_uncertain_its_imputation_is():
    weigh = UncertaintyWeighting(2)
    present = torch.tensor([[True, False]])
    filled = torch.zeros(1, 2, 6, dtype=torch.bool)
    filled[0, 1] = True
    missing = ~present
    weights = [weigh(filled * std, filled, present, missing)[0] for std in (0.1, 0.5, 1.0, 2.0)]
    assert all(w[0] == 1 for w in weights)
    missing_weights = [float(w[1].detach()) for w in weights]
    assert missing_weights == sorted(missing_weights, reverse=True)
    assert 0 < missing_weights[-1] < missing_weights[0] < 1


def test_a_more_certain_imputation_counts_more_in_the_pooling():
    cohort = random_cohort(30, gaps=0)
    module = fusion(cohort.layout)
    sure = module(cohort, imputed(cohort, 0.3, std=0.05)).weights
    unsure = module(cohort, imputed(cohort, 0.3, std=2.0)).weights
    lacking = (~cohort.present).any(dim=1)
    share = (sure * ~cohort.present).sum(dim=1) - (unsure * ~cohort.present).sum(dim=1)
    assert (share[lacking] > 0).all()


def test_a_very_uncertain_imputation_counts_as_little_as_an_unmeasured_block():
    cohort = random_cohort(30, gaps=0)
    module = fusion(cohort.layout)
    wild = module(cohort, imputed(cohort, 1.0, std=1e4)).pooled
    tame = module(cohort, imputed(cohort, -1.0, std=1e4)).pooled
    near = module(cohort, imputed(cohort, 1.0, std=0.3)).pooled
    far = module(cohort, imputed(cohort, -1.0, std=0.3)).pooled
    assert (wild - tame).abs().max() < 0.01 * (near - far).abs().max()


def test_quality_changes_the_fused_vector():
    cohort = random_cohort(10)
    gate = QualityGate(3, 16)
    tokens = torch.randn(10, 3, 16)
    low, high = gate(tokens, cohort.quality * 0), gate(tokens, cohort.quality)
    assert (low < high)[cohort.quality > 0].all()
    module = fusion(cohort.layout)
    poor = replace(cohort, quality=cohort.quality * 0.1)
    a, b = module(cohort, unfilled(cohort)).pooled, module(poor, unfilled(poor)).pooled
    assert not torch.equal(a, b)


def test_pooling_weights_sum_to_one_and_follow_the_log_weight():
    pool = AttentionPooling(8)
    tokens = torch.randn(5, 4, 8)
    _, even = pool(tokens, torch.zeros(5, 4))
    _, skewed = pool(tokens, torch.tensor([0.0, 0.0, 0.0, -100.0]).expand(5, 4))
    assert torch.allclose(even.sum(dim=1), torch.ones(5))
    assert (skewed[:, 3] < 1e-6).all()


@pytest.mark.parametrize("widths", [{"a": 1}, {"a": 3, "b": 7}, dict.fromkeys("abcdefg", 5)])
def test_any_number_of_modalities_of_any_width(widths):
    cohort = random_cohort(9, widths)
    module = EnhancedHCAT(cohort.layout, d_model=8, n_heads=2)
    fused = module(cohort, unfilled(cohort))
    assert fused.pooled.shape == (9, 8) and fused.tokens.shape == (9, len(widths), 8)
    assert torch.allclose(fused.projection.norm(dim=1), torch.ones(9), atol=1e-5)


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"a": ["clinical", "temporal"]}, "in no branch: spatial"),
        ({"a": ["clinical", "temporal", "spatial"], "b": ["clinical"]}, "named twice: clinical"),
        ({"a": ["clinical", "temporal", "spatial", "genes"]}, "no such modality: genes"),
    ],
)
def test_branches_must_cover_the_cohort(branches, message):
    with pytest.raises(ValueError, match=message):
        EnhancedHCAT(random_cohort(4).layout, d_model=8, n_heads=2, branches=branches)


def test_a_branch_may_name_a_modality_this_run_has_no_file_for():
    layout = replace(random_cohort(4).layout, absent=("genes",))
    module = EnhancedHCAT(layout, d_model=8, n_heads=2, branches={**BRANCHES, "omics": ["genes"]})
    assert set(module.members) == {"time", "space"}


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads = 3 does not divide d_model = 16"):
        EnhancedHCAT(random_cohort(4).layout, d_model=16, n_heads=3)


def test_every_parameter_learns():
    cohort = random_cohort(40)
    torch.manual_seed(0)
    module = EnhancedHCAT(cohort.layout, d_model=16, n_heads=4, branches=BRANCHES)
    torch.nn.init.normal_(module.quality_gate.content[-1].weight)  # its start at 0 stops the gradient
    fused = module(cohort, unfilled(cohort))
    (fused.pooled.square().sum() + fused.projection.sum()).backward()
    # Without imputed blocks, the slope of the weight has no effect.
    idle = {n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle <= {"uncertainty.raw_slope"}
    module.zero_grad()
    module(cohort, imputed(cohort)).pooled.square().sum().backward()
    assert module.uncertainty.raw_slope.grad.any()


def test_unfilled_gaps_enter_as_a_learned_value_and_filled_ones_are_marked():
    from hcat_builtin.imputers.mean import MeanImputer
    from hcat_builtin.imputers.none import NoImputer

    cohort = random_cohort(50).without_targets()
    nothing = NoImputer(cohort.layout)(cohort)
    assert not nothing.filled.any()
    module = fusion(cohort.layout)
    before = module(cohort, nothing).pooled
    with torch.no_grad():
        module.cell_token += 1.0  # an unfilled cell is this learned value, not the mean
    gaps = (~cohort.measured & cohort.layout.cells & cohort.present.unsqueeze(-1)).any((1, 2))
    assert (module(cohort, nothing).pooled != before).any(dim=1)[gaps].all()

    mean = MeanImputer(cohort.layout)
    mean.fit(cohort[:30], cohort[30:], FitContext(seed=0))
    result = mean(cohort)
    assert torch.equal(result.filled, ~cohort.measured & cohort.layout.cells)
    assert (result.std[result.filled] > 0).all() and not result.std[cohort.measured].any()


def test_dropout_drops_at_its_rate_keeps_the_mean_and_is_off_in_evaluation():
    from hcat_builtin.fusions.enhanced_hcat_parts import ByteDropout

    torch.manual_seed(0)
    drop = ByteDropout(0.2)
    x = torch.ones(1000, 999, requires_grad=True)
    y = drop(x)
    assert abs(float((y == 0).float().mean()) - 0.2) < 0.003
    assert abs(float(y.detach().mean()) - 1) < 0.003
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert drop.eval()(x) is x
