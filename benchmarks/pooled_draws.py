"""What pooling over draws of ``gaussian`` gives: intervals of means, and the coefficient of a regression.

    python benchmarks/pooled_draws.py

Synthetic cohorts of one cluster, five modalities of six features, the first never missing, the others
missing completely at random. Rubin's rules over 20 draws. First, how often the 95 % interval of a mean,
whose truth is 0, holds it. Then the coefficient in a linear regression of an outcome on one feature, whose
truth is 1: over draws made without the outcome, over draws of an imputer for which the outcome was one more
modality, and of the patients who have the feature.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext, PatientNumbers
from hcat_core.layout import Layout, Modality
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SyntheticCohort, SynthSpec, generate

WIDTH, SHARED, DRAWS = 6, 3, 20


def pooled(estimates: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate, and half the width of its 95 % interval, by Rubin's rules over the first axis."""
    m = len(estimates)
    within, between = variances.mean(axis=0), estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    freedom = (m - 1) * (total / np.maximum((1 + 1 / m) * between, 1e-12 * total)) ** 2
    return estimates.mean(axis=0), stats.t.ppf(0.975, freedom) * np.sqrt(total)


def cohort_of(patients: int, rate: float, seed: int) -> SyntheticCohort:
    """A cohort without structure but three factors, which explain half of each feature's variance."""
    return generate(
        SynthSpec(
            patients=patients,
            widths=dict.fromkeys("abcde", WIDTH),
            clusters=1,
            separation=0.0,
            shared=SHARED,
            private=0,
            visible=1.0,
            shared_variance=1.0,
            noise_variance=1.0,
            missing_rate=rate,
            gap_rate=0.0,
            seed=seed,
        )
    )


def completed_sets(cohort: Cohort, rank: int, draws: int, seed: int) -> Iterator[Tensor]:
    """(N, M, D) completed sets of an imputer that is fitted on the same patients."""
    standardiser = Standardiser.fit(cohort)
    standard = standardiser.apply(cohort)
    imputer = GaussianImputer(cohort.layout, rank=rank, components=1)
    imputer.fit(standard, standard[slice(0, 0)], FitContext(seed))
    imputation = imputer(standard)
    for number in range(1, draws + 1):
        drawn = imputation.draw(1, PatientNumbers.of(cohort.patient_ids, seed, number))[0]
        yield torch.where(cohort.measured, cohort.emb, standardiser.invert(drawn))


def mean_coverage(patients: int, rate: float, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Whether the pooled interval of each feature that may be missing holds the true mean."""
    cohort = to_cohort(cohort_of(patients, rate, seed)).without_targets()
    sets = torch.stack(list(completed_sets(cohort, SHARED, draws, seed)))[:, :, 1:].double().numpy()
    estimate, half = pooled(sets.mean(axis=1), sets.var(axis=1, ddof=1) / patients)
    return np.abs(estimate).ravel() < half.ravel()


def slopes(patients: int, rate: float, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """The coefficient of the first feature of the second modality, by what was done about missing ones."""
    synthetic = cohort_of(patients, rate, seed)
    cohort = to_cohort(synthetic).without_targets()
    noise = np.random.default_rng([seed, 1]).standard_normal(patients)
    outcome = synthetic.complete[:, 1, 0] + noise
    seen = synthetic.missingness.present[:, 1]
    found = {"complete cases": _slope(synthetic.complete[seen, 1, 0], outcome[seen])}
    for name, given in (("draws without outcome", cohort), ("draws with it", _with(cohort, outcome))):
        sets = completed_sets(given, SHARED + 1, draws, seed)
        found[name] = float(np.mean([_slope(one[:, 1, 0].numpy(), outcome) for one in sets]))
    return found


def _with(cohort: Cohort, outcome: np.ndarray) -> Cohort:
    """The cohort with the outcome as one more modality, which is never missing."""
    emb = torch.zeros((len(cohort), 1, cohort.layout.widest))
    emb[:, 0, 0] = torch.from_numpy(outcome)
    measured = torch.zeros(emb.shape, dtype=torch.bool)
    measured[:, 0, 0] = True
    one = torch.ones((len(cohort), 1))
    return replace(
        cohort,
        layout=Layout((*cohort.layout.modalities, Modality("outcome", 1))),
        emb=torch.cat([cohort.emb, emb], dim=1),
        measured=torch.cat([cohort.measured, measured], dim=1),
        present=torch.cat([cohort.present, one.bool()], dim=1),
        quality=torch.cat([cohort.quality, one], dim=1),
        n_rows=torch.cat([cohort.n_rows, one.int()], dim=1),
    )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--cohorts", type=int, default=200)
    arguments = parser.parse_args()
    for rate in (0.3, 0.5):
        seeds = range(arguments.cohorts)
        inside = np.array([mean_coverage(arguments.patients, rate, seed).mean() for seed in seeds])
        error = inside.std(ddof=1) / np.sqrt(len(inside))
        print(
            f"{rate:.0%} missing: the interval of a mean holds it in {inside.mean():.3f} (SE {error:.3f})"
        )
        found = [slopes(arguments.patients, rate, seed) for seed in seeds]
        for name in found[0]:
            values = np.array([one[name] for one in found])
            print(f"  coefficient, {name}: {values.mean():.3f} (SD over cohorts {values.std(ddof=1):.3f})")


if __name__ == "__main__":
    main()
