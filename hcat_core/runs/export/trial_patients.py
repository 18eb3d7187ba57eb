"""Synthetic patients of a run's layout, on whom an exported pipeline is compared with the run itself."""

from __future__ import annotations

import torch

from hcat_core.cohort import Cohort
from hcat_core.runs.trained_run import TrainedRun

PATIENTS = 48  # beside one for each modality that has it alone
BLOCKS, CELLS = 0.6, 0.85  # share of blocks that are there, and of the cells of every second patient


def trial_patients(run: TrainedRun) -> Cohort:
    """Patients with values as those of training patients, and all kinds of missing blocks and cells.

    Values are drawn from each feature's mean, standard deviation and range in training patients. The first
    M patients have one modality each, the next has everything.
    """
    layout, statistics = run.layout, run.training
    m = len(layout.modalities)
    n, shape = m + PATIENTS, (m + PATIENTS, *layout.cells.shape)
    g = torch.Generator().manual_seed(0)
    standardiser = statistics.standardiser
    emb = standardiser.mean + standardiser.scale * torch.randn(shape, generator=g)
    known = torch.isfinite(statistics.low)
    inside = torch.minimum(torch.maximum(emb, statistics.low), statistics.high)
    emb = torch.where(known, inside, emb)
    blocks = torch.rand((n, m), generator=g) < BLOCKS
    blocks[torch.arange(n), torch.randint(m, (n,), generator=g)] = True  # nobody is without any modality
    blocks[:m] = torch.eye(m, dtype=torch.bool)
    blocks[m] = True
    cells = torch.rand(shape, generator=g) < CELLS
    cells[::2] = True
    cells[:, :, 0] = True
    measured = blocks.unsqueeze(2) & cells & layout.cells
    return Cohort(
        patient_ids=tuple(f"trial_{row}" for row in range(n)),
        layout=layout,
        emb=torch.where(measured, emb, 0.0),
        measured=measured,
        present=blocks,
        quality=torch.rand((n, m), generator=g) * blocks,
        n_rows=blocks.int(),
    )
