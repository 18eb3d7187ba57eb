"""``evidence``: log hazards, logits or values of regressions per modality, a forest, and their pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hcat_builtin.estimators.evidence_by_row import LARGEST, EvidenceByRow, FittedEvidence, shared_out
from hcat_builtin.estimators.forest_score import ForestScore
from hcat_builtin.estimators.modality_pairs import ModalityPairs
from hcat_builtin.estimators.outcome_regression import (
    Outcomes,
    baseline,
    class_line,
    most_likely_factors,
    regress,
)
from hcat_builtin.estimators.patient_features import FEATURES, FeatureChoice, PatientFeatures
from hcat_builtin.estimators.penalised_regression import inner_folds
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort
from hcat_core.interfaces import ALL_KINDS, FitContext, Prediction
from hcat_core.layout import CURVE_STEPS, Layout, Task
from hcat_core.metrics.survival import FINE_STEPS, cumulative_incidence, fine_days
from hcat_core.registry.parameter_types import Count, CountOrZero, FoldCount, Share, TailShare
from hcat_core.storage.tensor_names import with_prefix, without_prefix
from hcat_core.storage.tensor_shapes import Shape, refuse_other_shapes

AXES, FOREST = "axes.", "forest."  # what the names of these parts' tensors begin with
BLEND_STRENGTH = 20.0  # precision of the prior of the factors of regressions and forest


class EvidenceEstimator:
    """Sum of one regression per modality, a forest over all, and products of two modalities.

    A modality's regression (elastic net) is fitted on the patients who have it, by the partial likelihood
    of their times, or by the likelihood of their labels, or of their values, in a task without times. The
    scores of the classes of one outcome, each against the others, are brought together by a softmax.
    Scores are centred, so
    that a modality that is missing, or not informative, adds 0: what is usual. Extreme values of each
    feature are winsorised. A modality wider than ``widest`` is reduced to principal components, whose
    regression is ridge: as many as there are patients make it the ridge regression on all its features.

    A forest over all modalities is grown beside them. The sum of the regressions and the forest are
    multiplied by the factors that are the most likely for patients left out of both, pulled towards one
    half each: single regressions are shrunk too much, and modalities with the same information are counted
    twice. Products of components of two modalities are then tried; they are used where the
    cross-validated likelihood gains more than twice its standard error.

    Args:
        layout: modalities and tasks.
        l1_ratio: 0 is ridge, 1 is lasso; of modalities that are used as they are, and of products.
        folds: number of inner folds that choose the penalty.
        components: number of principal components that replace a modality wider than ``widest``.
        widest: number of cells up to which a modality is used as it is.
        tails: share of patients at either end of each feature whose values are winsorised.
        pairs: number of components of each modality whose products are tried; 0 tries none.
        trees: number of trees of the forest; 0 for none.
    """

    refits = True
    outcome_kinds = ALL_KINDS

    def __init__(
        self,
        layout: Layout,
        *,
        l1_ratio: Share = 0.5,
        folds: FoldCount = 5,
        components: Count = 256,
        widest: Count = 64,
        tails: TailShare = 0.02,
        pairs: CountOrZero = 8,
        trees: CountOrZero = 400,
    ) -> None:
        self.layout = layout
        self.l1_ratio = l1_ratio
        self.folds = folds
        self.widest = widest
        self.features = [
            PatientFeatures(layout, FeatureChoice([name], components, widest), tails=tails)
            for name in layout.names
        ]
        self.pairs = ModalityPairs(layout, pairs)
        self.forest = ForestScore(layout, trees)
        self.state: dict[str, Tensor] = {}
        self.left_out = torch.zeros(0)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit every modality and task on the patients who have both, then the pairs of modalities.

        Raises:
            ValueError: without targets.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        self.state = {}
        for part in self.features:  # of an earlier fit: a modality may have no patient in this one
            part.state = {}
        train = self._standardised(train)
        assert train.targets is not None
        self.left_out = torch.zeros((*train.present.shape, len(self.layout.tasks)))
        groups = np.array(train.patient_ids if train.groups is None else train.groups)
        fold = inner_folds(groups, self.folds, context.seed)
        for column in range(len(self.layout.names)):
            has = train.present[:, column]
            if has.any():
                self._fit_modality(column, train[has], has, fold[has.numpy()])
        outcomes = [Outcomes.of(train.targets, number) for number in range(len(self.layout.tasks))]
        hazards = [of_task.of_cause(1) for of_task in outcomes]
        self._add_forest(train, hazards, self.forest.fit(train, fold, context.seed))
        self._fit_pairs(train, hazards, fold)
        total = self._scores(train).sum(dim=1).double()
        for number, task in enumerate(self.layout.tasks):
            self.state |= with_prefix(f"task_{number}.", self._baselines(task, outcomes[number], total))
        for family in self.layout.families:
            self._bring_together(family, train.targets.labels)
        self.left_out = self.left_out * self._units()

    def contributions(self, cohort: Cohort) -> Tensor:
        """(N, M, T) log hazard ratios, logits or values around what is usual; 0 for a missing modality.

        Those of a class are added in a softmax, and those of a number are in its unit.
        """
        return (self._scores(cohort) * self._units()).to(cohort.emb.device)

    def _scores(self, cohort: Cohort) -> Tensor:
        """(N, M, T) contributions, those to a number in its standard deviations; on the CPU.

        What the forest and pairs of modalities add belongs to all modalities of the patient in equal parts.
        """
        result = torch.zeros((*cohort.present.shape, len(self.layout.tasks)))
        for column in range(len(self.layout.names)):
            has = cohort.present[:, column].cpu()
            if f"{column}.scale" not in self.state or not has.any():
                continue
            x = self._features(column, cohort[has])
            for number in range(len(self.layout.tasks)):
                weights, usual = (self.state[f"{column}.{number}.{name}"] for name in ("weights", "usual"))
                score = (x @ weights - usual).clamp(-LARGEST, LARGEST).float()
                result[has, column, number] = score * self.state[f"task_{number}.factor"]
        scores = self.forest.score(cohort)
        for number in range(len(self.layout.tasks)):
            share, usual = self.state[f"task_{number}.forest"], self.state[f"task_{number}.forest_usual"]
            result[:, :, number] += shared_out(share * (scores[:, number] - usual), cohort.present.cpu())
        self._add_pairs(result, cohort)
        return result

    def traceable(self) -> nn.Module:
        """``contributions`` as tensor operations alone."""
        features = {name: tensor for part in self.features for name, tensor in part.state.items()}
        return EvidenceByRow(FittedEvidence(features, self.state, self.forest, self.pairs), self.layout)

    def out_of_fold_contributions(self) -> Tensor:
        """(N, M, T) of the training patients, by models of the inner folds, fitted without the patient."""
        return self.left_out

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) probabilities and values, and (N, T, 12) curves; without times, the last step alone."""
        total = self._scores(cohort).sum(dim=1).double()
        curves = [self._curve(number, total) for number in range(len(self.layout.tasks))]
        curve = torch.stack(curves, dim=1)
        for family in self.layout.families:
            at = list(family)
            start = torch.cat([self.state[f"task_{number}.baseline"] for number in family])
            curve[:, at, -1] = torch.softmax(total[:, at] + start, dim=1)
        estimate = curve[:, :, -1].clone()
        for number in self.layout.numbers:
            standard = total[:, number] + self.state[f"task_{number}.baseline"]
            location, scale = (self.state[f"task_{number}.{name}"] for name in ("location", "scale"))
            estimate[:, number], curve[:, number] = location + scale * standard, torch.nan
        return Prediction.of_estimate(estimate, self.layout.numbers, curve)

    def save(self, folder: Path) -> None:
        """Write weights, baselines and the statistics of the features."""
        save_models(folder, {}, dict(self.state_dict()))

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """

        def check(models: dict[str, Any], state: dict[str, Tensor]) -> None:
            if models:
                raise ValueError(f"{min(models)}.skops does not belong there")
            self.load_state_dict(state)

        load_models(folder, check)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, baselines and the statistics of the features."""
        features = {name: tensor for part in self.features for name, tensor in part.state.items()}
        return {
            **with_prefix(FEATURES, features),
            **with_prefix(AXES, self.pairs.state),
            **with_prefix(FOREST, self.forest.state),
            **self.state,
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: for tensors that are not those of this recipe and layout.
        """
        state = {name: tensor.cpu() for name, tensor in state.items()}
        self.pairs.state, self.forest.state = without_prefix(AXES, state), without_prefix(FOREST, state)
        self.state = {k: t for k, t in state.items() if not k.startswith((FEATURES, AXES, FOREST))}
        features = without_prefix(FEATURES, state)
        for column, part in enumerate(self.features):
            part.state = {name: t for name, t in features.items() if name.startswith(f"{column}.")}
        refuse_other_shapes(features, self._feature_shapes(), "features")
        refuse_other_shapes(self.pairs.state, self.pairs.shapes(), "pairs")
        refuse_other_shapes(self.state, self._shapes())

    def _feature_shapes(self) -> dict[str, Shape]:
        """Shapes of the features of those modalities that a training patient had."""
        fitted = (part.shapes(column) for column, part in enumerate(self.features) if part.state)
        return {name: shape for shapes in fitted for name, shape in shapes.items()}

    def _shapes(self) -> dict[str, Shape]:
        """Shapes of weights and baselines: those that ``predict`` computes with."""
        shapes: dict[str, Shape] = {}
        tasks = range(len(self.layout.tasks))
        for column, part in enumerate(self.features):
            if part.state:
                number = (part.number,)
                shapes |= {f"{column}.scale": number}
                shapes |= {f"{column}.{task}.weights": number for task in tasks}
                shapes |= {f"{column}.{task}.usual": () for task in tasks}
        for task in tasks:
            numbers = ("location", "scale") if task in self.layout.numbers else ()
            shapes |= {f"task_{task}.{n}": () for n in ("factor", "forest", "forest_usual", *numbers)}
            if f"pairs.{task}.weights" in self.state:
                shapes |= {f"pairs.{task}.weights": (self.pairs.number,), f"pairs.{task}.usual": ()}
            shapes |= self._baseline_shapes(task)
        return shapes

    def _baseline_shapes(self, number: int) -> dict[str, Shape]:
        """Shapes of a task's baseline: one number without times, or one for each day of its curve."""
        name, task = f"task_{number}.", self.layout.tasks[number]
        if len(self.state.get(f"{name}baseline", ())) == 1:
            return {f"{name}baseline": (1,)}
        if f"{name}competing" not in self.state or task.competing is None:
            return {f"{name}baseline": (len(task.curve_days),)}
        days = (FINE_STEPS * len(task.curve_days),)
        return {f"{name}baseline": days, f"{name}competing": days}

    def _baselines(self, task: Task, outcomes: Outcomes, total: Tensor) -> dict[str, Tensor]:
        """Cumulative baseline hazards of a task, or its logit, from (N, T) scores of its patients.

        The hazard of a competing event is proportional to that of the competing task.
        """
        own = total[:, self.layout.task_names.index(task.name)]
        if task.competing is None or not outcomes.is_timed:
            return {"baseline": baseline(own, outcomes, torch.tensor(task.curve_days))}
        days, other = fine_days(task.curve_days), total[:, self.layout.task_names.index(task.competing)]
        return {
            "baseline": baseline(own, outcomes.of_cause(1), days),
            "competing": baseline(other, outcomes.of_cause(2), days),
        }

    def _standardised(self, train: Cohort) -> Cohort:
        """The training patients with values in standard deviations from their mean, which are kept."""
        targets = train.targets
        if targets is None or targets.values is None:
            return train
        values = targets.values.double()
        for number in self.layout.numbers:
            known = values[values[:, number].isfinite(), number]
            location = known.mean() if len(known) else known.new_zeros(())
            spread = known.std() if len(known) > 1 else known.new_zeros(())
            scale = torch.where(spread > 0, spread, 1.0)
            self.state |= {f"task_{number}.location": location, f"task_{number}.scale": scale}
            values[:, number] = (values[:, number] - location) / scale
        return replace(train, targets=replace(targets, values=values.float()))

    def _units(self) -> Tensor:
        """(T,) the standard deviation of each number, in which its scores are; 1 of other tasks."""
        units = torch.ones(len(self.layout.tasks))
        for number in self.layout.numbers:
            units[number] = self.state[f"task_{number}.scale"]
        return units

    def _bring_together(self, family: Sequence[int], labels: Tensor) -> None:
        """Scale the scores of the classes of one outcome so that their softmax is the most likely."""
        at = list(family)
        known = (labels[:, at] == 1).any(dim=1)
        scores = self.left_out[known][:, :, at].sum(dim=1).double().numpy()
        intercepts, factor = class_line(scores, (labels[known][:, at] == 1).double().numpy())
        for number, intercept in zip(family, intercepts, strict=True):
            for name in (f"task_{number}.factor", f"task_{number}.forest"):
                self.state[name] = self.state[name] * factor
            for name in (f"pairs.{number}.weights", f"pairs.{number}.usual"):
                if name in self.state:
                    self.state[name] = self.state[name] * factor
            self.state[f"task_{number}.baseline"] = torch.tensor([intercept], dtype=torch.float64)
        self.left_out[:, :, at] *= factor

    def _curve(self, number: int, total: Tensor) -> Tensor:
        """(N, 12) probabilities over time from (N, T) scores; the last alone in a task without times."""
        task, start = self.layout.tasks[number], self.state[f"task_{number}.baseline"]
        if len(start) == 1:
            last = torch.sigmoid(total[:, number] + start).unsqueeze(1)
            return torch.cat([last.new_full((len(last), CURVE_STEPS - 1), torch.nan), last], dim=1)
        hazard = total[:, number].exp().unsqueeze(1) * start
        if f"task_{number}.competing" not in self.state:
            return 1 - torch.exp(-hazard)
        assert task.competing is not None
        ratio = total[:, self.layout.task_names.index(task.competing)].exp().unsqueeze(1)
        other = ratio * self.state[f"task_{number}.competing"]
        return cumulative_incidence(hazard, other)[:, FINE_STEPS - 1 :: FINE_STEPS]

    def _fit_modality(self, column: int, patients: Cohort, rows: Tensor, fold: np.ndarray) -> None:
        """Fit one modality's regressions on the patients who have it, who are ``rows`` of all."""
        assert patients.targets is not None
        self.features[column].fit(patients)
        self.state[f"{column}.scale"] = torch.ones(())
        x = self._features(column, patients)
        spread = x.std(dim=0, correction=int(len(x) > 1))
        is_reduced = self.layout.widths[column] > self.widest
        if is_reduced:  # in common: a component that varies little must not count as much
            spread = spread.max().expand(len(spread))
        self.state[f"{column}.scale"] = torch.where(spread > 1e-8, spread, 1.0)
        x = x / self.state[f"{column}.scale"]
        for number in range(len(self.layout.tasks)):
            outcomes = Outcomes.of(patients.targets, number).of_cause(1)
            fit = regress(x.numpy(), outcomes, fold, 0.0 if is_reduced else self.l1_ratio)
            weights = torch.from_numpy(fit.weights)
            self.state[f"{column}.{number}.weights"] = weights
            self.state[f"{column}.{number}.usual"] = (x @ weights).mean()
            left_out = torch.from_numpy(fit.out_of_fold - fit.out_of_fold.mean())
            self.left_out[rows, column, number] = left_out.clamp(-LARGEST, LARGEST).float()

    def _add_forest(self, train: Cohort, outcomes: Sequence[Outcomes], left_out: Tensor) -> None:
        """Choose how much the regressions and the forest count, by (N, T) scores of patients left out."""
        usual = left_out.mean(dim=0)
        for number, of_task in enumerate(outcomes):
            linear, forest = self.left_out[:, :, number].sum(dim=1), left_out[:, number] - usual[number]
            if number in self.forest.of_task:
                scores = torch.stack([linear, forest], dim=1)
                factor, share = most_likely_factors(scores, of_task, BLEND_STRENGTH)
            else:
                factor, share = *most_likely_factors(linear.unsqueeze(1), of_task, 1.0), 0.0
            values = {"factor": factor, "forest": share, "forest_usual": usual[number]}
            self.state |= {
                f"task_{number}.{name}": torch.as_tensor(value) for name, value in values.items()
            }
            self.left_out[:, :, number] *= factor
            self.left_out[:, :, number] += shared_out(share * forest, train.present)

    def _fit_pairs(self, train: Cohort, outcomes: Sequence[Outcomes], fold: np.ndarray) -> None:
        """Fit what pairs of modalities add to each task; none where the gain is not above its error."""
        if not self.pairs.columns:
            return
        products = self.pairs.fit(train)
        for number, of_task in enumerate(outcomes):
            offset = self.left_out[:, :, number].sum(dim=1).double().numpy()
            fit = regress(products, of_task, fold, self.l1_ratio, offset)
            if fit.gain <= 2 * fit.error:
                continue
            weights = torch.from_numpy(fit.weights)
            usual = torch.from_numpy(products @ fit.weights).mean()
            self.state |= {f"pairs.{number}.weights": weights, f"pairs.{number}.usual": usual}
            self.left_out[:, :, number] += shared_out(torch.from_numpy(fit.out_of_fold), train.present)

    def _add_pairs(self, contributions: Tensor, cohort: Cohort) -> None:
        """Add what pairs of modalities contribute, in place."""
        tasks = [n for n in range(len(self.layout.tasks)) if f"pairs.{n}.weights" in self.state]
        if not tasks:
            return
        products = torch.from_numpy(self.pairs.transform(cohort))
        for number in tasks:
            score = products @ self.state[f"pairs.{number}.weights"] - self.state[f"pairs.{number}.usual"]
            contributions[:, :, number] += shared_out(score, cohort.present.cpu())

    def _features(self, column: int, patients: Cohort) -> Tensor:
        """(n, F) scaled features of one modality of patients who have it."""
        x = torch.from_numpy(self.features[column].transform(patients.to(torch.device("cpu"))))
        return x / self.state[f"{column}.scale"]
