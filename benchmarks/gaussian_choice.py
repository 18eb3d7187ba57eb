"""Time in which ``gaussian`` chooses rank and number of components, beside one fit at what it chose.

The floor is the fit with both given: first clusters, and EM until its likelihood stops changing.
"""

from __future__ import annotations

import time

from measuring import Plan, Record, against_floor, in_fresh_process

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.experiments.compare_imputers.cohorts import make_trial
from hcat_core.experiments.compare_imputers.settings import Setting
from hcat_core.interfaces import FitContext

TITLE = "Choosing rank and number of components of `gaussian`, N patients x 5 x 512"
COHORTS = (("linear", 600), ("clusters", 600), ("clusters", 3_000), ("demo", 600))
AIM = 5.0  # candidates are ten


def measure(plan: Plan) -> list[Record]:
    """One row per preset and number of patients."""
    return [
        against_floor(
            f"`{preset}`, {patients // plan.scale:,} patients",
            in_fresh_process(timed, plan.rounds, preset, patients // plan.scale),
            AIM,
        )
        for preset, patients in COHORTS
    ]


def timed(rounds: int, preset: str, patients: int) -> list[tuple[float, float]]:
    """(choice, fit with the chosen numbers) seconds of each round, each round with a cohort of its own."""
    pairs = []
    for seed in range(rounds):
        trial = make_trial(
            Setting("mcar", 0.3, seed, preset=preset, patients=patients, width=512), lambda path: None
        )
        train, validation = trial.train.without_targets(), trial.validation.without_targets()

        def fit(train=train, validation=validation, seed=seed, **numbers):
            imputer = GaussianImputer(train.layout, **numbers)
            began = time.perf_counter()
            imputer.fit(train, validation, FitContext(seed))
            return time.perf_counter() - began, imputer.model.loading.shape

        chosen, (components, _, q) = fit()
        known, _ = fit(rank=q - 1, components=components)
        pairs.append((chosen, known))
    return pairs
