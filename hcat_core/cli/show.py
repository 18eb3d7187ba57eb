"""``hcat show KIND NAME``: a component's documentation and parameters."""

from __future__ import annotations

import click

from hcat_core.cli.console import Output, common_options, open_catalog, print_table
from hcat_core.registry.component import KINDS, Kind


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@common_options
def show(kind: Kind, name: str, as_json: bool, quiet: bool) -> None:
    """Show what a component is, and its parameters: the keys that its recipe table may have."""
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output)
    component = catalog.find(kind, name)
    provider = catalog.registries[kind].entries[name].provider

    from dataclasses import asdict

    from hcat_core.recipe.documentation import document_component

    documentation = document_component(component)
    if as_json:
        output.document(
            {
                "kind": kind,
                "name": name,
                "summary": component.summary,
                "tags": list(component.tags),
                "target": component.target,
                "provider": str(provider),
                "documentation": documentation.text,
                "parameters": [asdict(row) for row in documentation.parameters],
            }
        )
        return
    from rich.table import Table

    output.say(f"{kind} {name}: {component.summary}")
    output.say(f"from {provider}, {component.target}")
    if component.tags:
        output.say(f"tags: {', '.join(component.tags)}")
    output.say(f"\n{documentation.text}\n")
    if not documentation.parameters:
        output.say("It has no parameters.")
        return
    table = Table("parameter", "type", "default", box=None, pad_edge=False)
    for row in documentation.parameters:
        table.add_row(row.name, row.type, str(row.default))
    print_table(output.words, table)
