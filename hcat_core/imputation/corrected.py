"""An imputer that starts at another one's imputation, and corrects it by networks through zero gates."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Generator, Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.correction_training import network_losses, train_corrections
from hcat_core.imputation.declared_training import ImputerTraining
from hcat_core.imputation.gaussian_likelihood import negative_log_likelihood
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.imputation.imputer_module import as_module, impute_quietly
from hcat_core.imputation.pretraining import Pretraining, patients_to_choose_by
from hcat_core.imputation.principal_axes import PrincipalAxes
from hcat_core.imputation.zero_gate import Proposal, ZeroGate
from hcat_core.interfaces import Average, FitContext, Imputation, Imputer, traceable_form
from hcat_core.layout import Layout


class CorrectionNetwork(Protocol):
    """A network that proposes the tokens of every block.

    Where ``uses_current`` is False, the second argument may not be looked at.
    """

    uses_current: bool

    def __call__(self, batch: Cohort, current: Tensor) -> Proposal:
        """Propose from the tokens of present blocks, and the current ones (N, M, Q) of all."""
        ...


@dataclass(frozen=True)
class CorrectedImputation(Imputation):
    """An imputation whose draws deviate as those of the imputation that it started from."""

    start: Imputation | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw (n, N, M, D) imputations; measured cells keep their values."""
        assert self.start is not None
        stretch = self.std / self.start.std.clamp_min(1e-8)
        deviation = self.start.draw(n, generator) - self.start.emb
        return torch.where(self.filled, self.emb + deviation * stretch, self.emb)


class CorrectedImputer(nn.Module):
    """Starts at another imputer's mean, spread and draws, and corrects the missing blocks.

    Each network proposes the missing modalities on their principal axes. Its proposal enters through a gate
    for each modality (``ZeroGate``). All gates are zero until hidden blocks of patients that no network was
    trained on show that a proposal lowers the error: before that, and where no network helps, the result is
    that of ``start``. Networks are trained one after the other; after the first that does not help, the
    others stay closed.

    Args:
        layout: modalities and widths.
        start: the imputer to start from; fitted first.
        pretraining: epochs, learning rate, and whether the weights stay fixed afterwards.

    Attributes:
        network_keys: keys of the recipe's table that describe the networks.
        loss_names: of what it computes while it learns beside the predictor.
    """

    network_keys: ClassVar[Sequence[str]] = ()
    loss_names: ClassVar[Sequence[str]] = ("hidden", "reconstruction", "result")

    def __init__(self, layout: Layout, start: Imputer, pretraining: Pretraining) -> None:
        super().__init__()
        self.cells = layout.cells
        self.start = as_module(start)
        self.axes = PrincipalAxes(layout)
        self.pretraining = pretraining
        self.networks = nn.ModuleList()
        self.gates = nn.ModuleList()

    @classmethod
    def declare_training(cls, table: Mapping[str, object]) -> ImputerTraining:
        """Corrections learn with the predictor unless they are frozen; without epochs, not before it."""
        jointly = not table["frozen"]
        unread = {} if table["fit_epochs"] else {"lr": "it is the learning rate of fit_epochs, which is 0"}
        if not table["fit_epochs"] and not jointly:
            reason = "nothing trains the networks: fit_epochs is 0, and frozen is true"
            unread |= dict.fromkeys(cls.network_keys, reason)
        return ImputerTraining(jointly=jointly, unread=unread, losses=cls.loss_names)

    def add_network(self, network: nn.Module) -> None:
        """Append a correction, made for the reduced layout ``self.axes.layout``."""
        self.networks.append(network)
        self.gates.append(ZeroGate(len(self.axes.widths)))
        network.requires_grad_(not self.pretraining.frozen)
        self.gates[-1].requires_grad_(not self.pretraining.frozen)

    def corrections(self) -> list[tuple[nn.Module, ZeroGate]]:
        """Each network with its gate, in the order in which they correct."""
        gates = [gate for gate in self.gates if isinstance(gate, ZeroGate)]
        return list(zip(self.networks, gates, strict=True))

    @property
    def trains(self) -> bool:
        """Whether the corrections go on learning with the predictor."""
        return any(parameter.requires_grad for parameter in self.gates.parameters())

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the start, then the corrections until hidden blocks show no further improvement."""
        self.start.fit(train, validation, context)  # type: ignore[operator]
        learn, judges = patients_to_choose_by(train, validation, context.seed)
        self.axes.fit(learn, context.seed)
        if self.pretraining.epochs:
            start = self.start
            if learn is not train:  # patients who judge must not have taught what they judge
                start = copy.deepcopy(start)
                start.fit(learn, judges, context)  # type: ignore[operator]
            train_corrections(self, start, learn, judges, context)
        for part in (self.networks, self.gates):
            part.requires_grad_(not self.pretraining.frozen)
        self.eval()

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training mode also compute losses, unless the corrections are frozen."""
        losses = self._losses(batch) if self.training and self.trains else {}
        start = impute_quietly(self.start, batch)
        return _in_missing_blocks(batch, start, *self._corrected(batch, start), losses)

    def traceable(self) -> nn.Module:
        """The start with those corrections alone whose gates are open."""
        start = traceable_form(self.start)
        return OpenCorrections(start, self.axes, [p for p in self.corrections() if not p[1].is_closed])

    def _corrected(self, batch: Cohort, start: Imputation) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (N, M, D) after all corrections, without dropout or sampling."""
        mean, std = start.emb, start.std
        corrections = [pair for pair in self.corrections() if not pair[1].is_closed]
        if not corrections:
            return mean, std
        reduced = self.axes.reduce(batch).cohort
        training = self.networks.training
        self.networks.eval()
        for network, gate in corrections:
            proposal = network(reduced, self.axes.current(reduced, mean))
            mean, std = gate(self.axes, mean, std, proposal)
        self.networks.train(training)
        return mean, std

    def _losses(self, batch: Cohort) -> dict[str, Average]:
        """Losses of joint training: each network's own, that of each result, and those of the start."""
        masked, hide = hide_at_random(batch)
        start: Imputation = self.start(masked)
        reduced, whole = self.axes.reduce(masked).cohort, self.axes.reduce(batch)
        where = batch.measured & hide.unsqueeze(-1) & start.filled
        mean, std = start.emb.detach(), start.std.detach()
        losses: dict[str, Average] = {}
        for number, (network, gate) in enumerate(self.corrections(), 1):
            proposal = network(reduced, self.axes.current(reduced, mean))
            mean, std = gate(self.axes, mean, std, proposal)
            own = network_losses(self.axes, proposal, whole, hide)
            own["result"] = negative_log_likelihood(batch.emb, mean, std.log(), where)
            alone = len(self.networks) == 1 and not start.losses
            losses |= {name if alone else f"step_{number}_{name}": term for name, term in own.items()}
            mean, std = mean.detach(), std.detach()
        return losses | dict(start.losses)


class OpenCorrections(nn.Module):
    """A fitted ``CorrectedImputer`` as tensor operations alone, without what closed gates keep out.

    Args:
        start: the imputer to start from, in a form that can be traced.
        axes: of every modality.
        corrections: networks with their gates, in order.
    """

    def __init__(
        self, start: nn.Module, axes: PrincipalAxes, corrections: Sequence[tuple[nn.Module, ZeroGate]]
    ) -> None:
        super().__init__()
        self.start = start
        self.axes = axes
        self.networks = nn.ModuleList(network for network, _ in corrections)
        self.gates = nn.ModuleList(gate for _, gate in corrections)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap."""
        start: Imputation = self.start(batch)
        if not len(self.networks):
            return start
        mean, std, reduced = start.emb, start.std, self.axes.reduce_by_row(batch)
        for network, gate in zip(self.networks, self.gates, strict=True):
            proposal = network(reduced, self.axes.current(reduced, mean))
            mean, std = gate(self.axes, mean, std, proposal)
        return _in_missing_blocks(batch, start, mean, std, {})


def _in_missing_blocks(
    batch: Cohort, start: Imputation, mean: Tensor, std: Tensor, losses: Mapping[str, Average]
) -> CorrectedImputation:
    """The imputation ``start`` with another mean and standard deviation (N, M, D) of missing blocks.

    A gap in a present block is filled from that block too, which the networks do not do.
    """
    changed = start.filled & ~batch.present.unsqueeze(-1)
    return CorrectedImputation(
        emb=torch.where(changed, mean, start.emb),
        std=torch.where(changed, std, start.std),
        filled=start.filled,
        losses=losses,
        start=start,
    )
