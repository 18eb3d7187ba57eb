"""Hide measured blocks, to train, choose, calibrate and score imputers on cells whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hcat_core.cohort import Cohort


@dataclass(frozen=True)
class HiddenBlock:
    """One modality hidden from n patients who have it.

    Attributes:
        column: of the hidden modality.
        pattern: (M,) the modalities that are left; empty where only this one was hidden.
        rows: (n,) row numbers of the patients.
        cohort: the n patients with the modalities hidden.
        truth: (n, D) values of the hidden modality.
        measured: (n, D) bool, which of them were measured.
    """

    column: int
    pattern: tuple[bool, ...]
    rows: Tensor
    cohort: Cohort
    truth: Tensor
    measured: Tensor


def leave_one_block_out(cohort: Cohort) -> Iterator[HiddenBlock]:
    """Hide each modality in turn, from the patients who have it and at least one other."""
    for column in range(cohort.present.shape[1]):
        several = cohort.present.sum(dim=1) > 1
        rows = (cohort.present[:, column] & several).nonzero().squeeze(1)
        if not len(rows):
            continue
        patients = cohort[rows]
        blocks = torch.zeros_like(patients.present)
        blocks[:, column] = True
        yield HiddenBlock(
            column=column,
            pattern=(),
            rows=rows,
            cohort=patients.hide(blocks),
            truth=patients.emb[:, column],
            measured=patients.measured[:, column],
        )


def mask_down(cohort: Cohort, patterns: Tensor) -> Iterator[HiddenBlock]:
    """Mask patients down to each of S patterns, for each block that the pattern lacks and they have.

    Args:
        cohort: patients with at least one modality.
        patterns: (S, M) bool, as real patients have them.
    """
    for pattern in patterns:
        if not pattern.any():
            continue
        for column in (~pattern).nonzero().squeeze(1).tolist():
            fits = (cohort.present | ~pattern).all(dim=1) & cohort.present[:, column]
            rows = fits.nonzero().squeeze(1)
            if not len(rows):
                continue
            patients = cohort[rows]
            yield HiddenBlock(
                column=column,
                pattern=tuple(bool(has) for has in pattern.tolist()),
                rows=rows,
                cohort=patients.hide(~pattern.expand_as(patients.present)),
                truth=patients.emb[:, column],
                measured=patients.measured[:, column],
            )


def hide_at_random(batch: Cohort) -> tuple[Cohort, Tensor]:
    """The batch with blocks hidden as ``random_hiding`` draws them, and which (N, M)."""
    hide = random_hiding(batch.present)
    return batch.hide(hide), hide


def random_hiding(present: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """(N, M) bool: present blocks to hide, so that each patient keeps what another patient has.

    The patterns come from the batch itself: training hides blocks as they are missing in the cohort.
    A patient always keeps a block; one with two or more always loses at least one.
    """
    n, m = present.shape
    device = present.device
    other = torch.randint(n, (n,), generator=generator, device=device)
    hide = present & ~present[other]
    score = torch.rand((n, m), generator=generator, device=device)
    first = score.masked_fill(~present, -1.0).argmax(dim=1)
    one = torch.zeros_like(present).scatter_(1, first.unsqueeze(1), True) & present
    hide = torch.where(hide.any(dim=1, keepdim=True), hide, one)
    left = present & ~hide
    keeper = score.masked_fill(~present, 2.0).argmin(dim=1)
    keep = torch.zeros_like(present).scatter_(1, keeper.unsqueeze(1), True) & present
    return hide & ~(keep & ~left.any(dim=1, keepdim=True))


def hide_cells_in_turn(
    cohort: Cohort, rounds: int, generator: torch.Generator
) -> Iterator[tuple[Cohort, Tensor]]:
    """Hide each measured cell within present blocks in one of some rounds, at random.

    A block keeps at least one measured cell.

    Args:
        cohort: N patients.
        rounds: how many; a share of one in so many cells is hidden in each.
        generator: on the CPU.

    Returns:
        the patients of each round, and which (N, M, D) of their cells were hidden.
    """
    of_round = torch.randint(rounds, cohort.emb.shape, generator=generator).to(cohort.emb.device)
    for number in range(rounds):
        hide = cohort.measured & (of_round == number)
        nothing_left = hide.sum(dim=2, keepdim=True) == cohort.measured.sum(dim=2, keepdim=True)
        first = torch.zeros_like(hide).scatter_(2, hide.byte().argmax(dim=2, keepdim=True), True)
        hide = hide & ~(nothing_left & first)
        yield replace(cohort, emb=cohort.emb * ~hide, measured=cohort.measured & ~hide), hide
