"""Quantiles of residuals and the maps that they make."""

import torch

from hcat_core.imputation.residual_quantiles import (
    LEVELS,
    bend,
    normal_quantiles,
    shrunk_quantiles,
    weighted_quantiles,
)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_quantiles_are_signed_and_weighted():
    residual = normal(4000, 1).exp()
    once = torch.full((1,), 4000)
    found = weighted_quantiles(residual, torch.ones_like(residual), once)[0]
    expected = normal_quantiles().exp()
    torch.testing.assert_close(found, expected, rtol=0.08, atol=0)
    nothing_above_1 = weighted_quantiles(residual, (residual < 1).float(), once)[0]
    assert nothing_above_1[-1] < 1


def test_an_interval_from_few_patients_covers_new_ones_as_often_as_it_should():
    """Between the sample's own 5 and 95 % quantiles there are less than 90 % of new patients."""
    residual = normal(20, 4000)
    found = weighted_quantiles(residual, torch.ones_like(residual), torch.full((4000,), 20))
    low, high = (torch.special.ndtr(found[:, end]) for end in (0, -1))
    assert abs(float((high - low).mean()) - 0.9) < 0.01


def test_features_that_are_alike_share_their_quantiles_and_one_unlike_them_keeps_its_own():
    residual = normal(150, 40)
    patients, weight = torch.full((40,), 150), torch.ones((150, 40))
    alike = shrunk_quantiles(residual, weight, patients)
    own = weighted_quantiles(residual, weight, patients)
    assert alike[:, -1].std() < 0.5 * own[:, -1].std()
    residual[:, :10] *= 3
    unlike = shrunk_quantiles(residual, weight, patients)
    assert unlike[:10, -1].mean() > 2 * unlike[10:, -1].mean()


def test_a_feature_that_no_patient_has_gets_the_quantiles_of_the_others():
    residual, weight = 2 * normal(300, 4), torch.ones((300, 4))
    weight[:, 3] = 0
    found = shrunk_quantiles(residual, weight, weight.sum(dim=0).long())
    torch.testing.assert_close(found[3], found[:3].mean(dim=0), atol=0.3, rtol=0)
    assert found.isfinite().all()


def test_a_map_takes_normal_quantiles_to_those_of_the_residuals_and_back():
    quantiles = torch.tensor([[-3.0, -1.0, 0.2, 0.5, 1.0], [-1.0, -0.5, 0.0, 2.0, 9.0]])
    z = normal_quantiles().unsqueeze(1).expand(len(LEVELS), 2)
    found = bend(z, normal_quantiles(), quantiles)
    torch.testing.assert_close(found, quantiles.T)
    x = torch.linspace(-4, 4, 33).unsqueeze(1).expand(33, 2)
    back = bend(bend(x, normal_quantiles(), quantiles), quantiles, normal_quantiles())
    torch.testing.assert_close(back, x, atol=1e-4, rtol=1e-4)
