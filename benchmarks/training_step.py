"""Time of a training step, beside that of its matrix products and one pass of AdamW alone."""

from __future__ import annotations

import time

from measuring import MatrixShapes, Plan, Record, against_floor, fastest, in_fresh_process, product_seconds
from models import enhanced, hancock

from hcat_core.training.step import TotalLoss, build_optimiser, training_step

TITLE = "Training step, batch of 32"
AIM = 1.5
NO_IMPUTER = "imputer.use=none"


def measure(plan: Plan) -> list[Record]:
    """``recipes/enhanced.toml``, the same without an imputer, and ``recipes/hancock.toml``."""
    cases = {"`recipes/enhanced.toml`": [None], "the same, `imputer.use=none`": [None, NO_IMPUTER]}
    if plan.hancock is not None:
        cases["`recipes/hancock.toml`"] = [str(plan.hancock)]
    return [
        against_floor(what, in_fresh_process(timed, plan.rounds, *case), AIM)
        for what, case in cases.items()
    ]


def timed(rounds: int, root: str | None, *sets: str) -> list[tuple[float, float]]:
    """(step, floor) seconds of each round, in this process."""
    recipe, parts, batch = enhanced(32, *sets) if root is None else hancock(root, 32)
    model, losses = parts.build_model(batch.layout), parts.build_losses(batch.layout)
    optimiser = build_optimiser(model, recipe.training)
    total_loss = TotalLoss(model, losses, recipe.training)
    model.train()

    def step():
        training_step(total_loss, batch, optimiser, recipe.training.grad_clip)

    step()
    with MatrixShapes() as shapes:
        step()
    pairs = []
    for _ in range(rounds):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        pairs.append((sorted(times)[2], product_seconds(shapes.count) + fastest(optimiser.step)))
    return pairs
