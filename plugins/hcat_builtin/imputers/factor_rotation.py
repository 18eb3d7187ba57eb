"""Rotations of factors that let each block depend on few of them.

A rotation of the factors leaves the likelihood as it is, but not the prior of the loadings, whose variances
per block and factor are learned: these fit best where a block depends on few factors. EM turns towards that
rotation slowly, in tens of iterations, so it is found directly (as in Virtanen, Klami, Khan and Kaski 2012,
"Bayesian group factor analysis"). With orthogonal rotations A the prior's part of the bound is

    - sum_m D_m / 2 sum_r log (A' C_m A)_rr,     C_m = E[L_m' L_m],

the criterion of common principal components (Flury and Gautschi 1986), which is minimised pair by pair.
Shapes: K clusters, M blocks of D_m cells, R factors.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ANGLES = 16  # tried for each pair of factors, within a quarter of a turn
LEAST_GAIN = 0.5  # of the criterion per cell; a sweep that gains less is the last


def block_rotation(products: Tensor, widths: Tensor, sweeps: int) -> Tensor:
    """(K, R, R) orthogonal rotations after which each block depends on as few factors as possible.

    Args:
        products: (K, M, R, R) expected products of loadings, summed over the cells of each block.
        widths: (M,) number of cells of each block.
        sweeps: times that every pair of factors is rotated, at most.
    """
    # Small matrices in many steps, for which numpy takes a fraction of torch's time.
    turned, shares = products.numpy(), (widths / widths.sum()).numpy()
    k, _, r, _ = turned.shape
    rotation = np.tile(np.eye(r), (k, 1, 1))
    before = _criterion(turned, shares)
    for _ in range(sweeps):
        for first, second in _round_robin(r):
            angle = _best_angle(turned, shares, first, second)
            turn = np.tile(np.eye(r), (k, 1, 1))
            turn[:, first, first] = turn[:, second, second] = np.cos(angle)
            turn[:, second, first] = np.sin(angle)
            turn[:, first, second] = -turn[:, second, first]
            turned = turn.transpose(0, 2, 1)[:, None] @ turned @ turn[:, None]
            rotation = rotation @ turn
        after = _criterion(turned, shares)
        if (before - after).max() < LEAST_GAIN:
            break
        before = after
    return torch.from_numpy(rotation)


def _criterion(products: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(K,) mean over blocks of the summed log variances; smaller where blocks depend on fewer factors."""
    variances = np.maximum(products.diagonal(axis1=-2, axis2=-1), 1e-300)
    of_block: np.ndarray = np.log(variances).sum(axis=-1)
    return np.asarray(of_block @ shares)


def _best_angle(
    products: np.ndarray, shares: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """(K, pairs) angle for each pair of factors: the best of a grid, refined by a parabola."""
    a, b = products[:, :, first, first], products[:, :, second, second]
    c = products[:, :, first, second]
    step = math.pi / 2 / ANGLES
    angles = (np.arange(ANGLES) - ANGLES // 2) * step
    # The two diagonal cells of a turned pair: half the trace, plus or minus half the difference turned by
    # twice the angle.
    half, differ = (a + b)[..., None] / 2, (a - b)[..., None] / 2
    turned = differ * np.cos(2 * angles) + c[..., None] * np.sin(2 * angles)
    cost = np.einsum("m,kmpa->kpa", shares, np.log(np.maximum(half * half - turned * turned, 1e-300)))
    best = cost.argmin(axis=-1)[..., None]
    # A quarter of a turn only swaps two factors, so the grid is a circle.
    here, after, before = (np.take_along_axis(cost, (best + move) % ANGLES, axis=-1) for move in (0, 1, -1))
    curvature = np.maximum(before - 2 * here + after, 1e-12)
    shift = np.clip((before - after) / (2 * curvature), -0.5, 0.5)
    unturned = cost[..., ANGLES // 2, None]
    stays = (best != ANGLES // 2) & (here > unturned - 1e-9)
    return np.where(stays, 0.0, angles[best] + shift * step)[..., 0]


def _round_robin(r: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every pair of factors once, in rounds of disjoint pairs."""
    players = list(range(r + r % 2))
    rounds = []
    for _ in range(len(players) - 1):
        pairs = [(players[i], players[-1 - i]) for i in range(len(players) // 2)]
        pairs = [pair for pair in pairs if max(pair) < r]
        if pairs:
            first, second = np.array(pairs).T
            rounds.append((first, second))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds
