import pytest
import torch

from hcat_builtin.imputers.factor_mixture import FactorMixture, moments, posterior
from hcat_builtin.imputers.factor_mixture_fit import Fit, TrainingRows, improve
from hcat_builtin.imputers.incomplete_rows import GAPS_AT_ONCE, group_rows, make_rows, observe

BLOCK = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2])


def random_rows(n, *, gap_rate, seed=0):
    """Rows whose blocks are missing for a third of them, and cells within present blocks for some."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn((n, len(BLOCK)), generator=generator)
    present = torch.rand((n, 3), generator=generator) < 0.67
    gaps = torch.rand(cells.shape, generator=generator) < gap_rate
    return make_rows(cells, present[:, BLOCK] & ~gaps)


def random_mixture(seed=1):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(shape, generator=generator) for shape in ((2, 12, 4), (12,), (2, 3, 4, 4))]
    spread = 0.02 * draw[2] @ draw[2].mT
    return FactorMixture(torch.tensor([0.3, 0.7]), draw[0], draw[1].exp(), spread, BLOCK)


@pytest.mark.parametrize("sizes", [[1, 1, 1], [100, 1, 7], [3, 130, 0, 2]])
def test_groups_hold_every_row_once_beside_rows_of_its_pattern(sizes):
    pattern = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    pattern = pattern[torch.randperm(len(pattern), generator=torch.Generator().manual_seed(0))]
    groups = group_rows(pattern, len(sizes))
    assert groups.row.flatten()[groups.place].tolist() == list(range(len(pattern)))
    owner = groups.pattern.unsqueeze(1).expand_as(groups.row).flatten()
    assert torch.equal(owner[groups.place], pattern)
    assert groups.there.sum() == len(pattern)
    assert groups.row.numel() <= 2 * len(pattern) + len(sizes)


@pytest.mark.parametrize("gap_rate", [0.0, 0.1, 0.8])
def test_gaps_are_the_cells_missing_from_present_blocks(gap_rate):
    rows = random_rows(60, gap_rate=gap_rate)
    observed = observe(rows, BLOCK)
    lacking = torch.zeros((len(rows.masks), len(BLOCK) + 1))
    for gaps in observed.gaps:
        assert gaps.cell.numel() <= GAPS_AT_ONCE
        lacking.index_put_((gaps.pattern.unsqueeze(1), gaps.cell), torch.tensor(1.0), accumulate=True)
    assert torch.equal(observed.has[:, BLOCK].float() - rows.masks, lacking[:, :-1])


@pytest.mark.parametrize("gap_rate", [0.0, 0.1, 0.8])
def test_an_iteration_is_that_of_a_loop_over_rows_and_cells(gap_rate):
    rows, model = random_rows(80, gap_rate=gap_rate), random_mixture()
    training = TrainingRows.of(rows, BLOCK)
    scale = torch.full((2, 3, 4), 0.5, dtype=torch.float64)
    found = improve(Fit(model, scale), training, 1).model
    loading, noise, weight = iteration_by_loops(rows, model, scale)
    torch.testing.assert_close(found.loading.double(), loading, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.noise.double(), noise, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.weight.double(), weight, rtol=1e-4, atol=1e-5)


def iteration_by_loops(rows, model, scale):
    """Loadings, noise and weights after one iteration, from the definition of EM."""
    factors = posterior(model, rows)
    k, p, q = model.loading.shape
    products = torch.zeros((k, p, q, q), dtype=torch.float64)
    cross = torch.zeros((k, p, q), dtype=torch.float64)
    of_block = torch.zeros((k, 3, q, q), dtype=torch.float64)
    squares = torch.zeros(p, dtype=torch.float64)
    for i, s in enumerate(rows.pattern.tolist()):
        present = {int(b) for b, m in zip(BLOCK, rows.masks[s], strict=True) if m}
        for c in range(k):
            z = torch.cat([torch.ones(1, dtype=torch.float64), factors.mean[i, c]])
            outer = z[:, None] * z[None]
            outer[1:, 1:] += factors.covariance[s, c]
            for b in present:
                of_block[c, b] += factors.share[i, c] * outer
            for d in range(p):
                if rows.masks[s, d]:
                    products[c, d] += factors.share[i, c] * outer
                    cross[c, d] += factors.share[i, c] * z * rows.cells[i, d]
                    squares[d] += factors.share[i, c] * rows.cells[i, d].square()
    old = model.noise.double()
    loading = torch.zeros((k, p, q), dtype=torch.float64)
    for c in range(k):
        for b in range(3):
            mine = (BLOCK == b).nonzero().flatten().tolist()
            spread = torch.linalg.inv(of_block[c, b] + torch.diag(old[mine].mean() / scale[c, b]))
            for d in mine:
                # A cell missing in a present block counts with what the current loadings expect.
                expected = cross[c, d] + (of_block[c, b] - products[c, d]) @ model.loading[c, d].double()
                loading[c, d] = spread @ expected
                squares[d] += loading[c, d] @ products[c, d] @ loading[c, d]
                squares[d] += (spread * of_block[c, b]).sum() * old[d] - 2 * cross[c, d] @ loading[c, d]
    seen = rows.masks[rows.pattern].sum(dim=0).double()
    pooled = torch.stack([squares[b == BLOCK].sum() / seen[b == BLOCK].sum() for b in range(3)])
    noise = (squares + 20 * pooled[BLOCK]) / (seen + 20)
    return loading, noise, (factors.share.sum(dim=0) + 1) / (len(factors.share) + k)


def test_posterior_and_moments_have_gradients_of_cells_and_parameters():
    measured = random_rows(9, gap_rate=0.2)
    mask, mixture = measured.masks[measured.pattern].bool(), random_mixture()

    def outcome(cells, loading, noise):
        model = FactorMixture(mixture.weight.double(), loading, noise, mixture.spread.double(), BLOCK)
        factors = posterior(model, make_rows(cells, mask))
        mean, variance = moments(model, factors)
        return mean, variance, factors.mean, factors.log_likelihood

    given = (measured.cells.double(), mixture.loading.double(), mixture.noise.double())
    inputs = [value.clone().requires_grad_(True) for value in given]
    assert torch.autograd.gradcheck(outcome, inputs, atol=1e-4, rtol=1e-3)
