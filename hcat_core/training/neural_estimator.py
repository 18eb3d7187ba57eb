"""``neural``: the recipe's imputer, fusion, heads and losses, trained as one estimator."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.folds import at_most, joint_folds
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import DataError
from hcat_core.interfaces import (
    ALL_KINDS,
    Estimator,
    FitContext,
    Imputation,
    PatientNumbers,
    Prediction,
)
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count
from hcat_core.storage.atomic_files import make_folder
from hcat_core.storage.checkpoint import read_checkpoint, write_checkpoint
from hcat_core.storage.tensor_names import with_prefix
from hcat_core.training.context import TrainingContext, parts_of, training_context
from hcat_core.training.ensemble_interval import IntervalParts
from hcat_core.training.held_out_predictions import in_place
from hcat_core.training.inference import (
    MemberPredictions,
    imputed_cells,
    predict_cohort,
    predict_completed,
    single_pass,
)
from hcat_core.training.model_misfit import Misfit, misfit_of
from hcat_core.training.neural_training import (
    FittedImputer,
    MemberPlan,
    TrainedMember,
    additive,
    fit_imputer,
    load_member,
    refit_baselines,
    train_member,
)
from hcat_core.training.residual_weight import (
    ResidualWeight,
    apply_residual_weights,
    choose_residual_weights,
    held_out_outputs,
)

IMPUTER = "imputer.safetensors"  # of all members, in the folder of their checkpoints
MEMBERS = "members.json"


class NeuralEstimator:
    """Standardise, impute, fuse, predict: trained until the score of held-out patients stops rising.

    With several ``members``, each is trained without one part of the patients, who decide when it stops
    (cross-fitting): every patient teaches, and every patient has a prediction by a member that was not
    fitted on them. These predictions choose the weight of the network's correction to the evidence, the
    recalibration and the thresholds. Probabilities are averaged over members. With one member, validation
    patients do all that.

    Args:
        layout: modalities and tasks.
        members: number of trainings.
        evidence: an estimator that is a sum over modalities, to which the network adds what it finds beyond
            it. It is fitted on each member's training patients. Without it the network predicts alone.
    """

    outcome_kinds = ALL_KINDS  # those of its heads

    def __init__(self, layout: Layout, *, members: Count = 1, evidence: Estimator | None = None) -> None:
        additive(evidence)
        self.plan = MemberPlan(layout, evidence)
        self.number = members
        self.refits = members > 1
        self.members: list[TrainedMember] = []
        self.residual_weights: dict[str, ResidualWeight] = {}
        self.misfit: Misfit | None = None
        self.out_of_fold = Prediction(torch.zeros((0, len(layout.tasks))))
        self.context = TrainingContext(0)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Train each member to its best epoch; each is kept in ``context.folder`` and resumed from it."""
        self.context = training_context(context)
        sides = [(train, validation)] if self.number == 1 else self._sides(train)
        if self.number > 1:
            self.plan = replace(self.plan, imputer=self._fit_imputer(*sides[0]))
        self.members, outputs = [], []
        for number, (rest, held_out) in enumerate(sides):
            member = train_member(self.plan, rest, held_out, self._context_of(number))
            self.members.append(member)
            outputs.append(held_out_outputs(member, held_out, self.context.device))
        if self.plan.evidence is not None:
            self.residual_weights = choose_residual_weights(outputs)
            for member, (rest, held_out) in zip(self.members, sides, strict=True):
                apply_residual_weights(member, self.residual_weights)
                refit_baselines(member, rest, held_out, self.context)
        if self.number > 1:
            self._predict_out_of_fold(train)

    @classmethod
    def trained(cls, layout: Layout, context: TrainingContext, member: TrainedMember) -> NeuralEstimator:
        """The estimator of one member that was trained elsewhere, without evidence."""
        estimator = cls(layout)
        estimator.context = context
        estimator.members = [member]
        return estimator

    def predict(self, cohort: Cohort) -> Prediction:
        """Mean over members, with an interval; of a single member, over draws and dropout samples."""
        return self._predict(cohort, parts_of(self.context).mc_samples)

    def predict_once(self, cohort: Cohort) -> Prediction:
        """One pass per member, at the imputation's mean and without dropout."""
        return self._predict(cohort, 0)

    def predict_members(self, cohort: Cohort) -> list[Prediction]:
        """One pass of each member."""
        return [
            single_pass(m.model, m.standardiser.apply(cohort), self.context.device).prediction
            for m in self.members
        ]

    def interval_parts(self, cohort: Cohort, samples: int | None = None) -> IntervalParts:
        """Variance between members, between draws of what is missing, and of the members' misfit.

        Args:
            cohort: in the units of the files.
            samples: draws of what is missing; those of the recipe where None.
        """
        samples = parts_of(self.context).mc_samples if samples is None else samples
        members = [self._completed(member, cohort, samples) for member in self.members]
        return IntervalParts.of(members, self.misfit)

    def _completed(self, member: TrainedMember, cohort: Cohort, samples: int) -> MemberPredictions:
        """What one member predicts of a cohort in the units of the files, with draws of what is missing."""
        patients = member.standardiser.apply(cohort.without_targets())
        seed, device = self.context.seed, self.context.device
        return predict_completed(member.model, patients, samples=samples, seed=seed, device=device)

    def impute(self, cohort: Cohort) -> Imputation:
        """The imputation of the first member's imputer, in the units of the files."""
        standardiser, model = self.members[0].standardiser, self.members[0].model
        model.eval()
        with torch.inference_mode():
            imputation = model.impute(standardiser.apply(cohort).to(self.context.device))
            return ImputationInFileUnits.of(imputation, standardiser, cohort)

    def gates(self, cohort: Cohort) -> Tensor | None:
        """(N, M) mean gates of the members; None where the fusion has none."""
        gates = [
            single_pass(m.model, m.standardiser.apply(cohort), self.context.device).gates
            for m in self.members
        ]
        known = [one for one in gates if one is not None]
        return torch.stack(known).mean(dim=0) if known else None

    def embed(self, cohort: Cohort) -> list[Tensor]:
        """(N, H) fused vectors of each member, at the imputation's mean and without dropout."""
        passes = [
            single_pass(m.model, m.standardiser.apply(cohort), self.context.device) for m in self.members
        ]
        return [one.pooled for one in passes if one.pooled is not None]

    def save(self, folder: Path) -> None:
        """Write one checkpoint per member."""
        for number, member in enumerate(self.members, 1):
            statistics = with_prefix("standardiser.", member.standardiser.state_dict())
            path = folder / f"member_{number}.safetensors"
            write_checkpoint(path, {**member.model.state(), **statistics}, {"member": number})
        weights = {task: asdict(weight) for task, weight in self.residual_weights.items()}
        misfit = None if self.misfit is None else asdict(self.misfit)
        text = json.dumps({"members": len(self.members), "residual_weights": weights, "misfit": misfit})
        (folder / MEMBERS).write_text(text + "\n", encoding="utf-8")

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore every member.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """
        self.context = training_context(context)
        path = folder / MEMBERS
        tasks = self.plan.layout.task_names
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            self.residual_weights = {
                task: ResidualWeight(**weight) for task, weight in written["residual_weights"].items()
            }
            misfit = written["misfit"]
            self.misfit = misfit and Misfit(tuple(misfit["linear"]), tuple(misfit["quadratic"]))
            sizes = (
                {len(tasks)} if self.misfit is None else {len(part) for part in vars(self.misfit).values()}
            )
            number = int(written["members"])
            outcomes = {outcome.name for outcome in self.plan.layout.outcomes}
            if sizes != {len(tasks)} or not set(self.residual_weights) <= outcomes:
                raise ValueError("it is of other tasks")
            if not 1 <= number <= self.number:
                raise ValueError(f"it has {number} members, and the recipe {self.number}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(f"{path}: damaged, or not of this run's recipe ({error}).") from None
        self.members = [
            load_member(folder / f"member_{place}.safetensors", self.plan, self.context)
            for place in range(1, number + 1)
        ]

    @property
    def checkpoint(self) -> Path | None:
        """The file that holds all that was fitted: of a single member that was kept, without evidence."""
        if len(self.members) > 1 or self.plan.evidence is not None:
            return None
        return self.members[0].checkpoint

    def _sides(self, train: Cohort) -> list[tuple[Cohort, Cohort]]:
        """The training and the held-out patients of each member."""
        folds = joint_folds(train, at_most(self.number, train), 1, self.context.seed)
        self.number = len(folds)
        return [(train[fold.rest], train[fold.test]) for fold in folds]

    def _context_of(self, number: int) -> TrainingContext:
        """The context of one member: its seed, and its own folder of checkpoints."""
        context = replace(
            self.context,
            seed=self.context.seed + 1000 * number,
            member=number + 1,
            members=self.number,
        )
        if self.number == 1 or context.folder is None:
            return context
        path = context.folder.path / f"member_{number + 1}"
        return replace(context, folder=replace(context.folder, path=path))

    def _fit_imputer(self, training: Cohort, validation: Cohort) -> FittedImputer:
        """Fit the imputer for all members, or read it where an interrupted run has left it."""
        folder = self.context.folder
        path = None if folder is None else folder.path / IMPUTER
        if folder is not None and self.context.processes.broadcast(path is not None and path.is_file()):
            assert path is not None
            return FittedImputer.from_tensors(read_checkpoint(path, folder.recipe)[0])
        imputer = fit_imputer(self.plan, training, validation, self.context)
        if folder is not None and path is not None and self.context.processes.is_main:
            self.context.observer.model_built()
            make_folder(folder.path)
            write_checkpoint(path, imputer.tensors(), {}, folder.recipe)
        self.context.processes.barrier()
        return imputer

    def _predict_out_of_fold(self, train: Cohort) -> None:
        """Predict each patient by the member that was not fitted on it, and find the members' misfit."""
        folds = joint_folds(train, self.number, 1, self.context.seed)
        held_out = [(member, fold.test) for member, fold in zip(self.members, folds, strict=True)]
        # The interval of a number is wider the less is measured: of held-out patients it is needed too.
        samples = parts_of(self.context).mc_samples if train.layout.numbers else 0
        predicted = [
            (rows, IntervalParts.of([self._completed(m, train[rows], samples)]).prediction())
            for m, rows in held_out
        ]
        self.out_of_fold = in_place(predicted, train)
        cells = (
            (rows.numpy(), imputed_cells(m.model, m.standardiser.apply(train[rows]), self.context.device))
            for m, rows in held_out
        )
        self.misfit = misfit_of(train, self.out_of_fold.probability, cells)

    def _predict(self, cohort: Cohort, samples: int) -> Prediction:
        assert self.members, "fit or load comes first"
        seed, device = self.context.seed, self.context.device
        if len(self.members) == 1:
            (member,) = self.members
            patients = member.standardiser.apply(cohort)
            return predict_cohort(member.model, patients, mc_samples=samples, seed=seed, device=device)
        return self.interval_parts(cohort, samples).prediction()


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
        emb = torch.where(filled, standardiser.invert_imputed(standardised.emb.cpu()), cohort.emb)
        std = standardised.std.cpu() * standardiser.scale
        return cls(emb, std, filled, {}, standardised, standardiser)

    def interval(self, level: float = 0.9) -> tuple[torch.Tensor, torch.Tensor]:
        """Ends (N, M, D) of the imputer's intervals."""
        assert self.standardised is not None and self.standardiser is not None
        ends = self.standardised.interval(level)
        low, high = (self.standardiser.invert_imputed(end.cpu()) for end in ends)
        return torch.where(self.filled, low, self.emb), torch.where(self.filled, high, self.emb)

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """(n, N, M, D) as the imputer draws them."""
        assert self.standardised is not None and self.standardiser is not None
        device = self.standardised.emb.device
        same_place = generator.device.type == device.type or isinstance(generator, PatientNumbers)
        if not same_place:  # random numbers are made where they are used
            seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
            generator = type(generator)(device=device)
            generator.manual_seed(seed)
        drawn = self.standardiser.invert_imputed(self.standardised.draw(n, generator).cpu())
        return torch.where(self.filled, drawn, self.emb)
