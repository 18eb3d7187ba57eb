"""A model trained on a synthetic cohort, and what its generator knows about patients it has not seen.

Labels are drawn from the true probabilities, without loss to follow-up: where outcomes become unknown and
times are not used, known outcomes have a higher share of events than all, and no interval is about that.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import FitContext
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SyntheticCohort, generate, preset_spec
from hcat_core.synth.oracle import FactorPosterior, factor_posterior
from hcat_core.synth.outcomes import event_probability
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, fit_estimator, neural_parts_of

RECIPE = Path(__file__).parents[1] / "recipes" / "enhanced.toml"
POINTS = 128  # at which the expectation over factors is computed
BATCH = 512


@dataclass(frozen=True)
class Case:
    """A synthetic cohort of ``patients`` to train on and ``test`` others.

    Attributes:
        preset: of ``hcat synth``.
        patients: to train on.
        test: patients to predict.
        width: of each of the five modalities.
        seed: of the cohort and the training.
        sets: options of the recipe, as after ``--set``.
    """

    preset: str
    patients: int
    test: int
    width: int
    seed: int
    sets: tuple[str, ...]


def cases_asked_for(description: str | None, presets: Sequence[str]) -> Iterator[Case]:
    """The cases that the command line asks for: each preset with each seed from 0."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--preset", action="append", default=[], help=f"by default {', '.join(presets)}")
    parser.add_argument("--patients", type=int, default=1500)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="an option of the recipe")
    given = parser.parse_args()
    for preset in given.preset or presets:
        for seed in range(given.seeds):
            yield Case(preset, given.patients, given.test, given.width, seed, tuple(given.set))


@dataclass(frozen=True)
class Trained:
    """A model, its test patients without targets, and the cohort that they are ``rows`` of."""

    fitted: Fitted
    test: Cohort
    synthetic: SyntheticCohort
    rows: slice


def train(case: Case) -> Trained:
    """Draw the cohort and train the recipe on it."""
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPE, catalog, sets=[f"seed={case.seed}", *case.sets])
    everyone = case.patients + case.test
    synthetic = generate(preset_spec(case.preset, patients=everyone, width=case.width, seed=case.seed))
    cohort = with_known_labels(synthetic, case.seed)
    context: FitContext = TrainingContext(case.seed, parts=neural_parts_of(recipe, catalog))
    nobody = cohort[slice(0, 0)]
    fitted = fit_estimator(recipe, catalog, cohort[: case.patients], nobody, context)
    rows = slice(case.patients, everyone)
    return Trained(fitted, cohort[rows].without_targets(), synthetic, rows)


def with_known_labels(synthetic: SyntheticCohort, seed: int) -> Cohort:
    """The cohort with every label known, drawn from the true probability, and no times."""
    true = synthetic.outcomes.probability
    labels = np.random.default_rng([seed, 99]).random(true.shape) < true
    unknown = torch.full(true.shape, torch.nan), torch.full(true.shape, -1, dtype=torch.int8)
    return replace(
        to_cohort(synthetic), targets=Targets(torch.from_numpy(labels.astype(np.int8)), *unknown)
    )


def normal_points(factors: int) -> np.ndarray:
    """(S, R) quasi-random standard normal numbers (Sobol)."""
    from scipy.stats import norm, qmc

    return np.asarray(norm.ppf(np.clip(qmc.Sobol(factors, rng=0).random(POINTS), 1e-9, 1 - 1e-9)))


def true_probability(synthetic: SyntheticCohort, cells: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """(N, T) P(event | the measured ones of the (N, M, D) cells), under the generator."""
    points = normal_points(synthetic.parameters.loadings.shape[3])
    parts = []
    for start in range(0, len(cells), BATCH):
        part = slice(start, start + BATCH)
        posterior = factor_posterior(synthetic.parameters, cells[part], measured[part])
        parts.append(_expected(synthetic, posterior, points))
    return np.concatenate(parts)


def _expected(synthetic: SyntheticCohort, posterior: FactorPosterior, points: np.ndarray) -> np.ndarray:
    """(N, T) with the same points for all patients, so that differences between these are not noise."""
    n, clusters, r = posterior.mean.shape
    total = np.zeros((n, synthetic.outcomes.probability.shape[1]))
    for c in range(clusters):
        root = np.linalg.cholesky(posterior.covariance[:, c] + 1e-9 * np.eye(r))
        z = posterior.mean[:, c, None] + points @ np.swapaxes(root, 1, 2)
        risk = synthetic.risk_model.risk(np.full(n * len(points), c), z.reshape(-1, r))
        p = event_probability(risk).reshape(n, len(points), -1).mean(axis=1)
        total += posterior.responsibility[:, c, None] * p
    return total


def draw_cells(synthetic: SyntheticCohort, rows: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(draws, n, M, D) cells of these patients given those measured, under the generator."""
    p, rng = synthetic.parameters, np.random.default_rng(seed)
    posterior = factor_posterior(p, synthetic.complete[rows], synthetic.measured[rows])
    n, clusters, r = posterior.mean.shape
    root = np.linalg.cholesky(posterior.covariance + 1e-9 * np.eye(r))
    bounds, place = posterior.responsibility.cumsum(axis=1), np.arange(n)
    drawn = np.empty((draws, *synthetic.complete[rows].shape), np.float32)
    for one in drawn:
        c = np.minimum((bounds < rng.random((n, 1))).sum(axis=1), clusters - 1)
        z = posterior.mean[place, c] + np.einsum("nij,nj->ni", root[place, c], rng.standard_normal((n, r)))
        noise = rng.standard_normal(one.shape) * p.noise
        one[:] = p.means[c] + np.einsum("nmdr,nr->nmd", p.loadings[c], z) + noise
    return drawn
