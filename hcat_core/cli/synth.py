"""``hcat synth DIRECTORY``: write a synthetic cohort whose true values are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.synth.spec import PRESETS
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from hcat_core.synth.generator import SyntheticCohort
    from hcat_core.synth.spec import Mechanism, OutcomeModel


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="demo",
    show_default=True,
    help="demo: three clusters of patients; linear: one linear factor model; clusters: four clusters, far "
    "apart; nonlinear: curved functions of shared factors.",
)
@click.option(
    "--outcome",
    type=click.Choice(("main", "interactions")),
    default="main",
    show_default=True,
    help="What the risk depends on: main: factors that all modalities share; interactions: products of "
    "private factors of different modalities.",
)
@click.option(
    "--classes-and-number",
    "others",
    is_flag=True,
    help="Write a subtype of three classes and a score beside the events, too.",
)
@click.option(
    "--patients", type=click.IntRange(min=10), default=600, show_default=True, help="Number of patients."
)
@click.option(
    "--width", type=click.IntRange(min=2), default=512, show_default=True, help="Features of each modality."
)
@click.option(
    "--mechanism",
    type=click.Choice(("mcar", "mar", "mnar")),
    default="mcar",
    show_default=True,
    help="Why modalities are missing: mcar: by chance; mar: depending on observed values; mnar: depending "
    "on the missing values.",
)
@click.option(
    "--missing-rate",
    type=click.FloatRange(0, 0.95),
    default=0.3,
    show_default=True,
    help="Share of blocks (one modality of one patient) that are missing.",
)
@click.option(
    "--noise-blocks",
    type=click.FloatRange(0, 0.95),
    default=0.0,
    show_default=True,
    help="Share of present blocks that are noise, marked by a quality below 0.3; others have 0.7 to 1.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@common_options
def synth(
    directory: Path,
    preset: str,
    outcome: OutcomeModel,
    others: bool,
    patients: int,
    width: int,
    mechanism: Mechanism,
    missing_rate: float,
    noise_blocks: float,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a synthetic cohort to DIRECTORY: five HDF5 files with outcomes, and the truth in truth.h5.

    The same options always give the same bytes.
    """
    output = Output.make(as_json, quiet)
    from hcat_core.synth.best_auc import best_auc
    from hcat_core.synth.generator import generate
    from hcat_core.synth.other_outcomes import draw_other_outcomes
    from hcat_core.synth.spec import preset_spec, with_interactions
    from hcat_core.synth.write import write_cohort

    spec = preset_spec(
        preset,
        patients=patients,
        width=width,
        mechanism=mechanism,
        missing_rate=missing_rate,
        seed=seed,
    )
    if outcome == "interactions":
        spec = with_interactions(spec)
    cohort = generate(replace(spec, noise_blocks=noise_blocks))
    drawn = draw_other_outcomes(cohort) if others else None
    files = write_cohort(directory, cohort, drawn)
    output.say(_describe(cohort, directory))
    for name, size in files.items():
        output.say(f"  {name}  {size / 1e6:.1f} MB")
    if drawn is not None:
        output.say(f"  subtype and score: {drawn.best()}")
    best = best_auc(cohort)
    for task in best:
        output.say(
            f"  {task.task}: the best possible AUC from these files is {task.measured:.3f} on average; "
            f"with the true risks it would be {task.truth:.3f}"
        )
    output.document(
        {
            "directory": str(directory),
            "files": files,
            "seed": seed,
            "patients": patients,
            "best_auc": {task.task: {"measured": task.measured, "truth": task.truth} for task in best},
        }
    )


def _describe(cohort: SyntheticCohort, directory: Path) -> str:
    spec = cohort.spec
    noise = f", {spec.noise_blocks:.0%} of present blocks noise" if spec.noise_blocks else ""
    missing = f"{spec.mechanism.upper()} at {spec.missing_rate:.0%}"
    return f"{counted(spec.patients, 'patient')}, {missing}{noise}, in {directory}:"
