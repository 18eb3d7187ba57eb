"""The training step at the document's defaults against its floor, in one process.

    pytest benchmarks/test_training_step.py -s

Floor = the step's matrix-multiply FLOPs (torch's FlopCounterMode) at the rate measured at the step's own
matrix shapes, plus one fused AdamW pass over the parameters.
"""

from __future__ import annotations

import collections
import time
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hcat_core import build
from hcat_core.assembly import Assembly
from hcat_core.catalog import load_catalog
from hcat_core.cohort import Cohort
from hcat_core.recipe import load_recipe
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training import build_optimiser, training_step

RECIPE = Path(__file__).parents[1] / "recipes" / "enhanced.toml"
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")
BATCH = 32


class MatrixShapes(TorchDispatchMode):
    """Counts the matrix products of a step by shape."""

    def __init__(self):
        super().__init__()
        self.count = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "baddbmm"):
            a, b = (args[-2], args[-1]) if name in ("mm", "bmm") else (args[1], args[2])
            self.count[tuple(a.shape), a.stride(), tuple(b.shape), b.stride()] += 1
        return func(*args, **(kwargs or {}))


def step_of(batch: Cohort):
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPE, catalog, sets=["imputer.use=none"])
    model = Assembly(recipe, catalog).build_model(batch.layout)
    losses = build.build_losses(recipe, catalog, batch.layout)
    optimiser = build_optimiser(model, recipe.training)
    model.train()
    return model, optimiser, lambda: training_step(model, losses, batch, recipe.training, optimiser)


def fastest(call, repeats=7):
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def multiply_seconds(shapes):
    """Every matrix product of the step on its own, at its shapes and strides."""
    total = 0.0
    for (a_shape, a_stride, b_shape, b_stride), count in shapes.items():
        a, b = torch.empty_strided(a_shape, a_stride), torch.empty_strided(b_shape, b_stride)
        a.normal_()
        b.normal_()
        total += count * fastest(lambda a=a, b=b: a @ b, repeats=5)
    return total


@pytest.mark.benchmark(group="training step")
def test_training_step_over_its_floor(benchmark):
    torch.manual_seed(0)
    batch = random_cohort(BATCH, dict.fromkeys(MODALITIES, 512), missing=0.3, gaps=0.02)
    model, optimiser, step = step_of(batch)
    with FlopCounterMode(display=False) as flops:
        step()
    with MatrixShapes() as shapes:
        step()
    multiply = multiply_seconds(shapes.count)
    adamw = fastest(optimiser.step)
    benchmark.pedantic(step, rounds=15, warmup_rounds=3)
    seconds = benchmark.stats.stats.median
    ratio = seconds / (multiply + adamw)
    total = flops.get_total_flops()
    print(
        f"\n{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
        f"{total / 1e9:.1f} GFLOP a step\n"
        f"step {seconds * 1e3:.0f} ms; floor {(multiply + adamw) * 1e3:.0f} ms = "
        f"products {multiply * 1e3:.0f} ms ({total / multiply / 1e9:.0f} GFLOP/s) + "
        f"AdamW {adamw * 1e3:.0f} ms; ratio {ratio:.2f} (aim: at most 1.5)"
    )
    benchmark.extra_info.update(ratio=ratio, floor=multiply + adamw)
