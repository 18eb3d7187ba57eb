"""How well measured blocks of test patients are imputed when they are hidden, beside simple imputers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.imputation.conformal import Calibrated
from hcat_core.imputation.hidden_blocks import HiddenBlock, leave_one_block_out
from hcat_core.imputation.scores import covered, gaussian_crps
from hcat_core.interfaces import FitContext, Imputation, Imputer
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.ratio_intervals import ratio_intervals
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog

Pair = tuple[float, float]
NO_INTERVALS = Resampling(0, 0)
CLOSED_FORM = "gaussian"  # the imputer that networks have to beat


@dataclass(frozen=True)
class ImputationQuality:
    """How well one modality's measured blocks are imputed when they are hidden.

    Attributes:
        blocks: number of hidden blocks, one per patient.
        r2: R2 against the mean of the training patients, over all cells; None without any.
        crps: mean CRPS over cells, in standard deviations of the training patients; smaller is better.
        coverage_50: share of cells within their 50 % interval, over features with more than two values; an
            interval that ends at a value which many patients have, such as 0, covers more.
        coverage_90: share of cells within their 90 % interval, over the same features.
        width_90: mean width of the 90 % intervals, in standard deviations of the training patients.
        r2_95: 95 % interval of ``r2`` over resampled patients, as are the next ones; None with fewer than
            twenty patients.
        crps_95: of ``crps``.
        coverage_50_95: of ``coverage_50``.
        coverage_90_95: of ``coverage_90``.
        width_90_95: of ``width_90``.
    """

    blocks: int
    r2: float | None = None
    crps: float | None = None
    coverage_50: float | None = None
    coverage_90: float | None = None
    width_90: float | None = None
    r2_95: Pair | None = None
    crps_95: Pair | None = None
    coverage_50_95: Pair | None = None
    coverage_90_95: Pair | None = None
    width_90_95: Pair | None = None


@dataclass(frozen=True)
class ImputationAnalysis:
    """The imputer of a run by modality, and simple imputers on the same blocks.

    Attributes:
        model: by modality.
        references: by name of the imputer and modality: ``mean``, the mean and standard deviation of the
            training patients, and ``gaussian``, the mixture of factor analysers in closed form.
        patients: test patients whose blocks were hidden; drawn where there are very many.
        fitted_on: training patients that ``gaussian`` was fitted on, likewise; 0 without it.
    """

    model: Mapping[str, ImputationQuality]
    references: Mapping[str, Mapping[str, ImputationQuality]]
    patients: int
    fitted_on: int = 0

    def total(self, name: str | None = None) -> ImputationQuality | None:
        """R2 and CRPS over all modalities, each with the same weight; None where nothing was imputed."""
        table = self.model if name is None else self.references.get(name, {})
        scored = [q for q in table.values() if q.r2 is not None and q.crps is not None]
        if not scored:
            return None
        return ImputationQuality(
            sum(q.blocks for q in scored),
            sum(q.r2 or 0.0 for q in scored) / len(scored),
            sum(q.crps or 0.0 for q in scored) / len(scored),
        )

    def warning(self) -> str | None:
        """A sentence for an imputer that is no better than the mean of the training patients."""
        imputed = {name for name, quality in self.model.items() if quality.crps is not None}
        means = {n: q for n, q in self.references.get("mean", {}).items() if n in imputed}
        model, mean = self.total(), ImputationAnalysis(means, {}, self.patients).total()
        if model is None or mean is None or model.crps is None or mean.crps is None:
            return None
        if model.crps < mean.crps:
            return None
        return (
            "the imputer is no better than the mean of the training patients: CRPS on hidden blocks "
            f"{model.crps:.3f}, of the mean {mean.crps:.3f} (R2 {model.r2:.3f})"
        )


def analyse_imputation(
    impute: Callable[[Cohort], Imputation],
    training: Cohort,
    test: Cohort,
    standardiser: Standardiser,
    closed_form: Imputer | None,
    resampling: Resampling = NO_INTERVALS,
) -> ImputationAnalysis:
    """Score an imputer, the mean, and the closed form where it is given, on the same hidden blocks.

    Args:
        impute: cohort -> imputation, in the units of the files.
        training: patients that the closed form is fitted on, in the units of the files; the imputer was
            fitted on these, and maybe on others.
        test: patients that it was not fitted on.
        standardiser: of the training patients; scores are in its units.
        closed_form: not yet fitted; None where the imputer is it.
        resampling: of the test patients.
    """
    quality = imputation_quality(impute, test, standardiser, resampling)
    if not any(one.r2 is not None for one in quality.values()):
        return ImputationAnalysis(quality, {}, len(test))

    def mean(patients: Cohort) -> Imputation:
        filled = ~patients.measured & patients.layout.cells
        emb = torch.where(filled, standardiser.mean, patients.emb)
        return Imputation(emb, filled * standardiser.scale, filled)

    references = {"mean": imputation_quality(mean, test, standardiser, resampling)}
    if closed_form is not None:
        standard = standardiser.apply(training.without_targets())
        fitted = Calibrated(training.layout, closed_form)  # in normal scores, as the run's imputer
        fitted.fit(standard, standard[slice(0, 0)], FitContext(0))

        def conditional(patients: Cohort) -> Imputation:
            with torch.no_grad():
                imputation = fitted(standardiser.apply(patients))
            emb = standardiser.invert(imputation.emb)
            return Imputation(emb, imputation.std * standardiser.scale, imputation.filled)

        references[CLOSED_FORM] = imputation_quality(conditional, test, standardiser, resampling)
    return ImputationAnalysis(
        quality, references, len(test), len(training) if closed_form is not None else 0
    )


def closed_form_imputer(recipe: Recipe, catalog: Catalog, cohort: Cohort) -> Imputer | None:
    """The closed-form imputer at its defaults; None where it is the recipe's, or not installed."""
    is_its_own = recipe.imputer.get("use") == CLOSED_FORM
    if is_its_own or catalog.registries["imputer"].find(CLOSED_FORM) is None:
        return None
    table = check_component(catalog, "imputer", {"use": CLOSED_FORM}, "imputer").table
    assert table is not None, "its defaults are valid"
    imputer: Imputer = construct(catalog, "imputer", table, (cohort.layout,), recipe.root)
    return imputer


def imputation_quality(
    impute: Callable[[Cohort], Imputation],
    cohort: Cohort,
    standardiser: Standardiser,
    resampling: Resampling = NO_INTERVALS,
) -> dict[str, ImputationQuality]:
    """Score an imputer by modality, on the modality's measured blocks, hidden one at a time.

    Args:
        impute: cohort -> imputation, in the units of the files.
        cohort: patients that the imputer was not fitted on.
        standardiser: of the training patients; scores are in its units.
        resampling: of the patients.
    """
    two_valued = cohort.two_valued()
    return {
        cohort.layout.names[block.column]: _quality(
            _Scored(block, impute(block.cohort), standardiser, two_valued[block.column]),
            resampling.of(block.rows.numpy()),
        )
        for block in leave_one_block_out(cohort.without_targets())
    }


@dataclass(frozen=True)
class _Scored:
    """A hidden block of n patients, and what was imputed for it.

    ``two_valued`` (D,) are features that take two values.
    """

    block: HiddenBlock
    imputation: Imputation
    standardiser: Standardiser
    two_valued: torch.Tensor

    @property
    def cells(self) -> torch.Tensor:
        """(n, D) bool: measured and imputed."""
        return self.block.measured & self.imputation.filled[:, self.block.column]

    def standard(self, values: torch.Tensor) -> torch.Tensor:
        """(n, D) values of the modality in standard deviations of the training patients."""
        column = self.block.column
        scaled: torch.Tensor = (values - self.standardiser.mean[column]) / self.standardiser.scale[column]
        return scaled

    def ends(self, level: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, D) ends of the intervals."""
        low, high = (self.standard(end[:, self.block.column]) for end in self.imputation.interval(level))
        return low, high

    def sums(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """By score, what each of n patients adds to its numerator and to its denominator.

        Of ``r2`` the numerator is the squared error, which the ratio is the share of that is left.
        """
        column, cells = self.block.column, self.cells
        truth = self.standard(self.block.truth)
        imputed = self.standard(self.imputation.emb[:, column])
        std = self.imputation.std[:, column] / self.standardiser.scale[column]
        several = cells & ~self.two_valued
        low, high = self.ends(0.9)
        every = {
            "r2": ((truth - imputed).square(), truth.square(), cells),
            "crps": (gaussian_crps(truth, imputed, std), torch.ones(()), cells),
            "coverage_50": (covered(truth, *self.ends(0.5)), torch.ones(()), several),
            "coverage_90": (covered(truth, low, high), torch.ones(()), several),
            "width_90": (high - low, torch.ones(()), several),
        }
        return {name: (_sum(value, where), _sum(of, where)) for name, (value, of, where) in every.items()}


def _sum(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """(n,) sums over the features of a modality, of the cells in ``where`` (n, D) alone."""
    return torch.where(where, values.double(), 0.0).sum(dim=1)


def _quality(scored: _Scored, resampling: Resampling) -> ImputationQuality:
    blocks = len(scored.block.rows)
    if not bool(scored.cells.any()):
        return ImputationQuality(blocks)
    sums = scored.sums()
    above, below = (torch.stack([pair[side] for pair in sums.values()], dim=1).numpy() for side in (0, 1))
    total = below.sum(axis=0)
    points = np.divide(above.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
    ends = ratio_intervals(above, below, resampling)
    found: dict[str, Any] = {}
    for name, point, pair in zip(sums, points, ends, strict=True):
        found |= {name: float(point) if np.isfinite(point) else None, f"{name}_95": pair}
    if found["r2"] is not None:
        found["r2"] = 1 - found["r2"]
    if found["r2_95"] is not None:
        found["r2_95"] = 1 - found["r2_95"][1], 1 - found["r2_95"][0]
    return ImputationQuality(blocks, **found)
