"""Conformal calibration of any imputer's standard deviations."""

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
from hcat_core.storage.tensor_names import with_prefix, without_prefix

LEVEL = 0.9
SHRINKAGE = 30.0  # number of patients at which a group's factor and the overall one count equally
SMALLEST_FACTOR = 1e-3
BUFFERS = ("patterns", "factors", "overall", "two_valued", "two_valued_factor")
ASSUMPTION = (
    "coverage is checked on blocks hidden from patients who have them: it holds for missing blocks as "
    "far as these are missing at random given the rest"
)


class Calibrated(nn.Module):
    """An imputer with scaled standard deviations: its 90 % intervals cover 90 % of validation cells.

    Validation patients are masked down to each missingness pattern of the training patients, and the
    blocks that are hidden in this way are imputed. For each pattern and block, the factor is the 90 %
    quantile of \\|truth - mean\\| / std over its cells, divided by 1.645. Each patient has the same weight,
    however many of its cells were measured. The logarithm of a factor is shrunk towards that of the
    modality's overall factor, the less, the more patients the group has. Assumption: ``ASSUMPTION``.

    For a feature with two values, an interval cannot be calibrated: with nine zeros in ten patients it
    would have no width. For these features, one factor per modality, ``two_valued_factor``, makes the
    variance right.

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
        """Fit the inner imputer on training patients, then calibrate it on validation patients."""
        self.inner.fit(train, validation, context)
        self.to(context.device)
        self.calibrate(train.present, validation.to(context.device))

    @torch.no_grad()
    def calibrate(self, training_present: Tensor, validation: Cohort) -> None:
        """Compute the factors for the inner imputer as it is now.

        Args:
            training_present: (N, M) bool, the missingness patterns of training patients.
            validation: patients that the imputer was not fitted on.
        """
        self.eval()
        m, device = self.overall.shape[0], self.overall.device
        patterns = torch.unique(training_present.to(device), dim=0)
        row_of = {tuple(p.tolist()): row for row, p in enumerate(patterns)}
        factors = torch.ones((len(patterns), m), device=device)
        counts = torch.zeros((len(patterns), m), device=device)
        pooled: dict[int, list[tuple[Tensor, Tensor]]] = {column: [] for column in range(m)}
        self.two_valued = validation.two_valued()
        # Sums of squares over features with two values: errors, and predicted standard deviations.
        observed, predicted = torch.zeros(m, device=device), torch.zeros(m, device=device)
        for hidden in mask_down(validation, patterns):
            imputation = self.inner(hidden.cohort)
            column = hidden.column
            cells = hidden.measured & imputation.filled[:, column]
            std = imputation.std[:, column].clamp_min(1e-6)
            error = (hidden.truth - imputation.emb[:, column]).abs()
            two_valued = cells & self.two_valued[column]
            observed[column] += error[two_valued].square().sum()
            predicted[column] += std[two_valued].square().sum()
            cells = cells & ~self.two_valued[column]
            if not cells.any():
                continue
            z = error / std
            weight = cells / cells.sum(dim=1, keepdim=True).clamp_min(1)
            z, weight = z[cells], weight[cells]
            row = row_of[hidden.pattern]
            factors[row, column] = _quantile(z, weight) / Z90
            counts[row, column] = len(hidden.rows)
            pooled[column].append((z, weight))
        overall = torch.ones(m, device=device)
        for column, parts in pooled.items():
            if parts:
                z = torch.cat([part[0] for part in parts])
                overall[column] = _quantile(z, torch.cat([part[1] for part in parts])) / Z90
        self.patterns = patterns
        self.factors = _shrink(factors, counts, overall)
        self.overall = overall.clamp_min(SMALLEST_FACTOR)
        ratio = observed / predicted.clamp_min(torch.tensor(SMALLEST_FACTOR, device=device) ** 2)
        self.two_valued_factor = torch.where(predicted > 0, ratio.sqrt(), 1.0)

    def forward(self, batch: Cohort) -> Imputation:
        """Impute a batch with scaled standard deviations and draws; in training mode, without scaling.

        Raises:
            ValueError: for a batch of another layout than the imputer's.
        """
        if batch.layout.names != self.layout.names or batch.layout.widths != self.layout.widths:
            raise ValueError(
                f"the imputer was made for {_widths(self.layout)}, this batch has {_widths(batch.layout)}"
            )
        imputation: Imputation = self.inner(batch)
        if self.training:  # the factors come from validation patients, which must not affect training
            return imputation
        matches = (batch.present.unsqueeze(1) == self.patterns).all(dim=2)  # (N, S)
        of_pattern = matches.to(self.factors.dtype) @ self.factors
        factor = torch.where(matches.any(dim=1, keepdim=True), of_pattern, self.overall)
        cells = torch.where(self.two_valued, self.two_valued_factor.unsqueeze(1), factor.unsqueeze(-1))
        # Calibration hides whole blocks; the std of gaps within a measured block is not scaled.
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
        buffers = {name: getattr(self, name) for name in BUFFERS}
        return {**buffers, **with_prefix("inner.", self.inner.state_dict())}

    def load_state_dict(  # type: ignore[override]
        self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any
    ) -> object:
        """Restore the state that ``state_dict`` returned."""
        device = self.overall.device
        for name in BUFFERS:
            setattr(self, name, state[name].to(device))
        return self.inner.load_state_dict(without_prefix("inner.", state))


@dataclass(frozen=True)
class ScaledImputation(Imputation):
    """An imputation with calibrated standard deviations; its draws are scaled around the mean."""

    inner: Imputation | None = None
    factor: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D) draws of the inner imputation, scaled around its mean."""
        assert self.inner is not None and self.factor is not None
        drawn = self.inner.draw(n, generator)
        return torch.where(self.filled, self.emb + (drawn - self.inner.emb) * self.factor, self.emb)


def _shrink(factors: Tensor, counts: Tensor, overall: Tensor) -> Tensor:
    """(S, M) factors, shrunk on the log scale to the (M,) overall ones, by (S, M) numbers of patients."""
    own, common = factors.clamp_min(SMALLEST_FACTOR).log(), overall.clamp_min(SMALLEST_FACTOR).log()
    return ((counts * own + SHRINKAGE * common) / (counts + SHRINKAGE)).exp()


def _widths(layout: Layout) -> str:
    return ", ".join(f"{m.name} ({m.width})" for m in layout.modalities)


def _quantile(values: Tensor, weights: Tensor) -> Tensor:
    """The smallest value with at least a share ``LEVEL`` of the weight at or below it."""
    order = values.argsort()
    share = weights[order].cumsum(dim=0) / weights.sum()
    at = int((share < LEVEL).sum().clamp_max(len(values) - 1))
    return values[order][at]
