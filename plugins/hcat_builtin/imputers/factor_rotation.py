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

import torch
from torch import Tensor

ANGLES = 16  # tried for each pair of factors, within a quarter of a turn


def block_rotation(products: Tensor, widths: Tensor, sweeps: int) -> Tensor:
    """(K, R, R) orthogonal rotations after which each block depends on as few factors as possible.

    Args:
        products: (K, M, R, R) expected products of loadings, summed over the cells of each block.
        widths: (M,) number of cells of each block.
        sweeps: times that every pair of factors is rotated.
    """
    k, _, r, _ = products.shape
    rotation = torch.eye(r, dtype=products.dtype).repeat(k, 1, 1)
    rounds = _round_robin(r)
    for _ in range(sweeps):
        for first, second in rounds:
            angle = _best_angle(products, widths, first, second)
            turn = _turn(angle, first, second, r)
            products = turn.mT.unsqueeze(1) @ products @ turn.unsqueeze(1)
            rotation = rotation @ turn
    return rotation


def _best_angle(products: Tensor, widths: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(K, pairs) angle for each pair of factors: the best of a grid, refined by a parabola."""
    a, b = products[:, :, first, first], products[:, :, second, second]
    c = products[:, :, first, second]
    step = math.pi / 2 / ANGLES
    angles = torch.arange(-ANGLES // 2, ANGLES // 2 + 1, dtype=a.dtype) * step
    # (A' C A) of a pair: half the trace, plus or minus half the difference turned by twice the angle.
    half, differ = ((a + b) / 2).unsqueeze(-1), ((a - b) / 2).unsqueeze(-1)
    turned = differ * (2 * angles).cos() + c.unsqueeze(-1) * (2 * angles).sin()
    cost = ((half.square() - turned.square()).clamp_min(1e-300).log() * widths[:, None, None]).sum(dim=1)
    # At either end the pair has only swapped places: the cost is that of the other end.
    best = cost[..., :-1].argmin(dim=-1, keepdim=True)
    here = cost.gather(-1, best)
    after = cost.gather(-1, best + 1)
    before = cost.gather(-1, (best - 1) % ANGLES)
    curvature = (before - 2 * here + after).clamp_min(1e-12)
    shift = ((before - after) / (2 * curvature)).clamp(-0.5, 0.5)
    better = here < cost[..., ANGLES // 2 : ANGLES // 2 + 1] - 1e-9 * here.abs()
    near = best == ANGLES // 2
    return torch.where(better | near, angles[best] + shift * step, 0.0).squeeze(-1)


def _turn(angle: Tensor, first: Tensor, second: Tensor, r: int) -> Tensor:
    """(K, R, R) rotations of disjoint pairs of factors."""
    turn = torch.eye(r, dtype=angle.dtype).repeat(len(angle), 1, 1)
    turn[:, first, first] = angle.cos()
    turn[:, second, second] = angle.cos()
    turn[:, second, first] = angle.sin()
    turn[:, first, second] = -angle.sin()
    return turn


def _round_robin(r: int) -> list[tuple[Tensor, Tensor]]:
    """Every pair of factors once, in rounds of disjoint pairs."""
    players = list(range(r + r % 2))
    rounds = []
    for _ in range(len(players) - 1):
        pairs = [(players[i], players[-1 - i]) for i in range(len(players) // 2)]
        pairs = [pair for pair in pairs if max(pair) < r]
        if pairs:
            rounds.append((torch.tensor([x for x, _ in pairs]), torch.tensor([y for _, y in pairs])))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds
