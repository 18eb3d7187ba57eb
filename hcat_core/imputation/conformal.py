"""``Calibrated``: conformal scaling of an imputer's standard deviation, whatever the imputer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.hidden_blocks import mask_down
from hcat_core.imputation.scores import Z90
from hcat_core.interfaces import FitContext, Imputation, Imputer

LEVEL = 0.9
SHRINKAGE = 30.0  # patients' worth of belief in the overall factor
OWN = ("patterns", "factors", "overall", "two_valued", "two_valued_factor")
ASSUMPTION = (
    "coverage is checked on blocks hidden from patients who have them: it holds for missing blocks as "
    "far as these are missing at random given the rest"
)


class Calibrated(nn.Module):
    """An imputer whose 90 % intervals hold 90 % of hidden validation cells.

    Validation patients are masked down to each missingness pattern of the training patients, and every
    block they lose is imputed. For each pattern and block, ``factor`` is the 90 % quantile of
    \\|truth - mean\\| / std over its cells, by 1.645; every patient has the same say, however many cells
    were measured. The logarithm of a group's factor is shrunk to that of all groups by the number of its
    patients. Assumption: ``ASSUMPTION``.

    No interval holds 90 % of a feature that takes two values: nine in ten zeros would leave it no width.
    Of such features the variance is made right, by one factor a modality, ``two_valued_factor``.

    Args:
        layout: modalities.
        inner: the imputer.
    """

    patterns: Tensor
    factors: Tensor
    overall: Tensor
    two_valued: Tensor
    two_valued_factor: Tensor

    def __init__(self, layout: Layout, inner: Imputer) -> None:
        super().__init__()
        m = len(layout.modalities)
        self.layout = layout
        self.inner = inner
        self.register_buffer("patterns", torch.zeros((0, m), dtype=torch.bool))
        self.register_buffer("factors", torch.ones((0, m)))
        self.register_buffer("overall", torch.ones(m))
        self.register_buffer("two_valued", torch.zeros((m, layout.widest), dtype=torch.bool))
        self.register_buffer("two_valued_factor", torch.ones(m))

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the imputer, then calibrate it."""
        self.inner.fit(train, validation, context)
        self.calibrate(train.present, validation.to(context.device))

    @torch.no_grad()
    def calibrate(self, training_present: Tensor, validation: Cohort) -> None:
        """Measure the factors of the inner imputer as it is now."""
        self.eval()
        m = self.overall.shape[0]
        device = self.overall.device
        patterns = torch.unique(training_present.to(device), dim=0)
        factors = torch.ones((len(patterns), m), device=device)
        counts = torch.zeros((len(patterns), m), device=device)
        pooled: dict[int, list[tuple[Tensor, Tensor]]] = {column: [] for column in range(m)}
        place = {tuple(p.tolist()): row for row, p in enumerate(patterns)}
        self.two_valued = validation.two_valued()
        seen, told = torch.zeros(m, device=device), torch.zeros(m, device=device)  # variance
        for hidden in mask_down(validation, patterns):
            found = self.inner(hidden.cohort)
            column = hidden.column
            where = hidden.measured & found.filled[:, column]
            std = found.std[:, column].clamp_min(1e-6)
            error = (hidden.truth - found.emb[:, column]).abs()
            two = where & self.two_valued[column]
            seen[column] += error[two].square().sum()
            told[column] += std[two].square().sum()
            where = where & ~self.two_valued[column]
            if not where.any():
                continue
            z = error / std
            weight = where / where.sum(dim=1, keepdim=True).clamp_min(1)
            z, weight = z[where], weight[where]
            row = place[hidden.pattern]
            factors[row, column] = _quantile(z, weight) / Z90
            counts[row, column] = len(hidden.rows)
            pooled[column].append((z, weight))
        overall = torch.ones(m, device=device)
        for column, parts in pooled.items():
            if parts:
                z = torch.cat([part[0] for part in parts])
                overall[column] = _quantile(z, torch.cat([part[1] for part in parts])) / Z90
        floor = torch.tensor(1e-3, device=device)
        own, common = factors.clamp_min(floor).log(), overall.clamp_min(floor).log()
        self.patterns = patterns
        self.factors = ((counts * own + SHRINKAGE * common) / (counts + SHRINKAGE)).exp()
        self.overall = overall.clamp_min(floor)
        self.two_valued_factor = torch.where(told > 0, (seen / told.clamp_min(floor**2)).sqrt(), 1.0)

    def forward(self, batch: Cohort) -> Imputation:
        """The inner imputation, its standard deviations and draws scaled; while training as it is.

        Raises:
            ValueError: for a batch of another layout than the imputer's.
        """
        if batch.layout.names != self.layout.names or batch.layout.widths != self.layout.widths:
            raise ValueError(
                f"the imputer was made for {_widths(self.layout)}, this batch has {_widths(batch.layout)}"
            )
        imputation: Imputation = self.inner(batch)
        if self.training:  # validation patients have no part in the weights that are being learned
            return imputation
        same = (batch.present.unsqueeze(1) == self.patterns).all(dim=2)  # (N, S)
        known = same.any(dim=1, keepdim=True)
        factor = torch.where(known, same.to(self.factors.dtype) @ self.factors, self.overall)
        cells = torch.where(self.two_valued, self.two_valued_factor.unsqueeze(1), factor.unsqueeze(-1))
        # Gaps within a block that is there are not what was hidden: their std stays as it is.
        factor = torch.where(batch.present.unsqueeze(-1), 1.0, cells)
        return ScaledImputation(
            emb=imputation.emb,
            std=imputation.std * factor,
            filled=imputation.filled,
            losses=imputation.losses,
            inner=imputation,
            factor=factor,
        )

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Factors, and the inner imputer's state under ``inner.``."""
        own = {name: getattr(self, name) for name in OWN}
        return {**own, **{f"inner.{name}": t for name, t in self.inner.state_dict().items()}}

    def load_state_dict(  # type: ignore[override]
        self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any
    ) -> object:
        """Restore what ``state_dict`` gave."""
        device = self.overall.device
        for name in OWN:
            setattr(self, name, state[name].to(device))
        return self.inner.load_state_dict(
            {n.removeprefix("inner."): t for n, t in state.items() if n.startswith("inner.")}
        )


@dataclass(frozen=True)
class ScaledImputation(Imputation):
    """An imputation whose draws keep their shape and have the calibrated spread."""

    inner: Imputation | None = None
    factor: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D)."""
        assert self.inner is not None and self.factor is not None
        drawn = self.inner.draw(n, generator)
        return torch.where(self.filled, self.emb + (drawn - self.inner.emb) * self.factor, self.emb)


def _widths(layout: Layout) -> str:
    return ", ".join(f"{m.name} ({m.width})" for m in layout.modalities)


def _quantile(values: Tensor, weights: Tensor) -> Tensor:
    """The smallest value with at least ``LEVEL`` of the weight at or below it."""
    order = values.argsort()
    share = weights[order].cumsum(dim=0) / weights.sum()
    at = int((share < LEVEL).sum().clamp_max(len(values) - 1))
    return values[order][at]
