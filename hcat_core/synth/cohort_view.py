"""Make a ``Cohort`` of a synthetic cohort directly, without writing files."""

from __future__ import annotations

import numpy as np
import torch

from hcat_core.cohort import Cohort, Layout, Modality, Targets
from hcat_core.synth.generator import SyntheticCohort
from hcat_core.synth.outcomes import TASKS


def to_cohort(synthetic: SyntheticCohort) -> Cohort:
    """The cohort that reading the files would give, up to float32 rounding, with a quality of 1."""
    missing = synthetic.missingness
    measured = missing.present[:, :, None] & ~missing.gaps & synthetic.cells
    present = torch.from_numpy(missing.present.copy())
    outcomes = synthetic.outcomes
    return Cohort(
        patient_ids=synthetic.ids,
        layout=Layout(tuple(Modality(n, w) for n, w in synthetic.spec.widths.items()), TASKS),
        emb=torch.from_numpy(np.where(measured, synthetic.complete, 0).astype(np.float32)),
        measured=torch.from_numpy(measured),
        present=present,
        quality=present.float(),
        n_rows=present.int(),
        targets=Targets(
            labels=torch.from_numpy(outcomes.labels.copy()),
            time=torch.from_numpy(outcomes.time.astype(np.float32)),
            event=torch.from_numpy(outcomes.event.copy()),
        ),
    )
