"""The training loop, one readable function, and the state it can be picked up from.

All randomness (order, modality dropout, noise, dropout) follows from (seed, epoch, step): an epoch begun
anew after an interruption is the epoch that would have been, and several processes draw what one would.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, TrainingError
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import TimedHead
from hcat_core.metrics.discrimination import best_threshold, binary_metrics
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.names import AVERAGE
from hcat_core.recipe.schema import TrainingTable
from hcat_core.storage.checkpoint import (
    optimiser_tensors,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from hcat_core.storage.safe_path import safe_path
from hcat_core.training.augmentation import augment
from hcat_core.training.device import products_in, refuse_precision
from hcat_core.training.distributed import ALONE, Workers
from hcat_core.training.inference import MC_ROWS, predict_cohort
from hcat_core.training.model import HcatModel

LAST = "last.safetensors"
FINAL = "final.safetensors"
BEST_AVERAGE = AVERAGE


@dataclass
class Progress:
    """Where a training stands: epochs done, the best so far by name, epochs since the average's best."""

    epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    finished: bool = False
    history: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints go, and what goes into each beside the model: statistics and a JSON header.

    ``recipe`` is the text that they are bound to, where they belong to a run folder. Of several processes
    one ``writes``.
    """

    folder: Path
    constants: Mapping[str, Tensor]
    header: Mapping[str, object]
    recipe: str = ""
    writes: bool = True

    def best(self, name: str) -> Path:
        """The checkpoint of the best validation epoch for a task, or for their average."""
        return safe_path(self.folder, f"best_{name}.safetensors")

    def chosen(self, progress: Progress) -> Path:
        """The one to predict with: of the best validation epoch, or the last where none is the best."""
        return self.best(BEST_AVERAGE) if BEST_AVERAGE in progress.best else self.folder / LAST

    def refuse_another_best(self, progress: Progress) -> None:
        """The best epochs' weights, which going on does not make again, must be there.

        A killed process may have left those of the epoch that comes next; that one is done again.

        Raises:
            DataError: for a file that is missing, damaged, or of another epoch.
        """
        for name, score in progress.best.items():
            path, epoch = self.best(name), progress.best_epoch[name]
            header = read_checkpoint(path, self.recipe)[1] if path.is_file() else {}
            if (header.get("epoch"), header.get("score")) == (epoch, score):
                continue
            if header.get("epoch") == progress.epoch + 1:
                continue
            raise DataError(
                f"{path}: not the checkpoint of epoch {epoch}, the best so far: missing, or another is in "
                f"its place. Put it back, or remove {LAST} there, and --resume trains from the beginning."
            )

    def write(self, path: Path, model: HcatModel, extra: Mapping[str, Tensor], **header: object) -> None:
        """One complete checkpoint."""
        if not self.writes:
            return
        tensors = {**model.state(), **self.constants, **extra}
        write_checkpoint(path, tensors, {**self.header, **header}, self.recipe)


def train(
    model: HcatModel,
    losses: list[WeightedLoss],
    training: Cohort,
    validation: Cohort,
    settings: TrainingTable,
    *,
    seed: int,
    device: torch.device,
    checkpoints: Checkpoints,
    resume: bool,
    on_epoch: Callable[[dict[str, object]], None],
    say: Callable[[str], None],
    workers: Workers = ALONE,
) -> Progress:
    """Train until the last epoch or until ``early_stop_patience`` epochs bring nothing better.

    Every epoch ends with a complete ``last`` checkpoint; a better one for a task, or for the average
    over tasks, is kept as ``best_<name>``.

    Raises:
        DataError: for checkpoints to go on from that are not those of this training.
        TrainingError: when a loss is not finite (the last good checkpoint stays), or when a contrastive
            loss would compare each patient with itself.
        UsageError: for a precision that the processor does not have.
    """
    contrastive = [term.name for term in losses if term.loss.needs_second_view and term.weight > 0]
    if contrastive and settings.moddrop == 0 and settings.emb_noise == 0:
        raise TrainingError(
            f"{contrastive[0]} compares two views of a patient, and without training.moddrop and "
            "training.emb_noise they are the same. Set one of them above 0, or leave the loss out."
        )
    refuse_precision(settings.precision, device)
    model.to(device)
    optimiser = build_optimiser(model, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimiser, T_0=settings.restart_epochs, T_mult=settings.restart_factor
    )
    progress = Progress()
    last = checkpoints.folder / LAST
    if resume:
        tensors, header = read_checkpoint(last, checkpoints.recipe)
        model.load(tensors)
        restore_optimiser(optimiser, tensors)
        progress = Progress(**header["progress"])  # type: ignore[arg-type]
        checkpoints.refuse_another_best(progress)
    else:
        checkpoints.write(last, model, {}, progress=asdict(progress))
    workers.agree(model.parameters())

    steps = math.ceil(len(training) / settings.batch)
    while progress.epoch < settings.epochs and not progress.finished:
        epoch = progress.epoch
        torch.manual_seed(epoch_seed(seed, epoch))
        model.train()
        sums: dict[str, float] = {loss.name: 0.0 for loss in losses}
        total_sum = 0.0
        for step, rows in enumerate(torch.randperm(len(training)).split(settings.batch)):
            scheduler.step(epoch + step / steps)
            torch.manual_seed(epoch_seed(seed, epoch, 1 + step))
            batch = training[rows].to(device)
            total, terms = training_step(model, losses, batch, settings, optimiser, workers)
            if not math.isfinite(total):
                bad = [f"the loss {name} is {v}" for name, v in terms.items() if not math.isfinite(v)]
                raise TrainingError(
                    f"epoch {epoch + 1}, batch {step + 1} of {steps}: "
                    f"{', '.join(bad) or 'the gradient is not finite'}. The last good checkpoint, of epoch "
                    f"{epoch}, is {last}; going on from it would end here again. Start a new run with a "
                    "smaller training.lr, or look for extreme values with hcat inspect."
                )
            total_sum += total * len(rows)
            for name, value in terms.items():
                sums[name] += value * len(rows)

        if isinstance(model.imputer, Calibrated) and model.imputer_trains():
            model.imputer.calibrate(training.present, validation.to(device))
        fit_baselines(model, training, device, workers)
        val = workers.told(validate(model, validation, seed=seed, device=device, workers=workers))
        better = _update_best(progress, val, settings.monitor)
        progress.epoch = epoch + 1
        progress.stale = 0 if BEST_AVERAGE in better else progress.stale + 1
        progress.finished = progress.stale >= settings.early_stop_patience
        record: dict[str, object] = {
            "epoch": progress.epoch,
            "epochs": settings.epochs,
            "lr": optimiser.param_groups[0]["lr"],
            "train_loss": total_sum / len(training),
            "losses": {name: value / len(training) for name, value in sums.items()},
            "val": val,
            "best": BEST_AVERAGE in better,
        }
        progress.history.append(record)
        _write_epoch(model, optimiser, checkpoints, progress, better)
        on_epoch(record)
        if epoch == 0:
            _say_idle_losses(losses, sums, say)
    checkpoints.write(checkpoints.folder / FINAL, model, {}, epoch=progress.epoch, history=progress.history)
    return progress


def build_optimiser(model: HcatModel, settings: TrainingTable) -> torch.optim.AdamW:
    """AdamW, with weight decay on matrices only: gains, biases and tokens are not shrunk."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=settings.lr,
        fused=True,
    )


def training_step(
    model: HcatModel,
    losses: list[WeightedLoss],
    batch: Cohort,
    settings: TrainingTable,
    optimiser: torch.optim.Optimizer,
    workers: Workers = ALONE,
) -> tuple[float, dict[str, float]]:
    """One step of gradient descent, shared by ``workers``; the weighted total and each unweighted term.

    The gradient is applied only when it is finite; otherwise the total comes back as NaN.
    """
    view = augment(batch, settings)
    second = augment(batch, settings) if any(term.loss.needs_second_view for term in losses) else None
    with products_in(settings.precision, batch.emb.device):
        outputs = model(view, second, workers)
    terms = {term.name: term.loss(outputs, batch) for term in losses}
    total = torch.stack([term.weight * terms[term.name] for term in losses]).sum()
    optimiser.zero_grad()
    workers.backward(total, model.parameters())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip)
    values = {name: float(term.detach()) for name, term in terms.items()}
    if not torch.isfinite(norm):
        return math.nan, values
    optimiser.step()
    return float(total.detach()), values


@torch.no_grad()
def fit_baselines(model: HcatModel, training: Cohort, device: torch.device, workers: Workers) -> None:
    """Show heads that need it what they now say of every training patient."""
    heads = [h for h in model.heads.values() if isinstance(h, TimedHead) and h.needs_baseline]
    if not heads:
        return
    model.eval()
    raw: dict[str, list[Tensor]] = {}
    for rows in torch.arange(len(training))[workers.rows(len(training))].split(MC_ROWS):
        for name, value in model(training[rows].to(device)).raw.items():
            raw.setdefault(name, []).append(value)
    on_device = training.to(device)
    for name, head in model.heads.items():
        if isinstance(head, TimedHead) and head.needs_baseline:
            (everyones,) = workers.gather([torch.cat(raw[name])], len(training))
            head.fit_baseline(everyones, on_device)


def validate(
    model: HcatModel, validation: Cohort, *, seed: int, device: torch.device, workers: Workers = ALONE
) -> dict[str, dict[str, float | int | None]]:
    """Metrics by task on the validation patients, at each task's own best threshold there."""
    own = validation[workers.rows(len(validation))]
    predicted = predict_cohort(model, own, mc_samples=0, seed=seed, device=device)
    (probability,) = workers.gather([torch.from_numpy(predicted.probability)], len(validation))
    result = {}
    assert validation.targets is not None
    for column, task in enumerate(validation.layout.task_names):
        p = probability[:, column].numpy()
        y = validation.targets.labels[:, column].numpy()
        threshold = best_threshold(p[y >= 0], y[y >= 0])
        result[task] = vars(binary_metrics(p, y, threshold))
    return result


def epoch_seed(seed: int, *place: int) -> int:
    """One well-mixed 62-bit seed for each (seed, epoch), and each step of it."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0] >> 2)


def _update_best(
    progress: Progress, val: Mapping[str, Mapping[str, float | int | None]], monitor: str
) -> list[str]:
    """The names this epoch is the best for. Compared with the old best before it is replaced."""
    scores = {task: m[monitor] for task, m in val.items() if m[monitor] is not None}
    if scores:
        scores[BEST_AVERAGE] = float(np.mean(list(scores.values())))
    better = [
        name
        for name, score in scores.items()
        if score is not None and score > progress.best.get(name, -math.inf)
    ]
    for name in better:
        progress.best[name] = float(scores[name])  # type: ignore[arg-type]
        progress.best_epoch[name] = progress.epoch + 1
    return better


def _write_epoch(
    model: HcatModel,
    optimiser: torch.optim.Optimizer,
    checkpoints: Checkpoints,
    progress: Progress,
    better: list[str],
) -> None:
    """The best ones first: an epoch that ``last`` says is done has left all its files."""
    for name in better:
        checkpoints.write(
            checkpoints.best(name), model, {}, epoch=progress.epoch, score=progress.best[name]
        )
    checkpoints.write(
        checkpoints.folder / LAST,
        model,
        optimiser_tensors(optimiser),
        progress=copy.deepcopy(asdict(progress)),
    )


def _say_idle_losses(
    losses: list[WeightedLoss], sums: Mapping[str, float], say: Callable[[str], None]
) -> None:
    for loss in losses:
        if loss.weight > 0 and sums[loss.name] == 0:
            say(
                f"loss {loss.name} is zero for every patient: no component of this recipe "
                "computes it, and its weight has no effect"
            )
