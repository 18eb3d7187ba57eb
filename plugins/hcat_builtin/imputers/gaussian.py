"""``gaussian``: a mixture of low-rank factor analysers, in closed form for every missingness pattern."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn

from hcat_builtin.imputers.factor_mixture import (
    FactorMixture,
    Posterior,
    Rows,
    draw,
    make_rows,
    moments,
    posterior,
)
from hcat_builtin.imputers.factor_mixture_by_row import MixtureByRow
from hcat_builtin.imputers.factor_mixture_choice import FIRST_RANK, Judge, Search, predict_hidden_blocks
from hcat_builtin.imputers.factor_mixture_fit import TrainingRows, fit_factor_mixture, improve
from hcat_core.cohort import Cohort
from hcat_core.imputation.pretraining import FEWEST_TO_CHOOSE_BY, patients_to_choose_by
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count
from hcat_core.storage.tensor_shapes import refuse_other_shapes


@dataclass(frozen=True)
class GaussianImputation(Imputation):
    """An imputation whose draws vary together: each draws a component and its factors, then the noise."""

    model: FactorMixture | None = None
    posterior: Posterior | None = None
    index: Tensor | None = None
    plain_mean: Tensor | None = None
    widening: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw (n, N, M, D) imputations; measured cells keep their values."""
        assert self.model is not None and self.posterior is not None and self.index is not None
        assert self.plain_mean is not None and self.widening is not None
        drawn = draw(self.model, self.posterior, n, generator)
        cells = self.emb.new_zeros((n, len(self.emb), math.prod(self.emb.shape[1:])))
        cells[:, :, self.index] = drawn.to(cells.dtype)
        deviation = (cells.reshape(n, *self.emb.shape) - self.plain_mean) * self.widening
        return torch.where(self.filled, self.emb + deviation, self.emb)


class GaussianImputer:
    """Imputes by the conditional mean and variance of a Gaussian mixture with low-rank covariances.

    The mixture is fitted by EM on incomplete data, with a posterior over loadings, so that the variance
    includes how uncertain the fit to a small cohort is. The number of components and the rank are those
    with the lowest CRPS on hidden blocks of validation patients; the prior on loadings shrinks factors that
    a modality does not need to zero. Where those blocks show that the other modalities predict a modality
    worse than the model expects, its imputations are shrunk towards the training mean and widened, at most
    until they are mean and standard deviation of the training patients.

    Args:
        layout: modalities and widths.
        rank: factors of each component; chosen where None.
        components: number of mixture components; chosen where None, at most eight.
        iterations: of EM, at most.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        rank: Count | None = None,
        components: Count | None = None,
        iterations: Count = 100,
    ) -> None:
        self.cells = layout.cells
        self.rank = rank
        self.components = components
        self.iterations = iterations
        self.trust = torch.ones(len(layout.modalities))
        self.index = layout.cells.flatten().nonzero().squeeze(1)
        self.block = self.index // layout.widest
        p = len(self.index)
        self.model = FactorMixture(
            weight=torch.ones(1),
            loading=torch.zeros((1, p, 2)),
            noise=torch.ones(p),
            spread=torch.zeros((1, len(layout.modalities), 2, 2)),
            block=self.block,
        )

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Choose rank and components where they are not given, and fit on ``train``."""
        self.trust = torch.ones_like(self.trust)
        enough = len(validation) >= FEWEST_TO_CHOOSE_BY
        if self.rank is not None and self.components is not None:
            self.model = with_uncertain_means(
                self._fit(train, self.rank, self.components, context.seed), train
            )
            if enough:
                self.trust = self._measure_trust(Judge.of(self._rows(validation), self.block))
            return
        fitted_on, chosen_on = patients_to_choose_by(train, validation, context.seed)
        judge = Judge.of(self._rows(chosen_on), self.block)
        training = TrainingRows.of(self._rows(fitted_on), self.block)
        search = Search(training, judge, self.iterations, context.seed, context.progress)
        best = search.run(self.rank, self.components)
        context.progress(f"gaussian: components {best.clusters}, rank {best.rank}: chosen")
        self.model = best.fit.model
        self.trust = self._measure_trust(judge)
        if fitted_on is not train:
            everyone = TrainingRows.of(self._rows(train), self.block)
            self.model = improve(best.fit.anew(), everyone, self.iterations).model
        self.model = with_uncertain_means(self.model, train)

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap of the batch."""
        model = self.model.to(batch.emb.device)
        return self.imputation(batch, model, posterior(model, self._rows(batch)))

    def traceable(self) -> nn.Module:
        """The same imputation, in which no computation depends on which patterns a batch has."""
        return EachRow(self)

    def imputation(self, batch: Cohort, model: FactorMixture, factors: Posterior) -> GaussianImputation:
        """The imputation of a batch, from its clusters and factors.

        Args:
            batch: N patients.
            model: the mixture, on the batch's device.
            factors: of the N patients.
        """
        device = batch.emb.device
        index = self.index.to(device)
        mean, variance = moments(model, factors)
        emb = torch.zeros_like(batch.emb).flatten(1)
        std = torch.zeros_like(emb)
        emb[:, index] = mean.to(emb.dtype)
        std[:, index] = variance.sqrt().to(emb.dtype)
        emb, std = emb.reshape(batch.emb.shape), std.reshape(batch.emb.shape)
        # Cells are standardised: the training mean is 0 and its variance 1. Gaps within a present block are
        # predicted from that block too, so the trust, measured on whole hidden blocks, does not apply.
        trust = torch.where(batch.present, 1.0, self.trust.to(device)).unsqueeze(-1)
        widened = (trust * std.square() + (1 - trust)).sqrt()
        filled = ~batch.measured & self.cells.to(device)
        return GaussianImputation(
            emb=torch.where(filled, trust * emb, batch.emb),
            std=torch.where(filled, widened, 0.0),
            filled=filled,
            model=model,
            posterior=factors,
            index=index,
            plain_mean=emb,
            widening=widened / std.clamp_min(1e-6),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, loadings, noise, the loadings' spread, and the trust in each modality."""
        model = self.model
        return {
            "weight": model.weight,
            "loading": model.loading,
            "noise": model.noise,
            "spread": model.spread,
            "trust": self.trust,
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: for tensors of other shapes.
        """
        cells, modalities = len(self.index), len(self.trust)
        clusters, factors = state["loading"].shape[0], state["loading"].shape[-1]
        expected = {
            "weight": (clusters,),
            "loading": (clusters, cells, factors),
            "noise": (cells,),
            "spread": (clusters, modalities, factors, factors),
            "trust": (modalities,),
        }
        refuse_other_shapes(state, expected)
        weight, loading, noise, spread = (
            state[name].cpu() for name in ("weight", "loading", "noise", "spread")
        )
        self.model = FactorMixture(weight, loading, noise, spread, self.block)
        self.trust = state["trust"].cpu()

    def _rows(self, cohort: Cohort) -> Rows:
        """The patients' cells without padding, by missingness pattern."""
        index = self.index.to(cohort.emb.device)
        return make_rows(cohort.emb.flatten(1)[:, index], cohort.measured.flatten(1)[:, index])

    def _fit(self, train: Cohort, rank: int, components: int, seed: int) -> FactorMixture:
        rows = self._rows(train)
        start = None
        if components > 1:
            start = fit_factor_mixture(
                rows, self.block, rank=max(rank, FIRST_RANK), clusters=1, iterations=15, seed=seed
            ).model
        fit = fit_factor_mixture(
            rows,
            self.block,
            rank=rank,
            clusters=components,
            iterations=self.iterations,
            seed=seed,
            start=start,
        )
        return fit.model

    def _measure_trust(self, judge: Judge) -> Tensor:
        """(M,) slope of the truth on the imputation of hidden blocks, between 0 and 1.

        Its standard error is computed over patients; a slope within one standard error of 1 counts as 1.
        """
        trust = torch.ones_like(self.trust)
        for hidden in predict_hidden_blocks(self.model, judge):
            if len(hidden.truth) < FEWEST_TO_CHOOSE_BY:
                continue
            imputed = hidden.mean * hidden.measured
            product = (imputed * hidden.truth).sum(dim=1).double()
            square = imputed.square().sum(dim=1).double()
            slope = product.sum() / square.sum().clamp_min(1e-9)
            error = (product - slope * square).square().sum().sqrt() / square.sum().clamp_min(1e-9)
            trust[hidden.column] = 1.0 if slope + error >= 1 else slope.clamp(0, 1)
        return trust


class EachRow(nn.Module):
    """A fitted ``gaussian`` that treats each row as a pattern of its own.

    Args:
        imputer: whose imputation it gives.
    """

    def __init__(self, imputer: GaussianImputer) -> None:
        super().__init__()
        self.imputer = imputer
        self.mixture = MixtureByRow.of(imputer.model)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap of the batch."""
        imputer = self.imputer
        cells, measured = (part.flatten(1)[:, imputer.index] for part in (batch.emb, batch.measured))
        factors = self.mixture.posterior(torch.where(measured, cells, 0.0), measured)
        return imputer.imputation(batch, imputer.model, factors)


def with_uncertain_means(model: FactorMixture, train: Cohort) -> FactorMixture:
    """The model with means as uncertain as those of the training patients who have a modality.

    Cells are standardised: the fit finds every mean at 0, and concludes that means hardly vary. But 0 is
    where standardisation put the training patients' own mean, whose variance, in units of the noise, is
    1 / patients. Without it, draws would be too much alike for an analysis that pools over them.
    """
    patients = (model.weight[:, None] * train.present.sum(dim=0)).clamp_min(1)  # (K, M)
    spread = model.spread.clone()
    spread[..., 0, 0] = torch.maximum(spread[..., 0, 0], (1 / patients).to(spread))
    return replace(model, spread=spread)
