"""Small random cohorts for tests, whose outcomes depend on the measured values."""

from __future__ import annotations

import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.layout import Layout, Modality, Task

TASKS = (Task("survival", 1826.0, "death"), Task("recurrence", 730.0, "recurrence"))


def random_cohort(
    patients: int = 48,
    widths: dict[str, int] | None = None,
    *,
    missing: float = 0.3,
    gaps: float = 0.05,
    seed: int = 0,
) -> Cohort:
    """A random cohort of roughly standardised values.

    The first modality is never missing. A third of the outcomes is unknown; the others depend on the first
    cell of the first modality, so that a model can learn them.

    Args:
        patients: N.
        widths: by modality; three small ones when not given.
        missing: share of blocks that are missing.
        gaps: share of cells that are not measured, within blocks that are present.
        seed: random seed.
    """
    widths = widths or {"clinical": 4, "temporal": 6, "spatial": 8}
    g = torch.Generator().manual_seed(seed)
    layout = Layout(tuple(Modality(name, width) for name, width in widths.items()), TASKS)
    n, m, d = patients, len(widths), layout.widest
    has = torch.rand((n, m), generator=g) >= missing
    has[:, 0] = True
    measured = has.unsqueeze(-1) & layout.cells & (torch.rand((n, m, d), generator=g) >= gaps)
    # A block without any measured cell would be missing, and the share of missing blocks another.
    measured[:, :, 0] |= has
    factor = torch.randn((n, 1, 1), generator=g)
    emb = (factor + torch.randn((n, m, d), generator=g)) * 0.7 * measured
    label = (emb[:, 0, 0].unsqueeze(1) + torch.randn((n, 2), generator=g) * 0.3 > 0).to(torch.int8)
    known = torch.rand((n, 2), generator=g) >= 1 / 3
    targets = Targets(
        labels=torch.where(known, label, torch.tensor(-1, dtype=torch.int8)),
        time=torch.full((n, 2), float("nan")),
        event=torch.full((n, 2), -1, dtype=torch.int8),
    )
    present = measured.any(dim=2)
    return Cohort(
        patient_ids=tuple(f"T{row:04d}" for row in range(n)),
        layout=layout,
        emb=emb,
        measured=measured,
        present=present,
        quality=present.float() * (0.5 + 0.5 * torch.rand((n, m), generator=g)),
        n_rows=present.int(),
        targets=targets,
    )
