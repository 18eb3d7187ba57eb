"""Predict every patient of a cohort with the neural model, by samples or in one pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from hcat_core.cohort import CURVE_STEPS, Cohort
from hcat_core.interfaces import CommonNumbers, Imputation, Prediction
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
    """

    raw: dict[str, torch.Tensor]
    prediction: Prediction
    gates: torch.Tensor | None = None


@torch.inference_mode()
def single_pass(model: HcatModel, cohort: Cohort, device: torch.device) -> SinglePass:
    """Predict a standardised cohort in one pass, at the imputation's mean and without dropout."""
    training = model.training
    model.eval()
    raw: dict[str, list[torch.Tensor]] = {name: [] for name in model.heads}
    probabilities, curves, gates = [], [], []
    for rows in torch.arange(len(cohort)).split(MC_ROWS):
        batch = cohort[rows].to(device)
        outputs = model.fuse(batch, model.impute(batch), model.contributions(batch))
        prediction = model.predict(outputs)
        for name, parts in raw.items():
            parts.append(outputs.raw[name].cpu())
        probabilities.append(prediction.event_probability.cpu().double())
        curves.append(_curve(prediction).cpu().double())
        if outputs.fused.gates is not None:
            gates.append(outputs.fused.gates.cpu())
    model.train(training)
    tasks = len(model.layout.tasks)
    if not probabilities:
        nothing = torch.zeros((0, tasks), dtype=torch.float64)
        return SinglePass({}, Prediction(nothing, nothing.unsqueeze(2).expand(0, tasks, CURVE_STEPS)))
    prediction = Prediction(torch.cat(probabilities), torch.cat(curves))
    return SinglePass(
        {name: torch.cat(parts) for name, parts in raw.items()},
        prediction,
        torch.cat(gates) if gates else None,
    )


@dataclass(frozen=True)
class SampledPredictions:
    """Predictions of N patients, S samples of each; on the CPU.

    Attributes:
        probability: (S, N, T).
        curve: (N, T, 12) mean over samples.
    """

    probability: np.ndarray
    curve: np.ndarray


def predict_cohort(
    model: HcatModel, cohort: Cohort, *, mc_samples: int, seed: int, device: torch.device
) -> Prediction:
    """Predict every patient of a standardised cohort by one model.

    Each sample draws the missing values and the dropout masks anew, and the probability is the mean over
    samples: Rubin's (1987) multiple imputation, so that the interval holds the uncertainty of imputing.

    Args:
        model: the trained model.
        cohort: N patients.
        mc_samples: samples per patient (Gal and Ghahramani 2016); 0 for one pass at the
            imputation's mean, without dropout. Below 2 there is no interval.
        seed: of draws and dropout masks; torch's global generator is left as it was.
        device: where to compute.
    """
    drawn = sample_predictions(model, cohort, samples=mc_samples, dropout=True, seed=seed, device=device)
    interval = None
    if len(drawn.probability) > 1:
        interval = torch.from_numpy(np.quantile(drawn.probability, [0.05, 0.95], axis=0)).movedim(0, -1)
    mean = torch.from_numpy(drawn.probability.mean(axis=0))
    return Prediction(mean, torch.from_numpy(drawn.curve), interval)


@torch.inference_mode()
def sample_predictions(
    model: HcatModel, cohort: Cohort, *, samples: int, dropout: bool, seed: int, device: torch.device
) -> SampledPredictions:
    """Predict a standardised cohort under several draws of what is missing.

    A sample is the same for all patients: no prediction depends on the other patients of the cohort.

    Args:
        model: the trained model.
        cohort: N patients.
        samples: S; 0 for a single one, at the imputation's mean and without dropout.
        dropout: draw dropout masks, too.
        seed: of draws and masks; torch's global generator is left as it was.
        device: where to compute.
    """
    training = model.training
    model.eval()
    parts, curves = [], []
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        if samples and dropout:
            _dropout_only(model)
        for rows in torch.arange(len(cohort)).split(MC_ROWS):
            batch = cohort[rows].to(device)
            imputation, contributions = model.impute(batch), model.contributions(batch)
            found = [
                model.predict(model.fuse(batch, imputation, contributions))
                if not samples
                else _sample(model, batch, imputation, contributions, seed, sample)
                for sample in range(max(1, samples))
            ]
            parts.append(torch.stack([one.event_probability for one in found]).cpu())
            curves.append(torch.stack([_curve(one) for one in found]).mean(dim=0).cpu())
    model.train(training)
    tasks = len(model.layout.tasks)
    probability = torch.cat(parts, dim=1).double().numpy() if parts else np.zeros((1, 0, tasks))
    curve = torch.cat(curves).double().numpy() if curves else np.zeros((0, tasks, CURVE_STEPS))
    return SampledPredictions(probability, curve)


def _sample(
    model: HcatModel,
    batch: Cohort,
    imputation: Imputation,
    contributions: torch.Tensor | None,
    seed: int,
    sample: int,
) -> Prediction:
    """One draw of what is missing and one network, the same for whichever patients are asked about."""
    number = int(np.random.SeedSequence([seed, sample]).generate_state(1, np.uint64)[0] >> 2)
    torch.manual_seed(number)
    generator = CommonNumbers(device=batch.emb.device)
    generator.manual_seed(number)
    drawn = replace(imputation, emb=imputation.draw(1, generator)[0])
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
