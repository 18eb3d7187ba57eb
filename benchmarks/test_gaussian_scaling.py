"""``gaussian`` at a given rank and number (16, 4) on N x 5 x 512: seconds and growth with patients.

pytest benchmarks/test_gaussian_scaling.py -s
"""

from __future__ import annotations

import math
import time

import torch

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.interfaces import FitContext
from hcat_core.standardise import Standardiser
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import generate, preset_spec

SIZES = (1000, 2000, 3000, 4000)


def seconds(patients):
    cohort = to_cohort(generate(preset_spec("clusters", patients=patients + 1000))).without_targets()
    cohort = Standardiser.fit(cohort[slice(0, patients)]).apply(cohort)
    train, test = cohort[slice(0, patients)], cohort[slice(patients, patients + 1000)]
    best = math.inf
    for _ in range(2):
        imputer = GaussianImputer(cohort.layout, rank=16, components=4)
        began = time.perf_counter()
        imputer.fit(train, cohort[slice(0, 0)], FitContext(0))
        with torch.no_grad():
            imputer(train)
            imputer(test)
        best = min(best, time.perf_counter() - began)
    return best


def test_cost_is_linear_in_patients():
    taken = {n: seconds(n) for n in SIZES}
    exponent = math.log(taken[4000] / taken[1000]) / math.log(4)
    for n, s in taken.items():
        print(f"\n{n} x 5 x 512: fit + transform {s:.2f} s", end="")
    print(f"\ngrowth exponent {exponent:.2f} (1 is linear); aim: 3,000 within 10 s")
