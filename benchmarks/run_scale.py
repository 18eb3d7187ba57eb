"""``hcat run`` with one epoch, by the number of patients: where the time goes, and how it grows.

python benchmarks/run_scale.py [PATIENTS ...]
"""

from __future__ import annotations

import importlib
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring import MODALITIES, Plan, Record, in_fresh_process

TITLE = "A run by the number of patients"
SIZES = (1_000, 4_000, 16_000, 64_000)
WIDTH = 64
# The network alone: what is measured is the work around a training that takes seconds.
SETS = (
    "training.epochs=1",
    "training.monitor=auc",
    "imputer.use=mean",
    "estimator.members=1",
    "estimator.evidence=false",
)
PHASES = {
    "reading": ("hcat_core.runs.run", "given_by"),
    "checks of leaks and data quality": ("hcat_core.runs.run", "check_cohort", "quality_checks"),
    "fitting: imputer, network, recalibration": ("hcat_core.runs.run", "fit_estimator"),
    "predicting all patients": ("hcat_core.training.fitting", "Fitted.predict"),
    "scores with intervals": ("hcat_core.runs.run", "score_split"),
    "patterns": ("hcat_core.runs.run_analysis", "score_patterns"),
    "subsets of modalities, Shapley values": ("hcat_core.runs.run_analysis", "analyse_modalities"),
    "imputation quality": ("hcat_core.runs.run_analysis", "analyse_imputation"),
    "baselines": ("hcat_core.runs.run_analysis", "score_baselines"),
    "report": ("hcat_core.runs.run", "_write_report"),
}  # fmt: skip
BEFORE = ("reading", "checks of leaks and data quality", "fitting: imputer, network, recalibration")


def measure(plan: Plan) -> list[Record]:
    """Seconds of each phase at each size, of the clock and (in brackets) of all processors together."""
    return of_sizes([size // plan.scale for size in SIZES], plan.folder)


def of_sizes(sizes: Sequence[int], folder: Path) -> list[Record]:
    """The same at these numbers of patients, whose files are kept in a folder."""
    taken = [in_fresh_process(timed, str(_cohort(folder, size))) for size in sizes]
    for one in taken:
        after = [phase for phase in PHASES if phase not in BEFORE]
        one["all after fitting"] = [sum(one[phase][place] for phase in after) for place in (0, 1)]
    return [
        {
            "phase": phase,
            **{f"{size:,}": _shown(one[phase]) for size, one in zip(sizes, taken, strict=True)},
            "growth exponent": _exponent([one[phase][1] for one in taken], sizes),
        }
        for phase in taken[0]
    ]


def timed(root: str) -> dict[str, list[float]]:
    """Seconds of the clock and of all processors of each phase of a run; each moment is in one phase."""
    import hcat_core.runs.run as run
    from hcat_core.recipe.recipe import load_recipe
    from hcat_core.registry.catalog import load_catalog

    taken = {phase: [0.0, 0.0] for phase in PHASES}
    running: list[str] = []
    for phase, (module, *names) in PHASES.items():
        for name in names:
            _clock(importlib.import_module(module), name, taken[phase], running)
    catalog = load_catalog()
    recipe, _ = load_recipe(
        Path(__file__).parents[1] / "recipes" / "enhanced.toml",
        catalog,
        sets=[f"cohort.root={root}", *SETS],
    )
    began = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run.run_recipe(recipe, catalog, outdir=Path(folder) / "run", say=lambda text: None)
    taken["all"] = [time.perf_counter() - began[0], time.process_time() - began[1]]
    return taken


def _cohort(folder: Path, patients: int) -> Path:
    """The files of a synthetic cohort, kept for the next time."""
    from hcat_core.synth.generator import generate, preset_spec
    from hcat_core.synth.write import write_cohort

    root = folder / f"demo-{patients}x{len(MODALITIES)}x{WIDTH}"
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_cohort(root, generate(preset_spec("demo", patients=patients, width=WIDTH)))
    return root


def _clock(module: object, name: str, taken: list[float], running: list[str]) -> None:
    """Add the seconds of a function to its phase, except within another phase."""
    *owners, last = name.split(".")
    for owner in owners:
        module = getattr(module, owner)
    function: Callable[..., object] = getattr(module, last)

    def clocked(*arguments: object, **keywords: object) -> object:
        if running:
            return function(*arguments, **keywords)
        began = time.perf_counter(), time.process_time()
        running.append(name)
        try:
            return function(*arguments, **keywords)
        finally:
            running.pop()
            seconds = time.perf_counter() - began[0], time.process_time() - began[1]
            taken[:] = [before + more for before, more in zip(taken, seconds, strict=True)]
            print(f"{name}: {seconds[0]:.1f} s, {seconds[1]:.1f} of all processors", file=sys.stderr)

    setattr(module, last, clocked)


def _shown(seconds: list[float]) -> str:
    clock, processors = seconds
    return f"{clock:.1f} ({processors:.1f})"


def _exponent(seconds: Sequence[float], sizes: Sequence[int]) -> str:
    """Of the growth between the two largest sizes, 1 is linear, 2 the square; none below 0.05 s."""
    if len(sizes) < 2 or min(seconds[-2:]) < 0.05:
        return ""
    return f"{math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}"


if __name__ == "__main__":
    import run_scale  # by its name, under which the fresh processes find it
    from tables import table

    numbers = [int(size) for size in sys.argv[1:]] or list(SIZES)
    print(table(run_scale.of_sizes(numbers, Path(tempfile.gettempdir()) / "hcat-benchmarks")))
