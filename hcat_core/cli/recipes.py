"""``hcat recipes``: the recipes that ship with hcat."""

from __future__ import annotations

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.cli.tables import print_table
from hcat_core.recipe.shipped import first_sentence, shipped_recipes


@click.command()
@common_options
def recipes(as_json: bool, quiet: bool) -> None:
    """List the recipes that ship with hcat.

    Each can be run from any folder by its name: hcat run enhanced.toml. A file of that name in the current
    folder wins.
    """
    output = Output.make(as_json, quiet)
    shipped = shipped_recipes()
    if as_json:
        rows = [
            {"name": name, "summary": first_sentence(path), "path": str(path)}
            for name, path in shipped.items()
        ]
        output.document({"recipes": rows})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("what it is")
    for name, path in shipped.items():
        table.add_row(name, first_sentence(path))
    print_table(output.words, table)
    output.say("Run one from any folder by its name: hcat run enhanced.toml")
