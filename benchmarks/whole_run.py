"""``hcat run recipes/hancock.toml``: where the time of a whole run goes."""

from __future__ import annotations

import importlib
import statistics
import tempfile
import time
from pathlib import Path

from measuring import Plan, Record, in_fresh_process, seconds

TITLE = "A whole run on HANCOCK"
EPOCHS = 10
PARTS = {
    "reading the cohort": ("hcat_core.runs.run", "given_by"),
    "checking for leaks and data quality": ("hcat_core.runs.run", "check_cohort"),
    "fitting the imputer, and calibrating it": ("hcat_core.training.neural_estimator", "fit_imputer"),
    "fitting the evidence": ("hcat_core.training.neural_training", "fit_evidence", "start_at_evidence"),
    "making the optimiser (imports torch's compiler)": ("hcat_core.training.loop", "build_optimiser"),
    "training steps": ("hcat_core.training.loop", "training_step"),
    "validation": ("hcat_core.training.loop", "validate"),
    "checkpoints": ("hcat_core.training.checkpoints", "write_checkpoint"),
    "predicting everyone, adjusting": ("hcat_core.training.fitting", "Fitted.predict"),
    "scores": ("hcat_core.runs.run", "score_split"),
    "patterns, modalities, imputation, baselines": ("hcat_core.runs.run", "analyse_run"),
    "the baselines alone": ("hcat_core.runs.run_analysis", "score_baselines"),
    "the report": ("hcat_core.runs.run", "_write_report"),
}


def measure(plan: Plan) -> list[Record]:
    """Seconds and share of each part, medians over rounds; nothing without HANCOCK's files."""
    if plan.hancock is None:
        return []
    runs = [in_fresh_process(timed, str(plan.hancock), EPOCHS) for _ in range(plan.rounds)]
    median = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
    whole = median["all"]
    return [
        {"part": part, "time": seconds(value), "share": f"{value / whole:.0%}"}
        for part, value in median.items()
    ]


def timed(root: str, epochs: int) -> dict[str, float]:
    """Seconds of each part of a run of so many epochs; what is within another part counts there too."""
    began = time.perf_counter()
    import hcat_core.runs.run as run
    from hcat_core.recipe.recipe import load_recipe
    from hcat_core.registry.catalog import load_catalog

    taken = {"imports": time.perf_counter() - began, **dict.fromkeys(PARTS, 0.0)}
    for part, (module, *names) in PARTS.items():
        for name in names:
            _clock(importlib.import_module(module), name, part, taken)
    recipes = Path(__file__).parents[1] / "recipes"
    catalog = load_catalog()
    sets = [f"cohort.root={root}", f"training.epochs={epochs}", f"training.early_stop_patience={epochs}"]
    recipe, _ = load_recipe(recipes / "hancock.toml", catalog, sets=sets)
    with tempfile.TemporaryDirectory() as folder:
        run.run_recipe(recipe, catalog, outdir=Path(folder) / "run", say=lambda text: None)
    taken["all"] = time.perf_counter() - began
    return taken


def _clock(module: object, name: str, part: str, taken: dict[str, float]) -> None:
    """Add the seconds that a function takes to its part."""
    *owners, last = name.split(".")
    for owner in owners:
        module = getattr(module, owner)
    function = getattr(module, last)

    def clocked(*arguments, **keywords):
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            taken[part] += time.perf_counter() - began

    setattr(module, last, clocked)
