"""Principal axes of each modality: what networks that correct an imputation look at, and what they change.

A modality of 512 cells has far fewer directions that differ from noise. A network that predicts these alone
has few weights to learn, and cannot add noise to the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout, Modality

MOST_AXES = 32
LEAST_NOISE = 0.02  # variance of a standardised cell that no axis explains
NOISE_EDGE = 1.1  # an axis is kept from this multiple of the largest variance that noise alone would have


@dataclass(frozen=True)
class ReducedCohort:
    """A cohort in tokens of its principal axes, and what these leave out.

    Attributes:
        cohort: Q cells a modality, each of variance 1 in training patients; 0 on axes that are not kept.
        rest: (N, M) mean square of the measured cells of a block that its axes leave unexplained.
        count: (N, M) number of measured cells.
    """

    cohort: Cohort
    rest: Tensor
    count: Tensor

    def __len__(self) -> int:
        return len(self.rest)

    def __getitem__(self, rows: Tensor) -> ReducedCohort:
        return ReducedCohort(self.cohort[rows], self.rest[rows], self.count[rows])


class PrincipalAxes(nn.Module):
    """Principal axes of each modality's standardised cells, up to 32, fitted on training patients.

    Axes whose variance could be that of noise (Marchenko and Pastur 1967) are not kept. M modalities, D
    cells of the widest one, Q axes at most. Everything fitted is a buffer.

    Args:
        layout: modalities and widths.
    """

    axes: Tensor
    deviation: Tensor
    noise: Tensor
    explained: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.widths = layout.widths
        counts = [min(MOST_AXES, width) for width in layout.widths]
        self.layout = Layout(
            tuple(Modality(name, n) for name, n in zip(layout.names, counts, strict=True)), ()
        )
        m, d, q = len(counts), layout.widest, max(counts)
        self.register_buffer("axes", torch.zeros(m, d, q))
        self.register_buffer("deviation", torch.zeros(m, q))  # of patients along each axis; 0: not kept
        self.register_buffer("noise", torch.where(layout.cells, 1.0, 0.0))  # variance that no axis explains
        self.register_buffer("explained", torch.zeros(m, d))  # variance that the axes explain

    def fit(self, train: Cohort, seed: int) -> None:
        """Find the axes of training patients."""
        for column, width in enumerate(self.widths):
            rows = train.present[:, column].nonzero().squeeze(1)
            if len(rows) < 2:
                continue
            seen = train.measured[rows, column, :width]
            # A cell that half the rows lack has half its variance here.
            inflate = (len(rows) / seen.sum(dim=0).clamp_min(1)).sqrt().clamp_max(3.0)
            cells = train.emb[rows, column, :width] * seen * inflate
            self._fit_modality(column, cells, seed)

    def _fit_modality(self, column: int, cells: Tensor, seed: int) -> None:
        n, width = cells.shape
        q = min(len(self.layout.cells[column].nonzero()), n)
        if width <= MOST_AXES:
            _, s, v = torch.linalg.svd(cells, full_matrices=False)
            v = v.T
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _, s, v = torch.svd_lowrank(cells, q=min(q + 8, n, width), niter=3)
        variance, v = s[:q].square() / n, v[:, :q]
        total = cells.square().mean(dim=0)
        noise = (total.sum() - variance.sum()).clamp_min(0) / max(1, width - q)
        edge = NOISE_EDGE * noise * (1 + math.sqrt(width / n)) ** 2 if width > q else 1e-4
        keep = variance > edge
        signal = (variance - noise * (width > q)).clamp_min(0) * keep
        explained = v.square() @ signal
        self.axes[column, :width, : len(s[:q])] = v
        self.deviation[column, : len(s[:q])] = variance.sqrt() * keep
        self.explained[column, :width] = explained
        self.noise[column, :width] = (total - explained).clamp_min(LEAST_NOISE)

    def tokens(self, cells: Tensor) -> Tensor:
        """(N, M, Q) tokens of complete cells (N, M, D)."""
        scores = torch.einsum("nmd,mdq->nmq", cells, self.axes)
        kept = self.deviation > 0
        return torch.where(kept, scores / torch.where(kept, self.deviation, 1.0), 0.0)

    def tokens_of_block(self, column: int, cells: Tensor) -> Tensor:
        """(n, Q) tokens of the complete cells (n, D) of one modality."""
        kept = self.deviation[column] > 0
        return torch.where(
            kept, cells @ self.axes[column] / torch.where(kept, self.deviation[column], 1.0), 0.0
        )

    def current(self, reduced: Cohort, mean: Tensor) -> Tensor:
        """(N, M, Q) tokens of present blocks as they are, of others those of an imputation (N, M, D)."""
        return torch.where(reduced.present.unsqueeze(-1), reduced.emb, self.tokens(mean))

    def cells(self, tokens: Tensor) -> Tensor:
        """(N, M, D) cells of tokens (N, M, Q)."""
        return torch.einsum("nmq,mdq->nmd", tokens * self.deviation, self.axes)

    def variance(self, unexplained: Tensor) -> Tensor:
        """(N, M, D) variance of cells, where a share (N, M) of what the axes explain is not known."""
        return self.noise + self.explained * unexplained.unsqueeze(-1)

    def mean_variance(self, unexplained: Tensor) -> Tensor:
        """(N, M) mean of ``variance`` over the cells of each block."""
        widths = torch.tensor(self.widths, device=unexplained.device)
        noise, explained = self.noise.sum(dim=1) / widths, self.explained.sum(dim=1) / widths
        return noise + explained * unexplained

    def squared_error(self, tokens: Tensor, truth: ReducedCohort) -> Tensor:
        """(N, M) mean squared error of a block's measured cells, predicted by tokens (N, M, Q)."""
        widths = torch.tensor(self.widths, device=tokens.device)
        distance = ((tokens - truth.cohort.emb) * self.deviation).square().sum(dim=-1)
        return truth.rest + distance / widths

    def reduce(self, cohort: Cohort) -> ReducedCohort:
        """The cohort in tokens; those of a block with gaps are the best guess from its measured cells."""
        cells = torch.where(cohort.measured, cohort.emb, 0.0)
        tokens = self.tokens(cells)
        count = cohort.measured.sum(dim=2)
        full = torch.tensor(self.widths, device=count.device)
        for column in range(len(self.widths)):
            rows = ((count[:, column] < full[column]) & cohort.present[:, column]).nonzero().squeeze(1)
            if len(rows):
                measured = cohort.measured[rows, column]
                tokens[rows, column] = self._with_gaps(column, cells[rows, column], measured)
        left = torch.where(cohort.measured, cells - self.cells(tokens), 0.0)
        rest = left.square().sum(dim=2) / count.clamp_min(1)
        return ReducedCohort(self._reduced(cohort, tokens), rest, count)

    def reduce_by_row(self, cohort: Cohort) -> Cohort:
        """The cohort in tokens as ``reduce`` has it; no operation depends on where gaps are."""
        cells = torch.where(cohort.measured, cohort.emb, 0.0)
        widths = torch.tensor(self.widths, device=cells.device)
        scaled = self.axes * self.deviation.unsqueeze(1)  # (M, D, Q)
        outer = (scaled.unsqueeze(3) * scaled.unsqueeze(2)).flatten(2)
        gram = torch.einsum("nmd,mdx->nmx", cohort.measured.to(cells.dtype), outer)
        prior = (self.noise.sum(dim=1) / widths)[:, None, None] * torch.eye(scaled.shape[2])
        gram = gram.unflatten(2, (scaled.shape[2], -1)) + prior
        of_gaps = torch.linalg.solve(gram, torch.einsum("nmd,mdq->nmq", cells, scaled).unsqueeze(-1))
        has_gaps = cohort.present & (cohort.measured.sum(dim=2) < widths)
        tokens = torch.where(has_gaps.unsqueeze(-1), of_gaps.squeeze(-1), self.tokens(cells))
        return self._reduced(cohort, tokens)

    def _reduced(self, cohort: Cohort, tokens: Tensor) -> Cohort:
        """The cohort with tokens (N, M, Q) in place of cells."""
        kept = self.layout.cells.to(tokens.device)
        return replace(
            cohort,
            layout=self.layout,
            emb=tokens * cohort.present.unsqueeze(-1),
            measured=cohort.present.unsqueeze(-1) & kept,
            targets=None,
        )

    def _with_gaps(self, column: int, cells: Tensor, measured: Tensor) -> Tensor:
        """(n, Q) posterior means of the tokens of blocks with gaps, whose prior variance is 1."""
        scaled = self.axes[column] * self.deviation[column]
        noise = self.noise[column, : self.widths[column]].mean()
        results = []
        for some, seen in zip(cells.split(256), measured.to(cells.dtype).split(256), strict=True):
            outer = (scaled.unsqueeze(2) * scaled.unsqueeze(1)).flatten(1)
            gram = (seen @ outer).unflatten(1, (scaled.shape[1], -1))
            prior = noise * torch.eye(scaled.shape[1], device=cells.device)
            results.append(torch.linalg.solve(gram + prior, (some @ scaled).unsqueeze(-1)).squeeze(-1))
        return torch.cat(results)
