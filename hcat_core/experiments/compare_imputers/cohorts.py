"""The cohorts of a comparison: who is fitted on, who is scored, and the truth of what is hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.experiments.compare_imputers.settings import Setting
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SyntheticCohort, generate, preset_spec
from hcat_core.synth.missingness import draw_missingness

FRESH = 500  # synthetic patients that are scored
VALIDATION = 150
SHARES = (0.6, 0.15)  # of a user's cohort: fitted on, and chosen and calibrated by; the rest is scored


@dataclass(frozen=True)
class Trial:
    """One setting's cohort, standardised on ``train``; blocks that were hidden are absent from it.

    ``truth`` and ``hidden`` (N, M, D) are of the ``test`` patients: the standardised cells that nobody
    was shown, and which they are. ``binary`` (M, D): features that take two values.
    """

    train: Cohort
    validation: Cohort
    test: Cohort
    truth: Tensor
    hidden: Tensor
    binary: Tensor
    standardiser: Standardiser
    synthetic: SyntheticCohort | None = None


def make_trial(setting: Setting, read: Callable[[str], Cohort]) -> Trial:
    """Draw, or read and hide, the cohort of a setting; ``read`` gives a recipe's cohort."""
    if setting.recipe is None:
        return _synthetic(setting)
    return _own(setting, read(setting.recipe))


def _synthetic(setting: Setting) -> Trial:
    n = setting.patients
    spec = preset_spec(
        setting.preset,
        patients=n + VALIDATION + FRESH,
        width=setting.width,
        mechanism=setting.mechanism,
        missing_rate=setting.missing_rate,
        seed=setting.seed,
    )
    synthetic = generate(spec)
    cohort = to_cohort(synthetic)
    rows = torch.arange(len(cohort))
    sides = (rows[:n], rows[n : n + VALIDATION], rows[n + VALIDATION :])
    complete = torch.from_numpy(synthetic.complete)
    hidden = torch.from_numpy(synthetic.cells) & ~cohort.measured
    return replace(_trial(cohort, complete, hidden, sides), synthetic=synthetic)


def _own(setting: Setting, cohort: Cohort) -> Trial:
    cohort = cohort[cohort.present.any(dim=1)]
    standard = Standardiser.fit(cohort).apply(cohort)  # for the scores of the mechanism alone
    drawn = draw_missingness(
        standard.emb.numpy(),
        np.array(cohort.layout.widths),
        mechanism=setting.mechanism,
        rate=setting.missing_rate,
        gap_rate=0.0,
        strength=1.5,
        rng=np.random.default_rng([setting.seed, 1]),
        gap_rng=np.random.default_rng([setting.seed, 2]),
    )
    keep = torch.from_numpy(drawn.present)
    hide = cohort.present & ~keep
    last = ~(cohort.present & ~hide).any(dim=1)
    hide[last] = False
    order = torch.randperm(len(cohort), generator=torch.Generator().manual_seed(setting.seed))
    first = round(SHARES[0] * len(cohort))
    second = first + round(SHARES[1] * len(cohort))
    sides = (order[:first], order[first:second], order[second:])
    hidden = cohort.measured & hide.unsqueeze(-1)
    return _trial(cohort.hide(hide), cohort.emb, hidden, sides)


def _trial(cohort: Cohort, complete: Tensor, hidden: Tensor, sides: tuple[Tensor, Tensor, Tensor]) -> Trial:
    standardiser = Standardiser.fit(cohort[sides[0]])
    standard = standardiser.apply(cohort)
    truth = (complete[sides[2]] - standardiser.mean) / standardiser.scale
    train = cohort[sides[0]]
    low, high = train.extremes()
    two = train.two_valued() & (high > low)
    return Trial(
        train=standard[sides[0]],
        validation=standard[sides[1]],
        test=standard[sides[2]],
        truth=truth,
        hidden=hidden[sides[2]],
        binary=two,
        standardiser=standardiser,
    )
