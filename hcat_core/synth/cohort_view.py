"""Make a ``Cohort`` of a synthetic cohort directly, without writing files."""

from __future__ import annotations

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.layout import Layout, Modality
from hcat_core.synth.generator import SyntheticCohort
from hcat_core.synth.outcomes import TASKS


def to_cohort(synthetic: SyntheticCohort) -> Cohort:
    """The cohort that reading the files would give, up to float32 rounding."""
    recorded, measured, outcomes = synthetic.recorded, synthetic.measured, synthetic.outcomes
    present = torch.from_numpy(synthetic.missingness.present.copy())
    return Cohort(
        patient_ids=synthetic.ids,
        layout=Layout(tuple(Modality(n, w) for n, w in synthetic.spec.widths.items()), TASKS),
        emb=torch.from_numpy(np.where(measured, recorded.cells, 0).astype(np.float32)),
        measured=torch.from_numpy(measured),
        present=present,
        quality=torch.from_numpy(recorded.quality.copy()),
        n_rows=present.int(),
        targets=Targets(
            labels=torch.from_numpy(outcomes.labels.copy()),
            time=torch.from_numpy(outcomes.time.astype(np.float32)),
            event=torch.from_numpy(outcomes.event.copy()),
        ),
    )
