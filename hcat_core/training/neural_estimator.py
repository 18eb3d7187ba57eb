"""``neural``: the recipe's imputer, fusion, heads and losses, trained as one estimator."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hcat_core.cohort import Cohort, Layout
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext, Imputation, Prediction
from hcat_core.registry.parameter_types import Count
from hcat_core.storage.checkpoint import write_checkpoint
from hcat_core.training.context import TrainingContext, parts_of, training_context
from hcat_core.training.inference import predict_cohort
from hcat_core.training.neural_training import TrainedMember, load_member, train_member


class NeuralEstimator:
    """Standardise, impute, fuse, predict: trained until the score of validation patients stops rising.

    Args:
        layout: modalities and tasks.
        seeds: trainings that differ in their seed alone; probabilities are averaged (deep ensembles,
            Lakshminarayanan et al. 2017).
    """

    refits = False

    def __init__(self, layout: Layout, *, seeds: Count = 1) -> None:
        self.layout = layout
        self.seeds = seeds
        self.members: list[TrainedMember] = []
        self.context = TrainingContext(0)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Train each member from its own seed, to its best validation epoch.

        A single member is kept in ``context.folder`` where there is one, and resumed from there.
        """
        self.context = training_context(context)
        if self.seeds > 1:
            self.context = replace(self.context, folder=None)
        self.members = [
            train_member(
                self.layout,
                train,
                validation,
                replace(self.context, seed=self.context.seed + 1000 * number),
            )
            for number in range(self.seeds)
        ]

    @classmethod
    def trained(cls, layout: Layout, context: TrainingContext, member: TrainedMember) -> NeuralEstimator:
        """The estimator of one member that was trained elsewhere."""
        estimator = cls(layout)
        estimator.context = context
        estimator.members = [member]
        return estimator

    def predict(self, cohort: Cohort) -> Prediction:
        """Mean over members, draws and dropout samples; the interval is the widest of the members'."""
        return self._predict(cohort, parts_of(self.context).mc_samples)

    def predict_once(self, cohort: Cohort) -> Prediction:
        """One pass a member, at the imputation's mean and without dropout."""
        return self._predict(cohort, 0)

    def impute(self, cohort: Cohort) -> Imputation:
        """The imputation of the first member's imputer, in the units of the files."""
        standardiser, model = self.members[0].standardiser, self.members[0].model
        model.eval()
        with torch.inference_mode():
            imputation = model.impute(standardiser.apply(cohort).to(self.context.device))
            return ImputationInFileUnits.of(imputation, standardiser, cohort)

    def _predict(self, cohort: Cohort, mc_samples: int) -> Prediction:
        assert self.members, "fit or load comes first"
        predictions = [
            predict_cohort(
                member.model,
                member.standardiser.apply(cohort),
                mc_samples=mc_samples,
                seed=self.context.seed,
                device=self.context.device,
            )
            for member in self.members
        ]
        return averaged(predictions)

    def save(self, folder: Path) -> None:
        """Write one checkpoint per member."""
        for number, member in enumerate(self.members):
            statistics = {f"standardiser.{k}": v for k, v in member.standardiser.state_dict().items()}
            path = folder / f"member_{number}.safetensors"
            write_checkpoint(path, {**member.model.state(), **statistics}, {"member": number})
        (folder / "members.json").write_text(json.dumps({"seeds": self.seeds}) + "\n", encoding="utf-8")

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore every member."""
        self.context = training_context(context)
        self.members = [
            load_member(folder / f"member_{number}.safetensors", self.layout, self.context)
            for number in range(self.seeds)
        ]


@dataclass(frozen=True)
class ImputationInFileUnits(Imputation):
    """An imputation of standardised patients, back on the CPU and in the units of their files."""

    standardised: Imputation | None = None
    standardiser: Standardiser | None = None

    @classmethod
    def of(
        cls, standardised: Imputation, standardiser: Standardiser, cohort: Cohort
    ) -> ImputationInFileUnits:
        """Measured cells are the cohort's own, to the bit."""
        filled = standardised.filled.cpu()
        emb = torch.where(filled, standardiser.invert(standardised.emb.cpu()), cohort.emb)
        std = standardised.std.cpu() * standardiser.scale
        return cls(emb, std, filled, {}, standardised, standardiser)

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """(n, N, M, D) as the imputer draws them."""
        assert self.standardised is not None and self.standardiser is not None
        drawn = self.standardiser.invert(self.standardised.draw(n, generator).cpu())
        return torch.where(self.filled, drawn, self.emb)


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
