"""Time of one member's evaluation with 16 draws, beside the matrix products of fusion and heads alone.

The floor does not include imputation, draws, softmax and norms. Evidence takes no part.
"""

from __future__ import annotations

import time

import torch
from measuring import MatrixShapes, Plan, Record, against_floor, in_fresh_process, product_seconds
from models import enhanced, hancock

from hcat_core.training.inference import predict_completed

TITLE = "Evaluation by one member, 16 draws of what is missing"
AIM = 1.5
DRAWS = 16
PATIENTS = 256


def measure(plan: Plan) -> list[Record]:
    """``recipes/enhanced.toml``, and ``recipes/hancock.toml`` where its data are given."""
    patients = max(32, PATIENTS // plan.scale)
    cases = {f"`recipes/enhanced.toml`, {patients} patients": None}
    if plan.hancock is not None:
        cases[f"`recipes/hancock.toml`, {patients} patients"] = str(plan.hancock)
    return [
        against_floor(what, in_fresh_process(timed, plan.rounds, patients, root), AIM)
        for what, root in cases.items()
    ]


def timed(rounds: int, patients: int, root: str | None) -> list[tuple[float, float]]:
    """(evaluation, floor) seconds of each round, in this process."""
    _, parts, cohort = enhanced(patients) if root is None else hancock(root, patients)
    model = parts.build_model(cohort.layout)
    shapes, fuse = MatrixShapes(), model.fuse

    def counted(*arguments):
        with torch.inference_mode(False), torch.no_grad(), shapes:  # inference mode hides linear layers
            return fuse(*arguments)

    def predict():
        predict_completed(model, cohort, samples=DRAWS, seed=0, device=torch.device("cpu"))

    model.fuse = counted
    predict()
    model.fuse = fuse
    pairs = []
    for _ in range(rounds):
        began = time.perf_counter()
        predict()
        pairs.append((time.perf_counter() - began, product_seconds(shapes.count)))
    return pairs
