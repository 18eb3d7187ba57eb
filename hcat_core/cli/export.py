"""``hcat export RUN``: a neural run as one file that torch alone computes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.recipe_options import recipe_of
from hcat_core.cli.waiting import Waiting


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the pipeline to FILE, which ends with .pt2. [exported.pt2 in the run folder]",
)
@common_options
def export(run: Path, target: Path | None, as_json: bool, quiet: bool) -> None:
    """Write the fitted pipeline of the neural model in the folder RUN as one file.

    It holds everything from cells in the units of the files to recalibrated probabilities, and torch alone
    computes it: torch.export.load(FILE).module()(emb, measured, quality). A description of inputs and
    outputs is written beside it as .json. Before the file is put in its place, it is compared with the run
    on synthetic patients.
    """
    from hcat_core.runs.export.export import export_run, refuse_ending
    from hcat_core.runs.trained_run import load_run

    output = Output.make(as_json, quiet)
    path = run / "exported.pt2" if target is None else target
    refuse_ending(path)
    catalog = open_catalog(output, [recipe_of(run)])
    trained = load_run(run, catalog)
    with Waiting(output).start("tracing the pipeline and comparing it with the run"):
        done = export_run(trained, catalog, path)
    tried = f"{done.patients} synthetic patients"
    output.say(f"{path}: differs by at most {done.difference:.1e} from the run, on {tried}")
    output.say(f"Inputs, outputs and what stays outside: {done.description}")
    if done.draws:
        output.say(
            f"The run has one member: hcat predict averages {done.draws} draws of what is missing, the "
            "file predicts once, at the imputation's mean. Their probabilities differ."
        )
    output.document({name: str(v) if isinstance(v, Path) else v for name, v in asdict(done).items()})
