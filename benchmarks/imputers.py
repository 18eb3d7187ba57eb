"""Time that every imputer takes to fit and to fill N patients x 5 x 128, and how both grow with N.

Networks are fitted for two epochs; the time of a fit is proportional to its epochs. Each imputer fills the
N patients that it was fitted on. The growth exponent is the slope of log seconds over log patients.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from pathlib import Path

import torch
from measuring import Plan, Record, in_fresh_process, seconds

from hcat_core.experiments.compare_imputers.cohorts import make_trial
from hcat_core.experiments.compare_imputers.settings import Setting, imputer_tables
from hcat_core.interfaces import FitContext
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.registry.catalog import load_catalog

TITLE = "Imputers, N patients x 5 x 128"
SIZES = (1_000, 4_000, 16_000)
EPOCHS = 2


def measure(plan: Plan) -> list[Record]:
    """Two rows per imputer, ``fit`` and ``transform``; a size that fails, for want of memory, is marked."""
    sizes = [max(100, size // plan.scale) for size in SIZES]
    records = []
    for name in imputer_tables(load_catalog(), ()):
        medians: dict[int, list[float] | None] = {}
        for size in sizes:
            try:
                runs = [in_fresh_process(timed, name, size) for _ in range(plan.rounds)]
                medians[size] = [statistics.median(side) for side in zip(*runs, strict=True)]
                print(f"{name}, {size:,} patients: {' and '.join(map(seconds, medians[size]))}", flush=True)
            except subprocess.CalledProcessError as error:
                medians[size] = None
                print(f"{name}, {size:,} patients: ended with code {error.returncode}", flush=True)
        for place, what in enumerate(("fit", "transform")):
            row = {size: None if both is None else both[place] for size, both in medians.items()}
            cells = {f"{n:,}": "failed" if s is None else seconds(s) for n, s in row.items()}
            records.append({"imputer": f"`{name}`", "": what, **cells, "growth exponent": growth(row)})
    return records


def growth(row: dict[int, float | None]) -> str:
    """The least-squares slope over the sizes that did not fail."""
    points = [(math.log(n), math.log(s)) for n, s in row.items() if s]
    return (
        f"{statistics.linear_regression(*zip(*points, strict=True)).slope:.2f}" if len(points) > 1 else ""
    )


def timed(name: str, patients: int) -> tuple[float, float]:
    """Seconds to fit on that many patients, and to fill them."""
    catalog = load_catalog()
    trial = make_trial(Setting("mcar", 0.3, 0, patients=patients), lambda path: None)
    table = imputer_tables(catalog, (name,))[name]
    for part in (table, table.get("first", {})):
        if "fit_epochs" in part:
            part["fit_epochs"] = EPOCHS
    torch.manual_seed(0)
    checked = check_component(catalog, "imputer", table, "imputer").table
    imputer = construct(catalog, "imputer", checked, (trial.train.layout,), Path())
    train, validation = trial.train.without_targets(), trial.validation.without_targets()
    began = time.perf_counter()
    imputer.fit(train, validation, FitContext(0))
    fitted = time.perf_counter()
    if isinstance(imputer, torch.nn.Module):
        imputer.eval()
    with torch.inference_mode():
        imputer(train)
    return fitted - began, time.perf_counter() - fitted
