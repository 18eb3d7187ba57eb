"""A smooth nonlinear function of the shared factors, one for each modality of a synthetic cohort.

    curve[m, d] = sum over h of weights[m, d, h] * sin(direction[m, h] . z + phase[m, h]),    z ~ N(0, I_S)

Directions point anywhere and have the length ``frequency``, phases are uniform: the modality lies on a
curved manifold of as many dimensions as there are factors. The sum is a combination of random Fourier
features (Rahimi & Recht 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Parameters of the function: M modalities, D cells of the widest one, H sines of S shared factors.

    Attributes:
        direction: (M, H, S).
        phase: (M, H) in radians.
        weights: (M, D, H); 0 in padding cells.
    """

    direction: np.ndarray
    phase: np.ndarray
    weights: np.ndarray

    def angles(self, factors: np.ndarray) -> np.ndarray:
        """(..., M, H) what the sines are taken of, for (..., R) factors, the shared ones first."""
        m, h, s = self.direction.shape
        linear = factors[..., :s] @ self.direction.reshape(m * h, s).T
        return np.asarray(linear.reshape(*factors.shape[:-1], m, h) + self.phase)

    def cells(self, factors: np.ndarray) -> np.ndarray:
        """(N, M, D) of (N, R) factors."""
        return np.asarray(
            np.einsum("nmh,mdh->nmd", np.sin(self.angles(factors)), self.weights, optimize=True)
        )


def draw_curve(
    shared: int, cells: np.ndarray, sines: int, frequency: float, variance: float, rng: np.random.Generator
) -> Curve:
    """Draw a function that gives each of the (M, D) ``cells`` the ``variance`` on average."""
    m, d = cells.shape
    direction = rng.standard_normal((m, sines, shared))
    direction *= frequency / np.linalg.norm(direction, axis=2, keepdims=True)
    phase = rng.uniform(0, 2 * np.pi, (m, sines))
    weights = rng.standard_normal((m, d, sines)) * weight_scale(phase, frequency, variance)[:, None]
    return Curve(direction, phase, weights * cells[:, :, None])


def weight_scale(phase: np.ndarray, frequency: float, variance: float) -> np.ndarray:
    """(M, H) standard deviations of the weights of sines with these phases, for a cell's ``variance``."""
    return np.asarray(np.sqrt(variance / phase.shape[1] / _variance(frequency, phase)))


def _variance(frequency: float, phase: np.ndarray) -> np.ndarray:
    """Of sin(frequency * u + phase) with u ~ N(0, 1), from the characteristic function of u."""
    mean = np.exp(-(frequency**2) / 2) * np.sin(phase)
    return np.asarray((1 - np.exp(-2 * frequency**2) * np.cos(2 * phase)) / 2 - mean**2)
