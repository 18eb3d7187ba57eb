"""Evaluation with 16 samples against the matrix products of sixteen passes through fusion and heads.

Imputing, drawing what is missing, dropout, softmax and norms are not in the floor.
"""

from __future__ import annotations

import time

import torch
from measuring import MatrixShapes, Plan, Record, against_floor, in_fresh_process, product_seconds
from models import document, hancock

from hcat_core.training.inference import predict_cohort

TITLE = "Evaluation, 16 samples of dropout and imputation"
AIM = 1.5
SAMPLES = 16
PATIENTS = 256


def measure(plan: Plan) -> list[Record]:
    """The document's model, and HANCOCK's."""
    patients = max(32, PATIENTS // plan.scale)
    cases = {f"document's defaults, {patients} patients": None}
    if plan.hancock is not None:
        cases[f"`recipes/hancock.toml`, {patients} patients"] = str(plan.hancock)
    return [
        against_floor(what, in_fresh_process(timed, plan.rounds, patients, root), AIM)
        for what, root in cases.items()
    ]


def timed(rounds: int, patients: int, root: str | None) -> list[tuple[float, float]]:
    """(evaluation, floor) seconds of each round, in this process."""
    _, parts, cohort = document(patients) if root is None else hancock(root, patients)
    model = parts.build_model(cohort.layout)
    shapes, fuse = MatrixShapes(), model.fuse

    def counted(batch, imputation):
        with shapes:
            return fuse(batch, imputation)

    def predict(call=predict_cohort):
        call(model, cohort, mc_samples=SAMPLES, seed=0, device=torch.device("cpu"))

    model.fuse = counted
    with torch.no_grad():  # in inference mode a linear layer is not seen as the product that it is
        predict(predict_cohort.__wrapped__)
    model.fuse = fuse
    pairs = []
    for _ in range(rounds):
        began = time.perf_counter()
        predict()
        pairs.append((time.perf_counter() - began, product_seconds(shapes.count)))
    return pairs
