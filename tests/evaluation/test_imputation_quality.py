"""The quality of imputed blocks: what is scored, on which features."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.data.standardisation import Standardiser
from hcat_core.evaluation.imputation_quality import imputation_quality
from hcat_core.interfaces import Imputation
from hcat_core.metrics.intervals import Resampling
from hcat_core.testing.cohorts import random_cohort

WIDE = 100.0  # standard deviation of what is imputed for features of two values: their intervals hold all


def cohort_with_codes():
    """The second half of each modality's features has two values."""
    cohort = random_cohort(200, {"clinical": 4, "spatial": 4}, missing=0.2, gaps=0)
    codes = torch.cat([cohort.emb[:, :, :2], (cohort.emb[:, :, 2:] > 0).float()], dim=2)
    return replace(cohort, emb=codes * cohort.measured)


def imputed(batch, std):
    filled = ~batch.measured & batch.layout.cells
    return Imputation(torch.where(filled, torch.zeros(()), batch.emb), filled * std, filled)


def test_coverage_and_width_leave_out_features_of_two_values():
    cohort = cohort_with_codes()
    standardiser = Standardiser.fit(cohort)
    narrow, wide = torch.full((4,), 0.7), torch.tensor([0.7, 0.7, WIDE, WIDE])
    one, other = (
        imputation_quality(lambda batch, std=std: imputed(batch, std), cohort, standardiser)
        for std in (narrow, wide)
    )
    for name in cohort.layout.names:
        assert one[name].coverage_90 == other[name].coverage_90
        assert one[name].width_90 == other[name].width_90 < 10
        assert one[name].crps < other[name].crps, "other scores are over all features"


def test_scores_have_intervals_over_patients_or_groups_of_them():
    cohort = random_cohort(300, {"clinical": 4, "spatial": 4}, missing=0.2, gaps=0)
    standardiser = Standardiser.fit(cohort)
    groups = np.arange(300) // 10

    def half(batch):
        filled = imputed(batch, torch.ones(4))
        return replace(filled, emb=torch.where(batch.measured, batch.emb, standardiser.mean + 0.3))

    none = imputation_quality(half, cohort, standardiser)["clinical"]
    assert none.r2_95 is none.coverage_90_95 is None
    for resampling in (Resampling(400, 0), Resampling(400, 0, groups)):
        quality = imputation_quality(half, cohort, standardiser, resampling)["clinical"]
        assert quality.r2 == none.r2 and quality.crps == none.crps
        for score in ("r2", "crps", "coverage_50", "coverage_90"):
            low, high = getattr(quality, f"{score}_95")
            assert low < getattr(quality, score) < high < low + 0.2, score
    few = imputation_quality(half, cohort[slice(0, 18)], standardiser, Resampling(400, 0))["clinical"]
    assert few.r2 is not None and few.r2_95 is None


def test_the_mean_has_no_r2_and_the_truth_one():
    cohort = cohort_with_codes()
    standardiser = Standardiser.fit(cohort)

    def mean(batch):
        return replace(
            imputed(batch, torch.ones(4)), emb=torch.where(batch.measured, batch.emb, standardiser.mean)
        )

    of_patient = {patient: row for row, patient in enumerate(cohort.patient_ids)}

    def truth(batch):
        rows = torch.tensor([of_patient[patient] for patient in batch.patient_ids])
        return replace(imputed(batch, torch.ones(4)), emb=cohort.emb[rows])

    for quality in imputation_quality(mean, cohort, standardiser).values():
        assert quality.r2 == pytest.approx(0, abs=0.05)
        assert quality.blocks > 50
    for quality in imputation_quality(truth, cohort, standardiser).values():
        assert quality.r2 == pytest.approx(1, abs=1e-6) and quality.coverage_50 == 1


def test_intervals_are_those_of_50_and_90_percent():
    """The mean and standard deviation of normal features, as imputed."""
    cohort = random_cohort(600, {"clinical": 4, "spatial": 4}, missing=0.2, gaps=0)
    standardiser = Standardiser.fit(cohort)

    def mean(batch):
        emb = torch.where(batch.measured, batch.emb, standardiser.mean)
        return replace(imputed(batch, standardiser.scale), emb=emb)

    for quality in imputation_quality(mean, cohort, standardiser).values():
        assert quality.width_90 == pytest.approx(2 * 1.6449, abs=1e-3)
        assert quality.coverage_50 == pytest.approx(0.5, abs=0.06)
        assert quality.coverage_90 == pytest.approx(0.9, abs=0.03)
