"""Predict every patient of a cohort with the neural model, by samples or in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import CommonNumbers, Imputation, Prediction
from hcat_core.layout import CURVE_STEPS, Layout
from hcat_core.metrics.value_intervals import HALF_WIDTH
from hcat_core.training.common_random import common_dropout
from hcat_core.training.model import HcatModel

MC_ROWS = 512  # patients in one forward pass: enough to keep the matrix products busy


@dataclass(frozen=True)
class SinglePass:
    """What a model gives for N patients in one pass; on the CPU.

    Attributes:
        raw: outputs (N, ...) by head.
        prediction: of every task.
        gates: (N, M) of the fusion, where it has them.
        pooled: (N, H) fused vectors; None of no patients.
    """

    raw: dict[str, torch.Tensor]
    prediction: Prediction
    gates: torch.Tensor | None = None
    pooled: torch.Tensor | None = None


@torch.inference_mode()
def single_pass(model: HcatModel, cohort: Cohort, device: torch.device) -> SinglePass:
    """Predict a standardised cohort in one pass, at the imputation's mean and without dropout."""
    raw: dict[str, list[torch.Tensor]] = {name: [] for name in model.heads}
    predictions, gates, pooled = [_nothing(model.layout)], [], []
    with _evaluating(model):
        for batch in _batches(cohort, device):
            outputs = model.fuse(batch, model.impute(batch), model.contributions(batch))
            predictions.append(model.predict(outputs))
            for name, parts in raw.items():
                parts.append(outputs.raw[name].cpu())
            pooled.append(outputs.fused.pooled.cpu())
            if outputs.fused.gates is not None:
                gates.append(outputs.fused.gates.cpu())
    prediction = Prediction.joined(predictions)
    if not pooled:
        return SinglePass({}, prediction)
    return SinglePass(
        {name: torch.cat(parts) for name, parts in raw.items()},
        prediction,
        torch.cat(gates) if gates else None,
        torch.cat(pooled),
    )


def _nothing(layout: Layout) -> Prediction:
    """The prediction of no patients."""
    shape = (0, len(layout.tasks))
    numbers = (torch.zeros((*shape, 2)), torch.zeros(shape)) if layout.numbers else (None, None)
    return Prediction(torch.zeros(shape), torch.zeros((*shape, CURVE_STEPS)), *numbers)


@dataclass(frozen=True)
class MemberPredictions:
    """Predictions of N patients by one member of an ensemble; on the CPU.

    Attributes:
        at_mean: in a single pass, at the imputation's mean.
        completed: (S, N, T) estimates, probabilities or values, with each of S draws of what is missing
            taken as measured.
        size: (S, N) mean squares of each patient's standardised cells, with gaps filled by each draw.
    """

    at_mean: Prediction
    completed: np.ndarray
    size: np.ndarray


def predict_cohort(
    model: HcatModel, cohort: Cohort, *, mc_samples: int, seed: int, device: torch.device
) -> Prediction:
    """Predict every patient of a standardised cohort by one model.

    Each sample draws the missing values and the dropout masks anew, and the probability is the mean over
    samples: Rubin's (1987) multiple imputation, so that the interval holds the uncertainty of imputing. A
    sample is the same for all patients: no prediction depends on the other patients of the cohort.

    Args:
        model: the trained model.
        cohort: N patients.
        mc_samples: samples per patient (Gal and Ghahramani 2016); 0 for one pass at the
            imputation's mean, without dropout. Below 2 there is no interval.
        seed: of draws and dropout masks; torch's global generator is left as it was.
        device: where to compute.
    """
    if not mc_samples:
        return single_pass(model, cohort, device).prediction
    layout, samples = model.layout, range(mc_samples)
    estimates = [torch.zeros((mc_samples, 0, len(layout.tasks)))]
    curves, squares = [_curve(_nothing(layout))], [torch.zeros((0, len(layout.tasks)))]
    devices = [] if device.type == "cpu" else [device]
    with torch.inference_mode(), torch.random.fork_rng(devices=devices), _evaluating(model):
        _dropout_only(model)
        for batch in _batches(cohort, device):
            imputation, contributions = model.impute(batch), model.contributions(batch)
            drawn = [_sample(model, batch, imputation, contributions, seed, s) for s in samples]
            estimates.append(torch.stack([one.estimate for one in drawn]).cpu())
            curves.append(torch.stack([_curve(one) for one in drawn]).mean(dim=0).cpu())
            squares.append(torch.stack([own_variance(one) for one in drawn]).mean(dim=0).cpu())
    estimate = torch.cat(estimates, dim=1).double()
    mean, interval = estimate.mean(dim=0), None
    if mc_samples > 1:
        ends = np.quantile(estimate.numpy(), [0.05, 0.95], axis=0)
        interval = torch.from_numpy(ends).movedim(0, -1)
    if layout.numbers:
        between = estimate.var(dim=0) if mc_samples > 1 else 0.0
        of_numbers = interval_of_numbers(mean, torch.cat(squares).double() + between, layout)
        interval = of_numbers if interval is None else torch.where(of_numbers.isnan(), interval, of_numbers)
    return Prediction.of_estimate(mean, layout.numbers, torch.cat(curves).double(), interval)


def own_variance(prediction: Prediction) -> torch.Tensor:
    """(N, T) the variance of each number that the model's own interval stands for; NaN for other tasks."""
    if prediction.interval is None:
        return torch.full_like(prediction.event_probability, float("nan"))
    half = (prediction.interval[..., 1] - prediction.interval[..., 0]) / 2
    return (half / HALF_WIDTH).square()


def interval_of_numbers(mean: torch.Tensor, variance: torch.Tensor, layout: Layout) -> torch.Tensor:
    """(N, T, 2) 90 % intervals of the numbers among tasks, NaN for others.

    Args:
        mean: (N, T) estimates.
        variance: (N, T).
        layout: of the T tasks.
    """
    half = HALF_WIDTH * variance.sqrt()
    ends = torch.stack([mean - half, mean + half], dim=-1)
    result = torch.full_like(ends, float("nan"))
    result[:, list(layout.numbers)] = ends[:, list(layout.numbers)]
    return result


@torch.inference_mode()
def predict_completed(
    model: HcatModel, cohort: Cohort, *, samples: int, seed: int, device: torch.device
) -> MemberPredictions:
    """Predict a standardised cohort at the imputation's mean, and with draws taken as measured.

    Without dropout: how uncertain the model is, members of an ensemble show.

    Args:
        model: the trained model.
        cohort: N patients.
        samples: S draws of what is missing, the same for all patients; 0 for none.
        seed: of the draws.
        device: where to compute.
    """
    predictions = [_nothing(model.layout)]
    completed, size = [torch.zeros((samples, 0, len(model.layout.tasks)))], [torch.zeros((samples, 0))]
    with _evaluating(model):
        for batch in _batches(cohort, device):
            imputation = model.impute(batch)
            at_mean = model.predict(model.fuse(batch, imputation, model.contributions(batch)))
            predictions.append(at_mean)
            if samples:
                predicted, squares = _predict_draws(model, batch, imputation, at_mean, samples, seed)
                completed.append(predicted.cpu())
                size.append((squares / int(batch.layout.cells.sum())).cpu())
    return MemberPredictions(
        Prediction.joined(predictions),
        torch.cat(completed, dim=1).double().numpy(),
        torch.cat(size, dim=1).double().numpy(),
    )


@torch.inference_mode()
def imputed_cells(model: HcatModel, cohort: Cohort, device: torch.device) -> np.ndarray:
    """(N, F) cells of a standardised cohort with gaps filled by the imputation's mean, without padding."""
    parts = [torch.zeros((0, int(cohort.layout.cells.sum())))]
    with _evaluating(model):
        parts += [
            model.impute(batch).emb.cpu()[:, cohort.layout.cells] for batch in _batches(cohort, device)
        ]
    return torch.cat(parts).numpy()


@contextmanager
def _evaluating(model: HcatModel) -> Iterator[None]:
    """The model in evaluation mode, and afterwards in the mode that it had."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _batches(cohort: Cohort, device: torch.device) -> Iterator[Cohort]:
    for rows in torch.arange(len(cohort)).split(MC_ROWS):
        yield cohort[rows].to(device)


def _predict_draws(
    model: HcatModel,
    batch: Cohort,
    imputation: Imputation,
    at_mean: Prediction,
    samples: int,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(S, N, T) estimates with each draw taken as measured, and (S, N) sums of squared cells.

    Patients without a gap are predicted alike whatever is drawn for others.
    """
    estimate = at_mean.estimate.expand(samples, -1, -1).clone()
    squares = imputation.emb.square().sum(dim=(1, 2)).expand(samples, -1).clone()
    gaps = imputation.filled.flatten(1).any(dim=1).nonzero().squeeze(1)
    if len(gaps):
        some = batch[gaps]
        filled = model.impute(some)
        drawn = [_as_measured(some, filled, _draw(filled, seed, sample)) for sample in range(samples)]
        estimate[:, gaps] = torch.stack([_predict_as_measured(model, one) for one in drawn])
        squares[:, gaps] = torch.stack([one.emb.square().sum(dim=(1, 2)) for one in drawn])
    return estimate, squares


def _as_measured(batch: Cohort, imputation: Imputation, emb: torch.Tensor) -> Cohort:
    """The patients with drawn values (N, M, D) as if these had been measured."""
    measured = batch.measured | imputation.filled
    return replace(
        batch,
        emb=emb,
        measured=measured,
        present=measured.any(dim=2),
        quality=torch.where(batch.present, batch.quality, 1.0),
        n_rows=batch.n_rows.clamp(min=1),
    )


def _predict_as_measured(model: HcatModel, patients: Cohort) -> torch.Tensor:
    """(N, T) estimates for patients whose gaps have been filled; what was not filled stays missing."""
    nothing = Imputation(patients.emb, torch.zeros_like(patients.emb), torch.zeros_like(patients.measured))
    return model.predict(model.fuse(patients, nothing, model.contributions(patients))).estimate


def _draw(imputation: Imputation, seed: int, sample: int) -> torch.Tensor:
    """(N, M, D) one draw of what is missing, with the same random numbers for every patient."""
    generator = CommonNumbers(device=imputation.emb.device)
    generator.manual_seed(_number(seed, sample))
    return imputation.draw(1, generator)[0]


def _number(seed: int, sample: int) -> int:
    """The seed of one sample."""
    return int(np.random.SeedSequence([seed, sample]).generate_state(1, np.uint64)[0] >> 2)


def _sample(
    model: HcatModel,
    batch: Cohort,
    imputation: Imputation,
    contributions: torch.Tensor | None,
    seed: int,
    sample: int,
) -> Prediction:
    """One draw of what is missing and one network, the same for whichever patients are asked about."""
    torch.manual_seed(_number(seed, sample))
    drawn = replace(imputation, emb=_draw(imputation, seed, sample))
    with common_dropout():
        return model.predict(model.fuse(batch, drawn, contributions))


def _curve(prediction: Prediction) -> torch.Tensor:
    assert prediction.curve is not None, "the neural model's predictions have one"
    return prediction.curve


def _dropout_only(model: HcatModel) -> None:
    """Dropout on in fusion and heads, everything else as in evaluation; the imputer stays fixed."""
    for part in (model.fusion, *model.heads.values()):
        if isinstance(part, nn.Module):
            for module in part.modules():
                if isinstance(module, nn.Dropout):
                    module.train()
                if isinstance(module, nn.MultiheadAttention | nn.TransformerEncoderLayer):
                    # The dropout of the first is a number, not a module; out of training, torch computes
                    # the second in one piece, which leaves out the dropout modules within.
                    module.training = True
