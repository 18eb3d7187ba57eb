"""Scores of imputations on cells whose truth is known: CRPS, coverage and energy distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Z90 = 1.6448536269514722  # half width of the central 90 % interval of a standard normal
ROUNDING = 1e-4


def gaussian_crps(truth: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """CRPS of a normal forecast for each cell (Gneiting and Raftery 2007, eq. 21); smaller is better.

    For a standard deviation of 0 it is the absolute error.
    """
    spread = std.clamp_min(1e-12)
    z = (truth - mean) / spread
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    below = torch.special.ndtr(z)
    score: Tensor = spread * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return score


def covered(truth: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """For each cell, whether the truth lies within an interval, whose ends belong to it.

    A ten thousandth of a standard deviation beyond an end, which float32 arithmetic makes, is within it.
    Values are standardised.
    """
    return (truth >= low - ROUNDING) & (truth <= high + ROUNDING)


def energy_distance(truth: Tensor, drawn: Tensor) -> float:
    """Energy distance of two samples of (n, d) rows (Szekely and Rizzo 2013), divided by sqrt(d).

    It is 0 for equal distributions and NaN with fewer than two rows. Unlike the error of each cell, it
    measures whether imputed rows as a whole resemble rows of the cohort.
    """
    n, m = len(truth), len(drawn)
    if n < 2 or m < 2:
        return float("nan")
    between = torch.cdist(truth, drawn).mean()
    within_truth = torch.cdist(truth, truth).sum() / (n * (n - 1))
    within_drawn = torch.cdist(drawn, drawn).sum() / (m * (m - 1))
    return float((2 * between - within_truth - within_drawn) / math.sqrt(truth.shape[1]))
