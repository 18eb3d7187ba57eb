"""Training of the networks that correct an imputation, before the predictor is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.gaussian_likelihood import block_loss
from hcat_core.imputation.hidden_blocks import hide_at_random, leave_one_block_out
from hcat_core.imputation.imputer_module import impute_quietly
from hcat_core.imputation.pretraining import (
    Objective,
    Pretraining,
    epoch_reporter,
    minimise,
)
from hcat_core.imputation.principal_axes import PrincipalAxes, ReducedCohort
from hcat_core.imputation.zero_gate import JudgedBlock, Proposal, ZeroGate, mean_crps
from hcat_core.interfaces import Average, FitContext

MOST_JUDGES = 2000  # patients whose hidden blocks decide; more would take memory and change nothing
VIEWS = 4  # imputations of each training patient under other hidden blocks
SLICE = 256  # patients imputed at a time
LEAST_GAIN = 2e-3  # share of the CRPS; a smaller gain on some hundred hidden blocks may be chance


class Correctable(Protocol):
    """What ``train_corrections`` needs of an imputer."""

    axes: PrincipalAxes
    pretraining: Pretraining

    def corrections(self) -> list[tuple[nn.Module, ZeroGate]]:
        """Each network with its gate, in the order in which they correct."""
        ...


@dataclass(frozen=True)
class _Views:
    """Training patients under hidden blocks, with the tokens of the current imputation.

    An imputer fits the patients that it was fitted on better than others. A network that saw their
    imputations as they are would trust imputations too much, so noise makes up for the difference.

    Attributes:
        hide: (V, N, M) which blocks are hidden.
        current: (V, N, M, Q) tokens.
        noise: (M, Q) standard deviation of what is added to the tokens of hidden blocks.
    """

    hide: Tensor
    current: Tensor
    noise: Tensor

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """One view of each of some patients: hidden blocks, and current tokens with noise."""
        view = torch.randint(len(self.hide), rows.shape, device=self.hide.device)
        hide, current = self.hide[view, rows], self.current[view, rows]
        return hide, current + torch.randn_like(current) * self.noise * hide.unsqueeze(-1)

    def corrected(self, network: nn.Module, gate: ZeroGate, learn: ReducedCohort) -> _Views:
        """The views after a correction, as it changes tokens."""
        currents = []
        with torch.no_grad():
            network.eval()
            for hide, current in zip(self.hide, self.current, strict=True):
                masked = learn.cohort.hide(hide)
                currents.append(gate.move_tokens(~masked.present, current, network(masked, current)))
        return _Views(self.hide, torch.stack(currents), self.noise)


def train_corrections(
    imputer: Correctable, start: nn.Module, learn: Cohort, judges: Cohort, context: FitContext
) -> None:
    """Train one network after the other, and open its gates as far as hidden blocks of judges ask for it.

    Training stops at the first network whose gates stay closed.

    Args:
        imputer: whose networks and gates are trained.
        start: what they correct, fitted without the judges.
        learn: patients to learn from.
        judges: patients to choose by.
        context: seed, device and progress.
    """
    device = context.device
    for part in (imputer.axes, *(part for pair in imputer.corrections() for part in pair)):
        part.to(device)
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        torch.manual_seed(context.seed)
        blocks = _judged_blocks(start, imputer.axes, judges[slice(0, MOST_JUDGES)].to(device))
        if not blocks:
            return
        before, reduced = mean_crps(blocks), imputer.axes.reduce(learn.to(device))
        views: _Views | None = None
        corrections = imputer.corrections()
        for number, (network, gate) in enumerate(corrections, start=1):
            if network.uses_current and views is None:
                views = _make_views(start, imputer.axes, learn, blocks, device)
            training = _Training(imputer.axes, network, gate, blocks)
            name = f"{type(imputer).__name__}, network {number} of {len(corrections)}"
            training.run(
                reduced, views, imputer.pretraining, epoch_reporter(name, imputer.pretraining, context)
            )
            if gate.is_closed:
                break
            blocks = training.corrected()
            views = views.corrected(network, gate, reduced) if views else None
    after = mean_crps(blocks)
    context.progress(
        f"{type(imputer).__name__}: CRPS {after:.4f} on hidden blocks, {before:.4f} at the start"
    )


class _Training:
    """Trains one network and chooses its gate.

    Args:
        axes: of the modalities.
        network: to train.
        gate: of the network.
        blocks: hidden blocks that decide, with what they are filled with before.
    """

    def __init__(
        self, axes: PrincipalAxes, network: nn.Module, gate: ZeroGate, blocks: list[JudgedBlock]
    ) -> None:
        self.axes = axes
        self.network = network
        self.gate = gate
        self.blocks = blocks

    def run(
        self,
        learn: ReducedCohort,
        views: _Views | None,
        settings: Pretraining,
        report: Callable[[int, float], None],
    ) -> None:
        """Train to the best state, the one with closed gates included."""
        self.network.requires_grad_(True)

        def loss(rows: Tensor) -> Tensor:
            batch = learn[rows]
            if views is None:
                masked, hide = hide_at_random(batch.cohort)
                current = masked.emb
            else:
                hide, current = views.of(rows)
                masked = batch.cohort.hide(hide)
            terms = network_losses(self.axes, self.network(masked, current), batch, hide)
            return torch.stack([term.value for term in terms.values()]).sum()

        both = nn.ModuleList([self.network, self.gate])
        before = mean_crps(self.blocks)
        objective = Objective(len(learn), loss, self.score)
        after = minimise(both, self.network.parameters(), objective, settings, report)
        if after > (1 - LEAST_GAIN) * before:
            self.gate.close()

    def score(self) -> float:
        """CRPS of the hidden blocks with the best gates for the network as it is."""
        return self.gate.choose(self.axes, self._proposals(), self.blocks)

    def corrected(self) -> list[JudgedBlock]:
        """The hidden blocks, filled anew."""
        return [
            self.gate.correct(self.axes, proposal, block)
            for proposal, block in zip(self._proposals(), self.blocks, strict=True)
        ]

    @torch.no_grad()
    def _proposals(self) -> list[Proposal]:
        self.network.eval()
        return [self.network(block.reduced.cohort, block.current) for block in self.blocks]


@torch.no_grad()
def _judged_blocks(start: nn.Module, axes: PrincipalAxes, judges: Cohort) -> list[JudgedBlock]:
    """Every modality hidden in turn, and what the start fills it with."""
    blocks = []
    for hidden in leave_one_block_out(judges):
        imputation = impute_quietly(start, hidden.cohort)
        reduced = axes.reduce(hidden.cohort)
        filled = imputation.filled[:, hidden.column]
        blocks.append(
            JudgedBlock(
                column=hidden.column,
                reduced=reduced,
                current=axes.current(reduced.cohort, imputation.emb),
                truth=hidden.truth,
                measured=hidden.measured & filled,
                mean=imputation.emb[:, hidden.column],
                std=imputation.std[:, hidden.column],
            )
        )
    return [block for block in blocks if block.measured.any()]


@torch.no_grad()
def _make_views(
    start: nn.Module, axes: PrincipalAxes, learn: Cohort, blocks: list[JudgedBlock], device: torch.device
) -> _Views:
    """Impute the training patients under hidden blocks, and measure what a start knows of them too well."""
    views = []
    errors = torch.zeros_like(axes.deviation)
    counts = torch.zeros(len(errors), 1, device=device)
    for _ in range(VIEWS):
        parts = []
        for rows in torch.arange(len(learn)).split(SLICE):
            batch = learn[rows].to(device)
            masked, hide = hide_at_random(batch)
            reduced = axes.reduce(masked).cohort
            current = axes.current(reduced, impute_quietly(start, masked).emb)
            wrong = (current - axes.reduce(batch).cohort.emb).square() * hide.unsqueeze(-1)
            errors += wrong.sum(dim=0)
            counts += hide.sum(dim=0).unsqueeze(-1)
            parts.append((hide, current))
        views.append((torch.cat([hide for hide, _ in parts]), torch.cat([now for _, now in parts])))
    excess = torch.zeros_like(errors)
    for block in blocks:
        column = block.column
        truth = axes.tokens_of_block(column, torch.where(block.measured, block.truth, 0.0))
        fresh = (block.current[:, column] - truth).square().mean(dim=0)
        excess[column] = (fresh - errors[column] / counts[column].clamp_min(1)).clamp_min(0)
    hides, currents = zip(*views, strict=True)
    return _Views(torch.stack(hides), torch.stack(currents), excess.sqrt())


def network_losses(
    axes: PrincipalAxes, proposal: Proposal, truth: ReducedCohort, hide: Tensor
) -> dict[str, Average]:
    """``hidden`` and ``reconstruction``, in nats per cell, and ``kl`` of a network that has one.

    Args:
        axes: of the modalities.
        proposal: made from patients whose blocks ``hide`` were hidden.
        truth: the same patients with all that they have.
        hide: (N, M) bool.
    """
    error = axes.squared_error(proposal.tokens, truth)
    variance = axes.mean_variance(proposal.unexplained)
    seen = truth.cohort.present & ~hide
    losses = {
        "hidden": block_loss(error, variance, truth.count * hide),
        "reconstruction": block_loss(error, variance, truth.count * seen),
    }
    if proposal.kl is not None:
        losses["kl"] = Average(proposal.kl.total, truth.count.sum())
    return losses
