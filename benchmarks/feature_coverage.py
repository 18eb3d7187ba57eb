"""How often the 90 % intervals of imputed cells hold, for each kind of feature.

The cohorts have four modalities of twenty-four features each: normal, log-normal, uniform, binary with 30 %
and with 3 % ones, and zero-inflated counts. All features depend on the same four factors through monotone
functions of a normal variable. Blocks are missing completely at random, and cells within measured blocks.

An interval that ends at a value which many patients have, such as 0, cannot leave out 5 % on that side: it
covers more than 90 %. So two things are printed of each kind: the coverage of the interval, ends included,
and where the truth ranks among draws, ties broken at random (the randomised probability integral
transform). Ranks are below .05 and above .95 for 5 % of the cells each if the predictive distribution is
right.

``python benchmarks/feature_coverage.py --imputer gaussian --seeds 5``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.experiments.compare_imputers.settings import imputer_tables
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.layout import Layout, Modality
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.registry.catalog import load_catalog
from hcat_core.training.neural_estimator import ImputationInFileUnits

KINDS = ("normal", "log-normal", "uniform", "binary 30 %", "binary 3 %", "zero-inflated")
NON_NEGATIVE = tuple(kind for kind in KINDS if kind != "normal")
OF_EACH = 4  # features of each kind in a modality
FACTORS = 4
DRAWS = 99


@dataclass(frozen=True)
class MixedCohort:
    """A cohort of mixed kinds of features, in file units.

    Attributes:
        cohort: N patients.
        complete: (N, M, D) values, also of cells that were not measured.
        kind: (D,) the kind of each feature, a place in ``KINDS``.
    """

    cohort: Cohort
    complete: Tensor
    kind: Tensor


@dataclass(frozen=True)
class Ends:
    """What the cells of one kind did: shares, and the number of cells.

    Attributes:
        covered: within the interval, ends included.
        below, above: beyond an end of the interval.
        rank_below, rank_above: randomised rank among draws below .05 and above .95.
        cells: how many.
    """

    covered: float
    below: float
    above: float
    rank_below: float
    rank_above: float
    cells: int

    @property
    def rank_covered(self) -> float:
        """Share of randomised ranks between .05 and .95."""
        return 1 - self.rank_below - self.rank_above


@dataclass(frozen=True)
class Coverage:
    """By kind of feature, of hidden blocks and of gaps within measured blocks.

    Attributes:
        blocks, gaps: by kind.
        negative: lowest interval end, draw or mean of a non-negative feature, in file units.
        r2: of hidden cells, against the training mean, over all kinds.
        r2_by_kind: the same of each kind, blocks alone.
        crps: of the mean and standard deviation as a normal forecast, in training standard deviations.
    """

    blocks: dict[str, Ends]
    gaps: dict[str, Ends]
    negative: float
    r2: float
    r2_by_kind: dict[str, float]
    crps: float


def mixed_cohort(
    patients: int, seed: int, *, modalities: int = 4, missing: float = 0.3, gaps: float = 0.05
) -> MixedCohort:
    """Draw a cohort; the first modality is never missing.

    Args:
        patients: N.
        seed: of everything.
        modalities: M.
        missing: share of missing blocks.
        gaps: share of cells not measured within measured blocks.
    """
    rng = np.random.default_rng(seed)
    d = OF_EACH * len(KINDS)
    kind = np.repeat(np.arange(len(KINDS)), OF_EACH)
    loading = rng.standard_normal((modalities, d, FACTORS))
    known = rng.uniform(0.3, 0.8, (modalities, d))
    loading *= np.sqrt(known / np.square(loading).sum(axis=2))[..., None]
    latent = np.einsum("nf,mdf->nmd", rng.standard_normal((patients, FACTORS)), loading)
    latent += rng.standard_normal(latent.shape) * np.sqrt(1 - known)
    complete = np.stack([_feature(KINDS[kind[j]], latent[..., j]) for j in range(d)], axis=-1)
    present = rng.random((patients, modalities)) >= missing
    present[:, 0] = True
    measured = present[..., None] & (rng.random(complete.shape) >= gaps)
    layout = Layout(tuple(Modality(f"m{m}", d) for m in range(modalities)))
    values, seen = torch.from_numpy(complete).float(), torch.from_numpy(measured)
    cohort = Cohort(
        patient_ids=tuple(f"P{row}" for row in range(patients)),
        layout=layout,
        emb=values * seen,
        measured=seen,
        present=seen.any(dim=2),
        quality=seen.any(dim=2).float(),
        n_rows=seen.any(dim=2).int(),
    )
    return MixedCohort(cohort, values, torch.from_numpy(kind))


def _feature(kind: str, latent: np.ndarray) -> np.ndarray:
    """A feature of one kind, as a monotone function of standard normal values."""
    share = stats.norm.cdf(latent)
    if kind == "normal":
        return 5 + 2 * latent
    if kind == "log-normal":
        return np.exp(latent)
    if kind == "uniform":
        return 10 * share
    if kind.startswith("binary"):
        return (share > (0.7 if "30" in kind else 0.97)).astype(float)
    return stats.poisson.ppf(np.clip((share - 0.55) / 0.45, 1e-6, 1 - 1e-9), 3.0) * (share > 0.55)


def impute(name: str, drawn: MixedCohort, train: int, validation: int, seed: int) -> Imputation:
    """Fit an imputer as the product does, and impute the other patients, in file units."""
    cohort = drawn.cohort
    sides = (slice(0, train), slice(train, train + validation), slice(train + validation, None))
    standardiser = Standardiser.fit(cohort[sides[0]])
    standard = standardiser.apply(cohort)
    catalog = load_catalog()
    table = check_component(catalog, "imputer", imputer_tables(catalog, (name,))[name], "imputer").table
    torch.manual_seed(seed)
    imputer = Calibrated(cohort.layout, construct(catalog, "imputer", table, (cohort.layout,), Path()))
    imputer.fit(standard[sides[0]], standard[sides[1]], FitContext(seed))
    imputer.eval()
    with torch.no_grad():
        return ImputationInFileUnits.of(imputer(standard[sides[2]]), standardiser, cohort[sides[2]])


def measure(
    name: str, train: int, validation: int, test: int, seed: int, *, gaps: float = 0.05
) -> Coverage:
    """Coverage on ``test`` fresh patients of a cohort."""
    drawn = mixed_cohort(train + validation + test, seed, gaps=gaps)
    imputation = impute(name, drawn, train, validation, seed)
    rows = slice(train + validation, None)
    truth, cohort = drawn.complete[rows], drawn.cohort[rows]
    low, high = imputation.interval()
    draws = imputation.draw(DRAWS, torch.Generator().manual_seed(seed))
    noise = torch.rand(truth.shape, generator=torch.Generator().manual_seed(seed + 1))
    ties = (draws == truth).sum(dim=0)
    rank = ((draws < truth).sum(dim=0) + noise * (ties + 1)) / (DRAWS + 1)
    gap = cohort.present.unsqueeze(-1).expand_as(truth)
    by_kind = drawn.kind.expand_as(truth)

    def ends(where: Tensor) -> Ends:
        below, above = (truth < low)[where], (truth > high)[where]
        ranks = rank[where]
        shares = (~below & ~above, below, above, ranks < 0.05, ranks > 0.95)
        return Ends(*(float(share.double().mean()) for share in shares), int(where.sum()))

    spread = Standardiser.fit(drawn.cohort[slice(0, train)])
    error, around = (((truth - centre) / spread.scale).square() for centre in (imputation.emb, spread.mean))
    where = imputation.filled

    def r2(cells: Tensor) -> float:
        return float(1 - error[cells].sum() / around[cells].sum())

    non_negative = where & torch.tensor([kind in NON_NEGATIVE for kind in KINDS])[drawn.kind]
    lowest = torch.stack([low, imputation.emb, draws.amin(dim=0)]).amin(dim=0)
    kinds = list(enumerate(KINDS))
    return Coverage(
        blocks={kind: ends(where & ~gap & (by_kind == k)) for k, kind in kinds},
        gaps={kind: ends(where & gap & (by_kind == k)) for k, kind in kinds},
        negative=float(lowest[non_negative].min()),
        r2=r2(where & ~gap),
        r2_by_kind={kind: r2(where & ~gap & (by_kind == k)) for k, kind in kinds},
        crps=_crps(draws / spread.scale, truth / spread.scale, where & ~gap),
    )


def _crps(draws: Tensor, truth: Tensor, where: Tensor) -> float:
    """Mean CRPS of draws (n, N, M, D), by their order (Gneiting and Raftery 2007, eq. 21; fair)."""
    ordered = draws[:, where].sort(dim=0).values
    n = len(ordered)
    weight = 2 * torch.arange(1, n + 1, dtype=ordered.dtype).unsqueeze(1) - n - 1
    apart = (ordered * weight).sum(dim=0) / (n * (n - 1))
    return float(((ordered - truth[where]).abs().mean(dim=0) - apart).mean())


def table(found: Sequence[Coverage], place: str) -> str:
    """Means over seeds by kind, with the range of coverages."""
    lines = [f"{place:14} covered (range)      below above | ranks within (range)  below above |   R2"]
    for kind in KINDS:
        ends = [getattr(one, place)[kind] for one in found]
        plain = _line(ends, "covered", "below", "above")
        ranks = _line(ends, "rank_covered", "rank_below", "rank_above")
        r2 = f" | {np.mean([one.r2_by_kind[kind] for one in found]):.3f}" if place == "blocks" else ""
        lines.append(f"{kind:14} {plain} |  {ranks}{r2}")
    return "\n".join(lines)


def _line(ends: Sequence[Ends], covered: str, below: str, above: str) -> str:
    inside = [getattr(one, covered) for one in ends]
    tails = [float(np.mean([getattr(one, tail) for one in ends])) for tail in (below, above)]
    around = f"({min(inside):.3f}-{max(inside):.3f})"
    return f"{np.mean(inside):.3f} {around}  {tails[0]:.3f} {tails[1]:.3f}"


def main() -> None:
    """Print coverage by kind, of blocks and of gaps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imputer", default="gaussian")
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--validation", type=int, default=150)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    began = time.perf_counter()
    found = [
        measure(asked.imputer, asked.train, asked.validation, asked.test, seed)
        for seed in range(asked.seeds)
    ]
    for place in ("blocks", "gaps"):
        print(table(found, place), flush=True)
    for name, values in (("R2", [one.r2 for one in found]), ("CRPS of draws", [one.crps for one in found])):
        print(f"{name} of hidden blocks {np.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})")
    lowest = min(one.negative for one in found)
    print(f"lowest end, mean or draw of a non-negative feature {lowest:.3f}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
