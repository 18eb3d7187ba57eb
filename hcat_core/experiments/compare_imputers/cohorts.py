"""The cohorts of a comparison: training, validation and scored patients, and the truth of hidden cells."""

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

FRESH = 500  # synthetic patients to score
VALIDATION = 150
SHARES = (0.6, 0.15)  # of a user's cohort: training and validation patients; the others are scored


@dataclass(frozen=True)
class Trial:
    """One setting's cohort, standardised on ``train``; hidden blocks are absent from it.

    ``truth`` and ``hidden`` (N, M, D) are those of the ``test`` patients: complete standardised cells, and
    which of them were hidden. ``binary`` (M, D): features that take two values.
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
    """Make the cohort of a setting: draw it, or hide blocks of the one that ``read`` gives for a recipe."""
    if setting.recipe is None:
        return _synthetic(setting)
    return _from_recipe(setting, read(setting.recipe))


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


def _from_recipe(setting: Setting, cohort: Cohort) -> Trial:
    cohort = cohort[cohort.present.any(dim=1)]
    standard = Standardiser.fit(cohort).apply(cohort)  # only to draw what is hidden
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
    hide = cohort.present & ~torch.from_numpy(drawn.present)
    nothing_left = ~(cohort.present & ~hide).any(dim=1)
    hide[nothing_left] = False
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
    return Trial(
        train=standard[sides[0]],
        validation=standard[sides[1]],
        test=standard[sides[2]],
        truth=truth,
        hidden=hidden[sides[2]],
        binary=train.two_valued() & (high > low),
        standardiser=standardiser,
    )
