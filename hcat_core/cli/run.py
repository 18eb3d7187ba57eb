"""``hcat run``: train and evaluate the model that a recipe describes."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from typing import Any

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.experiment_options import strict_option
from hcat_core.cli.interruption import exit_code
from hcat_core.cli.recipe_options import (
    RecipePath,
    document_options,
    recipe_from_command_line,
    recipe_of,
    recipe_options,
)
from hcat_core.cli.tracking import track_option
from hcat_core.errors import StorageError, UsageError


@click.command()
@click.argument("recipe", required=False, type=RecipePath())
@click.option(
    "--outdir",
    type=click.Path(path_type=Path),
    help="Run folder; new or empty. [outdir]  [default: runs/RECIPE-DATE]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with the interrupted run in this folder.",
)
@strict_option
@recipe_options
@document_options
@track_option
@common_options
def run(
    recipe: Path | None,
    outdir: Path | None,
    resume: Path | None,
    strict: bool,
    trackers: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **arguments: Any,
) -> int:
    """Train and evaluate the model that RECIPE describes, and write a report.

    RECIPE is a file, or the name of a recipe that ships with hcat (see hcat recipes). Most options below
    set a key of the recipe, shown in brackets; an option wins over the recipe. In their names an
    underscore may stand for a hyphen.
    """
    output = Output.make(as_json, quiet)
    if (recipe is None) == (resume is None):
        raise UsageError("give either a RECIPE to start a run, or --resume RUN to go on with one.")
    if resume is not None:
        options = {"outdir": outdir, "strict": strict or None, **arguments}
        spelt = {param.name: param.opts[0] for param in click.get_current_context().command.params}
        given = [spelt[name] for name, value in options.items() if value not in (None, ())]
        if given:
            raise UsageError(
                f"a resumed run keeps its recipe; leave out: {', '.join(given)}. "
                "Start a new run to change them."
            )
        catalog = open_catalog(output, [recipe_of(resume)])
    else:
        assert recipe is not None
        catalog = open_catalog(output, [recipe], arguments["sets"])

    from hcat_core.cli.run_progress import RunProgress, print_results
    from hcat_core.registry.trackers import add_trackers
    from hcat_core.runs.run import resume_run, run_recipe
    from hcat_core.training.distributed import process_group

    progress = RunProgress(output)
    progress.waiting.start("reading the files")
    catalog.plugins.register(progress)
    add_trackers(catalog, trackers)
    folder: Path | None = None
    try:
        with process_group() as processes:
            if resume is not None:
                folder = resume
                summary = resume_run(resume, catalog, progress.say, processes, warn=progress.warn)
            else:
                assert recipe is not None
                loaded = recipe_from_command_line(recipe, catalog, output, arguments)
                folder = outdir or (Path(loaded.outdir) if loaded.outdir else _default_folder(recipe))
                summary = run_recipe(
                    loaded,
                    catalog,
                    outdir=folder,
                    strict=strict,
                    say=progress.say,
                    warn=progress.warn,
                    processes=processes,
                )
            if not processes.is_main:
                return 0
    except KeyboardInterrupt as stop:
        progress.stop()
        if _has_begun(folder):
            output.warn(f"interrupted. The run can go on: hcat run --resume {folder}")
        else:
            output.warn("interrupted; nothing had been written")
        return exit_code(stop)
    except StorageError as error:
        if _has_begun(folder):
            raise StorageError(f"{error} Then go on: hcat run --resume {folder}") from error
        raise
    finally:
        progress.stop()
    if not quiet:
        print_results(output.words, summary, folder)
    output.document({"run_folder": str(folder), **summary})
    return 0


def _has_begun(folder: Path | None) -> bool:
    """Whether there is a run to go on with."""
    with contextlib.suppress(OSError):  # a name that is too long, a folder that may not be looked into
        return folder is not None and (folder / "recipe.toml").is_file()
    return False


def _default_folder(recipe: Path) -> Path:
    return Path("runs") / f"{recipe.stem}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
