"""Standardisation: statistics of training patients' measured cells, and of nobody else."""

from dataclasses import replace

import torch

from hcat_core.data.standardisation import Standardiser
from hcat_core.testing.cohorts import random_cohort


def test_training_features_come_out_centred_with_unit_spread():
    cohort = random_cohort(200)
    cohort = replace(cohort, emb=(cohort.emb * 50 + 1000) * cohort.measured)
    standard = Standardiser.fit(cohort).apply(cohort)
    for m, width in enumerate(cohort.layout.widths):
        for d in range(width):
            cells = standard.emb[:, m, d][cohort.measured[:, m, d]]
            assert abs(cells.mean()) < 1e-4 and abs(cells.std(correction=0) - 1) < 1e-4
    assert not standard.emb[~cohort.measured].any()


def test_held_out_values_change_no_statistic():
    cohort = random_cohort(60)
    train = torch.arange(40)
    before = Standardiser.fit(cohort[train])
    cohort.emb[40:] = cohort.emb[40:] * 1000 + 7
    after = Standardiser.fit(cohort[train])
    assert torch.equal(before.mean, after.mean) and torch.equal(before.scale, after.scale)


def test_what_is_not_measured_counts_for_nothing():
    cohort = random_cohort(60)
    sentinel = replace(cohort, emb=cohort.emb.clone())
    row, column = (~cohort.measured[:, 2, :8]).nonzero()[0].tolist()
    assert sentinel.emb[row, 2, column] == 0
    keep = torch.ones(60, dtype=torch.bool)
    keep[row] = False
    alone = Standardiser.fit(cohort[keep])
    together = Standardiser.fit(cohort)
    assert torch.allclose(alone.mean[2, column], together.mean[2, column])


def test_constant_and_never_measured_features_stay_finite():
    cohort = random_cohort(30)
    cohort.emb[:, 0, 1] = 5.3 * cohort.measured[:, 0, 1]
    cohort = cohort.hide(torch.tensor([False, True, False]).expand(30, 3))
    fitted = Standardiser.fit(cohort)
    assert fitted.scale[0, 1] == 1 and (fitted.scale[1] == 1).all()
    assert fitted.apply(cohort).emb.isfinite().all()


def test_inverting_gives_the_files_units_back():
    cohort = random_cohort(50)
    fitted = Standardiser.fit(cohort)
    back = fitted.invert(fitted.apply(cohort).emb)
    assert torch.allclose(back[cohort.measured], cohort.emb[cohort.measured], atol=1e-5)
    restored = Standardiser.from_state(fitted.state_dict())
    assert torch.equal(restored.scale, fitted.scale)


def test_large_codes_around_zero_come_back_without_the_errors_of_arithmetic():
    cohort = random_cohort(50)
    codes = (cohort.emb * 3000).round()
    usual = (codes * cohort.measured).sum(dim=0) / cohort.measured.sum(dim=0).clamp_min(1)
    codes = codes - usual.round()
    cohort = replace(cohort, emb=codes * cohort.measured)
    fitted = Standardiser.fit(cohort)
    standard = fitted.apply(cohort).emb
    assert not torch.equal(fitted.invert(standard)[cohort.measured], codes[cohort.measured])
    assert torch.equal(fitted.invert_imputed(standard)[cohort.measured], codes[cohort.measured])
