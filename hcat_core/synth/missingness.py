"""Draw missing blocks and gaps: completely at random, at random, or not at random (Rubin 1976).

The first modality is never missing. For patient i and any other modality m,

    P(missing) = rate                                       MCAR
    logit P(missing) = a_m + strength * s_i                 MAR,  s_i a score of the first modality
    logit P(missing) = a_m + strength * s_im                MNAR, s_im a score of the block itself

A score is a fixed linear combination of measured cells, scaled to mean 0 and standard deviation 1 over
the cohort; ``a_m`` is set so that the expected share of missing blocks is ``rate``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hcat_core.metrics.recalibration import sigmoid
from hcat_core.synth.spec import Mechanism


@dataclass(frozen=True)
class Missingness:
    """Missing blocks and gaps, with the parameters that the oracle conditions on.

    Attributes:
        present: (N, M) bool.
        gaps: (N, M, D) bool, cells that are not measured within present blocks.
        intercept: (M,) ``a_m``; unused for MCAR.
        strength: log odds ratio per standard deviation of the score; 0 for MCAR.
        direction: (M, D): a score is ``direction[m] . x + offset[m]``.
        offset: (M,).
        mechanism: one of the three formulas.
    """

    present: np.ndarray
    gaps: np.ndarray
    intercept: np.ndarray
    strength: float
    direction: np.ndarray
    offset: np.ndarray
    mechanism: Mechanism

    def of_patients(self, rows: slice) -> Missingness:
        """The same for some of the patients."""
        return replace(self, present=self.present[rows], gaps=self.gaps[rows])

    def missing_probability(self, scores: np.ndarray) -> np.ndarray:
        """(..., M) P(missing) of blocks with these (..., M) scores."""
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
    """Draw which blocks are present, and gaps within them.

    Args:
        complete: (N, M, D) cells.
        widths: (M,) number of cells of each modality.
        mechanism: why blocks are missing.
        rate: expected share of missing blocks, not counting the first modality.
        gap_rate: share of cells not measured within a present block.
        strength: log odds ratio of being missing per standard deviation of the score.
        rng: for scores and blocks.
        gap_rng: for gaps.
    """
    n, m, d = complete.shape
    cells = np.arange(d) < widths[:, None]
    gaps = (gap_rng.random((n, m, d)) < gap_rate) & cells
    gaps[:, :, 0] = False  # a present block has at least one measured cell
    direction = rng.standard_normal((m, d)) * cells
    # MAR may depend on measured cells only: the score of the first modality leaves out its gaps.
    scored = np.where(gaps, 0, complete) if mechanism == "mar" else complete
    raw = np.einsum("nmd,md->nm", scored, direction, dtype=np.float64)
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


def _intercept(slopes: np.ndarray, rate: float) -> float:
    """Find the a with mean sigmoid(a + slopes) = rate, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        if sigmoid(middle + slopes).mean() < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
