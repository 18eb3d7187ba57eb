"""Calibration of any imputer, so that the interval of each feature holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.calibrated_imputation import CalibratedImputation, FeatureMaps, Residuals
from hcat_core.imputation.hidden_blocks import leave_one_block_out, mask_down
from hcat_core.imputation.hidden_residuals import (
    HiddenTruth,
    ResidualsOfPattern,
    absolute_factor,
    patients_by_feature,
)
from hcat_core.imputation.normal_scores import NormalScores
from hcat_core.imputation.residual_quantiles import normal_quantiles, shrunk_quantiles
from hcat_core.interfaces import FitContext, Imputation, Imputer, traceable_form
from hcat_core.layout import Layout
from hcat_core.storage.tensor_names import with_prefix, without_prefix

SHRINKAGE = 30.0  # number of patients at which a group's factor and the overall one count equally
SMALLEST_FACTOR = 1e-3
GAP_SHARE = (0.1, 0.25)  # of the cells of present blocks that are hidden at a time, at least and at most
BUFFERS = ("patterns", "factors", "overall")
ASSUMPTION = (
    "coverage is checked on cells hidden from patients who have them: it holds for missing cells as far as "
    "these are missing at random given the rest, and as far as patients are like the validation patients "
    "(no covariate shift)"
)


class Calibrated(nn.Module):
    """An imputer whose 90 % intervals cover 90 % of the cells of each feature in validation patients.

    The imputer works on normal scores (``NormalScores``), and what it finds is mapped back: a Gaussian
    copula around any imputer. Then validation patients are masked down to each missingness pattern of the
    training patients, and the residual of each hidden cell is taken, (truth - mean) / std in scores; for a
    value that many patients have, such as 0, a random one of those which its place in the predictive
    distribution allows. Two corrections make residuals standard normal:

    - a factor for each pattern and modality, the 90 % quantile of \\|residual\\| divided by 1.645, its
      logarithm shrunk towards that of all patterns, the less, the more patients the group has;
    - for each feature the signed quantiles of its residuals, shrunk to those of its modality.

    Gaps within a present block have quantiles of their own, from cells hidden at random in such blocks. In
    a factor each patient has the same weight, however many of its cells were measured. A feature with two
    values has a probability and no residuals. Assumption: ``ASSUMPTION``.

    Args:
        layout: modalities.
        inner: the imputer.
    """

    patterns: Tensor
    factors: Tensor
    overall: Tensor

    def __init__(self, layout: Layout, inner: Imputer) -> None:
        super().__init__()
        m = len(layout.modalities)
        self.layout = layout
        self.inner = inner
        self.register_buffer("patterns", torch.zeros((0, m), dtype=torch.bool))
        self.register_buffer("factors", torch.ones((0, m)))
        self.register_buffer("overall", torch.ones(m))
        self.maps = FeatureMaps.uncalibrated(NormalScores.linear(layout))

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit scores and the inner imputer on training patients, then calibrate on validation patients."""
        scores = NormalScores.fit(train)
        self.inner.fit(scores.apply(train), scores.apply(validation), context)
        self.to(context.device)
        self.maps = FeatureMaps.uncalibrated(scores.to(context.device))
        self.calibrate(train, validation.to(context.device))

    @torch.no_grad()
    def calibrate(self, train: Cohort, validation: Cohort) -> None:
        """Compute factors and quantiles for the inner imputer as it is now.

        Args:
            train: whose missingness patterns and share of gaps are those to calibrate for.
            validation: patients that the imputer was not fitted on.
        """
        self.eval()
        patterns = torch.unique(train.present.to(self.overall.device), dim=0, return_counts=True)
        truth = HiddenTruth.of(self.maps.scores, validation)
        groups = self._hide_blocks(truth, *patterns)
        self.patterns = patterns[0]
        self._set_factors(groups)
        normal = normal_quantiles().to(self.overall).repeat(len(self.maps.scores.cell), 1)
        block, gap = normal.clone(), normal.clone()
        for column, cells in enumerate(self._cells()):
            mine = [group for group in groups if group.column == column]
            if mine:
                block[cells] = self._quantiles_of_blocks(mine)
        if len(validation):
            residual, hidden = truth.hide_gaps(self.inner, round(1 / _gap_share(train)))
            for cells in self._cells():
                weight = hidden[:, cells].to(residual.dtype)
                gap[cells] = shrunk_quantiles(residual[:, cells], weight, hidden[:, cells].sum(dim=0))
        self.maps = self.maps.calibrated(block, gap)

    def _cells(self) -> tuple[slice, ...]:
        """The features of each modality, among all without padding."""
        ends = torch.tensor(self.layout.widths).cumsum(0).tolist()
        return tuple(slice(end - width, end) for end, width in zip(ends, self.layout.widths, strict=True))

    def _hide_blocks(
        self, truth: HiddenTruth, patterns: Tensor, frequency: Tensor
    ) -> list[ResidualsOfPattern]:
        row_of = {tuple(p.tolist()): row for row, p in enumerate(patterns)}
        groups, cells = [], self._cells()
        for hidden in mask_down(truth.scored, patterns):
            imputation = self.inner(hidden.cohort)
            column, row = hidden.column, row_of[hidden.pattern]
            residual, measured = truth.residuals(imputation, hidden, cells[column])
            if measured.any():
                group = ResidualsOfPattern(row, column, hidden.rows, residual, measured, frequency[row])
                groups.append(group)
        lacking = {group.column for group in groups}
        for hidden in leave_one_block_out(truth.scored):
            if hidden.column in lacking:
                continue  # other modalities are missing in no training pattern, but may be in a new patient
            residual, measured = truth.residuals(self.inner(hidden.cohort), hidden, cells[hidden.column])
            if measured.any():
                one = torch.ones_like(frequency[0])
                rows = hidden.rows
                groups.append(ResidualsOfPattern(None, hidden.column, rows, residual, measured, one))
        return groups

    def _set_factors(self, groups: list[ResidualsOfPattern]) -> None:
        m, device = len(self.overall), self.overall.device
        factors = torch.ones((len(self.patterns), m), device=device)
        counts = torch.zeros((len(self.patterns), m), device=device)
        overall = torch.ones(m, device=device)
        for group in groups:
            if group.pattern is not None:
                factors[group.pattern, group.column] = absolute_factor([group])
                counts[group.pattern, group.column] = len(group.rows)
        for column in range(m):
            overall[column] = absolute_factor([group for group in groups if group.column == column])
        self.factors = _shrink(factors, counts, overall)
        self.overall = overall.clamp_min(SMALLEST_FACTOR)

    def _quantiles_of_blocks(self, groups: list[ResidualsOfPattern]) -> Tensor:
        """(W, L) of a modality of W features; patterns count as often as training patients have them."""
        factors = [
            (self.overall if g.pattern is None else self.factors[g.pattern])[g.column] for g in groups
        ]
        residual = torch.cat([g.residual / factor for g, factor in zip(groups, factors, strict=True)])
        weight = torch.cat([g.measured * g.frequency for g in groups]).to(residual.dtype)
        return shrunk_quantiles(residual, weight, patients_by_feature(groups))

    def forward(self, batch: Cohort) -> Imputation:
        """Impute a batch with calibrated intervals and draws; in training mode, without calibration.

        Raises:
            ValueError: for a batch of another layout than the imputer's.
        """
        if batch.layout.names != self.layout.names or batch.layout.widths != self.layout.widths:
            raise ValueError(
                f"the imputer was made for {_widths(self.layout)}, this batch has {_widths(batch.layout)}"
            )
        inner: Imputation = self.inner(self.maps.scores.apply(batch))
        if self.training:  # calibration is by validation patients, which must not affect training
            return CalibratedImputation.of(batch, inner, self.maps, None)
        matches = (batch.present.unsqueeze(1) == self.patterns).all(dim=2)  # (N, S)
        of_pattern = matches.to(self.factors.dtype) @ self.factors
        factor = torch.where(matches.any(dim=1, keepdim=True), of_pattern, self.overall)
        factor = torch.where(batch.present, 1.0, factor)
        modality = self.maps.scores.cell // self.layout.widest
        filled = inner.filled.flatten(1)[:, self.maps.scores.cell]
        residuals = Residuals(factor[:, modality], batch.present[:, modality] & filled)
        return CalibratedImputation.of(batch, inner, self.maps, residuals)

    def traceable(self) -> nn.Module:
        """The same calibration around a form of the inner imputer that can be traced."""
        form = Calibrated(self.layout, traceable_form(self.inner))
        for name in BUFFERS:
            setattr(form, name, getattr(self, name))
        form.maps = self.maps
        return form.eval()

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Calibration, scores under ``scores.``, and the inner imputer's state under ``inner.``."""
        buffers = {name: getattr(self, name) for name in BUFFERS}
        buffers |= {"block_quantiles": self.maps.block.quantiles, "gap_quantiles": self.maps.gap.quantiles}
        scores = with_prefix("scores.", vars(self.maps.scores))
        return {**buffers, **scores, **with_prefix("inner.", self.inner.state_dict())}

    def load_state_dict(  # type: ignore[override]
        self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any
    ) -> object:
        """Restore the state that ``state_dict`` returned."""
        device = self.overall.device
        for name in BUFFERS:
            setattr(self, name, state[name].to(device))
        scores = NormalScores(**without_prefix("scores.", state)).to(device)
        quantiles = (state[f"{kind}_quantiles"].to(device) for kind in ("block", "gap"))
        self.maps = FeatureMaps.uncalibrated(scores).calibrated(*quantiles)
        return self.inner.load_state_dict(without_prefix("inner.", state))

    def _apply(self, fn: Any, recurse: bool = True) -> Calibrated:
        """Moves the maps with the buffers."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        scores, device = self.maps.scores, self.overall.device
        if scores.cell.device != device:
            quantiles = (part.quantiles.to(device) for part in (self.maps.block, self.maps.gap))
            self.maps = FeatureMaps.uncalibrated(scores.to(device)).calibrated(*quantiles)
        return self


def _gap_share(train: Cohort) -> float:
    """The share of cells that are not measured within present blocks, within ``GAP_SHARE``."""
    cells = (train.present.unsqueeze(-1) & train.layout.cells.to(train.emb.device)).sum()
    missing = 1 - float(train.measured.sum() / cells.clamp_min(1))
    return min(max(missing, GAP_SHARE[0]), GAP_SHARE[1])


def _shrink(factors: Tensor, counts: Tensor, overall: Tensor) -> Tensor:
    """(S, M) factors, shrunk on the log scale to the (M,) overall ones, by (S, M) numbers of patients."""
    own, common = factors.clamp_min(SMALLEST_FACTOR).log(), overall.clamp_min(SMALLEST_FACTOR).log()
    return ((counts * own + SHRINKAGE * common) / (counts + SHRINKAGE)).exp()


def _widths(layout: Layout) -> str:
    return ", ".join(f"{m.name} ({m.width})" for m in layout.modalities)
