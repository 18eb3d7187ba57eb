"""The checks of every estimator."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import FitContext, Prediction, RefittingEstimator
from hcat_core.layout import CURVE_STEPS
from hcat_core.recipe.loading import uses_neural
from hcat_core.recipe.recipe import load_recipe
from hcat_core.testing.harness import Check, Subject, require
from hcat_core.training.context import TrainingContext
from hcat_core.training.neural_parts import NeuralParts

SMALL_NEURAL_PARTS = """
[cohort.modalities.clinical]
use = "h5"
path = "not-read.h5"
[imputer]
use = "mean"
[fusion]
use = "enhanced_hcat"
d_model = 16
n_heads = 2
n_global_layers = 1
[heads.survival]
use = "binary"
[heads.recurrence]
use = "binary"
[[losses]]
use = "bce"
head = "survival"
[[losses]]
use = "bce"
head = "recurrence"
[training]
epochs = 2
[evaluation]
mc_samples = 4
"""

OTHER_HEADS = """
[heads.subtype]
use = "multiclass"
[heads.score]
use = "continuous"
[[losses]]
use = "cross_entropy"
head = "subtype"
[[losses]]
use = "gaussian_nll"
head = "score"
"""
OTHERS = slice(0, 160), slice(160, 220)  # patients on whom classes and numbers are tried


def context_for(subject: Subject, text: str = SMALL_NEURAL_PARTS) -> FitContext:
    """A context with small neural parts, for estimators that train them."""
    if not uses_neural(subject.table):
        return FitContext(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        recipe, _ = load_recipe(path, subject.catalog)
    return TrainingContext(3, parts=NeuralParts(recipe, subject.catalog))


def predicts_probabilities(subject: Subject) -> None:
    """Probabilities (N, T) in [0, 1], and a curve and an interval of the right shapes, if any."""
    batch = subject.test
    found = _predict(subject, batch)
    n, t = len(batch), len(batch.layout.tasks)
    p = found.event_probability
    require(p.shape == (n, t), f"event_probability has shape {tuple(p.shape)}, not {(n, t)}")
    require(p.isfinite().all() and (p >= 0).all() and (p <= 1).all(), "not a probability")
    if found.curve is not None:
        require(found.curve.shape == (n, t, CURVE_STEPS), f"curve has shape {tuple(found.curve.shape)}")
        last = found.curve[:, :, -1].to(p.dtype)
        require(torch.allclose(last, p, atol=1e-5), "the curve does not end at the probability")
    if found.interval is not None:
        require(found.interval.shape == (n, t, 2), f"interval has shape {tuple(found.interval.shape)}")


def finite_with_one_modality(subject: Subject) -> None:
    """Finite with any single modality left, also for one patient."""
    batch = subject.test
    for column in range(batch.present.shape[1]):
        rows = batch.present[:, column].nonzero().squeeze(1)[:8]
        hide = torch.ones_like(batch.present[rows])
        hide[:, column] = False
        alone = batch[rows].hide(hide)
        for few in (alone, alone[slice(0, 1)]):
            found = _predict(subject, few).event_probability
            require(found.isfinite().all(), f"not finite with {batch.layout.names[column]} alone")


def finite_with_a_modality_never_seen(subject: Subject) -> None:
    """Finite where no training patient had a modality."""
    hide = torch.zeros_like(subject.train.present)
    hide[:, 2] = True
    estimator = _fit(subject, subject.train.hide(hide))
    require(estimator.predict(_blind(subject.test)).event_probability.isfinite().all(), "not finite")


def outcomes_are_not_looked_at(subject: Subject) -> None:
    """Outcomes have no influence on a prediction."""
    one = _predict(subject, subject.test).event_probability
    two = _fitted(subject).predict(subject.test).event_probability
    require(torch.equal(one, two), "a prediction changes when the patient's outcome is known")


def absent_slots_change_nothing(subject: Subject) -> None:
    """Values in cells that were not measured have no influence."""
    batch = subject.test
    rubbish = replace(batch, emb=torch.where(batch.measured, batch.emb, 1e4))
    one, two = _predict(subject, batch), _predict(subject, rubbish)
    require(
        torch.equal(one.event_probability, two.event_probability),
        "values in slots that were not measured change the prediction",
    )


def same_seed_same_prediction(subject: Subject) -> None:
    """Two fits with one seed give one prediction."""
    again = _fit(subject, subject.train).predict(_blind(subject.test)).event_probability
    require(
        torch.equal(_predict(subject, subject.test).event_probability, again),
        "the same seed gives another prediction",
    )


def saved_and_loaded(subject: Subject) -> None:
    """Saved and loaded, it gives the same prediction; no pickle is written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fitted(subject).save(folder)
        bad = [p.name for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
        require(not bad, f"it writes {', '.join(bad)}: pickles run code when they are read")
        fresh = subject.make()
        fresh.load(folder, context_for(subject))
        loaded = fresh.predict(_blind(subject.test)).event_probability
    require(
        torch.equal(_predict(subject, subject.test).event_probability, loaded),
        "after saving and loading, the prediction differs",
    )


def learns_something(subject: Subject) -> None:
    """Better than chance on patients that it was not fitted on."""
    assert subject.test.targets is not None
    labels = subject.test.targets.labels[:, 0]
    p = _predict(subject, subject.test).event_probability[:, 0]
    events, free = p[labels == 1], p[labels == 0]
    above = (events.unsqueeze(1) > free).double() + 0.5 * (events.unsqueeze(1) == free)
    require(above.mean() > 0.52, f"AUC {float(above.mean()):.3f} on a cohort whose risk can be seen")


def predicts_the_other_kinds(subject: Subject) -> None:
    """Classes have probabilities and numbers values, where it says that it can predict them."""
    mixed = subject.mixed
    columns = [
        place for place, task in enumerate(mixed.layout.tasks) if task.kind in subject.kinds - {"event"}
    ]
    if not columns:
        return
    targets = mixed.targets
    assert targets is not None and targets.values is not None
    tasks = tuple(mixed.layout.tasks[place] for place in columns)
    parts = (part[:, columns] for part in (targets.labels, targets.time, targets.event, targets.values))
    cohort = replace(mixed, layout=replace(mixed.layout, tasks=tasks), targets=Targets(*parts))
    train, test = (cohort[rows] for rows in OTHERS)
    torch.manual_seed(3)
    estimator = subject.make(cohort.layout)
    context = context_for(subject, _neural_parts_of_others())
    estimator.fit(train, train[slice(0, 0)] if _refits(estimator) else test, context)
    found = estimator.predict(_blind(test))
    for place, task in enumerate(tasks):
        p, value = found.probability[:, place], found.values[:, place]
        if task.kind == "class":
            require(bool(((p >= 0) & (p <= 1)).all()), f"{task.name}: not a probability")
        else:
            require(bool(np.isfinite(value).all()), f"{task.name}: a value is not finite")
            require(bool(np.isnan(p).all()), f"{task.name}: a number has no probability: NaN is expected")


def _neural_parts_of_others() -> str:
    """The small neural parts with heads of classes and of a number in place of those of events."""
    before, _, rest = SMALL_NEURAL_PARTS.partition("[heads.survival]")
    return before + OTHER_HEADS + rest[rest.index("[training]") :]


def _refits(estimator: Any) -> bool:
    return isinstance(estimator, RefittingEstimator) and estimator.refits


def _fit(subject: Subject, train: Cohort) -> Any:
    torch.manual_seed(3)
    estimator = subject.make()
    validation = subject.validation
    if _refits(estimator):
        validation = validation[slice(0, 0)]
    estimator.fit(train, validation, context_for(subject))
    return estimator


def _fitted(subject: Subject) -> Any:
    if "estimator" not in subject.cache:
        subject.cache["estimator"] = _fit(subject, subject.train)
    return subject.cache["estimator"]


def _predict(subject: Subject, batch: Cohort) -> Prediction:
    prediction: Prediction = _fitted(subject).predict(_blind(batch))
    return prediction


def _blind(batch: Cohort) -> Cohort:
    return batch.without_targets()


ESTIMATOR_CHECKS = [
    Check("predicts probabilities", predicts_probabilities),
    Check("finite with one modality left, and for one patient", finite_with_one_modality),
    Check("finite with a modality never seen in training", finite_with_a_modality_never_seen),
    Check("outcomes are not looked at when predicting", outcomes_are_not_looked_at),
    Check("values in absent slots change nothing", absent_slots_change_nothing),
    Check("same seed, same prediction", same_seed_same_prediction),
    Check("saved and loaded, it predicts the same", saved_and_loaded),
    Check("learns something", learns_something),
    Check("predicts classes and numbers as it says", predicts_the_other_kinds),
]
