"""``hcat convert RECIPE DESTINATION``: the recipe's cohort in another file format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.recipe_options import RecipePath, recipe_from_command_line, recipe_options
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from hcat_core.conversion.convert import To


@click.command()
@click.argument("recipe", type=RecipePath())
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(("h5mu", "h5ad", "h5", "csv")),
    help="h5mu: one MuData file; h5ad, h5, csv: a folder with one file per modality.  "
    "[default: h5mu if DESTINATION ends with .h5mu, otherwise h5]",
)
@recipe_options
@common_options
def convert(
    recipe: Path, destination: Path, to: To | None, as_json: bool, quiet: bool, **arguments: Any
) -> None:
    """Write the cohort of RECIPE to DESTINATION in another file format, and a recipe that runs on it.

    The files have one aggregated row per patient. They are read again, to check that the cohort is the same
    to the last bit.
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output, [recipe], arguments["sets"])
    loaded = recipe_from_command_line(recipe, catalog, output, arguments)

    from hcat_core.conversion.convert import convert as convert_cohort

    chosen: To = to or ("h5mu" if destination.suffix.lower() == ".h5mu" else "h5")
    done = convert_cohort(loaded, catalog, destination, chosen, output.say)
    output.say(
        f"{counted(len(done.cohort), 'patient')}, "
        f"{counted(len(done.cohort.layout.modalities), 'modality', 'modalities')}, as {chosen}:"
    )
    sizes = {str(file): file.stat().st_size for file in done.files}
    for name, size in sizes.items():
        output.say(f"  {name}  {size / 1e6:.1f} MB")
    fingerprint = done.cohort.fingerprint()
    output.say(f"the same cohort, fingerprint {fingerprint}")
    output.say(f"next: hcat run {done.recipe}")
    output.document(
        {
            "destination": str(destination),
            "to": chosen,
            "recipe": str(done.recipe),
            "files": sizes,
            "patients": len(done.cohort),
            "fingerprint": fingerprint,
        }
    )
