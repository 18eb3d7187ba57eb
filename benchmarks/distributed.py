"""Training throughput of two processes of one thread each over one such process.

    python benchmarks/distributed.py [--batches 32 64 128] [--rounds 5]

The model is that of recipes/enhanced.toml at the width of the published script (fusion.d_model 512, 8
heads), on random patients with five modalities of 512. Both sides take the same global batch: two processes
work on half of it each. They alternate, so that what else the machine does meets both; a figure is the
ratio of the medians. It needs two cores to itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.distributed import process_group
from hcat_core.training.neural_parts import NeuralParts
from hcat_core.training.step import TotalLoss, build_optimiser, training_step

RECIPE = Path(__file__).parents[1] / "recipes" / "enhanced.toml"
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")
WIDE = ("fusion.d_model=512", "fusion.n_heads=8")
WARM_UP, STEPS = 2, 8


def seconds_a_step(batch: int) -> None:
    """In one of the processes: print the median of some steps."""
    torch.set_num_threads(1)
    cohort = random_cohort(batch, dict.fromkeys(MODALITIES, 512), missing=0.3, gaps=0.02)
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPE, catalog, sets=WIDE)
    parts = NeuralParts(recipe, catalog)
    torch.manual_seed(0)
    model, losses = parts.build_model(cohort.layout), parts.build_losses(cohort.layout)
    optimiser = build_optimiser(model, recipe.training)
    model.train()
    with process_group() as processes:
        total_loss = processes.wrap(TotalLoss(model, losses, recipe.training, processes))
        times = []
        for step in range(WARM_UP + STEPS):
            torch.manual_seed(step)
            processes.barrier()
            began = time.perf_counter()
            training_step(total_loss, cohort, optimiser, recipe.training.grad_clip)
            processes.barrier()
            times.append(time.perf_counter() - began)
        if processes.is_main:
            print(statistics.median(times[WARM_UP:]))


def measure(batch: int, processes: int) -> float:
    """Seconds a step of ``processes`` started anew."""
    alone = [sys.executable, __file__]
    together = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        __file__,
    ]
    found = subprocess.run(
        [*(alone if processes == 1 else together), "--one", str(batch)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        seconds_a_step(arguments.one)
        return
    print("global batch   one process   two processes   patients/s   throughput (aim: at least 1.7)")
    for batch in arguments.batches:
        rounds = [(measure(batch, 1), measure(batch, 2)) for _ in range(arguments.rounds)]
        one, two = (statistics.median(side) for side in zip(*rounds, strict=True))
        print(
            f"{batch:>12}   {one * 1e3:>8.0f} ms   {two * 1e3:>10.0f} ms   "
            f"{batch / one:>3.0f} -> {batch / two:>3.0f}   {one / two:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
