"""A class and a number beside the events of a synthetic cohort, with what the best prediction of each is.

Both depend on terms t:

    P(class k) is proportional to exp(weights_k . t)
    score = 50 + 10 (direction . t + product z_0 z_1 + e)

The terms are the shared factors z, which every modality shows. Where events depend on interactions, they
are the products of the private factors of two modalities each, and the score has no product z_0 z_1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.layout import Task
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SyntheticCohort

CLASSES = ("A", "B", "C")
SUBTYPE, SCORE = "subtype", "score"
OTHER_TASKS = (
    *(
        Task(f"{SUBTYPE}={one}", None, f"{SUBTYPE}_{one.lower()}", None, None, "class", SUBTYPE, one)
        for one in CLASSES
    ),
    Task(SCORE, None, SCORE, kind="continuous", unit="points"),
)
CENTRE, SPREAD = 50.0, 10.0  # of the score
CLASS_STRENGTH = 2.0  # norm of the weights of each class
PRODUCT = 0.4  # of two shared factors
NOISE = 0.5  # standard deviation of e


@dataclass(frozen=True)
class OtherOutcomes:
    """Classes and scores of N patients, and their truth.

    Attributes:
        classes: (N,) places among ``CLASSES``.
        score: (N,) values.
        probability: (N, K) true probabilities of the classes.
        expected: (N,) true expected values of the score.
    """

    classes: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    expected: np.ndarray

    def best(self) -> str:
        """What a model that knew the patients' factors would reach, in words."""
        from sklearn.metrics import roc_auc_score

        auc = roc_auc_score(self.classes, self.probability, multi_class="ovr", average="macro")
        r2 = 1 - ((self.score - self.expected) ** 2).mean() / self.score.var()
        return f"with the true expectations the AUC would be {auc:.3f} (mean of the classes), R2 {r2:.3f}"


def draw_other_outcomes(synthetic: SyntheticCohort, seed: int = 0) -> OtherOutcomes:
    """Draw classes and scores of a synthetic cohort's patients, from random numbers of their own."""
    rng = np.random.default_rng([synthetic.spec.seed, seed, 18])
    model, z = synthetic.risk_model, synthetic.factors
    shared = model.coefficients.shape[1]
    interactions = synthetic.spec.outcome == "interactions"
    terms = z[:, model.pairs[:, 0]] * z[:, model.pairs[:, 1]] if interactions else z[:, :shared]
    weights = rng.standard_normal((len(CLASSES), terms.shape[1]))
    weights *= CLASS_STRENGTH / np.linalg.norm(weights, axis=1, keepdims=True)
    odds = np.exp(terms @ weights.T)
    probability = odds / odds.sum(axis=1, keepdims=True)
    classes = (rng.random((len(z), 1)) > probability.cumsum(axis=1)).sum(axis=1).clip(max=len(CLASSES) - 1)
    direction = rng.standard_normal(terms.shape[1])
    line = terms @ (direction / np.linalg.norm(direction))
    if not interactions:
        line += PRODUCT * z[:, 0] * z[:, min(1, shared - 1)]
    score = line + NOISE * rng.standard_normal(len(z))
    return OtherOutcomes(classes, CENTRE + SPREAD * score, probability, CENTRE + SPREAD * line)


def to_other_cohort(synthetic: SyntheticCohort, seed: int = 0) -> tuple[Cohort, OtherOutcomes]:
    """The cohort of ``to_cohort`` with the tasks ``OTHER_TASKS`` beside its own, and their truth."""
    cohort, drawn = to_cohort(synthetic), draw_other_outcomes(synthetic, seed)
    n, more = len(cohort), len(OTHER_TASKS)
    own = cohort.targets
    assert own is not None
    labels = torch.full((n, more), -1, dtype=torch.int8)
    labels[:, :-1] = torch.from_numpy(drawn.classes)[:, None] == torch.arange(len(CLASSES))
    values = torch.full((n, own.labels.shape[1] + more), float("nan"))
    values[:, -1] = torch.from_numpy(drawn.score).float()
    targets = Targets(
        torch.cat([own.labels, labels], dim=1),
        torch.cat([own.time, torch.full((n, more), float("nan"))], dim=1),
        torch.cat([own.event, torch.full((n, more), -1, dtype=torch.int8)], dim=1),
        values,
    )
    layout = replace(cohort.layout, tasks=(*cohort.layout.tasks, *OTHER_TASKS))
    return replace(cohort, layout=layout, targets=targets), drawn
