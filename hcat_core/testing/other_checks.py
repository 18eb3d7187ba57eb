"""The checks of every head, loss and reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import (
    Average,
    Fused,
    Head,
    HeadSpecificLoss,
    Imputation,
    Outputs,
    Prediction,
    StatefulComponent,
)
from hcat_core.recipe.component_tables import construct
from hcat_core.recipe.outcome_kinds import kinds_of
from hcat_core.testing.harness import (
    FUSED_WIDTH,
    MISSING_FILE,
    TRAIN,
    Check,
    Subject,
    random_fused,
    require,
    tested_outcome,
    through_a_file,
)


def _unfit_head(subject: Subject) -> Any:
    return subject.make(subject.mixed.layout, tested_outcome(subject.kinds), FUSED_WIDTH)


def _head(subject: Subject) -> Any:
    head = _unfit_head(subject)
    head.prepare(subject.mixed[TRAIN])
    return head


def _horizons(subject: Subject) -> tuple[float, ...]:
    layout = subject.mixed.layout
    return layout.tasks[layout.outcome(tested_outcome(subject.kinds)).columns[0]].horizons


def head_predicts_probabilities(subject: Subject) -> None:
    """Probabilities (N, 1) in [0, 1] at the horizon, (N, K) of classes, or values; also for one patient."""
    head, layout = _head(subject), subject.mixed.layout
    outcome = layout.outcome(tested_outcome(subject.kinds))
    shape = len(outcome.columns)
    for n in (7, 1):
        raw = head(random_fused(n))
        require(len(raw) == n, "raw outputs are not one per patient")
        found = head.predict(raw, _horizons(subject))
        p = found.event_probability
        require(tuple(p.shape) == (n, shape), f"event_probability is {tuple(p.shape)}, not ({n}, {shape})")
        if outcome.kind == "continuous":
            _is_a_value(found, n)
            continue
        require(((p >= 0) & (p <= 1)).all(), "a probability is outside [0, 1]")
        if outcome.kind == "class":
            total = p.sum(dim=1)
            require(
                torch.allclose(total, torch.ones_like(total)), "probabilities of classes do not add up to 1"
            )


def _is_a_value(found: Prediction, n: int) -> None:
    """Check what a head gives for a number."""
    value, ends = found.value, found.interval
    require(value is not None and tuple(value.shape) == (n, 1), f"value is not ({n}, 1)")
    require(ends is not None and tuple(ends.shape) == (n, 1, 2), f"interval is not ({n}, 1, 2)")
    assert value is not None and ends is not None
    require(value.isfinite().all(), "a value is not finite")
    require(((ends[..., 0] < value) & (value < ends[..., 1])).all(), "a value is outside its interval")
    require(found.event_probability.isnan().all(), "a number has no probability: event_probability is NaN")


def head_is_prepared_without_outcomes(subject: Subject) -> None:
    """A head can be prepared where every outcome is unknown."""
    train = subject.mixed[TRAIN]
    targets = train.targets
    assert targets is not None and targets.values is not None
    labels, values = torch.full_like(targets.labels, -1), torch.full_like(targets.values, float("nan"))
    head = _unfit_head(subject)
    head.prepare(replace(train, targets=replace(targets, labels=labels, values=values)))
    require(head(random_fused(4)).isfinite().all(), "not finite")


def head_gradients_are_finite(subject: Subject) -> None:
    """Gradients reach the fused vector, and are finite."""
    fused = random_fused(9)
    _head(subject)(fused).square().sum().backward()
    grad = fused.pooled.grad
    require(grad is not None and grad.isfinite().all() and (grad != 0).any(), "no finite gradient")


def head_state_round_trips(subject: Subject) -> None:
    """A state saved as safetensors and loaded gives the same prediction."""
    head: Any = _head(subject)
    if not issubclass(type(head), StatefulComponent):
        return
    torch.manual_seed(99)
    fresh: Any = _unfit_head(subject)
    fresh.load_state_dict(through_a_file(head))
    found = []
    for one in (head, fresh):
        if isinstance(one, nn.Module):
            one.train(False)
        found.append(one.predict(one(random_fused(7)), _horizons(subject)).estimate)
    require(torch.equal(*found), "after saving and loading, the prediction differs")


class _LogitHead(nn.Module):
    """The simplest head that a binary loss can be tested with."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FUSED_WIDTH, 1)
        self.column = 0
        self.pos_weight = torch.tensor(2.0)

    def prepare(self, train: Cohort) -> None:
        """Nothing to prepare."""

    def forward(self, fused: Fused) -> Tensor:
        """Logits."""
        logits: Tensor = self.linear(fused.pooled).squeeze(-1)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """The logit's probability."""
        return Prediction(torch.sigmoid(raw).unsqueeze(-1))


def _outputs(subject: Subject, batch: Cohort) -> Outputs:
    fused = random_fused(len(batch))
    head: Head = _LogitHead()
    loss = subject.catalog.find("loss", subject.name).load()
    if isinstance(loss, HeadSpecificLoss):
        kinds = kinds_of(subject.catalog.find("head", loss.made_for))
        injected = (batch.layout, tested_outcome(kinds), FUSED_WIDTH)
        head = construct(subject.catalog, "head", {"use": loss.made_for}, injected, Path.cwd())
        head.prepare(subject.mixed[TRAIN])
    emb = batch.emb
    imputation = Imputation(
        emb,
        torch.zeros_like(emb),
        torch.zeros_like(batch.measured),
        {
            name: Average(values.sum(), torch.tensor(values.numel()))
            for name, values in (("kl", fused.pooled.square()), ("hidden", fused.pooled.abs()))
        },
    )
    return Outputs(
        {"survival": head(fused)}, {"survival": head}, fused, imputation, random_fused(len(batch), seed=1)
    )


def loss_is_a_finite_scalar(subject: Subject) -> None:
    """A finite scalar with a finite gradient, also for one patient."""
    loss = subject.make()
    train = subject.mixed[TRAIN]
    for batch in (train[slice(0, 24)], train[slice(0, 1)]):
        outputs = _outputs(subject, batch)
        value = loss(outputs, batch)
        require(value.ndim == 0 and value.isfinite(), "not a finite scalar")
        if value.requires_grad:
            value.backward()
            grad = outputs.fused.pooled.grad
            require(grad is None or grad.isfinite().all(), "a gradient is not finite")


def loss_is_zero_without_targets(subject: Subject) -> None:
    """Where every outcome is unknown, a supervised loss is 0 with a gradient of 0."""
    if "head" not in subject.table:
        return
    batch = subject.mixed[slice(0, 12)]
    assert batch.targets is not None and batch.targets.values is not None
    labels = torch.full_like(batch.targets.labels, -1)
    unknown = replace(
        batch,
        targets=replace(
            batch.targets,
            labels=labels,
            event=labels,
            time=torch.full_like(batch.targets.time, float("nan")),
            values=torch.full_like(batch.targets.values, float("nan")),
        ),
    )
    outputs = _outputs(subject, unknown)
    value = subject.make()(outputs, unknown)
    require(value == 0, f"the loss is {float(value.detach())} where no outcome is known")
    value.backward()
    grad = outputs.fused.pooled.grad
    require(grad is None or (grad == 0).all(), "unknown outcomes have a gradient")


def reader_names_a_missing_file(subject: Subject) -> None:
    """A missing file is a ``DataError`` with its path."""
    if "path" not in subject.table:
        return
    reader = subject.make_reader()
    for read in (lambda: list(reader.read()), lambda: reader.read_columns(["x"])):
        try:
            read()
        except DataError as error:
            require(MISSING_FILE in str(error), f"the error does not name the file: {error}")
            continue
        require(False, "a missing file is no DataError")


def reader_has_a_source(subject: Subject) -> None:
    """``source`` is text, for messages."""
    require(isinstance(subject.make_reader().source, str), "source is not text")


HEAD_CHECKS = [
    Check("predicts probabilities", head_predicts_probabilities),
    Check("is prepared where no outcome is known", head_is_prepared_without_outcomes),
    Check("gradients are finite", head_gradients_are_finite),
    Check("state round-trips through safetensors", head_state_round_trips),
]
LOSS_CHECKS = [
    Check("a finite scalar with a finite gradient", loss_is_a_finite_scalar),
    Check("0 where no outcome is known", loss_is_zero_without_targets),
]
READER_CHECKS = [
    Check("has a source", reader_has_a_source),
    Check("names a missing file", reader_names_a_missing_file),
]
