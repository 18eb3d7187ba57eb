"""``gaussian`` against outside libraries on the same hidden blocks: R2, CRPS, coverage and seconds.

    pip install -e ".[peers]" && python benchmarks/peers.py

``mofapy2`` (MOFA+, Argelaguet et al. 2020) imputes only rows that it is fitted on, so here both are fitted
on the scored patients too, without the hidden blocks. Libraries that cannot be imported are reported and
left out; ``multivae`` needs torchvision, for which no CPU build may exist, and has no adapter here.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.cohort import concatenate
from hcat_core.experiments.compare_imputers.cohorts import Trial, make_trial
from hcat_core.experiments.compare_imputers.run import read_recipe_at
from hcat_core.experiments.compare_imputers.scores import score_imputation
from hcat_core.experiments.compare_imputers.settings import Setting
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.registry.catalog import load_catalog

MeanAndStd = tuple[torch.Tensor, torch.Tensor]


def gaussian(trial: Trial, seed: int) -> MeanAndStd:
    """``gaussian``, with rank and number of components chosen on validation patients."""
    imputer = GaussianImputer(trial.train.layout)
    both = concatenate(trial.train, trial.test)
    imputer.fit(both, trial.validation.without_targets(), FitContext(seed))
    found = imputer(trial.test.without_targets())
    return found.emb, found.std


def mofapy2(trial: Trial, seed: int) -> MeanAndStd:
    """MOFA+ with sixteen factors and the library's convergence criterion; noise from its precisions."""
    from mofapy2.run.entry_point import entry_point

    emb = torch.cat([trial.train.emb, trial.test.emb])
    measured = torch.cat([trial.train.measured, trial.test.measured])
    rows = torch.where(measured, emb, torch.nan).double().numpy()
    widths = trial.train.layout.widths
    views = [[rows[:, column, :width]] for column, width in enumerate(widths)]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = entry_point()
        model.set_data_options(scale_views=False)
        model.set_data_matrix(views)
        model.set_model_options(factors=16)
        model.set_train_options(iter=1000, convergence_mode="fast", seed=seed, verbose=False)
        model.build()
        model.run()
    nodes = model.model.nodes
    factors = nodes["Z"].getExpectation()
    weights = nodes["W"].getExpectation()
    precision = nodes["Tau"].getExpectation()
    mean = np.zeros(rows.shape)
    std = np.ones(rows.shape)
    for column, width in enumerate(widths):
        offset = np.nan_to_num(np.nanmean(rows[:, column, :width], axis=0))
        mean[:, column, :width] = factors @ weights[column].T + offset
        std[:, column, :width] = 1 / np.sqrt(precision[column])
    test = slice(len(trial.train), None)
    return torch.from_numpy(mean[test]).float(), torch.from_numpy(std[test]).float()


PEERS: dict[str, Callable[[Trial, int], MeanAndStd]] = {"gaussian": gaussian, "mofapy2": mofapy2}


def main() -> None:
    """Run the installed libraries, and print one line per cohort and library."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--recipe", help="a recipe whose cohort is compared on too, such as HANCOCK's")
    arguments = parser.parse_args()
    peers = {n: run for n, run in PEERS.items() if n == "gaussian" or importlib.util.find_spec(n)}
    for name in [n for n in PEERS if n not in peers] + ["multivae"]:
        print(f"{name}: absent")
    read = partial(read_recipe_at, catalog=load_catalog())
    cohorts = [("linear", None), ("clusters", None)]
    if arguments.recipe:
        cohorts.append(("own", arguments.recipe))
    for preset, recipe in cohorts:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
        for seed in range(arguments.seeds):
            setting = Setting("mcar", 0.3, seed, preset, 600, arguments.width, recipe)
            trial = make_trial(setting, read)
            for name, run in peers.items():
                began = time.perf_counter()
                mean, std = run(trial, seed)
                seconds = time.perf_counter() - began
                score = score_imputation(trial, Imputation(mean, std, trial.hidden), None)
                figures = {key: getattr(score, key) for key in ("r2", "crps", "coverage_90")}
                found[name].append({**figures, "seconds": seconds})
        for name, scores in found.items():
            values = {
                key: np.array([s[key] for s in scores]) for key in ("r2", "crps", "coverage_90", "seconds")
            }
            against = np.array([s["r2"] for s in found["gaussian"]])
            line = "  ".join(f"{key} {v.mean():.3f}" for key, v in values.items())
            behind = against - values["r2"]
            print(
                f"{preset:<9} {name:<9} {line}  "
                f"behind gaussian in R2: {', '.join(f'{b:+.3f}' for b in behind)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
