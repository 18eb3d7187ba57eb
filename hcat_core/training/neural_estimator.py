"""``neural``: the recipe's imputer, fusion, heads and losses, trained as one estimator."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hcat_core.cohort import Cohort, Layout
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext, Imputation, Prediction
from hcat_core.registry.parameter_types import Count
from hcat_core.storage.checkpoint import read_checkpoint, write_checkpoint
from hcat_core.training.inference import predict_cohort
from hcat_core.training.loop import BEST_AVERAGE, Checkpoints, train
from hcat_core.training.model import HcatModel
from hcat_core.training.neural_parts import parts_of, prepare


class NeuralEstimator:
    """Standardise, impute, fuse, predict: trained until validation patients say stop.

    Args:
        layout: modalities and tasks.
        seeds: trainings that differ in their seed alone; probabilities are averaged (deep ensembles,
            Lakshminarayanan et al. 2017).
    """

    refits = False

    def __init__(self, layout: Layout, *, seeds: Count = 1) -> None:
        self.layout = layout
        self.seeds = seeds
        self.members: list[tuple[Standardiser, HcatModel]] = []
        self.context = FitContext(0)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Train each member from its own seed, to its best validation epoch."""
        self.context = context
        self.members = [
            fit_member(self.layout, train, validation, replace(context, seed=context.seed + 1000 * member))
            for member in range(self.seeds)
        ]

    @classmethod
    def trained(
        cls, layout: Layout, context: FitContext, members: list[tuple[Standardiser, HcatModel]]
    ) -> NeuralEstimator:
        """From what was trained elsewhere."""
        estimator = cls(layout, seeds=len(members))
        estimator.context = context
        estimator.members = members
        return estimator

    def predict(self, cohort: Cohort) -> Prediction:
        """Mean over members, draws and dropout samples; the interval is the widest of the members'."""
        return self._predict(cohort, parts_of(self.context).mc_samples)

    def predict_once(self, cohort: Cohort) -> Prediction:
        """One pass a member, at the imputation's mean and without dropout."""
        return self._predict(cohort, 0)

    def impute(self, cohort: Cohort) -> Imputation:
        """By the first member's imputer, in the units of the files."""
        standardiser, model = self.members[0]
        device = self.context.device
        model.eval()
        with torch.inference_mode():
            return FileUnits.of(model.impute(standardiser.apply(cohort).to(device)), standardiser, cohort)

    def _predict(self, cohort: Cohort, mc_samples: int) -> Prediction:
        assert self.members, "fit or load comes first"
        found = [
            predict_cohort(
                model,
                standardiser.apply(cohort),
                mc_samples=mc_samples,
                seed=self.context.seed,
                device=self.context.device,
            )
            for standardiser, model in self.members
        ]
        return averaged(found)

    def save(self, folder: Path) -> None:
        """One checkpoint a member."""
        for number, (standardiser, model) in enumerate(self.members):
            statistics = {f"standardiser.{k}": v for k, v in standardiser.state_dict().items()}
            path = folder / f"member_{number}.safetensors"
            write_checkpoint(path, {**model.state(), **statistics}, {"member": number})
        (folder / "members.json").write_text(json.dumps({"seeds": self.seeds}) + "\n", encoding="utf-8")

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore every member."""
        parts = parts_of(context)
        self.context = context
        self.members = []
        for number in range(self.seeds):
            tensors, _ = read_checkpoint(folder / f"member_{number}.safetensors")
            model = parts.build_model(self.layout)
            model.load(tensors)
            model.to(context.device)
            standardiser = Standardiser(tensors["standardiser.mean"], tensors["standardiser.scale"])
            self.members.append((standardiser, model))


@dataclass(frozen=True)
class FileUnits(Imputation):
    """An imputation of standardised patients, back on the CPU and in the units of their files."""

    inner: Imputation | None = None
    standardiser: Standardiser | None = None

    @classmethod
    def of(cls, inner: Imputation, standardiser: Standardiser, cohort: Cohort) -> FileUnits:
        """Measured cells are the cohort's own, to the bit."""
        filled = inner.filled.cpu()
        emb = torch.where(filled, standardiser.invert(inner.emb.cpu()), cohort.emb)
        return cls(emb, inner.std.cpu() * standardiser.scale, filled, {}, inner, standardiser)

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """(n, N, M, D) as the imputer draws them."""
        assert self.inner is not None and self.standardiser is not None
        drawn = self.standardiser.invert(self.inner.draw(n, generator).cpu())
        return torch.where(self.filled, drawn, self.emb)


def fit_member(
    layout: Layout, training: Cohort, validation: Cohort, context: FitContext
) -> tuple[Standardiser, HcatModel]:
    """One training from ``context.seed``, back to its best validation epoch where there is one."""
    parts = parts_of(context)
    standardiser = Standardiser.fit(training)
    devices = [] if context.device.type == "cpu" else [context.device]
    with torch.random.fork_rng(devices=devices), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(context.seed)
        model = parts.build_model(layout)
        losses = parts.build_losses(layout)
        standard = standardiser.apply(training)
        stop = standardiser.apply(validation)
        prepare(model, standard, stop, context)
        checkpoints = Checkpoints(Path(folder), {}, {})
        progress = train(
            model,
            losses,
            standard,
            stop,
            parts.training,
            seed=context.seed,
            device=context.device,
            checkpoints=checkpoints,
            resume=False,
            on_epoch=lambda record: None,
            say=context.progress,
        )
        if BEST_AVERAGE in progress.best:
            model.load(read_checkpoint(checkpoints.best(BEST_AVERAGE))[0])
    return standardiser, model


def averaged(predictions: list[Prediction]) -> Prediction:
    """Mean of several models' predictions, with the widest of their intervals where they have any."""
    probability = torch.stack([p.event_probability for p in predictions]).mean(dim=0)
    curve = torch.from_numpy(np.stack([p.curves for p in predictions])).mean(dim=0)
    ends = [p.interval for p in predictions if p.interval is not None]
    if not ends:
        return Prediction(probability, curve)
    low = torch.stack([end[..., 0] for end in ends]).amin(dim=0)
    high = torch.stack([end[..., 1] for end in ends]).amax(dim=0)
    return Prediction(probability, curve, torch.stack([low, high], dim=-1))
