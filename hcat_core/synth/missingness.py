"""Who lacks what, and why: missing completely at random, at random, or not at random (Rubin 1976).

The first modality is never missing. For patient i and any other modality m,

    P(missing) = rate                                       MCAR
    logit P(missing) = a_m + strength * s_i                 MAR,  s_i a score of the first modality
    logit P(missing) = a_m + strength * s_im                MNAR, s_im a score of the block itself

A score is a fixed linear combination of measured cells, scaled to mean 0 and standard deviation 1 over
the cohort; ``a_m`` is set so that the expected share of missing blocks is ``rate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Mechanism = Literal["mcar", "mar", "mnar"]


@dataclass(frozen=True)
class Missingness:
    """What was drawn, and what the oracle needs to condition on it.

    Attributes:
        present: (N, M) bool.
        gaps: (N, M, D) bool, cells not measured within present blocks.
        intercept: (M,) ``a_m``; unused for MCAR.
        strength: log odds ratio per standard deviation of the score; 0 for MCAR.
        direction: (M, D): a score is ``direction[m] . x + offset[m]``.
        offset: (M,).
        mechanism: which formula.
    """

    present: np.ndarray
    gaps: np.ndarray
    intercept: np.ndarray
    strength: float
    direction: np.ndarray
    offset: np.ndarray
    mechanism: Mechanism

    def missing_probability(self, scores: np.ndarray) -> np.ndarray:
        """P(missing) of blocks with these (..., M) scores of the mechanism."""
        return sigmoid(self.intercept + self.strength * scores)


def draw_missingness(
    complete: np.ndarray,
    widths: np.ndarray,
    *,
    mechanism: Mechanism,
    rate: float,
    gap_rate: float,
    strength: float,
    rng: np.random.Generator,
    gap_rng: np.random.Generator,
) -> Missingness:
    """Draw present blocks and gaps for (N, M, D) complete cells."""
    n, m, d = complete.shape
    cells = np.arange(d) < widths[:, None]
    gaps = (gap_rng.random((n, m, d)) < gap_rate) & cells
    gaps[:, :, 0] = False  # a block keeps a measured cell: it is missing or it is not
    direction = rng.standard_normal((m, d)) * cells
    # MAR must hang on nothing that is not seen: the first modality's score leaves its gaps out.
    seen = np.where(gaps, 0, complete) if mechanism == "mar" else complete
    raw = np.einsum("nmd,md->nm", seen, direction, dtype=np.float64)
    spread = np.maximum(raw.std(axis=0), 1e-12)
    direction /= spread[:, None]
    offset = -raw.mean(axis=0) / spread
    scores = raw / spread + offset
    if mechanism == "mar":
        scores = np.repeat(scores[:, :1], m, axis=1)
    if mechanism == "mcar":
        strength = 0.0
    intercept = np.array([_intercept(strength * scores[:, column], rate) for column in range(m)])
    present = rng.random((n, m)) >= sigmoid(intercept + strength * scores)
    present[:, 0] = True
    if rate == 0:
        present[:] = True
    return Missingness(
        present=present,
        gaps=gaps & present[:, :, None],
        intercept=intercept,
        strength=strength,
        direction=direction,
        offset=offset,
        mechanism=mechanism,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _intercept(slopes: np.ndarray, rate: float) -> float:
    """The a with mean sigmoid(a + slopes) = rate, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        if sigmoid(middle + slopes).mean() < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
