import torch

from hcat_builtin.imputers import factor_mixture_fit
from hcat_builtin.imputers.factor_mixture_choice import Judge, hidden_block_crps
from hcat_builtin.imputers.factor_mixture_fit import (
    TrainingRows,
    begin,
    everyone,
    improve,
    principal_directions,
)
from hcat_builtin.imputers.factor_rotation import block_rotation
from hcat_builtin.imputers.gaussian import GaussianImputer

WIDTHS = torch.tensor([60.0, 40.0, 50.0], dtype=torch.float64)


def products_of(loadings):
    """Three blocks of two clusters, each block with the shared factors 0 and 1 and two of its own."""
    return torch.stack([loading.mT @ loading for loading in loadings], dim=1)


def cost(products):
    return (WIDTHS[:, None] * products.diagonal(dim1=-2, dim2=-1).log()).sum(dim=(1, 2))


def test_it_finds_the_factors_of_each_block_again():
    generator = torch.Generator().manual_seed(0)
    mixed = []
    turn = torch.linalg.qr(torch.randn((2, 8, 8), generator=generator, dtype=torch.float64))[0]
    separate = []
    for m, width in enumerate(WIDTHS.int().tolist()):
        loading = torch.zeros((2, width, 8), dtype=torch.float64)
        own = [0, 1, 2 + 2 * m, 3 + 2 * m]
        loading[:, :, own] = torch.randn((2, width, 4), generator=generator, dtype=torch.float64)
        separate.append(loading)
        mixed.append(loading @ turn)
    uncertainty = 0.5 * torch.eye(8, dtype=torch.float64)
    true, products = products_of(separate) + uncertainty, products_of(mixed) + uncertainty
    rotation = block_rotation(products, WIDTHS, sweeps=6)
    identity = torch.eye(8, dtype=torch.float64).expand(2, 8, 8)
    torch.testing.assert_close(rotation.mT @ rotation, identity)
    turned = rotation.mT.unsqueeze(1) @ products @ rotation.unsqueeze(1)
    assert (cost(products) > cost(true) + 100).all()
    assert (cost(turned) < cost(true) + 1).all()


def test_factors_that_are_separate_stay_as_they_are():
    scales = torch.tensor([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0], [1.0, 1.0, 9.0]], dtype=torch.float64)
    rotation = block_rotation(torch.diag_embed(scales).unsqueeze(0), WIDTHS, sweeps=2)
    torch.testing.assert_close(rotation[0], torch.eye(3, dtype=torch.float64))


def test_one_factor_needs_no_rotation():
    assert block_rotation(torch.ones((2, 3, 1, 1)).double(), WIDTHS, sweeps=2).flatten().tolist() == [1, 1]


def test_factors_of_single_modalities_are_found_in_few_iterations(monkeypatch, draw_cohort):
    cohort = draw_cohort(clusters=1, shared=4, private=3, width=64)
    imputer = GaussianImputer(cohort.layout)
    training = TrainingRows.of(imputer._rows(cohort[slice(0, 240)]), imputer.block)
    judge = Judge.of(imputer._rows(cohort[slice(240, 340)]), imputer.block)

    def crps(sweeps, iterations):
        monkeypatch.setattr(factor_mixture_fit, "SWEEPS", sweeps)
        start = principal_directions(training, everyone(training), 16, 0)
        return hidden_block_crps(improve(begin(training, start, 16), training, iterations).model, judge)

    turned, plain, plain_and_long = crps(factor_mixture_fit.SWEEPS, 6), crps(0, 6), crps(0, 100)
    assert turned < plain
    assert turned < 1.005 * plain_and_long
