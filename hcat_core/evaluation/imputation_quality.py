"""How well measured blocks of test patients are imputed when they are hidden, beside simple imputers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.imputation.conformal import Calibrated
from hcat_core.imputation.hidden_blocks import HiddenBlock, leave_one_block_out
from hcat_core.imputation.scores import covered, gaussian_crps
from hcat_core.interfaces import FitContext, Imputation, Imputer
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog

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
    """

    blocks: int
    r2: float | None = None
    crps: float | None = None
    coverage_50: float | None = None
    coverage_90: float | None = None
    width_90: float | None = None


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
) -> ImputationAnalysis:
    """Score an imputer, the mean, and the closed form where it is given, on the same hidden blocks.

    Args:
        impute: cohort -> imputation, in the units of the files.
        training: patients that the closed form is fitted on, in the units of the files; the imputer was
            fitted on these, and maybe on others.
        test: patients that it was not fitted on.
        standardiser: of the training patients; scores are in its units.
        closed_form: not yet fitted; None where the imputer is it.
    """
    quality = imputation_quality(impute, test, standardiser)
    if not any(one.r2 is not None for one in quality.values()):
        return ImputationAnalysis(quality, {}, len(test))

    def mean(patients: Cohort) -> Imputation:
        filled = ~patients.measured & patients.layout.cells
        emb = torch.where(filled, standardiser.mean, patients.emb)
        return Imputation(emb, filled * standardiser.scale, filled)

    references = {"mean": imputation_quality(mean, test, standardiser)}
    if closed_form is not None:
        standard = standardiser.apply(training.without_targets())
        fitted = Calibrated(training.layout, closed_form)  # in normal scores, as the run's imputer
        fitted.fit(standard, standard[slice(0, 0)], FitContext(0))

        def conditional(patients: Cohort) -> Imputation:
            with torch.no_grad():
                imputation = fitted(standardiser.apply(patients))
            emb = standardiser.invert(imputation.emb)
            return Imputation(emb, imputation.std * standardiser.scale, imputation.filled)

        references[CLOSED_FORM] = imputation_quality(conditional, test, standardiser)
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
    impute: Callable[[Cohort], Imputation], cohort: Cohort, standardiser: Standardiser
) -> dict[str, ImputationQuality]:
    """Score an imputer by modality, on the modality's measured blocks, hidden one at a time.

    Args:
        impute: cohort -> imputation, in the units of the files.
        cohort: patients that the imputer was not fitted on.
        standardiser: of the training patients; scores are in its units.
    """
    two_valued = cohort.two_valued()
    return {
        cohort.layout.names[block.column]: _quality(
            block, impute(block.cohort), standardiser, two_valued[block.column]
        )
        for block in leave_one_block_out(cohort.without_targets())
    }


def _quality(
    block: HiddenBlock, imputation: Imputation, standardiser: Standardiser, two_valued: torch.Tensor
) -> ImputationQuality:
    blocks = len(block.rows)
    mean, scale = standardiser.mean[block.column], standardiser.scale[block.column]
    cells = block.measured & imputation.filled[:, block.column]
    if not bool(cells.any()):
        return ImputationQuality(blocks)
    truth = ((block.truth - mean) / scale)[cells]
    imputed = ((imputation.emb[:, block.column] - mean) / scale)[cells]
    std = (imputation.std[:, block.column] / scale)[cells]
    total = truth.square().sum()
    r2 = float(1 - (truth - imputed).square().sum() / total) if total > 0 else None
    crps = float(gaussian_crps(truth, imputed, std).mean())
    several = cells & ~two_valued
    if not bool(several.any()):
        return ImputationQuality(blocks, r2, crps)
    truth = ((block.truth - mean) / scale)[several]

    def ends(level: float) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = (((end[:, block.column] - mean) / scale) for end in imputation.interval(level))
        return low[several], high[several]

    low, high = ends(0.9)
    return ImputationQuality(
        blocks,
        r2,
        crps,
        coverage_50=float(covered(truth, *ends(0.5)).float().mean()),
        coverage_90=float(covered(truth, low, high).float().mean()),
        width_90=float((high - low).mean()),
    )
