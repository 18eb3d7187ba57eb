"""How often 95 % intervals hold the truth: of AUC, differences and slopes, with few events, with groups.

    python benchmarks/metric_intervals.py [--cohorts 1000]

Scores of patients with the event and without are unit normals, so that the true AUC is known. Records of
one patient share nine tenths of the variance of their scores, and the outcome.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.intervals import Resampling, auc_interval, aucs, paired_auc_difference
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.resampling import group_numbers, resampled_counts

RESAMPLES = 1000
SEPARATION = 1.0
Interval = tuple[float, float] | None


def visits(
    seed: int, patients: int, each: int, events: int, separation: float = SEPARATION
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, outcomes and patients of ``each`` records of every patient."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.permutation(np.arange(patients) < events), each).astype(int)
    shared = np.sqrt(0.9) if each > 1 else 1.0
    own = np.repeat(rng.normal(size=patients), each) * shared
    score = own + rng.normal(size=len(y)) * np.sqrt(1 - shared**2) + separation * y
    groups = group_numbers([str(i // each) for i in range(len(y))])
    return score, y, np.arange(len(y)) if groups is None else groups


def auc(
    patients: int, each: int, events: int, grouped: bool, separation: float
) -> Callable[[int], Interval]:
    """The interval of one cohort's AUC."""

    def interval(seed: int) -> Interval:
        score, y, groups = visits(seed, patients, each, events, separation)
        return auc_interval(score, y, None, Resampling(RESAMPLES, seed, groups if grouped else None))

    return interval


def percentiles(patients: int, events: int, separation: float) -> Callable[[int], Interval]:
    """The interval of percentiles of resampled patients, for comparison."""

    def interval(seed: int) -> Interval:
        score, y, _ = visits(seed, patients, 1, events, separation)
        counts = resampled_counts(np.random.default_rng(seed), y == 1, None, RESAMPLES)
        low, high = np.quantile(aucs(score, y == 1, counts), [0.025, 0.975])
        return float(low), float(high)

    return interval


def mixed_visits(groups: int, each: int) -> Callable[[int], Interval]:
    """The interval of groups with both outcomes, which share half the variance of their scores."""

    def interval(seed: int) -> Interval:
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(groups), each)
        y = (rng.random(len(group)) < 0.4).astype(int)
        shared = np.repeat(rng.normal(size=groups), each)
        score = np.sqrt(0.5) * (shared + rng.normal(size=len(group))) + SEPARATION * y
        return auc_interval(score, y, None, Resampling(RESAMPLES, seed, group))

    return interval


def difference(patients: int, each: int, events: int, grouped: bool) -> Callable[[int], Interval]:
    """The interval of the difference of two models that are equally good."""

    def interval(seed: int) -> Interval:
        score, y, groups = visits(seed, patients, each, events)
        rng = np.random.default_rng(10_000 + seed)
        models = [score + np.repeat(rng.normal(size=patients), each) * 0.5 for _ in range(2)]
        resampling = Resampling(RESAMPLES, seed, groups if grouped else None)
        found = paired_auc_difference(*models, y, None, resampling)
        return None if found is None else (found[1], found[2])

    return interval


def slope(patients: int, each: int, grouped: bool) -> Callable[[int], Interval]:
    """The interval of the calibration slope of probabilities that are right."""

    def interval(seed: int) -> Interval:
        rng = np.random.default_rng(seed)
        z = rng.standard_normal(patients)
        y = (rng.random(patients) < sigmoid(z)).astype(int)
        p, label, groups = (np.repeat(a, each) for a in (sigmoid(z), y, np.arange(patients)))
        return calibration(p, label, None, groups if grouped else None).calibration_slope_95

    return interval


def row(name: str, interval: Callable[[int], Interval], truth: float, cohorts: int) -> str:
    """One line of the table: coverage, and the share of cohorts above and below the interval."""
    ends = np.array([found for seed in range(cohorts) if (found := interval(seed)) is not None])
    below, above = (truth < ends[:, 0]).mean(), (truth > ends[:, 1]).mean()
    return f"{name:64} {1 - below - above:.3f}  {below:.3f}  {above:.3f}  {np.diff(ends).mean():.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=1000)
    cohorts = parser.parse_args().cohorts
    print(f"{'interval, ' + str(cohorts) + ' cohorts':64} holds  low    high   width")
    for separation in (0.5, SEPARATION, 1.8, 2.5, 3.0):
        truth = float(norm.cdf(separation / np.sqrt(2)))
        for patients, events in ((60, 10), (60, 20), (150, 60)):
            name = f"AUC {truth:.2f}, {events} events of {patients}"
            print(row(name, auc(patients, 1, events, True, separation), truth, cohorts))
            resampled = percentiles(patients, events, separation)
            print(row(f"{name}, percentiles of a bootstrap", resampled, truth, cohorts))
    truth = float(norm.cdf(SEPARATION / np.sqrt(2)))
    for patients, events in ((80, 27), (36, 12)):
        for grouped in (True, False):
            what = "patients" if grouped else "records"
            name = f"{events} of {patients} patients, 3 records each, by {what}"
            print(
                row(
                    f"AUC {truth:.2f}, {name}",
                    auc(patients, 3, events, grouped, SEPARATION),
                    truth,
                    cohorts,
                )
            )
            print(row(f"difference, {name}", difference(patients, 3, events, grouped), 0.0, cohorts))
    for number, each in ((12, 6), (20, 6), (40, 6), (60, 4)):
        name = f"AUC {truth:.2f}, {number} groups of {each} with both outcomes"
        print(row(name, mixed_visits(number, each), truth, cohorts))
    for grouped in (True, False):
        what = "patients" if grouped else "records"
        print(row(f"slope, 150 patients, 3 records each, by {what}", slope(150, 3, grouped), 1.0, cohorts))


if __name__ == "__main__":
    main()
