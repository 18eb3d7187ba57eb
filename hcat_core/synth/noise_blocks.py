"""The cells that the files hold: as they are, or noise that a low quality marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOISE_QUALITY = (0.0, 0.3)  # uniform
SOUND_QUALITY = (0.7, 1.0)  # uniform, where some blocks are noise; otherwise Beta(8, 2)


@dataclass(frozen=True)
class RecordedBlocks:
    """What is written of N patients and M modalities.

    Attributes:
        cells: (N, M, D) float32, those of noise blocks replaced.
        noise: (N, M) bool, present blocks whose cells are noise.
        quality: (N, M) float32 in [0, 1]; 0 where a block is missing.
    """

    cells: np.ndarray
    noise: np.ndarray
    quality: np.ndarray


def record_blocks(
    complete: np.ndarray, present: np.ndarray, share: float, seed: int, rng: np.random.Generator
) -> RecordedBlocks:
    """Replace a ``share`` of the present blocks by noise of each cell's mean and spread, and rate all.

    Args:
        complete: (N, M, D) float32 cells.
        present: (N, M) bool.
        share: of present blocks, each by chance.
        seed: of the quality of sound blocks where ``share`` is 0.
        rng: for everything else.
    """
    if not share:
        return RecordedBlocks(complete, np.zeros_like(present), _sound_quality(present, seed))
    noise = (rng.random(present.shape) < share) & present
    cells = complete.copy()
    for column in range(present.shape[1]):
        rows = np.flatnonzero(noise[:, column])
        drawn = rng.standard_normal((len(rows), complete.shape[2]))
        centre, spread = complete[:, column].mean(axis=0), complete[:, column].std(axis=0)
        cells[rows, column] = (centre + spread * drawn).astype(np.float32)
    quality = np.where(
        noise, rng.uniform(*NOISE_QUALITY, present.shape), rng.uniform(*SOUND_QUALITY, present.shape)
    )
    return RecordedBlocks(cells, noise, (quality * present).astype(np.float32))


def _sound_quality(present: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    quality = np.zeros(present.shape, np.float32)
    for column in range(present.shape[1]):
        rows = present[:, column]
        quality[rows, column] = rng.beta(8, 2, size=rows.sum())
    return quality
