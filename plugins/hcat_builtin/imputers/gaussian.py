"""``gaussian``: a mixture of low-rank factor analysers, in closed form for every pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hcat_builtin.imputers.factor_mixture import (
    FactorMixture,
    Posterior,
    draw,
    make_rows,
    moments,
    posterior,
)
from hcat_builtin.imputers.factor_mixture_fit import fit_factor_mixture
from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.imputation.scores import gaussian_crps
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.registry.parameter_types import Count

RANKS = (4, 8, 24, 32)  # tried around the first one, 16
FIRST_RANK = 16
MOST_COMPONENTS = 8
ENOUGH = 30  # validation patients; with fewer, a fifth of the training patients choose


@dataclass(frozen=True)
class GaussianImputation(Imputation):
    """Draws that vary together: a cluster and its factors for each patient, then the noise."""

    model: FactorMixture | None = None
    posterior: Posterior | None = None
    index: Tensor | None = None
    plain_mean: Tensor | None = None
    widening: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D); measured cells as they are."""
        assert self.model is not None and self.posterior is not None and self.index is not None
        assert self.plain_mean is not None and self.widening is not None
        flat = draw(self.model, self.posterior, n, generator)
        whole = self.emb.new_zeros((n, len(self.emb), self.emb[0].numel()))
        whole[:, :, self.index] = flat.to(whole.dtype)
        around = (whole.reshape(n, *self.emb.shape) - self.plain_mean) * self.widening
        return torch.where(self.filled, self.emb + around, self.emb)


class GaussianImputer:
    """Conditional mean, variance and draws of a Gaussian mixture with low-rank covariances.

    Fitted by EM on incomplete data, with a posterior over loadings, so that the variance contains what
    a small cohort cannot know. The number of components and the rank are those that best predict
    hidden blocks of validation patients (CRPS); the prior on loadings shrinks factors away that a
    modality does not need. Where the other modalities say less of a modality than the model believes,
    as those blocks show, its imputations are drawn back to the training mean, and widened: to the point
    of being the mean.

    Args:
        layout: modalities and widths.
        rank: factors of each component; None: chosen.
        components: of the mixture; None: chosen, at most eight.
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
        if self.rank is not None and self.components is not None:
            self.model = self._fit(train, self.rank, self.components, context.seed)
            if len(validation) >= ENOUGH:
                self.trust = self._trust(validation)
            return
        if len(validation) >= ENOUGH:
            fitted_on, judged_on = train, validation
        else:
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(context.seed))
            fifth = max(1, len(train) // 5)
            fitted_on, judged_on = train[order[fifth:]], train[order[:fifth]]
        rank, components, model = self._choose(fitted_on, judged_on, context)
        context.progress(f"gaussian: {components} components of rank {rank}")
        self.model = model
        self.trust = self._trust(judged_on)
        if fitted_on is not train:
            self.model = self._fit(train, rank, components, context.seed)

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap of the batch."""
        device = batch.emb.device
        index = self.index.to(device)
        model = _to(self.model, device)
        rows = make_rows(batch.emb.flatten(1)[:, index], batch.measured.flatten(1)[:, index])
        found = posterior(model, rows)
        mean, variance = moments(model, found)
        emb = torch.zeros_like(batch.emb).flatten(1)
        std = torch.zeros_like(emb)
        emb[:, index] = mean.to(emb.dtype)
        std[:, index] = variance.sqrt().to(emb.dtype)
        emb, std = emb.reshape(batch.emb.shape), std.reshape(batch.emb.shape)
        # Standardised cells: the training mean is 0 and its variance 1. A gap within a block that is
        # there has that block to go by, which the trust in a modality says nothing of.
        trust = torch.where(batch.present, 1.0, self.trust.to(device)).unsqueeze(-1)
        widened = (trust * std.square() + (1 - trust)).sqrt()
        filled = ~batch.measured & self.cells.to(device)
        return GaussianImputation(
            emb=torch.where(filled, trust * emb, batch.emb),
            std=torch.where(filled, widened, 0.0),
            filled=filled,
            model=model,
            posterior=found,
            index=index,
            plain_mean=emb,
            widening=widened / std.clamp_min(1e-6),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, loadings, noise, the loadings' spread, and the trust in each modality."""
        m = self.model
        return {
            "weight": m.weight,
            "loading": m.loading,
            "noise": m.noise,
            "spread": m.spread,
            "trust": self.trust,
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave."""
        self.model = FactorMixture(
            state["weight"].cpu(),
            state["loading"].cpu(),
            state["noise"].cpu(),
            state["spread"].cpu(),
            self.block,
        )
        self.trust = state["trust"].cpu()

    def _fit(
        self,
        train: Cohort,
        rank: int,
        components: int,
        seed: int,
        start: FactorMixture | None = None,
    ) -> FactorMixture:
        rows = make_rows(train.emb.flatten(1)[:, self.index], train.measured.flatten(1)[:, self.index])
        if components > 1 and start is None:
            start = fit_factor_mixture(
                rows, self.block, rank=max(rank, FIRST_RANK), clusters=1, iterations=15, seed=seed
            ).model
        return fit_factor_mixture(
            rows,
            self.block,
            rank=rank,
            clusters=components,
            iterations=self.iterations,
            seed=seed,
            start=start,
        ).model

    def _choose(self, train: Cohort, judge: Cohort, context: FitContext) -> tuple[int, int, FactorMixture]:
        """More components while they help (two disappointments end it), then the rank."""
        limit = max(1, len(train) // 4)
        first = self.rank or min(FIRST_RANK, limit)
        counts = [self.components] if self.components else range(1, MOST_COMPONENTS + 1)
        best: tuple[float, int, int, FactorMixture] | None = None
        start: FactorMixture | None = None
        worse = 0
        for components in counts:
            if components is None or len(train) < 10 * components and components > 1:
                break
            model = self._fit(train, first, components, context.seed, start)
            if components == 1:
                start = model
            score = self._score(model, judge)
            context.progress(
                f"gaussian: {components} components, rank {first}: CRPS {score:.4f} on hidden blocks"
            )
            if best is None or score < best[0]:
                best, worse = (score, first, components, model), 0
            else:
                worse += 1
            if worse == 2:
                break
        assert best is not None
        if self.rank is None:
            components = best[2]
            for rank in RANKS:
                if rank <= limit:
                    model = self._fit(train, rank, components, context.seed)
                    score = self._score(model, judge)
                    if score < best[0]:
                        best = (score, rank, components, model)
        return best[1], best[2], best[3]

    def _trust(self, judge: Cohort) -> Tensor:
        """(M,) slope of the truth on the imputation of hidden blocks, between 0 and 1.

        Patients are the unit of its standard error; a slope that 1 is within reach of is 1.
        """
        trust = torch.ones_like(self.trust)
        for hidden in leave_one_block_out(judge):
            if len(hidden.rows) < ENOUGH:
                continue
            imputed = self(hidden.cohort).emb[:, hidden.column] * hidden.measured
            product = (imputed * hidden.truth).sum(dim=1).double()
            square = imputed.square().sum(dim=1).double()
            slope = product.sum() / square.sum().clamp_min(1e-9)
            error = (product - slope * square).square().sum().sqrt() / square.sum().clamp_min(1e-9)
            trust[hidden.column] = 1.0 if slope + error >= 1 else slope.clamp(0, 1)
        return trust

    def _score(self, model: FactorMixture, judge: Cohort) -> float:
        """Mean CRPS of hidden blocks, each block and each patient counting the same."""
        kept, self.model = self.model, model
        scores = []
        for hidden in leave_one_block_out(judge):
            imputation = self(hidden.cohort)
            cells = gaussian_crps(
                hidden.truth, imputation.emb[:, hidden.column], imputation.std[:, hidden.column]
            )
            count = hidden.measured.sum(dim=1).clamp_min(1)
            scores.append(float(((cells * hidden.measured).sum(dim=1) / count).mean()))
        self.model = kept
        return sum(scores) / max(1, len(scores))


def _to(model: FactorMixture, device: torch.device) -> FactorMixture:
    if model.loading.device == device:
        return model
    return FactorMixture(
        model.weight.to(device),
        model.loading.to(device),
        model.noise.to(device),
        model.spread.to(device),
        model.block.to(device),
    )
