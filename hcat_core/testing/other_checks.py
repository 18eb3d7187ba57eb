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
from hcat_core.testing.harness import (
    FUSED_WIDTH,
    MISSING_FILE,
    Check,
    Subject,
    random_fused,
    require,
    through_a_file,
)


def _head(subject: Subject) -> Any:
    head = subject.make(subject.cohort.layout, "survival", FUSED_WIDTH)
    head.prepare(subject.train)
    return head


def head_predicts_probabilities(subject: Subject) -> None:
    """Probabilities (N, 1) in [0, 1] at the task's horizon, also for one patient."""
    head = _head(subject)
    horizon = subject.cohort.layout.tasks[0].horizon
    for n in (7, 1):
        raw = head(random_fused(n))
        require(len(raw) == n, "raw outputs are not one per patient")
        p = head.predict(raw, (horizon,)).event_probability
        require(tuple(p.shape) == (n, 1), f"event_probability is {tuple(p.shape)}, not ({n}, 1)")
        require(((p >= 0) & (p <= 1)).all(), "a probability is outside [0, 1]")


def head_is_prepared_without_outcomes(subject: Subject) -> None:
    """A head can be prepared where every outcome is unknown."""
    train = subject.train
    assert train.targets is not None
    unknown = replace(train.targets, labels=torch.full_like(train.targets.labels, -1))
    head = subject.make(subject.cohort.layout, "survival", FUSED_WIDTH)
    head.prepare(replace(train, targets=unknown))
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
    fresh: Any = subject.make(subject.cohort.layout, "survival", FUSED_WIDTH)
    fresh.load_state_dict(through_a_file(head))
    horizon = subject.cohort.layout.tasks[0].horizon
    found = []
    for one in (head, fresh):
        if isinstance(one, nn.Module):
            one.train(False)
        found.append(one.predict(one(random_fused(7)), (horizon,)).event_probability)
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
        injected = (batch.layout, "survival", FUSED_WIDTH)
        head = construct(subject.catalog, "head", {"use": loss.made_for}, injected, Path.cwd())
        head.prepare(subject.train)
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
    for batch in (subject.train[slice(0, 24)], subject.train[slice(0, 1)]):
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
    batch = subject.train[slice(0, 12)]
    assert batch.targets is not None
    labels = torch.full_like(batch.targets.labels, -1)
    unknown = replace(
        batch,
        targets=replace(
            batch.targets,
            labels=labels,
            event=labels,
            time=torch.full_like(batch.targets.time, float("nan")),
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
