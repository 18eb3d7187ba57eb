"""``hcat schema``: a JSON schema of recipes, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hcat_core.cli.console import Output, common_options, open_catalog


@click.command()
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write it to FILE."
)
@common_options
def schema(target: Path | None, as_json: bool, quiet: bool) -> None:
    """Print a JSON schema of recipes, with the keys of every component that is installed.

    An editor that knows it completes keys and marks mistakes. For editors with Taplo (VS Code: Even Better
    TOML), make the first line of a recipe: #:schema hcat.schema.json
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output)

    from hcat_core.recipe.json_schema import recipe_schema
    from hcat_core.storage.checkpoint import write_text

    document = recipe_schema(catalog)
    if target is None:
        click.echo(json.dumps(document, indent=1))
        return
    write_text(target, json.dumps(document, indent=1) + "\n")
    output.say(f"schema of recipes: {target}")
