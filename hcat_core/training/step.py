"""One step of gradient descent: augment, predict, weigh the losses, move the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.zero_gate import ZeroGate
from hcat_core.interfaces import GatedFusion
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.schema import TrainingTable
from hcat_core.training.augmentation import augment
from hcat_core.training.device import matmul_precision
from hcat_core.training.distributed import SINGLE_PROCESS, Processes, gather_outputs
from hcat_core.training.model import HcatModel


class TotalLoss(nn.Module):
    """A model and its losses as one module: a batch goes in, the weighted total comes out.

    With several processes each passes its rows of the batch through the model; the losses are those of the
    whole batch in every process. ``DistributedDataParallel`` wraps this module, and trains what the total
    depends on.
    """

    def __init__(
        self,
        model: HcatModel,
        losses: Sequence[WeightedLoss],
        settings: TrainingTable,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        super().__init__()
        self.model = model
        self.losses = losses
        self.settings = settings
        self.processes = processes

    def forward(
        self, batch: Cohort, contributions: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total, a scalar, and each unweighted term by name.

        Args:
            batch: N standardised patients, the whole batch in every process.
            contributions: (N, M, T) of the evidence, by models that were fitted without these patients.
        """
        rows = slice(0, len(batch)) if self.processes.size == 1 else self.processes.rows(len(batch))
        share = batch if self.processes.size == 1 else batch[rows]
        view = augment(share, self.settings)
        if contributions is not None:  # a modality that is hidden contributes what a missing one does
            contributions = contributions[rows] * view.present.unsqueeze(2)
        second = augment(share, self.settings) if self._needs_second_view() else None
        with matmul_precision(self.settings.precision, batch.emb.device):
            outputs = self.model(view, second, contributions)
        outputs = gather_outputs(outputs, self.processes, len(batch))
        terms = {term.name: term.loss(outputs, batch) for term in self.losses}
        total = torch.stack([term.weight * terms[term.name] for term in self.losses]).sum()
        return total, {name: term.detach() for name, term in terms.items()}

    def _needs_second_view(self) -> bool:
        return any(term.loss.needs_second_view for term in self.losses)


def build_optimiser(model: HcatModel, settings: TrainingTable) -> torch.optim.AdamW:
    """AdamW, with weight decay on matrices only: gains, biases and tokens are not shrunk.

    Gates have few parameters and must be able to move: the learning rate of the fusion's, and of those that
    let an imputer's corrections through, is ``gate_lr``.
    """
    gates = list(model.fusion.gate_parameters()) if isinstance(model.fusion, GatedFusion) else []
    gates += [m.weight for m in model.modules() if isinstance(m, ZeroGate) and m.weight.requires_grad]
    of_gates = {id(parameter) for parameter in gates}
    trainable = [p for p in model.parameters() if p.requires_grad and id(p) not in of_gates]
    groups: list[dict[str, object]] = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    if gates:
        groups.append({"params": gates, "weight_decay": 0.0, "lr": settings.gate_lr})
    return torch.optim.AdamW(groups, lr=settings.lr, fused=True)


def training_step(
    total_loss: nn.Module,
    batch: Cohort,
    optimiser: torch.optim.Optimizer,
    grad_clip: float,
    contributions: Tensor | None = None,
) -> tuple[float, dict[str, float]]:
    """One step of gradient descent; the weighted total and each unweighted term.

    The gradient is applied only when it is finite; otherwise the total comes back as NaN.

    Args:
        total_loss: a ``TotalLoss``, or one that ``Processes.wrap`` has wrapped.
        batch: N standardised patients.
        optimiser: of the model's parameters.
        grad_clip: the largest norm of the gradient.
        contributions: (N, M, T) of the evidence, where the model has one.
    """
    total, terms = total_loss(batch, contributions)
    optimiser.zero_grad()
    total.backward()
    # Of what is trained alone: a frozen imputer may still hold gradients of its own fitting.
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(trained, grad_clip)
    values = {name: float(term) for name, term in terms.items()}
    if not torch.isfinite(norm):
        return math.nan, values
    optimiser.step()
    for module in total_loss.modules():
        if isinstance(module, ZeroGate):
            module.keep_inside()
    return float(total.detach()), values
